"""The issuer's metadata documents, for clients and resource servers."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q
from django.http import Http404, HttpRequest
from oauth2_provider import views as toolkit_views
from oauth2_provider.models import AbstractApplication, get_application_model
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.endpoint_urls import endpoint_views, first_path, mounted_views
from django_at_jwt.authorization_server.oauthlib_bridge.client_policy import allows_front_channel_tokens
from django_at_jwt.authorization_server.registration import registration_is_enabled
from django_at_jwt.authorization_server.row_cache import RowCache
from django_at_jwt.conf import app_settings, local_issuer, register_process_cache
from django_at_jwt.core.metadata import Offer, authorization_server_metadata, with_path

from .endpoint import EndpointMixin
from .introspection import IntrospectTokenView
from .jwk_set import JwkSetView, PublicDocumentView
from .revocations import RevocationsView
from .token import TokenView


class MetadataView(PublicDocumentView):
    """RFC 8414 metadata, at both well-known locations: after the issuer, and between its host and path."""

    def document(self, request: HttpRequest) -> dict[str, Any]:
        """Return the metadata document.

        Raises:
            Http404: the address is of another issuer, or no issuer is set.
        """
        issuer, inserted = local_issuer(), self.kwargs.get("issuer_path")
        if inserted is not None and inserted.strip("/") != urlsplit(issuer).path.strip("/"):
            raise Http404("The address is of another issuer.")
        if not issuer:
            raise Http404("OIDC_ISS_ENDPOINT is not set. The Host header of a request does not name the issuer.")
        oauth = _dot_document(_OAuthDocument, request)
        # RFC 8628 section 4; DOT omits it.
        oauth["device_authorization_endpoint"] = _address("device-authorization", issuer)
        # DOT reads only its own setting.
        oauth["registration_endpoint"] = _address("dcr-register", issuer) if registration_is_enabled() else None
        openid = _dot_document(_OpenIdDocument, request) if oauth2_settings.OIDC_ENABLED else None
        settings = app_settings()
        revocations = first_path(mounted_views(RevocationsView)) if settings.publish_revocations else None
        return authorization_server_metadata(
            oauth,
            openid,
            issuer=issuer,
            jwks_uri=_at(first_path(mounted_views(JwkSetView)), issuer),
            signing_algorithms=settings.signing_algorithms,
            introspection_algorithms=settings.signing_algorithms if mounted_views(IntrospectTokenView) else (),
            authentication_contexts=_contexts(),
            offer=_offer(),
            revocations_uri=_at(revocations, issuer),
        )


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


def issuer_metadata() -> dict[str, Any]:
    """Return the metadata of this project's issuer (RFC 8414 section 2), for a site that serves its own document.

    Add the site's members to the dict. Publish ``issuer``, ``jwks_uri`` and the endpoints unchanged: APIs and clients
    compare the issuer with the address of the document, and fetch the keys that sign access tokens.

    Raises:
        ImproperlyConfigured: ``OIDC_ISS_ENDPOINT`` is not set.
    """
    issuer = local_issuer()
    if not issuer:
        raise ImproperlyConfigured('OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"] is not set, so the issuer has no metadata.')
    request = HttpRequest()
    request.method = "GET"
    parts = urlsplit(issuer)
    request.META |= {"SERVER_NAME": parts.hostname, "SERVER_PORT": parts.port or {"http": 80}.get(parts.scheme, 443)}
    view = MetadataView()
    view.setup(request)
    return view.document(request)


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
register_process_cache(special_clients.clear)


def _offer() -> Offer:
    server = TokenView.get_oauthlib_core().server
    special = special_clients.current() if oauth2_settings.OIDC_ENABLED else frozenset()
    # Some of oauthlib's servers, such as BackendApplicationServer, have one endpoint only. If a server has neither
    # attribute, its grants are unknown.
    is_known = hasattr(server, "response_types") or hasattr(server, "grant_types")
    response_types = getattr(server, "response_types", ())
    if not allows_front_channel_tokens():
        response_types = [each for each in response_types if "token" not in each.split()]
    return Offer(
        response_types=response_types if is_known else None,
        grant_types=getattr(server, "grant_types", ()) if is_known else None,
        hybrid=AbstractApplication.GRANT_OPENID_HYBRID in special,
        hmac=AbstractApplication.HS256_ALGORITHM in special,
    )


def _contexts() -> list[str]:
    """Return the ``acr`` values of the setting if it is a table; those of a callable are unknown."""
    contexts = app_settings().authentication_contexts
    return [] if contexts is None or isinstance(contexts, str) else list(contexts)


def _dot_document(view: Any, request: HttpRequest) -> dict[str, Any]:
    return json.loads(view.as_view()(request).content)


class _SiteEndpoints:
    """Makes DOT's documents use the addresses of the site's URLconf, and omit endpoints that are not mounted."""

    def _get_endpoint_url(self, request: HttpRequest, view_name: str, required: bool = False) -> str | None:  # noqa: FBT001, FBT002 - DOT's signature
        return _address(view_name, local_issuer())


class _OAuthDocument(_SiteEndpoints, toolkit_views.OAuthServerMetadataView):
    """DOT's OAuth metadata."""


class _OpenIdDocument(_SiteEndpoints, toolkit_views.ConnectDiscoveryInfoView):
    """DOT's OpenID Connect metadata."""


def _address(name: str, issuer: str) -> str | None:
    """Return the address of an endpoint: of the first protected view in the URLconf, else of the first view."""
    views = endpoint_views(name)
    protected = [view for view in views if view.view_class is not None and issubclass(view.view_class, EndpointMixin)]
    return _at(first_path(protected) or first_path(views), issuer)


def _at(path: str | None, issuer: str) -> str | None:
    return None if path is None else with_path(issuer, path)
