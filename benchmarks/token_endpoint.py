"""The token endpoint with client_credentials: this package's tokens compared with DOT's opaque tokens.

In the first two tables the client's secret is stored unhashed: DOT's default hash would take a hundred times as long as
everything else. The first one is with the metrics of each installed library, which are not read; the second one is
without. The third table is about the hash of the secret.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.conf.global_settings import PASSWORD_HASHERS as DEFAULT_HASHERS
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import RequestFactory
from django.test.signals import setting_changed
from django.test.utils import CaptureQueriesContext
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import get_application_model
from oauth2_provider.views import TokenView as ToolkitTokenView

from django_at_jwt import oauth2_provider_settings
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.views.token import TokenView
from django_at_jwt.conf import CLIENT_SECRET_HASHER
from django_at_jwt.events import event_emitted
from django_at_jwt.metrics import connect_metrics

from . import workload
from .interleave import Variant, interleave
from .report import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .interleave import Comparison

_CALLS: Final = 15
_SLOW_CALLS: Final = 1
SECRET: Final = "the client's secret"
_SCOPES: Final = {"SCOPES": {"read": "Read", "write": "Write"}}


def tables(rounds: int) -> Iterator[Table]:
    """Measure, and yield the tables."""
    rotate_signing_keys()
    client = get_application_model().objects.create(
        name="a program",
        client_type="confidential",
        authorization_grant_type="client-credentials",
        client_secret=SECRET,
        hash_client_secret=False,
    )
    before = settings.OAUTH2_PROVIDER, settings.AT_JWT
    for title, metrics in (("", nullcontext()), (", without metrics, which DOT does not have", _without_metrics())):
        try:
            with metrics:
                comparison = interleave(list(_variants(client.client_id)), calls=_CALLS, rounds=rounds // 2)
                rows = rows_of(comparison)
        finally:
            configure(*before)
        yield Table(
            title=f"A token from the token endpoint, client_credentials{title}",
            rows=rows,
            null_control=comparison.null_control,
            unrest=comparison.unrest,
            goal="RS256 at most 1.10, ES256 0.98, without row 0.75 and 0.58, and no more statements than DOT",
        )
    yield _hashed_secrets(max(rounds // 10, 2))


@contextmanager
def _without_metrics() -> Iterator[None]:
    """Count nothing, as if neither ``prometheus_client`` nor OpenTelemetry's API were installed."""
    for library in ("prometheus", "opentelemetry"):
        event_emitted.disconnect(dispatch_uid=f"django_at_jwt.metrics.{library}")
    try:
        yield
    finally:
        connect_metrics()


def _hashed_secrets(rounds: int) -> Table:
    before = settings.OAUTH2_PROVIDER, settings.AT_JWT
    hashers = settings.PASSWORD_HASHERS
    _set("PASSWORD_HASHERS", [DEFAULT_HASHERS[0], "django_at_jwt.hashers.ClientSecretHasher"])
    secret = generate_client_secret()
    try:
        configure({**_SCOPES, "CLIENT_SECRET_HASHER": CLIENT_SECRET_HASHER}, {"SIGNING_ALGORITHMS": ["ES256"]})
        rotate_signing_keys()
        clients = [
            get_application_model().objects.create(
                name=f"a program with a secret hashed by {hasher}",
                client_type="confidential",
                authorization_grant_type="client-credentials",
                client_secret=make_password(secret, hasher=hasher),
            )
            for hasher in ("default", CLIENT_SECRET_HASHER)
        ]
        comparison = interleave(list(_variants_with(clients, secret)), calls=_SLOW_CALLS, rounds=rounds)
        rows = rows_of(comparison)
    finally:
        _set("PASSWORD_HASHERS", hashers)
        configure(*before)
    return Table(
        title="A token from the token endpoint, client_credentials, with a hashed client secret",
        rows=rows,
        null_control=comparison.null_control,
        unrest=comparison.unrest,
        goal="at most 0.02: 50 times cheaper",
    )


def _variants_with(clients: list[Any], secret: str) -> Iterator[Variant]:
    slow, fast = clients
    yield endpoint_variant(
        "django-oauth-toolkit, opaque",
        ToolkitTokenView,
        slow.client_id,
        oauth2_provider=_SCOPES,
        at_jwt={},
        remarks="its default hash, PBKDF2",
        client_secret=secret,
    )
    yield endpoint_variant(
        "django-at-jwt, ES256",
        TokenView,
        fast.client_id,
        oauth2_provider={
            **oauth2_provider_settings(),
            **_SCOPES,
            "OIDC_ISS_ENDPOINT": workload.ISSUER,
            "CLIENT_SECRET_HASHER": CLIENT_SECRET_HASHER,
        },
        at_jwt={"DEFAULT_RESOURCE": workload.AUDIENCE, "SIGNING_ALGORITHMS": ["ES256"]},
        remarks="its hash for generated secrets",
        client_secret=secret,
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
    for stores, remarks in ((True, "tokens stored hashed"), (False, "without rows")):
        for algorithm in ("RS256", "ES256"):
            yield endpoint_variant(
                f"django-at-jwt, {algorithm}{'' if stores else ', without row'}",
                TokenView,
                client_id,
                oauth2_provider={**oauth2_provider_settings(), **_SCOPES, "OIDC_ISS_ENDPOINT": workload.ISSUER},
                at_jwt={
                    "DEFAULT_RESOURCE": workload.AUDIENCE,
                    "SIGNING_ALGORITHMS": [algorithm],
                    "STORE_ACCESS_TOKENS": stores,
                },
                remarks=remarks,
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

    # As RFC 6749 section 4.4.2 says. Django's factory would send the form as for a file upload, which takes longer to
    # parse than a token takes to sign.
    form = urlencode(body)

    def prepare(count: int) -> list[Any]:
        configure(oauth2_provider, at_jwt)
        return [make("/o/token/", form, content_type="application/x-www-form-urlencoded") for _ in range(count)]

    def call(request: Any) -> None:
        response = view(request)
        if response.status_code != 200:
            raise AssertionError(f"{name} answered {response.status_code}: {response.content!r}")

    return Variant(name=name, prepare=prepare, call=call, remarks=remarks)


def configure(oauth2_provider: dict[str, Any], at_jwt: dict[str, Any]) -> None:
    """Change the site's settings, and clear all caches of the previous ones."""
    for name, value in {"OAUTH2_PROVIDER": oauth2_provider, "AT_JWT": at_jwt}.items():
        _set(name, value)
    key_store.forget()


def _set(name: str, value: Any) -> None:
    setattr(settings, name, value)
    setting_changed.send(sender=None, setting=name, value=value, enter=True)


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
