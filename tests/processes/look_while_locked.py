"""Looks at what a change to the signing keys would do while another connection makes one; writes what came as JSON."""

from __future__ import annotations

import io
import json
import sys
import threading

import django

LIST = "/admin/django_at_jwt/signingkey/"


def main():
    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from django_at_jwt.authorization_server.keys.lock import signing_key_lock
    from django_at_jwt.models import SigningKey

    key = SigningKey.objects.order_by("signing_at").first()
    administrator = Client()
    administrator.force_login(get_user_model().objects.create_superuser("root"))
    held, looked = threading.Event(), threading.Event()

    def change():
        try:
            with signing_key_lock():
                held.set()
                looked.wait()
        finally:
            connection.close()

    changing = threading.Thread(target=change)
    changing.start()
    held.wait()
    try:
        answers = [administrator.get(LIST + page).status_code for page in ("rotate/", f"{key.pk}/revoke/")]
        for command in (
            ["rotate_signing_keys", "--now"],
            ["revoke_signing_key", key.kid, "--reason", "x"],
            ["purge_signing_keys"],
            ["rewrap_signing_keys"],
        ):
            call_command(*command, "--dry-run", stdout=io.StringIO())
        # A request that waits for the lock would not get here: it is held until all have looked.
        locked = changing.is_alive()
    finally:
        looked.set()
        changing.join()
    sys.stdout.write(json.dumps({"answers": answers, "locked": locked}))


if __name__ == "__main__":
    main()
