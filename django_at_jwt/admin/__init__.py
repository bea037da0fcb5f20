"""Admin pages; those of the authorization server only if django-oauth-toolkit is installed."""

from django.apps import apps

from .issuer_subject import IssuerSubjectAdmin

__all__ = ["IssuerSubjectAdmin"]

if apps.is_installed("oauth2_provider"):
    from .claim_mapper.admin import ClaimMapperAdmin
    from .client_options import ClientOptionsAdmin
    from .introspection_client import IntrospectionClientAdmin
    from .preview import TokenPreviewAdmin
    from .resource_server import ResourceServerAdmin
    from .revocation.admin import DenyListEntryAdmin
    from .signing_key.admin import SigningKeyAdmin
    from .signing_key.events import SigningKeyEventAdmin

    __all__ += [
        "ClaimMapperAdmin",
        "ClientOptionsAdmin",
        "DenyListEntryAdmin",
        "IntrospectionClientAdmin",
        "ResourceServerAdmin",
        "SigningKeyAdmin",
        "SigningKeyEventAdmin",
        "TokenPreviewAdmin",
    ]
