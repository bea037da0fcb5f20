"""What revokes a token, and the kinds of APIs that then refuse it, all over HTTP.

``python -m tests.processes.revocation_events FILE`` measures how soon each kind of API refuses a token after each
event, and writes the table of the documentation.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.admin.pages import fields_of
from tests.patience import PATIENCE_SECONDS
from tests.ports import reserved_port
from tests.settings import API

from .databases import PreparedDatabases, manage, run
from .servers import gunicorn

PASSWORD = "correct horse battery"
SECRET = "the client's secret"
REDIRECT_URI = "https://client.example.com/callback"
BOUND = 1
DEFAULT_BOUND = 5  # REVOCATION_MAX_AGE and introspection_max_age.
# More than enough for each of two workers to get one.
_REPETITIONS = 8


class Browser:
    """Somebody who is logged in to the issuer's site."""

    def __init__(self, address: str, username: str) -> None:
        self.address, self.session = address, requests.Session()
        self.submit("/admin/login/", username=username, password=PASSWORD)

    def get(self, path: str, **options):
        return self.session.get(f"{self.address}{path}", timeout=PATIENCE_SECONDS, allow_redirects=False, **options)

    def submit(self, path: str, **values):
        """Open a page, fill in its form, and send it, and the form that asks for a confirmation."""
        page = self.get(path)
        assert page.status_code == 200, (path, page.status_code)
        answer = self.post(path, {**fields_of(page), **values})
        for name in ("_shown", "_revoke", "_confirmed"):
            if answer.status_code == 200 and f'name="{name}"' in answer.text:
                answer = self.post(path, {**fields_of(answer), name: fields_of(answer).get(name, "yes")})
        assert answer.status_code == 302, (path, answer.status_code, answer.text)
        return answer

    def post(self, path: str, values):
        values = {**values, "csrfmiddlewaretoken": self.session.cookies.get("csrftoken", "")}
        address = f"{self.address}{path}"
        return self.session.post(
            address, values, headers={"Referer": address}, timeout=PATIENCE_SECONDS, allow_redirects=False
        )


@dataclass
class Grant:
    """The tokens of one user and one client, who are there for one event."""

    site: Site
    name: str
    tokens: dict = field(default_factory=dict)
    first: dict = field(default_factory=dict)
    code: str = ""
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def __post_init__(self) -> None:
        self.ids = SimpleNamespace(**self.site.ids[self.name])
        self.browser = Browser(self.site.address, f"user-{self.name}")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code", "client_id": self.client_id, "redirect_uri": REDIRECT_URI, "scope": "openid read",
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        answer = self.browser.get(f"/o/authorize/?{urlencode(query)}")
        [self.code] = parse_qs(urlsplit(answer.headers["Location"]).query)["code"]
        self.tokens = self.exchange().json()

    @property
    def client_id(self) -> str:
        return f"client-{self.name}"

    def post(self, path: str, **data):
        return self.site.post(path, client_id=self.client_id, client_secret=SECRET, **data)

    def exchange(self):
        return self.post(
            "/o/token/", grant_type="authorization_code", code=self.code, redirect_uri=REDIRECT_URI,
            code_verifier=self.verifier,
        )  # fmt: skip

    def refresh(self, refresh_token: str):
        return self.post("/o/token/", grant_type="refresh_token", refresh_token=refresh_token)

    def row(self, model: str, text: str) -> str:
        """Return the primary key of the row that the list of the admin shows with a text."""
        page = self.site.admin.get(f"/admin/oauth2_provider/{model}/").text
        [row] = [each for each in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if text in each]
        return re.search(r'name="_selected_action" value="(\d+)"', row)[1]


@dataclass
class Site:
    """An issuer with two workers, an administrator, and an API in another project, with two workers."""

    address: str
    remote: str
    url: str
    environment: dict
    ids: dict

    def __post_init__(self) -> None:
        self.admin = Browser(self.address, "root")

    def post(self, path: str, **data):
        return requests.post(f"{self.address}{path}", data, timeout=PATIENCE_SECONDS, allow_redirects=False)


def _bearer(address: str, token: str, **headers):
    headers = {"Authorization": f"Bearer {token}", "Connection": "close", **headers}
    return requests.get(address, headers=headers, timeout=PATIENCE_SECONDS).status_code


def _on_the_api(path: str):
    def status(site: Site, token: str) -> int:
        headers = {"Host": urlsplit(API).netloc, "X-Forwarded-Proto": "https"}
        return _bearer(f"{site.address}{path}", token, **headers)

    return status


def _introspection(site: Site, token: str) -> int:
    answer = site.post("/o/introspect/", client_id="api", client_secret=SECRET, token=token)
    return {True: 200, False: 401}[answer.json()["active"]]


