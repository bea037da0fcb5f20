"""The example with further APIs and clients, and each grant as a client and a browser go through it over HTTP."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import jwt
import requests

from example_project.http_client import DEVICE_CODE_GRANT
from tests.patience import PATIENCE_SECONDS

from .admin_forms import Admin
from .conftest import Site

# The APIs in addition to the two that the example has, as an administrator registers them in the admin's form. Notes is
# the default, and knows api:read and api:write; Reports knows reports:read. All are open, unless they name clients.
APIS = {
    "archive": {"scopes": "archive:read", "lifetime": "600"},
    "mirror": {"scopes": "archive:read", "lifetime": "300"},
    "neighbour": {"scopes": "neighbour:read", "clients": "neighbour"},
    "vault": {"scopes": "vault:open", "isolated": "on"},
    "retired": {"scopes": "retired:read", "enabled": False},
    "legacy": {"scopes": "legacy:read", "token_format": "opaque", "lifetime": "120"},
}
CLIENTS = {
    "neighbour": {"authorization_grant_type": "client-credentials"},
    "password": {"authorization_grant_type": "password"},
    "implicit": {"authorization_grant_type": "implicit"},
    "hybrid": {"authorization_grant_type": "openid-hybrid", "algorithm": "RS256"},
    "trusted": {"authorization_grant_type": "authorization-code", "skip_authorization": "on"},
}
SECRET = "the client's secret"

# Values of the "resource" parameter. Names of APIs stand for their identifiers.
UNACCEPTABLE = {
    "unknown": "https://unknown.example.com/",
    "malformed": "no absolute URI",
    "fragment": "https://archive.example.com/#part",
}

TABLES_OF_THE_TOOLKIT = ("accesstoken", "devicegrant", "grant", "idtoken", "refreshtoken")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a client was told: in a JSON body, or in the address that its user came back to."""

    where: str
    values: dict

    @classmethod
    def in_body(cls, response):
        values = response.json()
        if "error" in values:
            assert response.status_code == 400, response.text
            assert response.headers["Content-Type"] == "application/json"
            assert response.headers["Cache-Control"] == "no-store"
        else:
            assert response.status_code == 200, response.text
        return cls(where="body", values=values)

    @classmethod
    def in_redirect(cls, address, authorization):
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == authorization.client.redirect_uri
        assert not (parts.query and parts.fragment)
        sent = parse_qs(parts.query or parts.fragment, keep_blank_values=True)
        values = {name: value for name, [value] in sent.items()}
        assert values["state"] == authorization.state
        assert ("error" in values) is not bool({"code", "access_token"} & set(values))
        return cls(where="fragment" if parts.fragment else "query", values=values)

    @property
    def error(self):
        return self.values.get("error")


class Rows:
    """The rows of the running site, read from its database files.

    The toolkit's models may be another app's, and this app's tables in another file.
    """

    def __init__(self, path, *, toolkit="oauth2_provider", own_path=None):
        self._path, self._toolkit, self._own_path = path, toolkit, own_path or path

    def snapshot(self):
        """Everything that the toolkit and this app keep of grants and tokens."""
        tables = [f"{self._toolkit}_{name}" for name in TABLES_OF_THE_TOOLKIT]
        toolkits = {table: _select(self._path, f"SELECT * FROM {table} ORDER BY id") for table in tables}
        own = _select(self._own_path, "SELECT * FROM django_at_jwt_authorization ORDER BY id")
        return {**toolkits, "django_at_jwt_authorization": own}

    def access_token(self, token):
        return self._one("accesstoken", "token_checksum", hashlib.sha256(token.encode()).hexdigest())

    def refresh_token(self, token):
        return self._one("refreshtoken", "token_checksum", hashlib.sha256(token.encode()).hexdigest())

    def grant(self, code):
        return self._one("grant", "code", code)

    def _one(self, name, column, value):
        [row] = _select(self._path, f"SELECT * FROM {self._toolkit}_{name} WHERE {column} = ?", value)
        return {**row, "resource": json.loads(row["resource"])}


def _select(path, statement, *values):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement, values)]


