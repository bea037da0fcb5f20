"""``python -m example_project.demo``: all grants, rejected tokens and a key rotation, over HTTP with a real server.

It starts with an empty temporary directory and does what clients and resource servers do: it reads the issuer's
metadata and JWK set, requests tokens, verifies them with PyJWT, and calls the APIs.
"""

from __future__ import annotations

import re
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import jwt
import requests

from .http_client import DEVICE_CODE_GRANT, AuthorizationServer, Browser, OAuthClient, UnexpectedAnswer, call_api
from .narration import Narration, UnexpectedResult
from .server_process import RunningServer, ServerFailed, running_server

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUIRED_CLAIMS: Final = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")
# Short, to demonstrate a rotation. A real site publishes a key for days before it signs.
PROPAGATION_SECONDS: Final = 3
SHORT_LIFETIME: Final = 2
_PATIENCE_SECONDS: Final = 300
_LINES_OF_LOG: Final = 20
_REFUSED_IN_LOG: Final = re.compile(r"An access token was refused \((\w+):")


@dataclass(frozen=True, kw_only=True)
class Api:
    """A resource server: its audience, a URL in it, and its scopes, the first of which a GET request needs."""

    identifier: str
    url: str
    scopes: Sequence[str]

    @property
    def read_scope(self) -> str:
        return self.scopes[0]

    @property
    def metadata(self) -> str:
        parts = urlsplit(self.identifier)
        return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"


