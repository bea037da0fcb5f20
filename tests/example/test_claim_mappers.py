"""A department in the example's tokens: the steps of the page about claim mappers, and nothing else."""

import json

import pytest

from example_project.http_client import AuthorizationServer, Browser, OAuthClient
from tests.conftest import decoded

from .admin_forms import Admin


@pytest.fixture(scope="module")
def server(running_example, tmp_path_factory):
    # A separate site: a mapper changes the tokens of all users.
    with running_example(tmp_path_factory.mktemp("mapped")) as server:
        yield server


@pytest.mark.ci
def test_a_department_by_the_admin_alone(server):
    description = server.description()
    users = {user["username"]: user["password"] for user in description["users"]}
    admin = Admin(server.base_url, username="admin", password=users["admin"])
    admin.add(
        "django_at_jwt/claimmapper",
        name="department",
        claim="department",
        source_kind="user",
        source_user="profile.department.code",
        scopes="profile",
    )
    client = OAuthClient.of(AuthorizationServer.discover(description["issuer"]), description["clients"]["web"])
    given = {}
    for username, scope in (("alice", "profile api:read"), ("alice", "api:read"), ("admin", "profile api:read")):
        authorization = client.begin_authorization(scope=scope)
        browser = Browser(username=username, password=users[username])
        tokens = authorization.exchange(browser.authorize(authorization))
        given[username, scope] = decoded(tokens["access_token"])[1].get("department")
    assert given == {
        ("alice", "profile api:read"): "R+D",
        ("alice", "api:read"): None,
        ("admin", "profile api:read"): "IT",
    }
    previewed = json.loads(
        server.manage(
            "preview_access_token", "--user=alice", "--client=example-web", "--scope=profile api:read", "--json"
        )
    )
    assert previewed["claims"]["department"] == "R+D"
    assert previewed["origins"]["department"] == {"mappers": ["department"], "personal": True, "example": False}
