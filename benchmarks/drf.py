"""The cost of authentication, added to a GET request for a trivial API."""

from __future__ import annotations

import itertools
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.test.utils import override_settings
from django.utils import timezone
from joserfc.jwk import KeySet
from jwcrypto.jwk import JWK
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from oauth2_provider.models import get_access_token_model, get_application_model
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.conf import clear_process_caches
from django_at_jwt.rest_framework import AccessTokenAuthentication

from . import remote_issuers, workload
from .interleave import WARM_UP_CALLS, Variant, interleave
from .report import Table
from .token_endpoint import statements_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rest_framework.request import Request

    from .interleave import Comparison

_CALLS: Final = 40
_SPARE_TURNS: Final = 2
_OPAQUE_TOKENS: Final = 400
_NONE: Final = "no authentication"
_COLD: Final = "django-at-jwt, RS256, each token once"
_REPEATED: Final = "django-at-jwt, RS256, repeated token"


def tables(rounds: int) -> Iterator[Table]:
    """Measure, and yield the table."""
    rotate_signing_keys()
    rounds = rounds // 2
    tokens = (rounds + _SPARE_TURNS) * (_CALLS + WARM_UP_CALLS)
    comparison = interleave(list(_variants(tokens)), calls=_CALLS, rounds=rounds)
    yield Table(
        title=f"GET on a DRF view: cost of authentication, added to {comparison.of(_NONE).microseconds:.0f} us without",
        rows=list(_rows(comparison)),
        null_control=comparison.null_control,
        unrest=comparison.unrest,
        goal="no query; simplejwt stateless adds at least 2 times as much, django-oauth-toolkit 13 times; a repeated "
        "token adds a fifth",
    )


def _rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    ours = comparison.of(_COLD).added
    for each in comparison.measurements:
        yield {
            "variant": each.variant.name,
            "us": each.microseconds,
            "added us": each.added,
            "times ours": None if each.variant.name.startswith(_NONE) else each.added / ours,
            "SQL": statements_of(each.variant),
            "remarks": each.variant.remarks,
        }


def _variants(count: int) -> Iterator[Variant]:
    """Yield the variants, with tokens for ``count`` requests each.

    All tokens are made in advance, since signing between two batches would fill the processor's caches.
    """
    ring = key_store.current()
    rsa, ec = ring.signing_key("RS256"), ring.signing_key("ES256")
    user = get_user_model().objects.create_user("user of the API")
    of_client = [workload.token(rsa) for _ in range(count)]
    of_user = [workload.token(rsa, str(user.pk)) for _ in range(count)]
    ours = [AccessTokenAuthentication]
    simplejwt = _simplejwt(rsa.public_key.public_jwk)
    authlib = [_authlib_authentication(KeySet.import_key_set(ring.jwk_set()))]
    yield _variant(_NONE, [], itertools.repeat(None))
    yield _variant(_COLD, ours, of_client, "a client's token, all rules of RFC 9068")
    yield _variant("django-at-jwt, ES256, each token once", ours, [workload.token(ec) for _ in range(count)])
    yield _variant(_REPEATED, ours, itertools.repeat(workload.token(rsa)), "cached: all checks except the signature")
    yield _variant("django-at-jwt, ES256, repeated token", ours, itertools.repeat(workload.token(ec)))
    remote = remote_issuers.serve(ring.jwk_set())
    of_remote = [workload.token(rsa, issuer=remote.identifiers[-1]) for _ in range(count)]
    for name, tokens, remarks in (
        ("each token once", of_remote, "the issuer is taken from the token"),
        ("repeated token", itertools.repeat(of_remote[0]), "cached, with its issuer"),
    ):
        yield _variant(f"two remote issuers, RS256, {name}", ours, tokens, remarks, settings=remote.settings)
    yield _variant("django-at-jwt, RS256, with the user", ours, of_user, "the user's row is read")
    yield _variant("simplejwt stateless, RS256", [simplejwt.JWTStatelessUserAuthentication], of_user)
    yield _variant("simplejwt with the user, RS256", [simplejwt.JWTAuthentication], of_user, "the user's row is read")
    yield _variant("Authlib's RFC 9068 validator, RS256", authlib, of_client, "in a minimal DRF authentication class")
    yield _variant(
        "django-oauth-toolkit, opaque",
        [OAuth2Authentication],
        itertools.cycle(_opaque_tokens(user)),
        "the rows of token, client and user are read",
    )


