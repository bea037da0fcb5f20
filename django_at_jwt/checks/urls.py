"""Where the site includes this app's URLs, and which views serve its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.urls import NoReverseMatch, Resolver404, resolve, reverse

from django_at_jwt.conf import local_issuer, toolkit_setting

from .ids import CheckId, is_issuer, issues_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django_at_jwt.authorization_server.endpoint_urls import MountedView

_BELOW_THE_ISSUER: Final = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
_JWK_SET: Final = "/.well-known/jwks.json"
# Values for the parameters of the toolkit's own routes, to see which view answers.
_PARAMETERS: Final[Mapping[str, Mapping[str, str]]] = {
    "device-confirm": {"client_id": "client", "user_code": "code"},
    "dcr-register-management": {"client_id": "client"},
}
_UNREADABLE: Final = "a NUL character in a parameter, or credentials that are not ASCII, cause a server error"
_UNSTORABLE: Final = (
    "documents that cannot be stored cause a server error, and registration_client_uri follows the Host header"
)
# What is lost where another view than this app's serves an endpoint, by the toolkit's URL names.
_LOST: Final[Mapping[str, str]] = {
    "authorize": "the consent page does not name the API, approval_prompt=auto is refused with consent_required for an "
    "API that the user has not agreed to, and max_age and acr_values are ignored",
    "token": "a missing device_code, or two requests with one code or refresh token at the same time, cause a server "
    "error",
    "revoke-token": _UNREADABLE,
    "introspect": _UNREADABLE,
    "device-authorization": "the resources that a device asks for are not kept, so it gets a token for the default "
    "resource alone",
    "device": "other sites can frame the page, and it works in the toolkit's URL namespace alone",
    "device-confirm": "the page does not name the API, and the device's tokens have no auth_time, amr and acr",
    "user-info": "access tokens in the address are accepted, which end up in logs (RFC 6750 section 2.3)",
    "dcr-register": _UNSTORABLE,
    "dcr-register-management": _UNSTORABLE,
    "jwks-info": "the keys that sign access tokens are not published there",
    "oauth-server-metadata": "the document does not name the JWK set",
    "oidc-connect-discovery-info": "the document differs from the RFC 8414 metadata",
}


def check_urls(**_kwargs: Any) -> list[CheckMessage]:
    """This app's views serve the endpoints, and the metadata is where the issuer says."""
    if not issues_tokens() or not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    from django_at_jwt.authorization_server.endpoint_urls import endpoint_views, mounted_views  # noqa: PLC0415
    from django_at_jwt.authorization_server.views.metadata import JwkSetView  # noqa: PLC0415 - it needs the toolkit

    keys_path = next((path for view in mounted_views(JwkSetView) if (path := view.path()) is not None), None)
    if keys_path is not None:
        return [*_check_places(keys_path), *_check_classes(), *_check_registration()]
    if any(view.path() for view in endpoint_views("jwks-info")):
        own = [message for view, message in _unprotected() if not _is_toolkits(view)]
        return [
            Error(
                "django-oauth-toolkit's own URLs are included, which do not publish the signing keys.",
                hint='Put include("django_at_jwt.urls") in place of include("oauth2_provider.urls"); the names stay.',
                id=CheckId.TOOLKIT_URLS,
            ),
            *own,
        ]
    return [
        Error(
            "The authorization server's URLs are not included, so its signing keys are not published.",
            hint='Add path("o/", include("django_at_jwt.urls")) to the root URLconf, or, beside views of your own, '
            "django_at_jwt.urls.document_urlpatterns.",
            id=CheckId.TOOLKIT_URLS,
        ),
        *_check_classes(),
    ]


def _check_places(keys_path: str) -> list[CheckMessage]:
    issuer_path = urlsplit(local_issuer()).path
    if not local_issuer() or not is_issuer(local_issuer()):
        return []
    if not any(_has_metadata(f"{issuer_path}{document}") for document in _BELOW_THE_ISSUER):
        return [_elsewhere(issuer_path, keys_path)]
    if not _has_metadata(f"/.well-known/oauth-authorization-server{issuer_path}"):
        return [
            Warning(
                "The metadata is not served at the root of the site, where RFC 8414 section 3.1 puts it.",
                hint='Add path("", include("django_at_jwt.well_known_urls")) to the root URLconf.',
                id=CheckId.NO_WELL_KNOWN_URLS,
            )
        ]
    return []


