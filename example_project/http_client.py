"""An OAuth client and its user's browser, over HTTP and without knowledge of the server's implementation."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests.cookies import RequestsCookieJar

_TIMEOUT: Final = 300
DEVICE_CODE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"


class UnexpectedAnswer(Exception):
    """The server's answer does not allow the protocol to continue."""


@dataclass(frozen=True, kw_only=True)
class AuthorizationServer:
    """An issuer, as its metadata describes it."""

    metadata: Mapping[str, Any]

    @classmethod
    def discover(cls, issuer: str) -> Self:
        """Fetch the metadata, whose path is inserted between the issuer's host and path (RFC 8414 section 3.1).

        Raises:
            UnexpectedAnswer: the document names another issuer (RFC 8414 section 3.3).
        """
        parts = urlsplit(issuer)
        address = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}"
        metadata = requests.get(address, timeout=_TIMEOUT).json()
        if metadata.get("issuer") != issuer:
            raise UnexpectedAnswer(f"{address} describes another issuer: {metadata.get('issuer')}")
        return cls(metadata=metadata)

    def jwk_set(self) -> dict[str, Any]:
        """Fetch the JWK set."""
        jwk_set: dict[str, Any] = requests.get(self.metadata["jwks_uri"], timeout=_TIMEOUT).json()
        return jwk_set


@dataclass(frozen=True, kw_only=True)
class OAuthClient:
    """A client of an authorization server. Each method returns the answer's JSON, whatever its status."""

    server: AuthorizationServer
    client_id: str
    client_secret: str | None = None
    redirect_uri: str | None = None

    @classmethod
    def of(cls, server: AuthorizationServer, described: Mapping[str, Any]) -> Self:
        """Return a client, described by its entry in the output of ``seed_example --json``."""
        return cls(
            server=server,
            client_id=described["client_id"],
            client_secret=described.get("client_secret"),
            redirect_uri=described.get("redirect_uri"),
        )

    def token(self, grant_type: str, **parameters: str) -> dict[str, Any]:
        """Send a request to the token endpoint (RFC 6749 section 3.2)."""
        return self._post(self.server.metadata["token_endpoint"], grant_type=grant_type, **parameters)

    def ask_for_device_code(self, **parameters: str) -> dict[str, Any]:
        """Send a request to the device authorization endpoint (RFC 8628 section 3.1)."""
        issuer = self.server.metadata["issuer"]
        endpoint = self.server.metadata.get("device_authorization_endpoint", f"{issuer}/device-authorization/")
        return self._post(endpoint, **parameters)

    def begin_authorization(self, **parameters: str | list[str]) -> Authorization:
        """Prepare an authorization request with PKCE (RFC 7636 section 4). A list repeats its parameter."""
        return Authorization(client=self, parameters=parameters)

    def _post(self, address: str, **parameters: str) -> dict[str, Any]:
        credentials = {"client_id": self.client_id}
        if self.client_secret:
            credentials["client_secret"] = self.client_secret
        answer: dict[str, Any] = requests.post(address, data=credentials | parameters, timeout=_TIMEOUT).json()
        return answer


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """An authorization request of a client, with the secrets that bind the answer to it."""

    client: OAuthClient
    parameters: Mapping[str, str | list[str]]
    code_verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    @property
    def address(self) -> str:
        """The URL for the user's browser."""
        digest = hashlib.sha256(self.code_verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uri,
            "state": self.state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **self.parameters,
        }
        return f"{self.client.server.metadata['authorization_endpoint']}?{urlencode(query, doseq=True)}"

    def code_in(self, redirect: str) -> str:
        """Return the code in the URL that the browser was redirected to.

        Raises:
            UnexpectedAnswer: the redirect has an error or does not answer this request (RFC 6749 section 10.12, RFC
                9207 section 2.4).
        """
        answer = {name: values[0] for name, values in parse_qs(urlsplit(redirect).query).items()}
        if answer.get("state") != self.state:
            raise UnexpectedAnswer("The redirect does not answer this client's request.")
        if "code" not in answer:
            raise UnexpectedAnswer(f"The redirect has no code but the error {answer.get('error')}.")
        if answer.get("iss") != self.client.server.metadata["issuer"]:
            raise UnexpectedAnswer("The redirect comes from another issuer.")
        return answer["code"]

    def exchange(self, redirect: str) -> dict[str, Any]:
        """Exchange the code for tokens (RFC 6749 section 4.1.3)."""
        return self.client.token(
            "authorization_code",
            code=self.code_in(redirect),
            redirect_uri=str(self.client.redirect_uri),
            code_verifier=self.code_verifier,
        )


class _Form(HTMLParser):
    """The hidden fields of the form in a page's ``main`` element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._is_inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "main":
            self._is_inside = True
        attributes = dict(attrs)
        if self._is_inside and tag == "input" and attributes.get("type") == "hidden":
            self.fields[str(attributes["name"])] = attributes.get("value") or ""


class Browser:
    """A user's browser, which stores cookies, follows redirects within the site, and fills in forms."""

    def __init__(self, *, username: str, password: str) -> None:
        self._session = requests.Session()
        self._credentials = {"username": username, "password": password}

    @property
    def cookies(self) -> RequestsCookieJar:
        """The cookies that the site has set."""
        return self._session.cookies

    def open(self, address: str) -> requests.Response:
        """Open a page, and log in if the site redirects to its login page.

        Raises:
            UnexpectedAnswer: the page does not exist, or the login failed.
        """
        page = self._session.get(address, timeout=_TIMEOUT)
        if urlsplit(page.url).path == "/login/":
            page = self.submit(page, **self._credentials)
        if page.status_code != HTTPStatus.OK:
            raise UnexpectedAnswer(f"{page.url} answered {page.status_code}.")
        return page

    def submit(self, page: requests.Response, **filled_in: str) -> requests.Response:
        """Submit the form of a page, and return the next page."""
        return self._session.get(urljoin(page.url, self._target_of_form(page, **filled_in)), timeout=_TIMEOUT)

    def agree(self, address: str) -> str:
        """Submit a consent page with consent, and return the URL of the redirect to the client."""
        return self._target_of_form(self.open(address), allow="Authorize")

    def authorize(self, authorization: Authorization) -> str:
        """Consent to an authorization request, and return the URL of the redirect to the client."""
        return self.agree(authorization.address)

    def cancel(self, authorization: Authorization) -> str:
        """Press Cancel on the consent page, and return the URL of the redirect to the client."""
        return self._target_of_form(self.open(authorization.address))

    def connect_device(self, verification_uri: str, user_code: str) -> str:
        """Enter a device's user code, give consent, and return the last page."""
        confirmation = self.submit(self.open(verification_uri), user_code=user_code)
        return self.submit(confirmation, action="accept").text

    def _target_of_form(self, page: requests.Response, **filled_in: str) -> str:
        answer = self._session.post(
            page.url,
            data=_Form(page.text).fields | filled_in,
            headers={"Referer": page.url},
            allow_redirects=False,
            timeout=_TIMEOUT,
        )
        if answer.status_code != HTTPStatus.FOUND:
            raise UnexpectedAnswer(
                f"The form at {page.url} was answered with status {answer.status_code} instead of a redirect."
            )
        return str(answer.headers["Location"])


def call_api(url: str, token: str | None) -> requests.Response:
    """Send a GET request with an access token (RFC 6750 section 2.1)."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return requests.get(url, headers=headers, timeout=_TIMEOUT)
