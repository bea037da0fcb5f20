"""The guide on going back, followed in a site with OpenID Connect whose clients hold live tokens."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from jwcrypto.jwk import JWK
from oauth2_provider.settings import DEFAULTS

from django_at_jwt.conf import RFC9700_PROFILE, oauth2_provider_settings
from tests.ports import reserved_port
from tests.processes.databases import new_database

from .blocks import INSTALLATION, UNINSTALL, blocks_of
from .new_project import NewProject
from .test_installation import refreshed, status

pytestmark = pytest.mark.skipif(
    not shutil.which("curl") or not shutil.which("bash"), reason="the pages' commands need bash and curl"
)

OPENID_CONNECT = """
OAUTH2_PROVIDER["OIDC_ENABLED"] = True
OAUTH2_PROVIDER["OIDC_RSA_PRIVATE_KEY"] = {key!r}
OAUTH2_PROVIDER["SCOPES"] = {{"openid": "Log in", "read": "Read", "write": "Write"}}
"""
SETTINGS = """
import dj_database_url

INSTALLED_APPS += ["oauth2_provider"]
DATABASES = {{"default": dj_database_url.parse({url!r})}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
OAUTH2_PROVIDER = {{}}
"""
URLS = """
from django.http import HttpResponse
from django.urls import include
from oauth2_provider.decorators import protected_resource

urlpatterns += [
    path("o/", include("oauth2_provider.urls")),
    path("view/", protected_resource()(lambda request: HttpResponse("ok"))),
]
"""
BEFORE = """
from django.contrib.auth.models import User
from oauth2_provider.models import Application

User.objects.create_user("alice", password="horse")
Application.objects.create(
    client_type="confidential", authorization_grant_type="password", client_id="old", client_secret="old-secret",
    algorithm="RS256",
)
"""
LOG_IN = (
    "curl --silent --user old:old-secret --data grant_type=password --data username=alice --data password=horse "
    "--data 'scope=openid read' https://www.example.com/o/token/"
)


def statuses(project, token):
    return [status(project, path, token) for path in ("/o/userinfo/", "/view/")]


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request, tmp_path):
    with new_database(request.param, tmp_path) as url, reserved_port() as port:
        folder = tmp_path / "site"
        folder.mkdir()
        key = JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None).decode()
        openid_connect = OPENID_CONNECT.format(key=key)
        project = NewProject(folder, port, settings=SETTINGS.format(url=url) + openid_connect, urls=URLS)
        (folder / "before.py").write_text(BEFORE)
        project.run("python manage.py migrate --verbosity 0")
        project.run("python manage.py shell < before.py")
        first = json.loads(project.run(LOG_IN))
        stock = {name: (folder / name).read_text() for name in ("mysite/settings.py", "mysite/urls.py")}

        in_the_site = [block for block in blocks_of(INSTALLATION) if block.language == "python"]
        project.follow([block for block in in_the_site if block.file.startswith("mysite/")])
        with (folder / "mysite/settings.py").open("a") as file:
            file.write(openid_connect)
        # The page's urlpatterns replace the site's own.
        with (folder / "mysite/urls.py").open("a") as file:
            file.write(URLS.replace('    path("o/", include("oauth2_provider.urls")),\n', ""))
        project.run("python manage.py migrate --verbosity 0")
        project.run("python manage.py rotate_signing_keys")
        yield project, refreshed(project, first), stock
        project.stop()


def test_what_goes_with_the_helper():
    section = UNINSTALL.read_text().partition("## What goes with the helper")[2].partition("(with-openid-connect)=")[0]
    assert set(re.findall(r"`([A-Z][A-Z0-9_]+)`", section)) <= oauth2_provider_settings(profile="rfc9700").keys()
    assert "`ACCESS_TOKEN_EXPIRE_SECONDS` is 36000 again" in section
    assert DEFAULTS["ACCESS_TOKEN_EXPIRE_SECONDS"] == 36000
    assert not DEFAULTS["COMPLIANT_BCP_RFC9700_TOKEN_STORAGE"]
    # Rotation too is DOT's default.
    kept = {name for name, value in RFC9700_PROFILE.items() if DEFAULTS[name] == value}
    assert kept == {"PKCE_REQUIRED", "ROTATE_REFRESH_TOKEN"}


@pytest.mark.ci
def test_live_tokens_work_before_between_and_after_the_steps(project):
    project, tokens, stock = project
    keep, remove, *validator = [block for block in blocks_of(UNINSTALL) if block.language != "text"]
    assert [len(block.commands) for block in (keep, remove)] == [2, 3]
    assert tokens["access_token"].startswith("eyJ")
    assert statuses(project, tokens["access_token"]) == [200, 200]

    printed = project.follow([keep])
    assert printed["python manage.py prepare_uninstall"] == (
        "Removed the audience from 0 codes, 1 access token and 1 refresh token.\n"
    )
    assert statuses(project, tokens["access_token"]) == [200, 200]
    # Its rows name the default resource again.
    between = refreshed(project, tokens)

    project.stop()
    for name, text in stock.items():
        (project.folder / name).write_text(text)
    (project.folder / "mysite/validators.py").unlink()
    project.follow(validator)
    assert statuses(project, between["access_token"]) == [401, 200]

    prepare, migrate, delete = remove.commands
    assert project.run(prepare) == "Removed the audience from 0 codes, 1 access token and 1 refresh token.\n"
    assert statuses(project, between["access_token"]) == [200, 200]
    # The server that has run since the second step serves on while the tables go.
    project.run(migrate)
    assert statuses(project, between["access_token"]) == [200, 200]
    opaque = refreshed(project, between)
    assert not opaque["access_token"].startswith("eyJ")
    assert statuses(project, opaque["access_token"]) == [200, 200]
    project.run(delete)
    assert "no issues" in project.run("python manage.py check")
