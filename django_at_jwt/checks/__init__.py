"""System checks: problems of a site's configuration, each with the line that fixes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core import checks

from .addresses import (
    check_audience_is_issued,
    check_default_resource_covers_views,
    check_helper_is_first,
    check_issuer_is_served_here,
)
from .authentication import (
    check_allauth,
    check_authentication_backends,
    check_authentication_callables,
    check_authentication_methods,
)
from .claim_mappers import check_declared_mappers, check_mappable_fields
from .client_secrets import check_client_secret_hasher, check_client_secret_key, check_client_secrets_are_fast
from .deployment import check_issuer_is_secure, check_lifetime, check_token_storage
from .ids import CheckId
from .issuers import (
    check_audiences_that_views_name,
    check_issuer_audiences,
    check_issuer_cache,
    check_remote_issuers,
    check_some_issuer,
)
from .keys import (
    check_key_encryption_keys,
    check_policy,
    check_revoked_kids,
    check_rotation,
    check_rotation_runs,
    check_signing_key,
    check_signing_keys_open,
    check_size_of_signatures,
)
from .mcp import check_client_metadata_is_on, check_loopback_client_metadata, check_mcp_settings
from .metadata import check_site_metadata
from .registration import (
    check_apis_of_registered_clients,
    check_cors_middleware,
    check_registration_settings,
    check_registrations_are_counted,
)
from .resource_servers import (
    check_audience_of_views,
    check_clients,
    check_default_resource,
    check_equivalent_identifiers,
    check_introspection_clients,
    check_introspection_scope,
    check_known_scopes,
    check_one_default,
    check_readable_rows,
    check_resource_servers,
)
from .revocation import check_published_revocations, check_revocation
from .rfc9700 import check_public_clients, check_rfc9700
from .settings import (
    check_access_token_generator,
    check_issuer,
    check_refresh_token_generator,
    check_settings,
    check_token_lifetime,
    check_validator,
)
from .subjects import check_sectors, check_subject, check_way_back
from .token_formats import check_opaque_tokens_are_accepted
from .toolkit import check_lifetime_function, check_token_fields, check_toolkit_version
from .unknown_names import check_names_in_settings
from .unstored_tokens import check_unstored_tokens
from .urls import check_urls
from .user_modes import check_table_of_subjects, check_user_model, check_user_modes
from .views import check_authentication_classes, check_other_bearer_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.core.checks import CheckMessage

__all__ = ["ALL_CHECKS", "DEPLOYMENT_CHECKS", "CheckId", "register_checks"]

ALL_CHECKS: Final[Sequence[Callable[..., list[CheckMessage]]]] = (
    check_settings,
    check_some_issuer,
    check_issuer_audiences,
    check_remote_issuers,
    check_audiences_that_views_name,
    check_issuer,
    check_default_resource,
    check_one_default,
    check_audience_of_views,
    check_readable_rows,
    check_resource_servers,
    check_equivalent_identifiers,
    check_clients,
    check_introspection_clients,
    check_introspection_scope,
    check_known_scopes,
    check_declared_mappers,
    check_mappable_fields,
    check_subject,
    check_way_back,
    check_sectors,
    check_access_token_generator,
    check_refresh_token_generator,
    check_validator,
    check_urls,
    check_site_metadata,
    check_policy,
    check_size_of_signatures,
    check_signing_key,
    check_rotation,
    check_revoked_kids,
    check_authentication_callables,
    check_authentication_backends,
    check_authentication_methods,
    check_allauth,
    check_user_modes,
    check_user_model,
    check_table_of_subjects,
    check_authentication_classes,
    check_other_bearer_tokens,
    check_client_secret_hasher,
    check_client_secret_key,
    check_revocation,
    check_published_revocations,
    check_unstored_tokens,
    check_opaque_tokens_are_accepted,
    check_default_resource_covers_views,
    check_audience_is_issued,
    check_issuer_is_served_here,
    check_helper_is_first,
    check_token_lifetime,
    check_lifetime_function,
    check_toolkit_version,
    check_token_fields,
    check_client_metadata_is_on,
    check_mcp_settings,
    check_registration_settings,
    check_apis_of_registered_clients,
    check_cors_middleware,
    check_names_in_settings,
)
DEPLOYMENT_CHECKS: Final[Sequence[Callable[..., list[CheckMessage]]]] = (
    check_issuer_is_secure,
    check_key_encryption_keys,
    check_signing_keys_open,
    check_rotation_runs,
    check_lifetime,
    check_token_storage,
    check_issuer_cache,
    check_client_secrets_are_fast,
    check_rfc9700,
    check_public_clients,
    check_loopback_client_metadata,
    check_registrations_are_counted,
)


def register_checks() -> None:
    """Register all system checks. Registering them again has no effect."""
    for check in ALL_CHECKS:
        checks.register(check, checks.Tags.security)
    for check in DEPLOYMENT_CHECKS:
        checks.register(check, checks.Tags.security, deploy=True)
