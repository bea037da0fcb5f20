"""The administrator's pages. All are about issuing tokens, so a project that only accepts them has none."""

from django.apps import apps

if apps.is_installed("oauth2_provider"):
    from .resource_server import ResourceServerAdmin
    from .signing_key import SigningKeyAdmin

    __all__ = ["ResourceServerAdmin", "SigningKeyAdmin"]
