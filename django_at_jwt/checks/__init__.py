"""System checks: problems of a site's configuration, each with the line that fixes it."""

from django.core.checks import Tags, register

# Importing a module adds its checks.
from . import (  # noqa: F401
    addresses,
    authentication,
    claim_mappers,
    client_secrets,
    deployment,
    issuers,
    keys,
    mcp,
    metadata,
    registration,
    resource_servers,
    revocation,
    rfc9700,
    settings,
    subjects,
    token_formats,
    toolkit,
    unknown_names,
    unstored_tokens,
    urls,
    user_modes,
    views,
)
from .ids import ALL_CHECKS, DEPLOYMENT_CHECKS, CheckId

__all__ = ["ALL_CHECKS", "DEPLOYMENT_CHECKS", "CheckId", "register_checks"]


def register_checks() -> None:
    """Register all system checks. Registering them again has no effect."""
    for check in ALL_CHECKS:
        register(check, Tags.security)
    for check in DEPLOYMENT_CHECKS:
        register(check, Tags.security, deploy=True)
