"""The models of a site that has its own user, with a UUID for a key, and its own of each model of the toolkit.

The toolkit's models refer to each other in circles, so a site that swaps one of the tokens swaps them all. Changes are
recorded in a field with another name than the toolkit's, as by a site whose models have a common base.
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

from .token_keys import token_key


class User(AbstractUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)


class Application(AbstractApplication):
    updated = None
    modified = models.DateTimeField(auto_now=True)
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    contact = models.EmailField(blank=True)

    objects = ApplicationManager()

    def natural_key(self):
        return (self.client_id,)


class Grant(AbstractGrant):
    updated = None
    modified = models.DateTimeField(auto_now=True)


class AccessToken(AbstractAccessToken):
    updated = None
    modified = models.DateTimeField(auto_now=True)
    id = token_key()
    note = models.TextField(blank=True)


class RefreshToken(AbstractRefreshToken):
    updated = None
    modified = models.DateTimeField(auto_now=True)

    @classmethod
    def revoke_family(cls, token_family):
        # The toolkit's method sets its own field.
        for row in cls.objects.filter(token_family=token_family):
            row.revoke()


class IDToken(AbstractIDToken):
    updated = None
    modified = models.DateTimeField(auto_now=True)


class DeviceGrant(AbstractDeviceGrant):
    pass
