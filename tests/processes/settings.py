"""The test site with a policy from the environment, for separate processes."""

import json
import os
from datetime import timedelta

from tests.settings import *  # noqa: F403
from tests.settings import AT_JWT, OAUTH2_PROVIDER

ROOT_URLCONF = "tests.health.urls"
_policy = json.loads(os.environ.get("TEST_POLICY", "{}"))
OAUTH2_PROVIDER = {
    **OAUTH2_PROVIDER,
    "ALWAYS_RELOAD_OAUTHLIB_CORE": False,
    "OIDC_JWKS_MAX_AGE_SECONDS": _policy.pop("JWK_SET_MAX_AGE", 3600),
    "ACCESS_TOKEN_EXPIRE_SECONDS": _policy.pop("LIFETIME", 3600),
}
AT_JWT = {
    **AT_JWT,
    "SIGNING_ALGORITHMS": ["ES256"],
    **{name: timedelta(seconds=value) for name, value in _policy.items()},
}
