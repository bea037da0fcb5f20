"""Checks of the site's URLs and of the views that serve the authorization server's endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import local_issuer
from django_at_jwt.core.metadata import is_issuer

from .ids import CheckId, has_root_urlconf, issues_tokens, system_check
from .metadata import has_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django_at_jwt.authorization_server.endpoint_urls import MountedView

_BELOW_THE_ISSUER: Final = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
_JWK_SET: Final = "/.well-known/jwks.json"
# Values for the parameters of django-oauth-toolkit's routes, to resolve their views.
_PARAMETERS: Final[Mapping[str, Mapping[str, str]]] = {
    "device-confirm": {"client_id": "client", "user_code": "code"},
    "dcr-register-management": {"client_id": "client"},
}
_MALFORMED: Final = "a NUL character in a parameter or non-ASCII credentials cause a server error"
_REGISTRATION: Final = (
    'AT_JWT["CLIENT_REGISTRATION"] is ignored, a client that asks for several grant types is refused, documents that '
    "cannot be stored cause a server error, and registration_client_uri follows the Host header"
)
# What does not work if a view without this app's protection serves an endpoint, by django-oauth-toolkit's URL names.
_LOST: Final[Mapping[str, str]] = {
    "authorize": "the consent page does not name the API, approval_prompt=auto fails with consent_required for an API "
    "that the user has not approved, and max_age and acr_values are ignored",
    "pushed-authorization-request": "parameters in the query string, which end up in logs, are accepted, and "
    + _MALFORMED,
    "token": "anyone learns whether a device code exists, and a missing device_code, or two simultaneous requests with "
    "the same code or refresh token, cause a server error",
    "revoke-token": _MALFORMED,
    "introspect": _MALFORMED,
    "device-authorization": "the resources that a device requests are not stored, so its token is only for the default "
    "resource",
    "device": "wrong codes are not limited, other sites can frame the page, and it only works in "
    "django-oauth-toolkit's URL namespace",
    "device-confirm": "the page does not name the API, and the device's tokens have no auth_time, amr and acr",
    "user-info": "access tokens in the query string, which end up in logs, are accepted (RFC 6750 section 2.3)",
    "register": "any user who is logged in can register a client",
    "dcr-register": _REGISTRATION,
    "dcr-register-management": _REGISTRATION,
    "jwks-info": "it does not publish the keys that sign access tokens",
    "oauth-server-metadata": "the document has no jwks_uri",
    "oidc-connect-discovery-info": "the document differs from the RFC 8414 metadata",
}


@system_check(issues_tokens, has_root_urlconf)
def check_urls(**_kwargs: Any) -> list[CheckMessage]:
    """Check that this app's views serve the endpoints, and that the metadata is where the issuer implies."""
    from django_at_jwt.authorization_server.endpoint_urls import endpoint_path, first_path, mounted_views  # noqa: PLC0415
    from django_at_jwt.authorization_server.views.jwk_set import JwkSetView  # noqa: PLC0415 - it needs django-oauth-toolkit

    keys_path = first_path(mounted_views(JwkSetView))
    if keys_path is not None:
        return [*_check_metadata(keys_path), *_unprotected_views()]
    if endpoint_path("jwks-info") is not None:
        return [
            Error(
                "django-oauth-toolkit's own URLs are included, which do not publish the signing keys.",
                hint='Replace include("oauth2_provider.urls") with include("django_at_jwt.urls"); URL names are '
                "unchanged.",
                id=CheckId.TOOLKIT_URLS,
            ),
            *_unprotected_views(of_toolkit=False),
        ]
    return [
        Error(
            "The authorization server's URLs are not included, so the signing keys are not published.",
            hint='Add path("o/", include("django_at_jwt.urls")) to the root URLconf, or, if you have your own views, '
            "django_at_jwt.urls.document_urlpatterns.",
            id=CheckId.TOOLKIT_URLS,
        ),
        *_unprotected_views(),
    ]


def _check_metadata(keys_path: str) -> list[CheckMessage]:
    if not is_issuer(local_issuer()):
        return []
    issuer_path = urlsplit(local_issuer()).path
    below = [f"{issuer_path}{document}" for document in _BELOW_THE_ISSUER]
    if not any(map(has_metadata, below)):
        return [_not_below_issuer(issuer_path, keys_path)]
    if not has_metadata(f"/.well-known/oauth-authorization-server{issuer_path}"):
        return [
            Warning(
                "The metadata is not served at the root of the site, where RFC 8414 section 3.1 requires it.",
                hint='Add path("", include("django_at_jwt.well_known_urls")) to the root URLconf.',
                id=CheckId.NO_WELL_KNOWN_URLS,
            )
        ]
    return []


def _not_below_issuer(issuer_path: str, keys_path: str) -> CheckMessage:
    parts = urlsplit(local_issuer())
    below = f'"{issuer_path.strip("/")}/"' if issuer_path else "the root of the site"
    if keys_path.endswith(_JWK_SET):
        mounted = keys_path.removesuffix(_JWK_SET)
        hint = (
            f'Set OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"] to "{parts.scheme}://{parts.netloc}{mounted}", or include the '
            f"URLs at {below}"
        )
    else:
        hint = f"Include django_at_jwt.urls.document_urlpatterns at {below}"
    return Warning(
        f"The metadata is not served below the issuer's path, {issuer_path!r}, so clients do not find it. The JWK set "
        f"is at {keys_path!r}.",
        hint=f"{hint} (RFC 8414 section 3).",
        id=CheckId.ISSUER_ELSEWHERE,
    )


def _unprotected_views(*, of_toolkit: bool = True) -> Iterator[CheckMessage]:
    """Yield a warning for each view that serves an endpoint without this app's protection.

    Args:
        of_toolkit: include django-oauth-toolkit's own views.
    """
    from django_at_jwt.authorization_server.endpoint_urls import endpoint_views  # noqa: PLC0415 - as above
    from django_at_jwt.authorization_server.urls import OWN_VIEWS  # noqa: PLC0415

    for name in _LOST:
        for view in endpoint_views(name):
            is_protected = view.view_class is not None and issubclass(view.view_class, OWN_VIEWS[name])
            is_left_out = _is_toolkit_view(view) and not of_toolkit
            if not is_protected and not is_left_out and not view.is_shadowed(**_PARAMETERS.get(name, {})):
                yield _message(view, name)


def _message(view: MountedView, name: str) -> CheckMessage:
    from django_at_jwt.authorization_server.endpoint_urls import TOOLKIT_VIEWS  # noqa: PLC0415 - as above
    from django_at_jwt.authorization_server.urls import OWN_VIEWS  # noqa: PLC0415

    ours = f"django_at_jwt.oauth2_views.{OWN_VIEWS[name].__name__}"
    found: Any = view.callback if view.view_class is None else view.view_class
    is_subclass = view.view_class is not None and issubclass(view.view_class, TOOLKIT_VIEWS[name])
    if is_subclass and not _is_toolkit_view(view):
        hint = f"Make {ours} the first base of {found.__qualname__}."
    else:
        hint = f"Replace it with {ours}.as_view() or a subclass."
    return Warning(
        f"{view.route} is served by {found.__module__}.{getattr(found, '__qualname__', type(found).__name__)}, which "
        f"lacks this app's protection: {_LOST[name]}.",
        hint=hint,
        id=CheckId.UNPROTECTED_ENDPOINT,
    )


def _is_toolkit_view(view: MountedView) -> bool:
    return view.view_class is not None and view.view_class.__module__.startswith("oauth2_provider.")
