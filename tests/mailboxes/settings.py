"""The site of the tests where access tokens are about another model than AUTH_USER_MODEL."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as _INSTALLED_APPS
from tests.settings import OAUTH2_PROVIDER as _OAUTH2_PROVIDER

INSTALLED_APPS = ["tests.mailboxes", *_INSTALLED_APPS]
ROOT_URLCONF = "tests.mailboxes.urls"
OAUTH2_PROVIDER_APPLICATION_MODEL = "mailboxes.Application"
OAUTH2_PROVIDER_GRANT_MODEL = "mailboxes.Grant"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "mailboxes.AccessToken"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "mailboxes.RefreshToken"
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "mailboxes.IDToken"
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "mailboxes.DeviceGrant"
OAUTH2_PROVIDER = {**_OAUTH2_PROVIDER, "OAUTH2_VALIDATOR_CLASS": "tests.mailboxes.validators.SiteValidator"}