# Each returns 200 for a token that is accepted, and another status for one that is refused.
APIS = {
    "REST framework": _on_the_api("/whoami/"),
    "plain view": _on_the_api("/plain/"),
    "DOT's view": _on_the_api("/toolkit-view/"),
    "userinfo": lambda site, token: _bearer(f"{site.address}/o/userinfo/", token),
    "introspection": _introspection,
    "another project": lambda site, token: _bearer(f"{site.remote}/whoami/", token),
}


def _revoked_in_the_admin(model: str):
    def event(grant: Grant) -> None:
        pk = grant.row(model, f"user-{grant.name}")
        action = {"action": "revoke_tokens", "_selected_action": pk}
        assert grant.site.admin.post(f"/admin/oauth2_provider/{model}/", action).status_code == 302

    return event


def _refreshed_once(grant: Grant) -> None:
    grant.first, grant.tokens = grant.tokens, grant.refresh(grant.tokens["refresh_token"]).json()


def _reused(grant: Grant) -> None:
    assert grant.refresh(grant.first["refresh_token"]).json()["error"] == "invalid_grant"


def _replayed(grant: Grant) -> None:
    assert grant.exchange().json()["error"] == "invalid_grant"


def _revoked_by_its_user(grant: Grant) -> None:
    page = grant.browser.get("/o/authorized_tokens/").text
    [path] = set(re.findall(r'href="(/o/authorized_tokens/\d+/delete/)"', page))
    grant.browser.submit(path)


def _logged_out(grant: Grant) -> None:
    grant.browser.submit(f"/o/logout/?id_token_hint={grant.tokens['id_token']}", allow="on")


def _by_jti(grant: Grant) -> None:
    token_id = jwt.decode(grant.tokens["access_token"], options={"verify_signature": False})["jti"]
    grant.site.admin.submit("/admin/django_at_jwt/denylistentry/add/", token_id=token_id)


def _by_command(grant: Grant) -> None:
    done = manage(grant.site.url, "revoke_tokens", "--user", str(grant.ids.user), **grant.site.environment)
    assert done.returncode == 0, done.stderr


def _account_deleted(grant: Grant) -> None:
    # Django's admin deletes no user with tokens, since DOT's admin does not allow deleting these.
    assert grant.browser.post("/delete-account/", {}).status_code == 302


def _admin(path: str, **values):
    def event(grant: Grant) -> None:
        grant.site.admin.submit(path.format(user=grant.ids.user, client=grant.ids.client), **values)

    return event


_USER, _CLIENT = "/admin/auth/user/{user}", "/admin/oauth2_provider/application/{client}"
NEW_PASSWORD = {"password1": "another horse battery", "password2": "another horse battery"}
EVENTS = {
    "the access token is revoked (RFC 7009)": lambda grant: grant.post(
        "/o/revoke_token/", token=grant.tokens["access_token"]
    ),
    "the refresh token is revoked (RFC 7009)": lambda grant: grant.post(
        "/o/revoke_token/", token=grant.tokens["refresh_token"]
    ),
    "a refresh token is used again": _reused,
    "the code is used again": _replayed,
    "a refresh replaces the token": lambda grant: grant.refresh(grant.tokens["refresh_token"]),
    "DOT's admin action, access token": _revoked_in_the_admin("accesstoken"),
    "DOT's admin action, refresh token": _revoked_in_the_admin("refreshtoken"),
    "DOT's page of authorized tokens": _revoked_by_its_user,
    "RP-initiated logout": _logged_out,
    "the user is deactivated": _admin(f"{_USER}/change/", is_active=None),
    "the user is deleted": _account_deleted,
    "the user's password is changed": _admin(f"{_USER}/password/", **NEW_PASSWORD),
    "the client is deleted": lambda grant: grant.browser.submit(f"/o/applications/{grant.ids.client}/delete/"),
    "the client gets a new secret, and the box is ticked": _admin(
        f"{_CLIENT}/change/", client_secret="a new secret", revoke_tokens="on"
    ),
    "“Log out everywhere”": _admin("/admin/django_at_jwt/denylistentry/user/{user}/", _revoke="yes"),
    "“Revoke all tokens” of the client": _admin("/admin/django_at_jwt/denylistentry/client/{client}/", _revoke="yes"),
    "revoked by its jti": _by_jti,
    "`manage.py revoke_tokens`": _by_command,
}
# What happens before the token that is looked at is issued.
BEFORE = {"a refresh token is used again": _refreshed_once}
# It concerns the tokens of all other events, so it comes last.
DISABLED = "the API is disabled"
ALL_EVENTS = (*EVENTS, DISABLED)


def disable_api(site: Site) -> None:
    site.admin.submit(f"/admin/django_at_jwt/resourceserver/{site.ids['api']}/change/", enabled=None, is_default=None)


