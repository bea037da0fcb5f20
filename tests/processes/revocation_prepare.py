"""Prepare a database for the revocation events: an administrator, an API, and a user and a client for each event."""

from __future__ import annotations

import json
import sys

import django


def main(names: list[str]) -> None:
    from django.contrib.auth.models import User
    from oauth2_provider.models import get_application_model

    from django_at_jwt.models import ResourceServer
    from tests.settings import API

    from .revocation_events import PASSWORD, REDIRECT_URI, SECRET

    clients = get_application_model().objects

    def make_client(client_id: str, grant: str, user: User | None = None) -> int:
        return clients.create(
            client_id=client_id, client_secret=SECRET, name=client_id, client_type="confidential",
            authorization_grant_type=grant, redirect_uris=REDIRECT_URI, skip_authorization=True, algorithm="RS256",
            user=user,
        ).pk  # fmt: skip

    User.objects.create_superuser("root", password=PASSWORD)
    make_client("api", "client-credentials")
    api = ResourceServer.objects.create(
        identifier=API, name="API", open_to_all_clients=True, introspection_clients=["api"], is_default=True
    )
    ids = {"api": api.pk}
    for name in names:
        user = User.objects.create_user(f"user-{name}", password=PASSWORD, is_staff=True)
        ids[name] = {"user": user.pk, "client": make_client(f"client-{name}", "authorization-code", user)}
    sys.stdout.write(json.dumps(ids))


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1:])
