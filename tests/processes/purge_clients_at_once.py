"""Clients get tokens in threads while unused clients are purged again and again; writes the outcome as JSON."""

from __future__ import annotations

import json
import sys
import time
from base64 import urlsafe_b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from hashlib import sha256
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import django

CLIENTS = 60
# Purges and requests take about as long, so that each meets the other at every step.
PAUSE_SECONDS = 0.02
VERIFIER = "v" * 43
# RFC 7636 section 4.2.
PKCE = {
    "code_challenge": urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode(),
    "code_challenge_method": "S256",
}


def pausing(function):
    def paused(*args, **kwargs):
        result = function(*args, **kwargs)
        time.sleep(PAUSE_SECONDS)
        return result

    return paused


def get_token(client, user):
    """Get a token as the client does, and yield the responses."""
    if user is None:
        yield client.token("client_credentials")
        return
    client.browser.force_login(user)
    query = {"response_type": "code", "client_id": client.application.client_id, "scope": "read", **PKCE}
    page = client.browser.get("/o/authorize/", query)
    yield page
    if page.status_code == 302:
        [code] = parse_qs(urlsplit(page["Location"]).query)["code"]
        yield client.token("authorization_code", code=code, code_verifier=VERIFIER)


def get_tokens(senders):
    """Let each client get a token, and return the primary keys with the statuses of the responses."""
    from django.db import connection

    outcome = []
    try:
        for client, user in senders:
            statuses = [503]
            while statuses[-1] == 503:
                statuses.extend(answer.status_code for answer in get_token(client, user))
            outcome.append((client.application.pk, statuses[1:]))
    finally:
        connection.close()
    return outcome


def main():
    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.test import override_settings
    from django.utils import timezone
    from oauth2_provider.models import (
        get_access_token_model,
        get_application_model,
        get_grant_model,
        get_refresh_token_model,
    )

    from django_at_jwt.authorization_server import unused_clients
    from django_at_jwt.models import Authorization
    from django_at_jwt.validators import OAuth2Validator
    from tests.conftest import create_client
    from tests.settings import API

    model, senders = get_application_model(), []
    for number in range(CLIENTS):
        grant = ("client-credentials", "authorization-code")[number % 2]
        client = create_client(grant, registration_source="dcr", skip_authorization=True)
        user = get_user_model().objects.create_user(f"user {number}") if number % 2 else None
        senders.append((client, user))
    registered = model.objects.filter(registration_source="dcr")
    registered.update(updated=timezone.now() - timedelta(days=100))
    purges = 0
    with (
        override_settings(AT_JWT={**settings.AT_JWT, "RESOURCE_SERVERS": {API: {"registered_clients": True}}}),
        mock.patch.object(unused_clients, "_BATCH", 2),
        mock.patch.object(unused_clients, "_in_use", pausing(unused_clients._in_use)),
        mock.patch.object(OAuth2Validator, "validate_scopes", pausing(OAuth2Validator.validate_scopes)),
        ThreadPoolExecutor(4) as pool,
    ):
        # From both ends, because the purge begins with the oldest.
        orders = (senders[::4], senders[1::4], senders[2::4][::-1], senders[3::4][::-1])
        under_way = [pool.submit(get_tokens, order) for order in orders]
        while wait(under_way, timeout=0).not_done:
            unused_clients.purge_unused_clients()
            purges += 1
    answers = [each for future in under_way for each in future.result()]
    served = {key for key, statuses in answers if statuses[-1] == 200}
    left = set(registered.values_list("pk", flat=True))
    with_tokens = set(get_access_token_model().objects.values_list("application", flat=True))
    referenced = {
        *with_tokens,
        *get_grant_model().objects.values_list("application", flat=True),
        *get_refresh_token_model().objects.values_list("application", flat=True),
        *map(int, Authorization.objects.values_list("client_key", flat=True)),
    }
    outcome = {
        "purges": purges,
        "statuses": Counter(str(status) for _, statuses in answers for status in statuses),
        "served": len(served),
        "deleted": CLIENTS - len(left),
        "served without a token or client": len(served - with_tokens) + len(served - left),
        "orphans": len(referenced - left),
    }
    sys.stdout.write(json.dumps(outcome))


if __name__ == "__main__":
    main()
