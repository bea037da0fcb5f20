"""The settings of this app: one dict, ``AT_JWT``, read as a typed object."""

from .app_settings import AppSettings
from .audiences import audiences_of_view
from .issuers import IssuerSettings
from .loader import SETTING_NAME, app_settings, known_issuers, problems_in, require_installed, require_setup
from .oauth2_provider import (
    ACCESS_TOKEN_GENERATOR,
    BROWSER_SCHEMES,
    CLIENT_METADATA_FETCHER,
    CLIENT_SECRET_HASHER,
    LONGEST_SENSIBLE_LIFETIME,
    MCP_PROFILE,
    REFRESH_TOKEN_GENERATOR,
    RFC9700_PROFILE,
    VALIDATOR_CLASS,
    access_token_lifetime,
    has_issuer_tables,
    has_lifetime_function,
    local_issuer,
    oauth2_provider_settings,
    token_user_model,
    toolkit_model,
    toolkit_setting,
)
from .process_cache import clear_process_caches, process_cached, register_process_cache
from .validators import KEY_ENCRYPTION_KEY_BYTES, MAX_LEEWAY_SECONDS, nearest_name

__all__ = [
    "ACCESS_TOKEN_GENERATOR",
    "BROWSER_SCHEMES",
    "CLIENT_METADATA_FETCHER",
    "CLIENT_SECRET_HASHER",
    "KEY_ENCRYPTION_KEY_BYTES",
    "LONGEST_SENSIBLE_LIFETIME",
    "MAX_LEEWAY_SECONDS",
    "MCP_PROFILE",
    "REFRESH_TOKEN_GENERATOR",
    "RFC9700_PROFILE",
    "SETTING_NAME",
    "VALIDATOR_CLASS",
    "AppSettings",
    "IssuerSettings",
    "access_token_lifetime",
    "app_settings",
    "audiences_of_view",
    "clear_process_caches",
    "has_issuer_tables",
    "has_lifetime_function",
    "known_issuers",
    "local_issuer",
    "nearest_name",
    "oauth2_provider_settings",
    "problems_in",
    "process_cached",
    "register_process_cache",
    "require_installed",
    "require_setup",
    "token_user_model",
    "toolkit_model",
    "toolkit_setting",
]
