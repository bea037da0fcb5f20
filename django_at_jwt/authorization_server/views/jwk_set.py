"""The JWK set, and the base of all public documents: how long caches may keep them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_cache_control
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page, require_safe
from django.views.generic import View
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.keys.local import local_keys
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.toolkit import jwk_from_pem
from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import UnacceptableKey
from django_at_jwt.core.jose.keys import PublicKey
from django_at_jwt.inbound.cors import AnyOriginMixin

from .endpoint import EndpointMixin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@method_decorator([login_not_required, require_safe, conditional_page], name="dispatch")
class PublicDocumentView(AnyOriginMixin, EndpointMixin, View):
    """A public JSON document: readable from any origin, cacheable, answered with 304 if unchanged."""

    def document(self, request: HttpRequest) -> dict[str, Any]:
        """Return the content of the document."""
        raise NotImplementedError

    def get(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """Answer with the document."""
        response = JsonResponse(self.document(request))
        fresh, stale = self.cache_seconds()
        patch_cache_control(response, public=True, max_age=fresh, stale_while_revalidate=stale, stale_if_error=stale)
        return response

    def cache_seconds(self) -> tuple[int, int]:
        """Return the seconds for which a copy is fresh, and for which a stale copy may be used after that."""
        seconds = int(app_settings().jwk_set_max_age.total_seconds())
        return seconds, seconds


class JwkSetView(PublicDocumentView):
    """The JWK set: the announced, signing and retained keys, then DOT's keys for ID tokens."""

    def document(self, request: HttpRequest) -> dict[str, Any]:
        """Return the JWK set (RFC 7517 section 5)."""
        keys = local_keys().current().jwk_set()["keys"]
        # A key imported from DOT's setting may have been revoked here since.
        known = {key["kid"] for key in keys} | key_store.revoked_kids()
        return {"keys": keys + [key for key in _id_token_keys() if key["kid"] not in known]}

    def cache_seconds(self) -> tuple[int, int]:
        """Return the seconds for the JWK set: they shrink before a transition, and their sum fits the propagation time.

        ``KEY_RING_MAX_AGE`` and the leeway are subtracted from the propagation time first.
        """
        settings = app_settings()
        fresh = key_store.jwk_set_max_age()
        room = settings.propagation_time.total_seconds() - settings.key_ring_max_age - settings.leeway
        return fresh, max(0, int(min(fresh, room - fresh)))


def _id_token_keys() -> Iterator[dict[str, str]]:
    if not oauth2_settings.OIDC_RSA_PRIVATE_KEY:
        return
    for pem in (oauth2_settings.OIDC_RSA_PRIVATE_KEY, *oauth2_settings.OIDC_RSA_PRIVATE_KEYS_INACTIVE):
        yield dict(_published(pem))


@lru_cache(maxsize=16)
def _published(pem: str) -> Mapping[str, str]:
    members = jwk_from_pem(pem).export_public(as_dict=True)
    try:
        return PublicKey.from_jwk(members, algorithm="RS256").public_jwk
    except UnacceptableKey:
        # A weak key of the site stays published as by DOT: ID tokens depend on it.
        return members | {"alg": "RS256", "use": "sig"}