class WiderSite(Site):
    """``models`` is the app whose models the toolkit uses."""

    def __init__(self, server, *, models="oauth2_provider", own_database="example.sqlite3"):
        super().__init__(server)
        directory = server.log.parent
        self.models = models
        self.rows = Rows(directory / "example.sqlite3", toolkit=models, own_path=directory / own_database)
        self.identifiers = {
            "notes": self.notes["identifier"],
            "reports": self.reports["identifier"],
            **{name: f"https://{name}.example.com/" for name in APIS},
            **UNACCEPTABLE,
        }
        self._jwk_set = jwt.PyJWKSet.from_dict(self.authorization_server.jwk_set())
        self._register()

    def _register(self):
        """Register clients and APIs as an administrator does."""
        admin = Admin(self.base_url, **{name: self.users["admin"][name] for name in ("username", "password")})
        redirect_uri = self.description["clients"]["web"]["redirect_uri"]
        for name, fields in CLIENTS.items():
            described = {"client_id": name, "client_secret": SECRET, "redirect_uris": redirect_uri}
            admin.add(f"{self.models}/application", **described, name=name, client_type="confidential", **fields)
            self.description["clients"][name] = {**described, "redirect_uri": redirect_uri}
        for name, fields in APIS.items():
            described = {"identifier": self.identifiers[name], "name": name.capitalize()}
            access = {} if "clients" in fields else {"open_to_all_clients": "on"}
            introspecting = {"introspection_clients": self.description["clients"]["service"]["client_id"]}
            admin.add("django_at_jwt/resourceserver", **described, **access, **introspecting, **fields)
        for name in ("notes", "reports"):
            admin.change("django_at_jwt/resourceserver", self.identifiers[name], open_to_all_clients="on")

    def parameters(self, resource, scope, **others):
        """Request parameters: ``resource`` has the names of APIs; a hyphen means no parameter."""
        return {
            **({} if resource == "-" else {"resource": [self.identifiers[name] for name in resource.split()]}),
            **({} if scope == "-" else {"scope": scope}),
            **others,
        }

    def ask(self, name, grant_type, *, query="", **parameters):
        """Ask the token endpoint."""
        address = f"{self.description['token_endpoint']}{query}"
        return self.post(name, address, grant_type=grant_type, **parameters)

    def post(self, name, address, **parameters):
        client = self.description["clients"][name]
        credentials = {key: client[key] for key in ("client_id", "client_secret") if client[key]}
        return Answer.in_body(requests.post(address, data=credentials | parameters, timeout=PATIENCE_SECONDS))

    def begin(self, name, resource="-", scope="-", **others):
        return self.client(name).begin_authorization(**self.parameters(resource, scope, **others))

    def answer_to(self, authorization, *, browser=None, **tampered):
        """Send the user to the authorization endpoint; they agree if they are asked to."""
        browser = browser or self.browser()
        page = browser.open(authorization.address)
        if urlsplit(page.url).path == "/callback/":
            return Answer.in_redirect(page.url, authorization)
        return Answer.in_redirect(browser._target_of_form(page, allow="Authorize", **tampered), authorization)

    def exchange(self, authorization, answer, **parameters):
        client = authorization.client
        return self.ask(
            client.client_id.removeprefix("example-"),
            "authorization_code",
            code=answer.values["code"],
            redirect_uri=client.redirect_uri,
            code_verifier=authorization.code_verifier,
            **parameters,
        )

    # The grants. Each takes what a client sends in "resource" and "scope", and gives what it gets.

    def authorization_code(self, resource, scope, *, client="web"):
        authorization = self.begin(client, resource, scope)
        answer = self.answer_to(authorization)
        if answer.error:
            return answer
        granted = self.rows.grant(answer.values["code"])["resource"]
        tokens = self.exchange(authorization, answer)
        assert not tokens.error
        row = self.rows.refresh_token(tokens.values["refresh_token"])
        assert granted == row["resource"] == self.rows.access_token(tokens.values["access_token"])["resource"]
        return tokens

    def without_consent(self, resource, scope):
        return self.authorization_code(resource, scope, client="trusted")

    def implicit(self, resource, scope):
        return self.answer_to(self.begin("implicit", resource, scope, response_type="token"))

    def hybrid(self, resource, scope):
        authorization = self.begin("hybrid", resource, scope, response_type="code token")
        front = self.answer_to(authorization)
        if not front.error:
            back = self.exchange(authorization, front)
            rows = [self.rows.access_token(each.values["access_token"]) for each in (front, back)]
            assert rows[0]["resource"] == rows[1]["resource"]
            assert rows[0]["scope"] == rows[1]["scope"] == back.values["scope"]
        return front

    def client_credentials(self, resource, scope, *, client="service"):
        return self.ask(client, "client_credentials", **self.parameters(resource, scope))

    def password(self, resource, scope):
        owner = {name: self.users["alice"][name] for name in ("username", "password")}
        return self.ask("password", "password", **self.parameters(resource, scope, **owner))

    def device(self, resource, scope):
        begun = self.ask_for_device_code(resource, scope)
        return begun if begun.error else self.approved(begun)("-")

    def refresh(self, tokens, resource, scope, *, client="web"):
        parameters = self.parameters(resource, scope, refresh_token=tokens["refresh_token"])
        return self.ask(client, "refresh_token", **parameters)

    # The same in two steps: what is given is called with the "resource" of the second one.

    def begin_code(self, resource, scope):
        authorization = self.begin("web", resource, scope)
        answer = self.answer_to(authorization)
        return lambda resource: self.exchange(authorization, answer, **self.parameters(resource, "-"))

    def begin_device_code(self, resource, scope, *, browser=None):
        return self.approved(self.ask_for_device_code(resource, scope), browser=browser)

    def ask_for_device_code(self, resource, scope):
        return self.post("device", f"{self.issuer}/device-authorization/", **self.parameters(resource, scope))

    def approved(self, begun, *, browser=None):
        browser = browser or self.browser()
        browser.connect_device(begun.values["verification_uri_complete"], begun.values["user_code"])
        code = {"device_code": begun.values["device_code"]}
        return lambda resource: self.ask("device", DEVICE_CODE_GRANT, **self.parameters(resource, "-", **code))

    # What is looked at.

    def claims_of(self, token):
        """Verify a token with another library; its audience is what the test is about."""
        key = self._jwk_set[jwt.get_unverified_header(token)["kid"]]
        return jwt.decode(token, key, algorithms=["RS256"], issuer=self.issuer, options={"verify_aud": False})

    def audience_of(self, row):
        names = {identifier: name for name, identifier in self.identifiers.items()}
        return " ".join(names[identifier] for identifier in row["resource"])

    def introspected(self, token):
        service = self.description["clients"]["service"]
        credentials = (service["client_id"], service["client_secret"])
        address = self.description["introspection_endpoint"]
        return requests.post(address, data={"token": token}, auth=credentials, timeout=PATIENCE_SECONDS).json()