def _elsewhere(issuer_path: str, keys_path: str) -> CheckMessage:
    parts = urlsplit(local_issuer())
    below = f"'{issuer_path.strip('/')}/'" if issuer_path else "the root of the site"
    if keys_path.endswith(_JWK_SET):
        mounted = keys_path.removesuffix(_JWK_SET)
        hint = (
            f"Set OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] to '{parts.scheme}://{parts.netloc}{mounted}', or include the "
            f"URLs at {below}"
        )
    else:
        hint = f"Include django_at_jwt.urls.document_urlpatterns at {below}"
    return Warning(
        f"The issuer's path is {issuer_path!r}, but its metadata is not served below it. The JWK set is at "
        f"{keys_path!r}.",
        hint=f"{hint}; else clients do not find the metadata (RFC 8414 section 3).",
        id=CheckId.ISSUER_ELSEWHERE,
    )


def _has_metadata(path: str) -> bool:
    from django_at_jwt.authorization_server.views.metadata import MetadataView  # noqa: PLC0415 - it needs the toolkit

    try:
        view = getattr(resolve(path).func, "view_class", None)
    except Resolver404:
        return False
    return isinstance(view, type) and issubclass(view, MetadataView)


def _check_classes() -> list[CheckMessage]:
    return [message for _, message in _unprotected()]


def _unprotected() -> Iterator[tuple[MountedView, CheckMessage]]:
    """Each view that serves an endpoint without this app's protection, and the message about it."""
    from django_at_jwt.authorization_server.endpoint_urls import endpoint_views  # noqa: PLC0415 - it needs the toolkit
    from django_at_jwt.authorization_server.urls import OWN_VIEWS  # noqa: PLC0415

    for name, lost in _LOST.items():
        ours = OWN_VIEWS[name]
        for view in endpoint_views(name):
            protected = view.view_class is not None and issubclass(view.view_class, ours)
            if not protected and not view.is_shadowed(**_PARAMETERS.get(name, {})):
                yield view, _message(view, ours, lost)


def _message(view: MountedView, ours: type, lost: str) -> CheckMessage:
    found: Any = view.callback if view.view_class is None else view.view_class
    if view.view_class is None or _is_toolkits(view):
        hint = f"Use django_at_jwt.oauth2_views.{ours.__name__}.as_view() in its place, or a subclass of it."
    else:
        hint = f"Name django_at_jwt.oauth2_views.{ours.__name__} first among the bases of {found.__qualname__}."
    return Warning(
        f"{view.route} is served by {found.__module__}.{getattr(found, '__qualname__', type(found).__name__)}, which "
        f"lacks this app's protection: {lost}.",
        hint=hint,
        id=CheckId.UNPROTECTED_ENDPOINT,
    )


def _is_toolkits(view: MountedView) -> bool:
    return view.view_class is not None and view.view_class.__module__.startswith("oauth2_provider.")


def _check_registration() -> list[CheckMessage]:
    """The toolkit's registration view finds its management endpoint by one name alone."""
    from django_at_jwt.authorization_server.endpoint_urls import endpoint_views  # noqa: PLC0415 - it needs the toolkit

    if not toolkit_setting("DCR_ENABLED") or not endpoint_views("dcr-register"):
        return []
    try:
        reverse("oauth2_provider:dcr-register-management", kwargs={"client_id": "client"})
    except NoReverseMatch:
        return [
            Error(
                "Clients cannot register: the URL name oauth2_provider:dcr-register-management does not exist.",
                hint='Mount the management view under it, such as include((urls.dcr_urlpatterns, "oauth2_provider")) '
                "with django_at_jwt.urls.",
                id=CheckId.TOOLKIT_URLS,
            )
        ]
    return []