class Demo:
    """The demonstration, one method per chapter. Later chapters use the tokens of earlier ones."""

    def __init__(self, server: RunningServer, story: Narration) -> None:
        self.running = server
        self.story = story
        site = server.description()
        self.authorization_server = AuthorizationServer.discover(site["issuer"])
        self.notes, self.reports = (Api(**described) for described in site["resource_servers"])
        self.web, self.service, self.device = (
            OAuthClient.of(self.authorization_server, site["clients"][name]) for name in ("web", "service", "device")
        )
        person = next(user for user in site["users"] if not user["is_superuser"])
        self.username = person["username"]
        self.browser = Browser(username=person["username"], password=person["password"])
        self.tokens: dict[str, Any] = {}

    # The grants

    def discover(self) -> None:
        self.story.chapter("Discovery: the issuer's metadata and JWK set")
        metadata = self.authorization_server.metadata
        self.story.show("Metadata", {name: metadata[name] for name in ("issuer", "token_endpoint", "jwks_uri")})
        keys = self.authorization_server.jwk_set()["keys"]
        private = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
        self.story.check("the JWK set has only public keys", holds=all(private.isdisjoint(key) for key in keys))

    def authorization_code(self) -> None:
        self.story.chapter("Authorization code with PKCE: a web application, for a user")
        scope = f"openid {self.notes.read_scope}"
        authorization = self.web.begin_authorization(scope=scope, resource=self.notes.identifier)
        redirect = self.browser.authorize(authorization)
        self.story.say(f"The browser opened the authorization endpoint; {self.username} logged in and gave consent.")
        self.tokens = self._granted(authorization.exchange(redirect))
        self._use(self.tokens["access_token"], self.notes, by_user=True)

    def refresh(self) -> None:
        self.story.chapter("Refresh token: the same client, later, without the user")
        before = self.tokens["access_token"]
        refreshed = self._granted(self.web.token("refresh_token", refresh_token=self.tokens["refresh_token"]))
        self.story.check("the access token is new", holds=refreshed["access_token"] != before)
        self.tokens |= refreshed
        self._use(refreshed["access_token"], self.notes, by_user=True)

    def client_credentials(self) -> None:
        self.story.chapter("Client credentials: a service that acts for itself and names an API")
        self._use(self._service_token(), self.reports, by_user=False)

    def device_code(self) -> None:
        self.story.chapter("Device code: a television, and a user with a browser on another device")
        asked = self.device.ask_for_device_code(scope=self.notes.read_scope)
        self.story.check("the device gets a code", holds="device_code" in asked, found=asked.get("error"))
        self.story.say(f"The device shows: go to {asked['verification_uri']} and enter {asked['user_code']}.")
        early = self.device.token(DEVICE_CODE_GRANT, device_code=asked["device_code"])
        pending = early.get("error") == "authorization_pending"
        self.story.check("until the user agrees, the device must wait", holds=pending, found=early.get("error"))
        self.browser.connect_device(asked["verification_uri"], asked["user_code"])
        self.story.say(f"{self.username} entered the code and gave consent; the device polls again after the interval.")
        time.sleep(asked["interval"])
        tokens = self._granted(self.device.token(DEVICE_CODE_GRANT, device_code=asked["device_code"]))
        self._use(tokens["access_token"], self.notes, by_user=True)

    # The refusals

    def refusals(self) -> None:
        self.story.chapter("Tokens that an API rejects")
        good = self.tokens["access_token"]
        header, claims, signature = good.split(".")
        other = "A" if signature[0] != "A" else "B"
        self._refused("no token at all", None, self.notes, challenge=f'Bearer scope="{self.notes.read_scope}"')
        for_reports = self._service_token()
        self._refused("a token for another audience", for_reports, self.notes, reason="wrong_audience")
        with_other_signature = f"{header}.{claims}.{other}{signature[1:]}"
        self._refused("a token with another signature", with_other_signature, self.notes, reason="bad_signature")
        forged = jwt.utils.base64url_encode(jwt.utils.base64url_decode(claims).replace(b'"sub":"', b'"sub":"1'))
        for_other_user = f"{header}.{forged.decode()}.{signature}"
        self._refused("a token with another subject", for_other_user, self.notes, reason="bad_signature")
        self._refused("an ID token", self.tokens["id_token"], self.notes, reason="unexpected_type")
        self._refused("a refresh token", self.tokens["refresh_token"], self.notes, reason="malformed")
        short_of = self._granted(
            self.service.token("client_credentials", resource=self.reports.identifier, scope=self.notes.read_scope)
        )["access_token"]
        needed = f'Bearer error="insufficient_scope", scope="{self.reports.read_scope}"'
        self._refused("a good token without the scope", short_of, self.reports, status=403, challenge=needed)

    # The rotation

    def rotate(self) -> None:
        self.story.chapter("Key rotation: the next key takes over without interruption")
        old = self._service_token()
        old_kid = jwt.get_unverified_header(old)["kid"]
        announced = {key["kid"] for key in self.authorization_server.jwk_set()["keys"]} - {old_kid}
        self.story.say("manage.py rotate_signing_keys --now")
        for line in self.running.manage("rotate_signing_keys", "--now").splitlines():
            self.story.say(f"  {line}")
        new = self._token_of_another_key(old_kid)
        kid = jwt.get_unverified_header(new)["kid"]
        self.story.check("new tokens have a new kid", holds=kid != old_kid, found=kid)
        self.story.check("the key was published before it signed", holds=kid in announced)
        self._use(new, self.reports, by_user=False)
        self.story.say("The token from before the rotation:")
        self._verify(old, self.reports)
        self._call(old, self.reports)

    def _token_of_another_key(self, kid: str) -> str:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while jwt.get_unverified_header(token := self._service_token())["kid"] == kid and time.monotonic() < deadline:
            time.sleep(0.5)
        return token

    # Time

    def expiry(self) -> None:
        token = self._service_token()
        claims = self._claims(token, self.reports, verify_exp=False)
        self.story.show("Claims", {name: claims[name] for name in ("iat", "exp")})
        time.sleep(max(0, claims["exp"] - time.time()) + 0.1)
        self.story.say("Its signature, issuer and audience are valid, but it has expired.")
        self._refused("an expired token", token, self.reports, reason="expired")

    # The steps of the chapters

    def _granted(self, answer: dict[str, Any]) -> dict[str, Any]:
        if "access_token" not in answer:
            raise UnexpectedResult(f"the token endpoint answered without a token: {answer}")
        return answer

    def _service_token(self) -> str:
        answer = self.service.token(
            "client_credentials", resource=self.reports.identifier, scope=self.reports.read_scope
        )
        return str(self._granted(answer)["access_token"])

    def _use(self, token: str, api: Api, *, by_user: bool) -> None:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
        self.story.show("Header", header)
        self.story.show("Claims", claims)
        self._verify(token, api)
        is_machine = claims["sub"] == claims["client_id"]
        subject = "the user" if by_user else "the client itself"
        self.story.check(f"the subject is {subject}", holds=is_machine is not by_user, found=claims["sub"])
        self._call(token, api)

    def _verify(self, token: str, api: Api) -> None:
        header = jwt.get_unverified_header(token)
        self.story.check("it is typed as an access token", holds=header.get("typ") == "at+jwt", found=header.get("typ"))
        verified = "PyJWT verifies it with the JWK set: signature, iss, aud, exp, required claims"
        self.story.check(verified, holds=bool(self._claims(token, api)))

    def _claims(self, token: str, api: Api, *, verify_exp: bool = True) -> dict[str, Any]:
        jwk_set = jwt.PyJWKSet.from_dict(self.authorization_server.jwk_set())
        try:
            key = jwk_set[jwt.get_unverified_header(token)["kid"]]
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=api.identifier,
                issuer=self.authorization_server.metadata["issuer"],
                options={"require": list(REQUIRED_CLAIMS), "verify_exp": verify_exp},
            )
        except (jwt.InvalidTokenError, KeyError) as error:
            raise UnexpectedResult(f"PyJWT does not verify the token: {error!r}") from error
        return claims

    def _call(self, token: str, api: Api) -> None:
        answer = call_api(api.url, token)
        found = f"{answer.status_code} {HTTPStatus(answer.status_code).phrase}"
        self.story.check(f"GET {api.url}", holds=answer.status_code == HTTPStatus.OK, found=found)

    def _refused(
        self, what: str, token: str | None, api: Api, *, reason: str = "", status: int = 401, challenge: str = ""
    ) -> None:
        expected = challenge or 'Bearer error="invalid_token", error_description="The access token is invalid."'
        # The challenge refers to the API's metadata, which names its issuers (RFC 9728).
        expected += f', resource_metadata="{api.metadata}"'
        before = self.running.log.stat().st_size
        answer = call_api(api.url, token)
        received = answer.headers.get("WWW-Authenticate", "no challenge")
        holds = answer.status_code == status and received == expected
        self.story.check(what, holds=holds, found=f"{answer.status_code}, {received}")
        if reason:
            # The client gets the same text for all reasons. The API's log has the reason.
            logged = _REFUSED_IN_LOG.findall(self.running.log.read_bytes()[before:].decode())
            self.story.check("  the log has the reason", holds=logged[-1:] == [reason], found=", ".join(logged))


