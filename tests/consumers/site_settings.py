"""The example's settings, with an API for each algorithm. All times have their defaults but the age of the key ring."""

from tests.example.quick_settings import *  # noqa: F403

from .catalog import ALGORITHMS, SCOPE

OAUTH2_PROVIDER["SCOPES"][SCOPE] = "Read files"  # noqa: F405
AT_JWT = {
    **AT_JWT,  # noqa: F405
    "SIGNING_ALGORITHMS": list(ALGORITHMS),
    "RESOURCE_SERVERS": {
        f"{BASE_URL}/{algorithm.lower()}/": {"algorithm": algorithm, "scopes": [SCOPE]}  # noqa: F405
        for algorithm in ALGORITHMS
    },
    # The server publishes a new key within a second, so that the seconds measured are those of the consumers.
    "KEY_RING_MAX_AGE": 1,
}
