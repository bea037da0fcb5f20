"""A remote issuer that publishes its revocations, and what an API makes of them."""

from __future__ import annotations

import time

from django_at_jwt.core.revocation_document import MEDIA_TYPE, TYPE
from tests.core.token_factory import API, TokenFactory

from .issuer_process import Page
from .verdicts import verdict_on

PATH = "/o/revocations/"
AUTHORIZATION = "a1" * 16
JTI = f"{AUTHORIZATION}.{'b2' * 16}.1"
CLIENT = "a-client-of-the-tests"
FACTORY = TokenFactory("ES256")


class Remote:
    """The issuer with its document, and what this API makes of it."""

    def __init__(self, issuer, settings):
        self.issuer, self.settings = issuer, settings
        self.token = issuer.token(jti=JTI)
        issuer.describe(at_jwt_revocations_uri=f"{issuer.root}{PATH}")
        self.configure()
        self.publish()

    def configure(self, *, others=(), **options):
        entry = self.issuer.settings(**{"revocation": "deny_list", **options})
        self.settings.AT_JWT = {"ISSUERS": entry, "ISSUER_TIMEOUT": 60, **dict(others)}

    def document(self, *, factory=FACTORY, header=(), seconds=300, **changes):
        now = int(time.time())
        claims = {
            "iss": self.issuer.issuer,
            "iat": now,
            "exp": now + seconds,
            "version": 1,
            "complete": True,
            "tokens": {},
            "authorizations": {},
            "clients": {},
            "audiences": {},
        }
        header = {"typ": TYPE, "alg": factory.algorithm, "kid": factory.kid, **dict(header)}
        return factory.token(header=header, payload=claims | changes)

    def publish(self, text=None, *, etag=None, **changes):
        body = (self.document(**changes) if text is None else text).encode()
        headers = {"Content-Type": MEDIA_TYPE} | ({"ETag": etag} if etag else {})
        self.issuer.pages[PATH] = Page(body, headers=headers)
        return body.decode()

    @property
    def polls(self):
        return self.issuer.requests[PATH]

    def verdict(self, token=None, audience=None):
        return verdict_on(token or self.token, audience)


def end(seconds=600):
    return int(time.time()) + seconds


def entries_of_each_kind():
    bound = {"issued_until": end(60), "end": end()}
    return {
        "token": {"tokens": {JTI: end()}},
        "authorization": {"authorizations": {AUTHORIZATION: end()}},
        "client": {"clients": {CLIENT: bound}},
        "audience": {"audiences": {API: bound}},
    }
