"""Where the site includes this app's URLs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.urls import NoReverseMatch, Resolver404, resolve, reverse

from django_at_jwt.conf import (
    local_issuer,
)

from .applicability import CheckId, is_issuer, issues_tokens


def check_urls(**_kwargs: Any) -> list[CheckMessage]:
    """This app's URLs are included in place of the toolkit's, and at the place that the issuer names."""
    if not issues_tokens() or not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    try:
        keys_path = reverse("oauth2_provider:jwks-info")
    except NoReverseMatch:
        return [
            Error(
                "The authorization server's URLs are not included.",
                hint='Add path("o/", include("django_at_jwt.urls")) to the root URLconf.',
                id=CheckId.TOOLKIT_URLS,
            )
        ]
    if not _served_here(keys_path):
        return [
            Error(
                "django-oauth-toolkit's own URLs are included, which do not publish the signing keys.",
                hint='Put include("django_at_jwt.urls") in place of include("oauth2_provider.urls"); the names stay.',
                id=CheckId.TOOLKIT_URLS,
            )
        ]
    return _check_places(keys_path)


def _check_places(keys_path: str) -> list[CheckMessage]:
    issuer_path = urlsplit(local_issuer()).path
    mounted = keys_path.removesuffix("/.well-known/jwks.json")
    if local_issuer() and not is_issuer(local_issuer()):
        return []
    if local_issuer() and issuer_path != mounted:
        parts = urlsplit(local_issuer())
        return [
            Warning(
                f"The issuer's path is {issuer_path!r}, but django_at_jwt.urls is included at {mounted!r}.",
                hint=f"Set OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] to '{parts.scheme}://{parts.netloc}{mounted}', or "
                f"include the URLs at '{issuer_path.strip('/')}/'; else clients do not find the metadata (RFC 8414 "
                "section 3).",
                id=CheckId.ISSUER_ELSEWHERE,
            )
        ]
    if not _served_here(f"/.well-known/oauth-authorization-server{issuer_path}"):
        return [
            Warning(
                "The metadata is not served at the root of the site, where RFC 8414 section 3.1 puts it.",
                hint='Add path("", include("django_at_jwt.well_known_urls")) to the root URLconf.',
                id=CheckId.NO_WELL_KNOWN_URLS,
            )
        ]
    return []


def _served_here(path: str) -> bool:
    try:
        view = getattr(resolve(path).func, "view_class", None)
    except Resolver404:
        return False
    return getattr(view, "__module__", "").startswith("django_at_jwt.")
