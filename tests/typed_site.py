"""Code of a site that uses the public API. mypy reports what the types reject or lose; nothing runs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, assert_type

from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import IsAuthenticated
from rest_framework.views import APIView

from django_at_jwt import RejectionReason, TokenRejected, VerifiedToken, Verifier, averify, verify
from django_at_jwt.channels import AccessTokenMiddleware
from django_at_jwt.claims import ClaimContext, register_claim_source
from django_at_jwt.issuance import DirectAccessToken, issue_access_token
from django_at_jwt.mcp import AccessToken as McpAccessToken
from django_at_jwt.mcp import TokenVerifier
from django_at_jwt.rest_framework import (
    AccessToken,
    AccessTokenAuthentication,
    HasAnyScope,
    HasRole,
    HasScopes,
    IsClient,
    IsMachine,
    IsUser,
    RequiresAuthentication,
)
from django_at_jwt.testing import InMemoryIssuer
from django_at_jwt.views import access_token_required

if TYPE_CHECKING:
    from asgiref.typing import ASGI3Application
    from starlette.types import ASGIApp


class Orders(APIView):
    authentication_classes = [
        AccessTokenAuthentication.for_audience("https://www.example.com/pay/", revocation="row", exclusive=False),
        AccessTokenAuthentication.for_audience(["https://www.example.com/", "https://app.example.com/"]),
        AccessTokenAuthentication,
    ]
    permission_classes = [
        HasScopes,
        HasAnyScope({"GET": ["read", "write"]}),
        HasScopes("read") & (IsUser | IsClient("reporting")),
        IsAuthenticated | HasScopes("read"),
        ~IsMachine & ~(IsUser & HasRole("guest")),
        RequiresAuthentication(acr_values=["urn:mfa"], max_age=300),
    ]


class TokenRequest(HttpRequest):
    access_token: AccessToken


@access_token_required(scopes=["read"])
def summary(request: TokenRequest) -> JsonResponse:
    return JsonResponse({"client": request.access_token.client_id})


@access_token_required(IsMachine, scopes={"GET": ["read"], "POST": ["write"]})
async def job(request: TokenRequest, *, number: int) -> JsonResponse:
    return JsonResponse({"client": request.access_token.client_id, "number": number})


def answers(request: TokenRequest) -> None:
    assert_type(summary(request), JsonResponse)
    answer: Awaitable[JsonResponse] = job(request, number=1)
    del answer


def reader(token: str) -> Any:
    try:
        verified = verify(token, audience="https://www.example.com/reports/")
    except TokenRejected as error:
        assert_type(error.reason, RejectionReason)
        return None
    assert_type(verified, VerifiedToken)
    assert_type(verified.auth.claims.audience, tuple[str, ...])
    return verified.user if "reports:read" in verified.auth.scopes else None


async def areader(token: str) -> None:
    assert_type(await averify(token, revocation="row"), VerifiedToken)
    verifier = Verifier(issuer="https://as.example.com/o", audience="https://api.example.com/")
    assert_type(verifier.verify(token), AccessToken)
    assert_type(await verifier.averify(token), AccessToken)
    assert_type(await TokenVerifier(audience="https://mcp.example.com/").verify_token(token), McpAccessToken | None)


def sockets(application: Callable[..., Any], typed: ASGI3Application, starlette: ASGIApp) -> None:
    AccessTokenMiddleware(application, ["orders:read"])
    AccessTokenMiddleware(typed, ["orders:read"])
    AccessTokenMiddleware(starlette, ["orders:read"])


@register_claim_source("tenant", type="string", label=_("Tenant of the user"), is_personal=False)
def tenant(context: ClaimContext) -> str | None:
    return None if context.user is None else str(context.user.email)


def facts(context: ClaimContext) -> None:
    assert_type(tenant(context), str | None)


def issue(client: Any, user: Any) -> None:
    token = issue_access_token(client=client, user=user, scopes=["read"], lifetime=300)
    assert_type(token, DirectAccessToken)
    assert_type(token.authorization, str | None)


def own_issuer() -> None:
    with InMemoryIssuer(algorithm="ES256").installed() as issuer:
        assert_type(issuer, InMemoryIssuer)
