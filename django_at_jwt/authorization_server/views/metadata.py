"""Public documents for clients and resource servers: the JWK set and the issuer's metadata."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_not_required
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_cache_control
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page, require_safe
from django.views.generic import View
from oauth2_provider import views as toolkit_views
from oauth2_provider.models import AbstractApplication, get_application_model
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.utils import jwk_from_pem

from django_at_jwt.authorization_server.endpoint_urls import MountedView, endpoint_views, mounted_views
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.row_cache import RowCache
from django_at_jwt.conf import app_settings, local_issuer, register_process_cache
from django_at_jwt.core.errors import UnacceptableKey
from django_at_jwt.core.jose.keys import PublicKey
from django_at_jwt.core.metadata import Offer, authorization_server_metadata, with_path

from . import EndpointMixin, TokenView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@method_decorator([login_not_required, require_safe, conditional_page], name="dispatch")
class PublicDocumentView(EndpointMixin, View):
    """A public JSON document: readable from any origin, cacheable, answered with 304 if unchanged."""

    def document(self, request: HttpRequest) -> dict[str, Any]:
        """Return the content of the document."""
        raise NotImplementedError

    def get(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """Answer with the document."""
        response = JsonResponse(self.document(request))
        response["Access-Control-Allow-Origin"] = "*"
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
        """Return the JWK set (RFC 7517 §5)."""
        keys = key_store.current().jwk_set()["keys"]
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
        weak: dict[str, str] = members | {"alg": "RS256", "use": "sig"}
        return weak


class MetadataView(PublicDocumentView):
    """RFC 8414 metadata, at both well-known locations: after the issuer, and between its host and path."""

    def document(self, request: HttpRequest) -> dict[str, Any]:
        """Return the metadata document.

        Raises:
            Http404: the address is of another issuer.
        """
        self._refuse_other_issuers()
        oauth = _dot_document(_OAuthDocument, request)
        issuer = local_issuer() or oauth["issuer"]
        # RFC 8628 §4; DOT omits it.
        oauth["device_authorization_endpoint"] = _address("device-authorization", issuer)
        openid = None
        if oauth2_settings.OIDC_ENABLED:
            openid = _dot_document(_OpenIdDocument, request)
        return authorization_server_metadata(
            oauth,
            openid,
            issuer=issuer,
            jwks_uri=_at(_first_path(mounted_views(JwkSetView)), issuer),
            signing_algorithms=app_settings().signing_algorithms,
            authentication_contexts=_contexts(),
            offer=_offer(),
        )

    def _refuse_other_issuers(self) -> None:
        inserted = self.kwargs.get("issuer_path")
        if inserted is not None and inserted.strip("/") != urlsplit(local_issuer()).path.strip("/"):
            raise Http404("The address is of another issuer.")


class DiscoveryView(MetadataView):
    """OpenID Connect discovery, if the site has enabled OpenID Connect: the same document."""

    def document(self, request: HttpRequest) -> dict[str, Any]:
        """Return the discovery document.

        Raises:
            Http404: OpenID Connect is disabled, or the address is of another issuer.
        """
        if not oauth2_settings.OIDC_ENABLED:
            raise Http404("OpenID Connect is disabled.")
        return super().document(request)


def _read_special_clients(database: str) -> frozenset[str]:
    special = Q(authorization_grant_type=AbstractApplication.GRANT_OPENID_HYBRID)
    special |= Q(algorithm=AbstractApplication.HS256_ALGORITHM)
    rows = get_application_model()._base_manager.using(database).filter(special)
    return frozenset(
        value for row in rows.values_list("authorization_grant_type", "algorithm").distinct() for value in row
    )


# The hybrid grant and HS256, if a client has them. Only an administrator can assign them, not dynamic registration, so
# the metadata omits them on a site without such a client.
special_clients: Final = RowCache(get_application_model(), _read_special_clients)
register_process_cache(special_clients.forget)


def _offer() -> Offer:
    server = TokenView.get_oauthlib_core().server
    special = special_clients.current() if oauth2_settings.OIDC_ENABLED else frozenset()
    # Some of oauthlib's servers, such as BackendApplicationServer, have one endpoint only. If a server has neither
    # attribute, its grants are unknown.
    is_known = hasattr(server, "response_types") or hasattr(server, "grant_types")
    return Offer(
        response_types=getattr(server, "response_types", ()) if is_known else None,
        grant_types=getattr(server, "grant_types", ()) if is_known else None,
        hybrid=AbstractApplication.GRANT_OPENID_HYBRID in special,
        hmac=AbstractApplication.HS256_ALGORITHM in special,
    )


def _contexts() -> list[str]:
    """Return the ``acr`` values of the setting if it is a table; those of a callable are unknown."""
    contexts = app_settings().authentication_contexts
    return [] if contexts is None or isinstance(contexts, str) else list(contexts)


def _dot_document(view: Any, request: HttpRequest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(view.as_view()(request).content)
    return document


class _SiteEndpoints:
    """Makes DOT's documents use the addresses of the site's URLconf, and omit endpoints that are not mounted."""

    def _get_endpoint_url(self, request: HttpRequest, view_name: str, required: bool = False) -> str | None:  # noqa: FBT001, FBT002 - DOT's signature
        return _address(view_name, local_issuer() or request.build_absolute_uri("/"))


class _OAuthDocument(_SiteEndpoints, toolkit_views.OAuthServerMetadataView):
    """DOT's OAuth metadata."""


class _OpenIdDocument(_SiteEndpoints, toolkit_views.ConnectDiscoveryInfoView):
    """DOT's OpenID Connect metadata."""


def _address(name: str, issuer: str) -> str | None:
    """Return the address of an endpoint: of the first protected view in the URLconf, else of the first view."""
    views = endpoint_views(name)
    protected = [view for view in views if view.view_class is not None and issubclass(view.view_class, EndpointMixin)]
    return _at(_first_path(protected) or _first_path(views), issuer)


def _first_path(views: Iterable[MountedView]) -> str | None:
    return next((path for view in views if (path := view.path()) is not None), None)


def _at(path: str | None, issuer: str) -> str | None:
    return None if path is None else with_path(issuer, path)
