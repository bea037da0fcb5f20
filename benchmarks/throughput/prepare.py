"""Prepare a variant: ``python -m benchmarks.throughput.prepare VARIANT`` stores its client, and prints its requests.

``VARIANT`` is a JSON object: ``hasher`` of the client's secret, or ``null`` for a secret in clear, ``token_path``,
``api_path`` or ``null`` if token requests are measured, ``tokens``, the number of tokens to send to the API, and
``is_of_user``, whether a user has asked for them.
"""

from __future__ import annotations

import io
import json
import os
import sys
from typing import Final
from urllib.parse import urlencode

import django

from .load import Request

_SCOPE: Final = "read"


def main(variant: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.throughput.settings"
    django.setup()
    from django.contrib.auth import get_user_model  # noqa: PLC0415 - after the settings
    from django.contrib.auth.hashers import make_password  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415
    from oauth2_provider.generators import generate_client_secret  # noqa: PLC0415
    from oauth2_provider.models import get_application_model  # noqa: PLC0415

    asked = json.loads(variant)
    call_command("rotate_signing_keys", stdout=io.StringIO())
    user = get_user_model().objects.create_user("a user", password="correct horse")
    secret, hasher = generate_client_secret(), asked["hasher"]
    grant = "password" if asked["is_of_user"] else "client-credentials"
    client = get_application_model().objects.create(
        name="a program",
        client_type="confidential",
        authorization_grant_type=grant,
        client_secret=make_password(secret, hasher=hasher) if hasher else secret,
        hash_client_secret=bool(hasher),
    )
    body = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret, "scope": _SCOPE}
    if asked["is_of_user"]:
        body |= {"grant_type": "password", "username": user.username, "password": "correct horse"}
    if asked["api_path"]:
        answers = [Client().post(asked["token_path"], body) for _ in range(asked["tokens"])]
        assert all(answer.status_code == 200 for answer in answers), answers[0].content
        tokens = [answer.json()["access_token"] for answer in answers]
        requests = [Request("GET", asked["api_path"], "", {"Authorization": f"Bearer {token}"}) for token in tokens]
    else:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        requests = [Request("POST", asked["token_path"], urlencode(body), form)]
    print(json.dumps(requests))


if __name__ == "__main__":
    main(sys.argv[1])
