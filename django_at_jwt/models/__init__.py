"""The tables of the authorization server, and the table of subjects of a resource server."""

from .authorization import Authorization
from .claim_mapper import ClaimMapper
from .client_options import ClientOptions
from .client_secret_key import ClientSecretKey
from .deny_list_entry import DenyListEntry
from .introspection_client import IntrospectionClient
from .issued_token import IssuedToken
from .issuer_subject import IssuerSubject
from .resource_server import ResourceServer
from .rotation_run import RotationRun
from .signing_key import SigningKey
from .signing_key_event import SigningKeyEvent
from .token_preview import TokenPreview

__all__ = [
    "Authorization",
    "ClaimMapper",
    "ClientOptions",
    "ClientSecretKey",
    "DenyListEntry",
    "IntrospectionClient",
    "IssuedToken",
    "IssuerSubject",
    "ResourceServer",
    "RotationRun",
    "SigningKey",
    "SigningKeyEvent",
    "TokenPreview",
]
