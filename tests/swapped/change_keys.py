"""Rotates and revokes signing keys in the admin, outside pytest's own transactions; writes what came of it as JSON."""

from __future__ import annotations

import json
import sys

import django


def main():
    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.db import connections
    from django.test import Client

    from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
    from django_at_jwt.models import SigningKey

    for database in connections:
        call_command("migrate", database=database, verbosity=0)
    rotate_signing_keys()
    administrator = Client()
    administrator.force_login(get_user_model().objects.create_superuser("root"))
    pages = "/admin/django_at_jwt/signingkey/"
    key = SigningKey.objects.order_by("signing_at").first()
    statuses = [
        administrator.post(f"{pages}{page}", {"reason": "x"}).status_code for page in ("rotate/", f"{key.pk}/revoke/")
    ]
    key.refresh_from_db()
    sys.stdout.write(json.dumps({"statuses": statuses, "is_revoked": key.revoked_at is not None}))


if __name__ == "__main__":
    main()