def tell(story: Narration, directory: Path) -> None:
    """Run all chapters."""
    settings = {"EXAMPLE_PROPAGATION_SECONDS": PROPAGATION_SECONDS}
    with running_server(directory, **settings) as server:
        story.say(f"A server runs at {server.base_url}. Its database is new, with users, clients and two signing keys.")
        demo = Demo(server, story)
        demo.discover()
        demo.authorization_code()
        demo.refresh()
        demo.client_credentials()
        demo.device_code()
        demo.refusals()
        demo.rotate()
    story.chapter("Expiry: an expired token is rejected")
    brief = {"EXAMPLE_ACCESS_TOKEN_SECONDS": SHORT_LIFETIME, "EXAMPLE_LEEWAY_SECONDS": 0}
    with running_server(directory, **settings, **brief) as server:
        story.say(f"A second server with a token lifetime of {SHORT_LIFETIME} seconds and no leeway.")
        Demo(server, story).expiry()


def main() -> int:
    # So that SIGTERM still stops the server.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    story, began = Narration(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="django-at-jwt-demo-", ignore_cleanup_errors=True) as directory:
        try:
            tell(story, Path(directory))
        except KeyboardInterrupt:
            sys.stderr.write("\nInterrupted.\n")
            return 1
        except (UnexpectedResult, UnexpectedAnswer, ServerFailed, requests.RequestException) as problem:
            sys.stderr.write(f"\nA check failed: {problem}\n{_end_of_log(Path(directory))}")
            return 1
    story.chapter("Summary")
    story.say(
        "Access tokens came from four grants (authorization code with PKCE, refresh, client credentials, device code). "
        "Each is a signed JWT that PyJWT verified with the issuer's published keys alone, and that its API accepted. "
        "Tokens for another audience, modified tokens, an ID token, a refresh token and an expired token were "
        "rejected. The signing key was rotated in between, and tokens signed with either key were accepted."
    )
    story.say(f"All {story.checks} checks passed in {time.monotonic() - began:.0f} seconds. The servers are stopped.")
    return 0


def _end_of_log(directory: Path) -> str:
    log = directory / "server.log"
    lines = log.read_text().splitlines()[-_LINES_OF_LOG:] if log.exists() else []
    return "\n".join(["The server's log ends with:", *lines, ""]) if lines else ""


if __name__ == "__main__":
    sys.exit(main())
