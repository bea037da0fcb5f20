"""The primary keys of access tokens, by ``TOKEN_KEYS``: numbers, as the toolkit's, or UUIDs."""

import uuid

from django.conf import settings
from django.db import models


def token_key(**options):
    if settings.TOKEN_KEYS == "uuid":
        return models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False, **options)
    return models.BigAutoField(primary_key=True, **options)
