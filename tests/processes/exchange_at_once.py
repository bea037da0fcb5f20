"""Two exchanges of one code, each validated before any is stored; writes what came of it as JSON."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import django

ROUNDS = 3


class Exchanges:
    """A client, a user, and what comes of two exchanges at the same moment."""

    def __init__(self):
        from django.contrib.auth import get_user_model

        from tests.conftest import create_client

        self.user = get_user_model().objects.create_user("alice")
        self.client = create_client(skip_authorization=True)

    def outcome(self):
        from django.db import connection
        from django.utils import timezone
        from oauth2_provider.models import get_access_token_model, get_grant_model, get_refresh_token_model

        from django_at_jwt.models import Authorization, DenyListEntry, IssuedToken
        from tests.links import number_of_links

        from .meeting_validator import MeetingValidator

        for model in (Authorization, IssuedToken, get_access_token_model(), get_refresh_token_model()):
            model.objects.all().delete()
        DenyListEntry.objects.all().delete()
        code = self.client.authorize(self.user)["code"]

        def exchange(_):
            try:
                answer = self.client.exchange(code)
                return answer.status_code, answer.json().get("error")
            finally:
                connection.close()

        with MeetingValidator.expected(2), ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(exchange, range(2)))
        authorization = Authorization.objects.get()
        return {
            "answers": sorted(answers),
            "codes": get_grant_model().objects.count(),
            "rows": get_access_token_model().objects.count(),
            "links": number_of_links(),
            "live": [
                get_access_token_model().objects.filter(expires__gt=timezone.now()).count(),
                get_refresh_token_model().objects.filter(revoked=None).count(),
            ],
            "end": authorization.end_reason,
            "denied": list(DenyListEntry.objects.values_list("kind", flat=True)),
            "names_it": DenyListEntry.objects.filter(value=authorization.identifier).exists(),
        }


def main():
    django.setup()
    from django.conf import settings
    from django.db import connections
    from django.test import override_settings

    exchanges, results = Exchanges(), {}
    toolkit = {
        **settings.OAUTH2_PROVIDER,
        "OAUTH2_VALIDATOR_CLASS": "tests.processes.meeting_validator.MeetingValidator",
        "ALWAYS_RELOAD_OAUTHLIB_CORE": True,
    }
    with override_settings(OAUTH2_PROVIDER=toolkit):
        for requests in ("autocommit", "atomic"):
            connections.settings["default"]["ATOMIC_REQUESTS"] = requests == "atomic"
            results[requests] = [exchanges.outcome() for _ in range(ROUNDS)]
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
