"""The token endpoint with client_credentials: this package's tokens compared with DOT's opaque tokens.

The client's secret is stored unhashed: verifying a hashed secret would take a hundred times as long as everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import connection
from django.test import RequestFactory
from django.test.signals import setting_changed
from django.test.utils import CaptureQueriesContext
from oauth2_provider.models import get_application_model
from oauth2_provider.views import TokenView as ToolkitTokenView

from django_at_jwt import oauth2_provider_settings
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.views import TokenView

from . import workload
from .interleave import Variant, interleave
from .report import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .interleave import Comparison

_CALLS: Final = 15
SECRET: Final = "the client's secret"
_SCOPES: Final = {"SCOPES": {"read": "Read", "write": "Write"}}


def tables(rounds: int) -> Iterator[Table]:
    """Measure, and yield the table."""
    rotate_signing_keys()
    client = get_application_model().objects.create(
        name="a program",
        client_type="confidential",
        authorization_grant_type="client-credentials",
        client_secret=SECRET,
        hash_client_secret=False,
    )
    before = settings.OAUTH2_PROVIDER, settings.AT_JWT
    try:
        comparison = interleave(list(_variants(client.client_id)), calls=_CALLS, rounds=rounds // 2)
        rows = rows_of(comparison)
    finally:
        configure(*before)
    yield Table(
        title="A token from the token endpoint, client_credentials",
        rows=rows,
        null_control=comparison.null_control,
        unrest=comparison.unrest,
        goal="RS256 at most 1.02, ES256 at most 0.92, and no more statements than DOT",
    )


def _variants(client_id: str) -> Iterator[Variant]:
    yield endpoint_variant(
        "django-oauth-toolkit, opaque",
        ToolkitTokenView,
        client_id,
        oauth2_provider=_SCOPES,
        at_jwt={},
        remarks="its defaults: tokens stored in clear",
    )
    for algorithm in ("RS256", "ES256"):
        yield endpoint_variant(
            f"django-at-jwt, {algorithm}",
            TokenView,
            client_id,
            oauth2_provider={**oauth2_provider_settings(), **_SCOPES, "OIDC_ISS_ENDPOINT": workload.ISSUER},
            at_jwt={"DEFAULT_RESOURCE": workload.AUDIENCE, "SIGNING_ALGORITHMS": [algorithm]},
            remarks="tokens stored hashed",
        )


def endpoint_variant(
    name: str,
    view_class: type,
    client_id: str,
    *,
    oauth2_provider: dict[str, Any],
    at_jwt: dict[str, Any],
    remarks: str,
    **body: str,
) -> Variant:
    """Return a variant that requests tokens from an endpoint of this class, with ``body`` as parameters."""
    # DOT caches objects made from its settings on the view's class, so each variant has its own class.
    view: Any = type(view_class.__name__, (view_class,), {}).as_view()  # type: ignore[attr-defined]
    make = RequestFactory().post
    body = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": SECRET,
        "scope": "read",
        **body,
    }

    def prepare(count: int) -> list[Any]:
        configure(oauth2_provider, at_jwt)
        return [make("/o/token/", body) for _ in range(count)]

    def call(request: Any) -> None:
        response = view(request)
        if response.status_code != 200:
            raise AssertionError(f"{name} answered {response.status_code}: {response.content!r}")

    return Variant(name=name, prepare=prepare, call=call, remarks=remarks)


def configure(oauth2_provider: dict[str, Any], at_jwt: dict[str, Any]) -> None:
    """Change the site's settings, and clear all caches of the previous ones."""
    for name, value in {"OAUTH2_PROVIDER": oauth2_provider, "AT_JWT": at_jwt}.items():
        setattr(settings, name, value)
        setting_changed.send(sender=None, setting=name, value=value, enter=True)
    key_store.forget()


def rows_of(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a row for each variant. Call it before the settings are restored: it calls each variant again."""
    return [
        {
            "variant": each.variant.name,
            "us": each.microseconds,
            "ratio": each.ratio,
            "SQL": statements_of(each.variant),
            "remarks": each.variant.remarks,
        }
        for each in comparison.measurements
    ]


def statements_of(variant: Variant) -> int:
    """Return the number of SQL statements of a call."""
    # The first request after a change of settings also reads the keys.
    first, second = variant.prepare(2)
    variant.call(first)
    with CaptureQueriesContext(connection) as statements:
        variant.call(second)
    return len(statements)
