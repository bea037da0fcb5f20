"""What a site stores about its users in addition to Django's columns."""

from django.conf import settings
from django.db import models


class Site(models.Model):
    city = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.city


class Department(models.Model):
    code = models.CharField(max_length=20)
    head = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    site = models.ForeignKey(Site, null=True, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return self.code


class Profile(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    department = models.ForeignKey(Department, null=True, on_delete=models.CASCADE, related_name="members")
    badge = models.UUIDField(null=True)
    photo = models.FileField(blank=True)
    fingerprint = models.BinaryField(blank=True)
    password = models.CharField(max_length=20, blank=True)

    def __str__(self) -> str:
        return str(self.badge)

    @property
    def secret(self) -> str:
        raise AssertionError
