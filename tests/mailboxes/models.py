"""A site whose access tokens are about mailboxes, while people log in to its admin site as users of Django."""

from django.db import models
from oauth2_provider.models import (
    AbstractAccessToken,
    AbstractApplication,
    AbstractDeviceGrant,
    AbstractGrant,
    AbstractIDToken,
    AbstractRefreshToken,
)


class Domain(models.Model):
    name = models.CharField(max_length=100, unique=True)

    def __str__(self):
        return self.name


class Mailbox(models.Model):
    """It has no more than a token's user needs; Django itself takes users without ``is_active`` for active ones."""

    address = models.CharField(max_length=100, unique=True)
    domain = models.ForeignKey(Domain, models.CASCADE)
    postmaster = models.ForeignKey("auth.User", models.CASCADE, null=True, related_name="mailboxes")

    is_authenticated = True

    def __str__(self):
        return self.address


class Application(AbstractApplication):
    contact = models.EmailField(blank=True)


class Grant(AbstractGrant):
    user = models.ForeignKey(Mailbox, models.CASCADE)


class AccessToken(AbstractAccessToken):
    user = models.ForeignKey(Mailbox, models.CASCADE, null=True, blank=True)


class RefreshToken(AbstractRefreshToken):
    user = models.ForeignKey(Mailbox, models.CASCADE)


class IDToken(AbstractIDToken):
    user = models.ForeignKey(Mailbox, models.CASCADE, null=True, blank=True)


class DeviceGrant(AbstractDeviceGrant):
    user = models.ForeignKey(Mailbox, models.CASCADE, null=True, blank=True)
