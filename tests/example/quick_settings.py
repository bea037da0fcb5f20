"""The example's settings for tests, in which a login and a client's secret cost next to nothing."""

from example_project.settings import *  # noqa: F403

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "django_at_jwt.hashers.ClientSecretHasher",
]