def names() -> dict[str, str]:
    """Return a short name for each event, of which user names and client ids are made."""
    return {event: f"e{number}" for number, event in enumerate(ALL_EVENTS)}


def accepting(site: Site, token: str) -> set[str]:
    """Return the kinds of APIs of which at least one worker accepts a token."""
    return {api for api in APIS if any(APIS[api](site, token) == 200 for _ in range(_REPETITIONS))}


def granted(site: Site, event: str) -> Grant:
    """Return the tokens of a user and a client, who are there for this event alone."""
    grant = Grant(site, names()[event])
    BEFORE.get(event, lambda _grant: None)(grant)
    return grant


@dataclass
class PreparedIssuer:
    """An issuer with a database, a port, and the rows of :mod:`.revocation_prepare`, which does not run yet."""

    url: str
    port: int
    environment: dict
    ids: dict

    @property
    def identifier(self) -> str:
        return self.environment["TEST_ISSUER"]


@contextmanager
def prepared_issuer(databases: PreparedDatabases, kind: str, folder: Path, *, bound: int, **extra: str):
    """Prepare an issuer, which reads the deny list every ``bound`` seconds."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with ExitStack() as stack:
        url = stack.enter_context(databases.copy(kind, folder))
        port = stack.enter_context(reserved_port())
        issuer = f"http://127.0.0.1:{port}/o"
        environment = {
            "DJANGO_SETTINGS_MODULE": "tests.processes.revocation_settings",
            "TEST_ISSUER": issuer,
            "TEST_BOUND": str(bound),
            "TEST_OIDC_KEY": key.decode(),
            **extra,
        }
        prepared = run(url, "tests.processes.revocation_prepare", *names().values(), **environment)
        assert prepared.returncode == 0, prepared.stderr
        yield PreparedIssuer(url, port, environment, json.loads(prepared.stdout.splitlines()[-1]))


@contextmanager
def running_site(databases: PreparedDatabases, kind: str, folder: Path, *, bound: int = BOUND, **extra: str):
    """Run an issuer and an API in another project, with two workers each.

    Both ask for revocations every ``bound`` seconds.
    """
    with ExitStack() as stack:
        issuer = stack.enter_context(prepared_issuer(databases, kind, folder, bound=bound, **extra))
        address = stack.enter_context(
            gunicorn(issuer.url, folder / "issuer", workers=2, port=issuer.port, **issuer.environment)
        )
        trust = {
            "audience": API,
            "revocation": "introspect",
            "client_id": "api",
            "client_secret": SECRET,
            "introspection_max_age": bound,
        }
        at_jwt = {"ISSUERS": {issuer.identifier: trust}, "ISSUER_TIMEOUT": PATIENCE_SECONDS}
        remote = stack.enter_context(
            gunicorn(
                "",
                folder / "remote",
                workers=2,
                DJANGO_SETTINGS_MODULE="tests.processes.api_settings",
                TEST_CACHE=json.dumps({"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}),
                TEST_AT_JWT=json.dumps(at_jwt),
            )
        )
        yield Site(address, remote, issuer.url, issuer.environment, issuer.ids)


def _seconds_until_refused(site: Site, trigger) -> dict[str, float]:
    token, began = trigger(), time.monotonic()
    seconds: dict[str, float] = {}
    while len(seconds) < len(APIS) and time.monotonic() < began + PATIENCE_SECONDS:
        for api in set(APIS) - accepting(site, token) - set(seconds):
            seconds[api] = time.monotonic() - began
    return seconds


def measure() -> dict[str, dict[str, float]]:
    """Return the seconds until each kind of API refuses a token in all workers, by event, with the default settings."""
    measured = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = PreparedDatabases(lambda name: Path(tempfile.mkdtemp(name, dir=folder)))
        stack.callback(databases.close)
        site = stack.enter_context(running_site(databases, "postgresql", folder, bound=DEFAULT_BOUND))
        for event in ALL_EVENTS:
            grant = granted(site, event)
            token = grant.tokens["access_token"]
            assert accepting(site, token) == set(APIS)

            def trigger(event=event, grant=grant, token=token):
                EVENTS[event](grant) if event in EVENTS else disable_api(site)
                return token

            measured[event] = _seconds_until_refused(site, trigger)
    return measured


def table(measured: dict[str, dict[str, float]]) -> str:
    """Return the table of the documentation."""
    lines = [f"| Event | {' | '.join(APIS)} |", "| --- |" + " --- |" * len(APIS)]
    for event, seconds in measured.items():
        lines.append(f"| {event} | {' | '.join(f'{seconds[api]:.1f} s' for api in APIS)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(table(measure()))
