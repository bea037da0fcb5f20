"""The check for parts of a site that look for the row of an access token, if some have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import app_settings, toolkit_setting

from .ids import UNREADABLE, CheckId, has_root_urlconf, imported, issues_tokens, settings_valid, system_check

if TYPE_CHECKING:
    from collections.abc import Iterator

# The second is its path after django-oauth-toolkit 3.4.
_MIDDLEWARE = frozenset(
    {
        "oauth2_provider.middleware.OAuth2ExtraTokenMiddleware",
        "oauth2_provider.resource_server.middleware.OAuth2ExtraTokenMiddleware",
    }
)
_STORING = ("_save_bearer_token", "_create_access_token")
_PACKAGES = frozenset({"django_at_jwt", "oauth2_provider", "oauthlib"})
_READS_ROW = "authorization_flow_token_response"


@system_check(issues_tokens, settings_valid)
def check_unstored_tokens(**_kwargs: Any) -> list[CheckMessage]:
    """Check that nothing depends on rows that access tokens do not have."""
    if not _some_are_unstored():
        return []
    return [
        Warning(
            f"Some access tokens have no row, and {problem}",
            hint=f'{remedy} Or set AT_JWT["STORE_ACCESS_TOKENS"] to True and delete the client options with '
            "another value.",
            id=CheckId.UNSTORED_TOKENS,
        )
        for problem, remedy in _problems()
    ]


def _some_are_unstored() -> bool:
    from django_at_jwt.authorization_server.client_options import some_tokens_are_unstored  # noqa: PLC0415 - needs tables

    try:
        return some_tokens_are_unstored()
    except UNREADABLE:
        return app_settings().store_access_tokens is not True


def _problems() -> Iterator[tuple[str, str]]:
    from oauth2_provider.models import AbstractAccessToken, get_access_token_model  # noqa: PLC0415 - not always installed

    for path in _MIDDLEWARE.intersection(django_settings.MIDDLEWARE):
        yield (
            f"{path} does not set request.access_token for them.",
            "Remove it from MIDDLEWARE, and use the authentication classes and decorators of this app.",
        )
    if get_access_token_model().revoke is not AbstractAccessToken.revoke:
        yield (
            f"{get_access_token_model()._meta.label}.revoke() is not called for them.",
            "Do its work elsewhere.",
        )
    for owner, method in _own_storage():
        yield (
            f"{owner}.{method}() is not called for those of clients that act for themselves.",
            "Do its work in a receiver of app_authorized.",
        )
    for name in _views_that_read_rows() if has_root_urlconf() else ():
        yield (
            f"{name} reads the row of each token that it issues, so clients get an error instead of one of these.",
            f"Derive it from django_at_jwt.oauth2_views.TokenView alone, and override {_READS_ROW}() there.",
        )


def _own_storage() -> Iterator[tuple[str, str]]:
    """Yield the classes of the site's validator, and their methods that store tokens."""
    for base in getattr(imported(toolkit_setting("OAUTH2_VALIDATOR_CLASS")), "__mro__", ()):
        if base.__module__.partition(".")[0] not in _PACKAGES:
            yield from ((f"{base.__module__}.{base.__qualname__}", name) for name in _STORING if name in vars(base))


def _views_that_read_rows() -> Iterator[str]:
    """Yield the token views that inherit a site's own override of the method that reads the row, or DOT's own."""
    from oauth2_provider.views import TokenView as ToolkitTokenView  # noqa: PLC0415 - as above

    from django_at_jwt.authorization_server.endpoint_urls import endpoint_views  # noqa: PLC0415 - as above
    from django_at_jwt.authorization_server.views.token import TokenView  # noqa: PLC0415 - as above

    for view in endpoint_views("token"):
        bases = view.view_class.__mro__ if view.view_class else ()
        behind = bases[bases.index(TokenView) + 1 :] if TokenView in bases else bases
        first = next((base for base in behind if _READS_ROW in vars(base)), None)
        if first is not None and (first is not ToolkitTokenView or TokenView not in bases):
            yield f"{view.view_class.__module__}.{view.view_class.__qualname__}" if view.view_class else view.route
