"""Refreshes at the same moment, each validated before any is stored; writes what came of it as JSON."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import django

ROUNDS = 4
GRACE_PERIOD = 120


class Refreshes:
    """A client, its refresh tokens, and what it may do with several of them at the same moment."""

    def __init__(self):
        from django.contrib.auth import get_user_model
        from oauth2_provider.models import get_refresh_token_model

        from tests.conftest import create_client

        self.rows = get_refresh_token_model().objects
        self.user = get_user_model().objects.create_user("alice")
        self.client = create_client(skip_authorization=True)

    def same(self):
        token, _ = self._begin(siblings=0)
        return self._at_once(*[token] * 4)

    def siblings(self):
        _, brought = self._begin(siblings=4)
        return self._at_once(*brought)

    def retries_and_siblings(self):
        token, (one, two) = self._begin(siblings=2)
        return self._at_once(token, one, token, two)

    def retry_and_first_use(self):
        token, (one,) = self._begin(siblings=1)
        return self._at_once(token, one)

    def outcome(self, scenario):
        self.rows.all().delete()
        answers = getattr(self, scenario)()
        live = self._live()
        # What was handed out is used, one after the other.
        later = [self._refresh(answer["refresh_token"])[0] for status, answer in answers if status == 200]
        return {
            "answers": [(status, answer.get("error")) for status, answer in answers],
            "live": live,
            "later": later,
            "in_the_end": self._live(),
        }

    def _begin(self, *, siblings):
        token = self.client.code_flow(self.user).json()["refresh_token"]
        return token, [self._refresh(token)[1]["refresh_token"] for _ in range(siblings)]

    def _refresh(self, token):
        answer = self.client.token("refresh_token", refresh_token=token)
        return answer.status_code, answer.json()

    def _at_once(self, *tokens):
        from django.db import connection

        from .meeting_validator import MeetingValidator

        def refresh(token):
            try:
                return self._refresh(token)
            finally:
                connection.close()

        with MeetingValidator.expected(len(tokens)), ThreadPoolExecutor(len(tokens)) as pool:
            return list(pool.map(refresh, tokens))

    def _live(self):
        return self.rows.filter(revoked=None).count()


def main():
    django.setup()
    from django.conf import settings
    from django.test import override_settings

    refreshes, results = Refreshes(), {}
    with_period = ("same", "siblings", "retries_and_siblings", "retry_and_first_use")
    for period, scenarios in ((0, ("same",)), (GRACE_PERIOD, with_period)):
        toolkit = {
            **settings.OAUTH2_PROVIDER,
            "OAUTH2_VALIDATOR_CLASS": "tests.processes.meeting_validator.MeetingValidator",
            "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": period,
            "ALWAYS_RELOAD_OAUTHLIB_CORE": True,
        }
        with override_settings(OAUTH2_PROVIDER=toolkit):
            for scenario in scenarios:
                results[f"{scenario} {period}"] = [refreshes.outcome(scenario) for _ in range(ROUNDS)]
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