def _variant(
    name: str,
    authentication: Sequence[type],
    tokens: Iterable[str | None],
    remarks: str = "",
    *,
    settings: Mapping[str, Any] | None = None,
) -> Variant:
    class TrivialView(APIView):
        authentication_classes = list(authentication)

        def get(self, request: Request) -> Response:
            return Response({"authenticated": request.user.is_authenticated})

    view, make, endless = TrivialView.as_view(), APIRequestFactory().get, iter(tokens)

    of_this_project = {name: getattr(django_settings, name) for name in ("DEBUG", "OAUTH2_PROVIDER", "AT_JWT")}

    def prepare(count: int) -> list[Any]:
        _configure(settings or of_this_project)
        return [
            make("/api/", **({"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}))
            for token in itertools.islice(endless, count)
        ]

    def call(request: Any) -> None:
        response = view(request).render()
        if response.status_code != 200:
            raise AssertionError(f"{name} answered {response.status_code}: {response.content!r}")

    return Variant(name=name, prepare=prepare, call=call, remarks=remarks)


def _configure(settings: Mapping[str, Any]) -> None:
    """Change the site's settings, and clear the caches of the previous ones. The untimed calls fill them again."""
    if any(getattr(django_settings, setting) != value for setting, value in settings.items()):
        for setting, value in settings.items():
            setattr(django_settings, setting, value)
        clear_process_caches()


def _simplejwt(public_jwk: Any) -> Any:
    """Import simplejwt with settings that accept our tokens: it reads them once, on import."""
    key: Any = JWK(**public_jwk).get_op_key("verify")
    settings = {
        "ALGORITHM": "RS256",
        "SIGNING_KEY": None,
        "VERIFYING_KEY": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        "AUDIENCE": workload.AUDIENCE,
        "ISSUER": workload.ISSUER,
        "USER_ID_CLAIM": "sub",
        # By default, it requires a claim that distinguishes access tokens from refresh tokens.
        "TOKEN_TYPE_CLAIM": None,
    }
    with override_settings(SIMPLE_JWT=settings):
        from rest_framework_simplejwt import authentication, state  # noqa: F401, PLC0415 - see above
    return authentication


def _authlib_authentication(keys: KeySet) -> type[BaseAuthentication]:
    class Validator(JWTBearerTokenValidator):
        def get_jwks(self) -> KeySet:
            return keys

    validator = Validator(workload.ISSUER, workload.AUDIENCE)

    class AuthlibAuthentication(BaseAuthentication):
        def authenticate(self, request: Request) -> tuple[Any, Any] | None:
            scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
            if scheme.lower() != "bearer":
                return None
            try:
                claims = validator.authenticate_token(token)
                validator.validate_token(claims, None, request)
            except OAuth2Error as error:
                raise AuthenticationFailed from error
            return _Client(), claims

    return AuthlibAuthentication


class _Client:
    """An authenticated client."""

    is_authenticated = True


def _opaque_tokens(user: Any) -> list[str]:
    application = get_application_model().objects.create(
        name="the API's client",
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris="https://client.example.com/callback",
        user=user,
    )
    tokens = [secrets.token_urlsafe(22) for _ in range(_OPAQUE_TOKENS)]
    expires = timezone.now() + timedelta(hours=1)
    for token in tokens:
        get_access_token_model().objects.create(
            user=user, application=application, token=token, expires=expires, scope="read write"
        )
    return tokens
