"""The example's settings, with published revocations that APIs in other projects see after a second."""

from .quick_settings import *  # noqa: F403
from .quick_settings import AT_JWT as _AT_JWT

AT_JWT = {**_AT_JWT, "PUBLISH_REVOCATIONS": True, "REVOCATION_MAX_AGE": 1}
