"""Checks of the addresses that the settings name: the issuer, the default resource and the audience of views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name
from django.http.request import validate_host

from django_at_jwt.conf import app_settings, local_issuer, oauth2_provider_settings, toolkit_setting
from django_at_jwt.core.metadata import is_issuer

from .ids import (
    CheckId,
    has_root_urlconf,
    imported,
    issues_tokens,
    settings_valid,
    system_check,
    views_take_access_tokens,
)
from .resource_servers import registered_servers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from django_at_jwt.authorization_server.endpoint_urls import MountedView

_LOOPBACK: Final = ("localhost", ".localhost", "127.0.0.1", "[::1]")
# How many views a message names.
_MOST_NAMED: Final = 3
_SCHEMES: Final = "ALLOWED_REDIRECT_URI_SCHEMES"


@system_check(issues_tokens, settings_valid, has_root_urlconf)
def check_default_resource_covers_views(**_kwargs: Any) -> list[CheckMessage]:
    """Check that tokens for the default resource are accepted by the views that django-oauth-toolkit protects."""
    registered = registered_servers()
    if registered is None or registered.default is None:
        return []
    refused = list(dict.fromkeys(_uncovered_views(registered.default)))
    if not refused:
        return []
    named = ", ".join(refused[:_MOST_NAMED]) + (", ..." if len(refused) > _MOST_NAMED else "")
    return [
        Warning(
            f"The default resource, {registered.default}, does not cover views that django-oauth-toolkit protects, so "
            f"they answer tokens for it with status 401 or 403: {named}.",
            hint="Use the address of the whole site, such as https://www.example.com/, as the default resource, or set "
            "the attribute audience of your validator class to it. If clients request another resource for these "
            "views, silence this warning.",
            id=CheckId.DEFAULT_RESOURCE_ELSEWHERE,
        )
    ]


@system_check(issues_tokens, settings_valid, views_take_access_tokens)
def check_audience_is_issued(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the audience that this project's views expect is one that tokens can have."""
    registered = registered_servers()
    if registered is None:
        return []
    messages: list[CheckMessage] = []
    audiences = app_settings().audience or ()
    for audience in audiences:
        server = registered.named(audience)
        if server is None or audience not in server.names:
            problem = (
                f"{audience!r}, which is not a registered resource server, so this issuer issues no tokens for it."
            )
            advice = f"register {audience!r} as a resource server" if server is None else f"write {server.identifier!r}"
            hint = f"Remove it, or {advice}. Views compare audiences character by character."
        elif server.identifier not in audiences:
            problem = f"the former identifier {audience!r}, but not {server.identifier!r}, so views refuse new tokens."
            hint = f"Add {server.identifier!r}."
        else:
            continue
        messages.append(Warning(f'AT_JWT["AUDIENCE"] has {problem}', hint=hint, id=CheckId.AUDIENCE_NOT_ISSUED))
    return messages


@system_check(issues_tokens)
def check_issuer_is_served_here(**_kwargs: Any) -> list[CheckMessage]:
    """Check that this site answers at the issuer's host."""
    hosts, issuer = _hosts(), local_issuer()
    if not is_issuer(issuer) or not hosts or _serves(issuer, hosts):
        return []
    return [
        Warning(
            f'OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"] is {issuer!r}, but this site is reached at another host: '
            f"ALLOWED_HOSTS allows {', '.join(hosts)}. Clients and APIs fetch the metadata and the keys at the "
            "issuer's host.",
            hint="Add the issuer's host to ALLOWED_HOSTS, or set OIDC_ISS_ENDPOINT to the address at which this site "
            "is reached. localhost and 127.0.0.1 are different issuers.",
            id=CheckId.ISSUER_NOT_SERVED,
        )
    ]


@system_check(issues_tokens)
def check_helper_is_first(**_kwargs: Any) -> list[CheckMessage]:
    """Check that ``oauth2_provider_settings()`` did not overwrite entries of the site.

    A dict keeps the place of an entry that is overwritten: it then precedes those that the helper adds.
    """
    helper = next(filter(_is_written, _helpers()), None)
    if helper is None:
        return []
    usual = list(helper)
    found = [name for name in getattr(django_settings, "OAUTH2_PROVIDER", None) or {} if name in helper]
    overwritten = _before_the_rest(found, usual)
    if not overwritten:
        return []
    return [
        Warning(
            f"OAUTH2_PROVIDER has {', '.join(overwritten)} before oauth2_provider_settings(), which overwrites it.",
            hint="Put **oauth2_provider_settings() first: later keys override it. If you wrote all its entries by "
            "hand, silence this warning.",
            id=CheckId.HELPER_NOT_FIRST,
        )
    ]


