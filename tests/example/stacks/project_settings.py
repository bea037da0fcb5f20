"""The settings of the example of an API in another project, with an API of each kind."""

from example_project.remote_api.settings import *  # noqa: F403
from example_project.remote_api.settings import AUDIENCE, ISSUER
from tests.patience import PATIENCE_SECONDS

AT_JWT = {
    "ISSUERS": {ISSUER: {"audience": AUDIENCE, "revocation": "deny_list"}},
    "ISSUER_TIMEOUT": PATIENCE_SECONDS,
    "REVOCATION_MAX_AGE": 1,
}
ROOT_URLCONF = "tests.example.stacks.project"
