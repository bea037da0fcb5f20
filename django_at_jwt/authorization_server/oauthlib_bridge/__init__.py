"""The bridge to django-oauth-toolkit (DOT) and oauthlib: the only package that depends on their internals."""

from .audience import resolved_audience
from .bearer import issued_row
from .client_authentication import authenticated_client
from .client_metadata import WITHOUT_FETCH, TooManyDocuments, unknown_client
from .client_policy import allows_front_channel_tokens
from .device_grant import begin_polling, pending_audience, requested_audience, token_server_kwargs
from .direct_issuance import DirectAccessToken, issue_access_token
from .generator import generate_access_token, redirectable
from .refusals import reporting_refusals
from .request import AUTHENTICATION
from .validator import AccessTokenValidatorMixin

__all__ = [
    "AUTHENTICATION",
    "WITHOUT_FETCH",
    "AccessTokenValidatorMixin",
    "DirectAccessToken",
    "TooManyDocuments",
    "allows_front_channel_tokens",
    "authenticated_client",
    "begin_polling",
    "generate_access_token",
    "issue_access_token",
    "issued_row",
    "pending_audience",
    "redirectable",
    "reporting_refusals",
    "requested_audience",
    "resolved_audience",
    "token_server_kwargs",
    "unknown_client",
]
