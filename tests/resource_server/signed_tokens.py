"""Tokens with any claims, signed with the local issuer's key, and requests with such tokens."""

from __future__ import annotations

import time

from django.conf import settings
from django.test import RequestFactory

from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.core.jose.jws import sign_compact
from django_at_jwt.core.profile import assemble, encode_json, header_segment

# Of a client's token without a row.
TOKEN_ID = f".{'5b1e' * 8}.0"


def token(scope="", *, sub="a client", client_id="a client", aud=None, **claims):
    """Return an access token; by default, of a client that acts for itself."""
    key = key_store.current().signing_key()
    assembled = assemble(
        issuer=settings.OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"],
        subject=sub,
        audience=[aud or settings.API],
        client_id=client_id,
        issued_at=int(time.time()),
        lifetime=600,
        token_id=TOKEN_ID,
        scopes=scope.split(),
        mapped=None,
    )
    return sign_compact(key, header_segment(key), encode_json(assembled | claims))


def bearer(*arguments, **claims):
    return {"Authorization": f"Bearer {token(*arguments, **claims)}"}


def ask(view, credentials=None, method="GET", **kwargs):
    """Send a request to a view, through its ``dispatch``, and return the rendered response."""
    answer = view(RequestFactory().generic(method, "/", headers=credentials or {}), **kwargs)
    return answer.render() if hasattr(answer, "render") else answer
