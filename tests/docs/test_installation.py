"""The tutorial, the guides on protecting an API and the README, followed in a new project."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.ports import reserved_port

from .blocks import INSTALLATION, OLD_TOKENS, OWN_VIEWS, PLAIN_VIEWS, PROTECT, README, RESOURCE_METADATA, blocks_of
from .new_project import ADDRESS_IN_THE_PAGES, NewProject

pytestmark = pytest.mark.skipif(
    not shutil.which("curl") or not shutil.which("bash"), reason="the pages' commands need bash and curl"
)

# What a site has from before: a user, and a client that may act for them.
BEFORE = """
from django.contrib.auth.models import User
from oauth2_provider.models import Application

User.objects.create_user("alice", password="horse")
Application.objects.create(
    client_type="confidential", authorization_grant_type="password", client_id="old", client_secret="old-secret"
)
"""
LOG_IN = (
    "curl --silent --user old:old-secret --data grant_type=password --data username=alice --data password=horse "
    "https://www.example.com/o/token/"
)
REFRESH = (
    "curl --silent --user old:old-secret --data grant_type=refresh_token --data refresh_token={token} "
    "https://www.example.com/o/token/"
)
STATUS = (
    "curl --silent --output /dev/null --write-out '%{{http_code}}' --header \"Authorization: Bearer {token}\" "
    "https://www.example.com{path}"
)


@pytest.fixture(scope="session")
def site_of_before(tmp_path_factory):
    """The folder of a site with the toolkit and its tables."""
    project = NewProject(tmp_path_factory.mktemp("before"), port=0)
    project.run("python manage.py migrate --verbosity 0")
    return project.folder


@pytest.fixture
def project(site_of_before, tmp_path):
    with reserved_port() as port:
        project = NewProject(tmp_path, port, template=site_of_before)
        yield project
        project.stop()


def status(project, path, token):
    return int(project.run(STATUS.format(path=path, token=token)))


def refreshed(project, tokens):
    return json.loads(project.run(REFRESH.format(token=tokens["refresh_token"])))


@pytest.mark.ci
def test_pages_in_a_new_project(project):
    (project.folder / "before.py").write_text(BEFORE)
    project.run("python manage.py shell < before.py")
    before = json.loads(project.run(LOG_IN))

    installing = blocks_of(INSTALLATION)
    printed = project.follow(installing)
    assert "no issues" in printed["python manage.py check"]
    shown = json.loads(printed["python look.py $TOKEN"])
    example = json.loads(next(block.text for block in installing if block.language == "text"))
    assert shown.keys() == example.keys()
    for name in shown.keys() - {"iat", "exp", "jti"}:
        assert shown[name] == example[name].replace(ADDRESS_IN_THE_PAGES, project.address)
    assert shown["exp"] - shown["iat"] == example["exp"] - example["iat"] == 3600

    # Other tests use the settings of the pages on opaque tokens and on revocation.
    elsewhere = [
        f"{block}" for block in blocks_of(OLD_TOKENS) if "settings.py" in block.text or block.language != "python"
    ]
    elsewhere += [
        f"{block}"
        for block in blocks_of(PROTECT)
        if block.text.startswith(("# issuer/settings.py", "# api/settings.py"))
    ]
    printed = project.follow([block for block in blocks_of(PROTECT) if str(block) not in elsewhere])
    answers = [json.loads(text) for command, text in printed.items() if command.startswith("curl")]
    assert answers[0]["from"] == "the client first-look"
    assert answers[1] == {"audience": f"{project.address}/reports/"}
    assert status(project, "/reports/", "$TOKEN") == 401
    assert status(project, "/orders/", "$REPORTS_TOKEN") == 401
    without_a_token = "curl --silent --output /dev/null --write-out '%{http_code}' https://www.example.com/reports/"
    assert project.run(without_a_token) == "401"

    for address in ("/order-set/", "/payments/", "/exchange-rates/"):
        assert [status(project, address, token) for token in ("$TOKEN", "$REPORTS_TOKEN")] == [200, 401]

    printed = project.follow(blocks_of(PLAIN_VIEWS))
    *answers, of_the_validator = printed.values()
    assert [of_the_validator.split()[-1], *map(json.loads, answers)] == [
        "first-look",
        {"client": "first-look"},
        {"for": "client:first-look"},
        {"audience": f"{project.address}/reports/"},
    ]
    assert status(project, "/figures/", "$TOKEN") == 401

    printed = project.follow(blocks_of(RESOURCE_METADATA))
    document, challenge = printed.values()
    assert json.loads(document)["resource"] == f"{project.address}/"
    assert f'resource_metadata="{project.address}/.well-known/oauth-protected-resource"' in challenge
    described = project.run("curl --silent https://www.example.com/.well-known/oauth-protected-resource")
    assert json.loads(described)["resource_name"] == "Orders"
    reports = project.run("curl --silent https://www.example.com/.well-known/oauth-protected-resource/reports/")
    assert json.loads(reports)["resource"] == f"{project.address}/reports/"

    # What the pages say of tokens from before.
    assert status(project, "/orders/", before["access_token"]) == 401
    assert status(project, "/orders/both/", before["access_token"]) == 200
    now = refreshed(project, before)
    assert now["access_token"].startswith("eyJ")
    assert status(project, "/orders/", now["access_token"]) == 200
    assert status(project, "/orders/both/", now["access_token"]) == 200


@pytest.mark.ci
def test_page_on_own_views_in_a_new_project(project):
    installing = blocks_of(INSTALLATION)
    project.follow(
        [block for block in installing if block.language == "python" and block.file == "mysite/settings.py"][:1]
    )
    project.follow(blocks_of(OWN_VIEWS))
    project.run("python manage.py migrate --verbosity 0")
    project.run("python manage.py rotate_signing_keys")
    assert "no issues" in project.run("python manage.py check")

    head = "curl --silent --output /dev/null --dump-header - https://www.example.com/o"
    assert "x-served-by: mysite" in project.run(f"{head}/token/ --data grant_type=x").lower()
    assert " 200 " in project.run(f"{head}/.well-known/jwks.json").splitlines()[0]
    # What the page says that this site has left out.
    for left_out in ("applications", "authorized_tokens"):
        assert " 404 " in project.run(f"{head}/{left_out}/").splitlines()[0]


@pytest.mark.ci
def test_readme_in_a_new_project(project):
    making, *blocks = [block for block in blocks_of(README) if block.language != "json"]
    assert {command.split("#")[0].strip() for command in making.commands} == {"make demo", "make test"}
    *installing, rest_framework, orders, urls = blocks
    assert {rest_framework.text, urls.text} <= {block.text for block in blocks_of(PROTECT)}
    on_the_page = blocks_of(INSTALLATION)
    texts = [block.text for block in installing]
    assert [block.text for block in on_the_page if block.text in texts] == texts, "the README says it in other words"

    printed = project.follow(blocks)
    assert "no issues" in printed["python manage.py check"]
    for block in on_the_page:
        for command in block.commands if block.language == "console" else ():
            if "createapplication" in command or command.startswith("TOKEN="):
                project.run(command)
    assert (orders.file, urls.file) == ("mysite/orders.py", "mysite/urls.py")
    answer = project.run('curl --silent --header "Authorization: Bearer $TOKEN" https://www.example.com/orders/')
    assert json.loads(answer) == {"client": "first-look"}
