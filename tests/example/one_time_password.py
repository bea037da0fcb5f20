"""A second way to log in: the password, and after a space a one-time password that is always the same."""

from django.contrib.auth.backends import ModelBackend

ONE_TIME_PASSWORD = "123456"


class OneTimePasswordBackend(ModelBackend):
    def authenticate(self, request, username=None, password=None, **kwargs):
        first, _, second = (password or "").rpartition(" ")
        if second != ONE_TIME_PASSWORD:
            return None
        return super().authenticate(request, username=username, password=first, **kwargs)
