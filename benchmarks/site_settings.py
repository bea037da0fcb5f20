"""Django settings of a site as in production, on the database of ``DATABASE_URL``: the site of the tests."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import AT_JWT as _AT_JWT
from tests.settings import OAUTH2_PROVIDER as _OAUTH2_PROVIDER

SECRET_KEY = "not-secret, but long enough for the checks of a deployment: 50 characters"
# Each API of a big site has its own scopes.
_SCOPES = {f"api{number}:{verb}": f"{verb} in API {number}" for number in range(1, 201) for verb in ("read", "write")}
OAUTH2_PROVIDER = {
    **_OAUTH2_PROVIDER,
    "ALWAYS_RELOAD_OAUTHLIB_CORE": False,
    "SCOPES": {**_OAUTH2_PROVIDER["SCOPES"], **_SCOPES},
    "DEFAULT_SCOPES": ["read"],
}
AT_JWT = {**_AT_JWT, "SIGNING_ALGORITHMS": ["RS256", "ES256"]}
LOGGING = {"version": 1, "disable_existing_loggers": False, "loggers": {"oauth2_provider": {"level": "ERROR"}}}
