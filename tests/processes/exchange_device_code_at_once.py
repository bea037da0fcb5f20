"""Two exchanges of one device code, each validated before any is stored; writes what came of it as JSON."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import django

ROUNDS = 3


class Exchanges:
    """A device, a user, and what comes of two exchanges at the same moment."""

    def __init__(self):
        from django.contrib.auth import get_user_model

        from tests.conftest import DEVICE_CODE_GRANT, create_client

        self.user = get_user_model().objects.create_user("alice")
        self.device, self.grant = create_client(DEVICE_CODE_GRANT, client_type="public"), DEVICE_CODE_GRANT

    def outcome(self, *, is_from_before_this_app):
        from django.db import connection
        from oauth2_provider.models import get_access_token_model, get_device_grant_model, get_refresh_token_model

        from django_at_jwt.models import Authorization

        from .meeting_validator import MeetingValidator

        stored = (Authorization, get_access_token_model(), get_refresh_token_model())
        for model in stored:
            model.objects.all().delete()
        code = self.device.post("/o/device-authorization/", {"scope": "read"}).json()["device_code"]
        device_codes = get_device_grant_model()
        device_codes.objects.filter(device_code=code).update(status=device_codes.AUTHORIZED, user=self.user)
        if is_from_before_this_app:
            Authorization.objects.all().delete()

        def exchange(_=None):
            try:
                answer = self.device.token(self.grant, device_code=code)
                return answer.status_code, answer.json().get("error")
            finally:
                connection.close()

        with MeetingValidator.expected(2), ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(exchange, range(2)))
        return {"answers": sorted(answers), "later": exchange(), "rows": [model.objects.count() for model in stored]}


def main():
    django.setup()
    from django.conf import settings
    from django.db import connections
    from django.test import override_settings

    exchanges, results = Exchanges(), []
    toolkit = {
        **settings.OAUTH2_PROVIDER,
        "OAUTH2_VALIDATOR_CLASS": "tests.processes.meeting_validator.MeetingValidator",
        "ALWAYS_RELOAD_OAUTHLIB_CORE": True,
    }
    with override_settings(OAUTH2_PROVIDER=toolkit):
        for is_atomic in (False, True):
            connections.settings["default"]["ATOMIC_REQUESTS"] = is_atomic
            for is_from_before_this_app in (False, True):
                results += [exchanges.outcome(is_from_before_this_app=is_from_before_this_app) for _ in range(ROUNDS)]
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
