"""The models of a site that has its own user, with a UUID for a key, and its own of each model of the toolkit.

The toolkit's models refer to each other in circles, so a site that swaps one of the tokens swaps them all.
"""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models
from oauth2_provider.models import (
    AbstractAccessToken,
    AbstractApplication,
    AbstractDeviceGrant,
    AbstractGrant,
    AbstractIDToken,
    AbstractRefreshToken,
    ApplicationManager,
)


class User(AbstractUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)


class Application(AbstractApplication):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    contact = models.EmailField(blank=True)

    objects = ApplicationManager()

    def natural_key(self):
        return (self.client_id,)


class Grant(AbstractGrant):
    pass


class AccessToken(AbstractAccessToken):
    note = models.TextField(blank=True)


class RefreshToken(AbstractRefreshToken):
    pass


class IDToken(AbstractIDToken):
    pass


class DeviceGrant(AbstractDeviceGrant):
    pass
