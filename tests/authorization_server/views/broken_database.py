"""Requests to every endpoint while a database statement fails, and the secrets in them."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.test import Client
from oauth2_provider.models import get_device_grant_model

from tests.conftest import DEVICE_CODE_GRANT, REDIRECT_URI, SECRET

FORM = "application/x-www-form-urlencoded"
DOCUMENT = {"redirect_uris": [REDIRECT_URI], "client_name": "a client", "grant_types": ["authorization_code"]}


@dataclass
class Call:
    """A request to an endpoint, and the secrets in it."""

    method: str
    path: str
    secrets: tuple[str, ...]
    data: object = None
    content_type: str = FORM
    headers: object = None
    browser: object = None

    def send(self):
        client = self.browser or Client()
        client.raise_request_exception = False
        data = urlencode(self.data or {}, doseq=True) if self.content_type == FORM else self.data
        return getattr(client, self.method)(self.path, data=data, content_type=self.content_type, headers=self.headers)


class Site:
    """A site with one client of each kind, and calls to its endpoints."""

    def __init__(self, make_client, user):
        self.make_client, self.user = make_client, user

    def code(self):
        client = self.make_client()
        code = client.authorize(self.user)["code"]
        data = {"code": code, "code_verifier": client.verifier, "redirect_uri": REDIRECT_URI}
        return self._token(client, {"grant_type": "authorization_code", **data}, code, client.verifier)

    def code_with_basic(self):
        client = self.make_client()
        code = client.authorize(self.user)["code"]
        credentials = base64.b64encode(f"{client.application.client_id}:{SECRET}".encode()).decode()
        return Call(
            "post",
            "/o/token/",
            (SECRET, credentials, code, client.verifier),
            {
                "grant_type": "authorization_code",
                "code": code,
                "code_verifier": client.verifier,
                "redirect_uri": REDIRECT_URI,
            },
            headers={"Authorization": f"Basic {credentials}"},
        )

    def refresh(self):
        client = self.make_client()
        token = client.code_flow(self.user).json()["refresh_token"]
        return self._token(client, {"grant_type": "refresh_token", "refresh_token": token}, token)

    def password(self):
        data = {"grant_type": "password", "username": "alice", "password": "correct horse"}
        return self._token(self.make_client("password"), data, "correct horse")

    def client_credentials(self):
        return self._token(self.make_client("client-credentials"), {"grant_type": "client_credentials"})

    def _token(self, client, data, *secrets):
        return Call("post", "/o/token/", (SECRET, *secrets), {**client.credentials, **data})

    def _device(self):
        client = self.make_client(DEVICE_CODE_GRANT, client_type="public")
        started = client.post("/o/device-authorization/", {"scope": "read", "client_secret": ""}).json()
        return client, started["device_code"], get_device_grant_model().objects.get().user_code

    def device_authorization(self):
        client = self.make_client(DEVICE_CODE_GRANT)
        return Call("post", "/o/device-authorization/", (SECRET,), {**client.credentials, "scope": "read"})

    def device_polling(self):
        client, device_code, user_code = self._device()
        browser = self._browser()
        browser.post("/o/device/", {"user_code": user_code})
        browser.post(f"/o/device-confirm/{client.application.client_id}/{user_code}", {"action": "accept"})
        data = {"grant_type": DEVICE_CODE_GRANT, "device_code": device_code, **client.credentials}
        return Call("post", "/o/token/", (device_code, SECRET), data)

    def device_code_entered(self):
        _, device_code, user_code = self._device()
        return Call("post", "/o/device/", (device_code, user_code), {"user_code": user_code}, browser=self._browser())

    def consent_page(self):
        return self._authorization("get")

    def consent(self):
        return self._authorization("post")

    def _authorization(self, method):
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.make_client().application.client_id,
                "redirect_uri": REDIRECT_URI,
                "scope": "read",
                "code_challenge": "x" * 43,
                "code_challenge_method": "S256",
            }
        )
        browser, path = self._browser(), f"/o/authorize/?{query}"
        page = browser.get(path)
        form = {name: value for name, value in page.context["form"].initial.items() if value is not None}
        return Call(method, path, (), {**form, "allow": "on"} if method == "post" else None, browser=browser)

    def _browser(self):
        browser = Client()
        browser.force_login(self.user)
        return browser

    def revocation(self):
        client = self.make_client()
        token = client.code_flow(self.user).json()["refresh_token"]
        return Call("post", "/o/revoke_token/", (SECRET, token), {**client.credentials, "token": token})

    def introspection(self):
        asking, asked = self._asking()
        header = {"Authorization": f"Bearer {asking}"}
        return Call("post", "/o/introspect/", (asking, asked), {"token": asked}, headers=header)

    def introspection_by_get(self):
        asking, asked = self._asking()
        header = {"Authorization": f"Bearer {asking}"}
        return Call("get", f"/o/introspect/?token={asked}", (asking, asked), headers=header)

    def _asking(self):
        client = self.make_client("client-credentials")
        asking = client.token("client_credentials", scope="introspection", resource=settings.API)
        return asking.json()["access_token"], client.token("client_credentials").json()["access_token"]

    def userinfo(self):
        token = self.make_client(algorithm="RS256").code_flow(self.user, scope="openid read").json()["access_token"]
        return Call("get", "/o/userinfo/", (token,), headers={"Authorization": f"Bearer {token}"})

    def registration(self):
        return Call("post", "/o/register/", (), DOCUMENT, "application/json")

    def changed_registration(self):
        made = Client().post("/o/register/", DOCUMENT, content_type="application/json").json()
        token = made["registration_access_token"]
        return Call(
            "put",
            f"/o/register/{made['client_id']}/",
            (token,),
            DOCUMENT,
            "application/json",
            headers={"Authorization": f"Bearer {token}"},
        )

    def jwk_set(self):
        return Call("get", "/o/.well-known/jwks.json", ())


CALLS = tuple(name for name in vars(Site) if not name.startswith("_"))


class FailingStatements:
    """Makes one statement of a request fail, and records the parameters of all statements."""

    def __init__(self, number, error):
        self._left, self._error = number, error
        self.failed, self.values = None, set()

    def __call__(self, execute, sql, params, many, context):
        if sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            return execute(sql, params, many, context)
        self.values |= {value for value in params or () if isinstance(value, str)}
        self._left -= 1
        if self._left == 0:
            self.failed = sql
            raise self._error
        return execute(sql, params, many, context)


@contextmanager
def failing(number, error, *, using=DEFAULT_DB_ALIAS):
    """Make the statement with this number fail with this error, and roll back what the block writes."""
    statements = FailingStatements(number, error)
    with transaction.atomic(using=using):
        with connections[using].execute_wrapper(statements):
            yield statements
        transaction.set_rollback(True, using=using)