def _helpers() -> Iterator[dict[str, Any]]:
    """Yield what the helper can return, with the most entries first."""
    mcp = oauth2_provider_settings(profile="rfc9700", mcp=True)
    # The private-use schemes are the site's choice.
    yield mcp | {_SCHEMES: toolkit_setting(_SCHEMES)}
    yield oauth2_provider_settings(profile="rfc9700")
    yield oauth2_provider_settings()


def _is_written(helper: Mapping[str, Any]) -> bool:
    return all(toolkit_setting(name) == value for name, value in helper.items())


def _before_the_rest(found: Sequence[str], usual: Sequence[str]) -> Sequence[str]:
    """Return the shortest beginning of ``found`` after which the names are in the usual order."""
    places = [usual.index(name) for name in found]
    for start in range(len(places)):
        if places[start:] == sorted(places[start:]):
            return found[:start]
    return []


def _uncovered_views(default: str) -> Iterator[str]:
    from oauth2_provider.oauth2_validators import validate_resource_as_url_prefix  # noqa: PLC0415 - not always installed

    validator = imported(toolkit_setting("OAUTH2_VALIDATOR_CLASS"))
    covers = imported(toolkit_setting("RESOURCE_SERVER_TOKEN_RESOURCE_VALIDATOR", validate_resource_as_url_prefix))
    # A site's own rule may depend on more than the address.
    if getattr(validator, "audience", None) is not None or covers is not validate_resource_as_url_prefix:
        return
    parts = urlsplit(default)
    hosts = _hosts()
    is_here = not hosts or _serves(default, hosts) or parts.netloc == urlsplit(local_issuer()).netloc
    for view in _views_of_the_toolkit():
        path = view.path() or view.route.partition("<")[0]
        if not is_here or not covers(f"{parts.scheme}://{parts.netloc}{path}", [default]):
            yield view.route


def _views_of_the_toolkit() -> Iterator[MountedView]:
    """Yield the views of this project that django-oauth-toolkit protects, except the issuer's own endpoints.

    Functions with its decorators cannot be recognised.
    """
    from django_at_jwt.authorization_server.endpoint_urls import TOOLKIT_VIEWS, mounted_views  # noqa: PLC0415 - as above
    from django_at_jwt.authorization_server.toolkit import ProtectedResourceMixin  # noqa: PLC0415 - as above

    for view in mounted_views(ProtectedResourceMixin):
        if view.view_class is not None and not issubclass(view.view_class, tuple(TOOLKIT_VIEWS.values())):
            yield view
    try:
        from oauth2_provider.contrib.rest_framework import OAuth2Authentication  # noqa: PLC0415 - as above
        from rest_framework.views import APIView  # noqa: PLC0415 - as above
    except ImportError:
        return
    from django_at_jwt.resource_server.rest_framework.authentication import (  # noqa: PLC0415 - as above
        AccessTokenAuthentication,
    )

    for view in mounted_views(APIView):
        listed = getattr(view.view_class, "authentication_classes", ())
        classes = [each for each in listed if isinstance(each, type)]
        # With both classes, an at+jwt is verified by this app's, whatever the address.
        if any(issubclass(each, OAuth2Authentication) for each in classes) and not any(
            issubclass(each, AccessTokenAuthentication) for each in classes
        ):
            yield view


def _hosts() -> Sequence[str]:
    """Return the patterns of the hosts that this site answers at; none if they are unknown.

    Django's test runner adds ``testserver``.
    """
    hosts = [host for host in django_settings.ALLOWED_HOSTS if host != "testserver"]
    if "*" in hosts:
        return ()
    return hosts or (_LOOPBACK if django_settings.DEBUG else ())


def _serves(address: str, hosts: Sequence[str]) -> bool:
    host = urlsplit(address).hostname or ""
    return validate_host(f"[{host}]" if ":" in host else host, hosts)
