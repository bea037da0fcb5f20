"""Users log in and refresh in threads while expired tokens are purged again and again; writes the outcome as JSON."""

from __future__ import annotations

import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial

import django

USERS = 3
LOGINS = 4
REFRESHES = 3


class Users:
    """A client, and users who log in, refresh, and come back when everything but their refresh token has expired."""

    def __init__(self):
        from tests.conftest import create_client

        self.application = create_client(skip_authorization=True).application

    def log_in_and_refresh(self, name):
        from django.contrib.auth import get_user_model
        from django.db import connection

        from tests.conftest import OAuthClient

        client, statuses = OAuthClient(self.application), []
        user = get_user_model().objects.create_user(name)

        def until_it_is_no_deadlock(request):
            """On MariaDB, a request may be the victim of a deadlock; it has changed nothing and can be repeated."""
            while True:
                answer = request()
                statuses.append(answer.status_code)
                if answer.status_code != 503:
                    return answer

        try:
            for _ in range(LOGINS):
                refresh_token = until_it_is_no_deadlock(lambda: client.code_flow(user)).json()["refresh_token"]
                for _ in range(REFRESHES):
                    self._let_time_pass(user)
                    refresh = partial(client.token, "refresh_token", refresh_token=refresh_token)
                    refresh_token = until_it_is_no_deadlock(refresh).json()["refresh_token"]
        finally:
            connection.close()
        return statuses

    def _let_time_pass(self, user):
        from django.utils import timezone
        from oauth2_provider.models import get_access_token_model

        from django_at_jwt.models import Authorization, IssuedToken

        past = timezone.now() - timedelta(hours=2)
        own = Authorization.objects.filter(user_key=str(user.pk))
        own.update(expires_at=past, tokens_expire_at=past, first_token_expires_at=past)
        IssuedToken.objects.filter(authorization__in=list(own.values_list("identifier", flat=True))).update(
            expires_at=past
        )
        get_access_token_model().objects.filter(user=user).update(expires=past)


def main():
    django.setup()
    from django.core.management import call_command
    from oauth2_provider.models import get_refresh_token_model

    from django_at_jwt.models import Authorization, IssuedToken

    users, purges = Users(), 0
    with ThreadPoolExecutor(USERS) as pool:
        under_way = [pool.submit(users.log_in_and_refresh, f"user {number}") for number in range(USERS)]
        while wait(under_way, timeout=0).not_done:
            call_command("purge_tokens", stdout=io.StringIO(), stderr=io.StringIO())
            purges += 1
    live = set(get_refresh_token_model().objects.filter(revoked=None).values_list("token_family", flat=True))
    kept = set(Authorization.objects.values_list("family", flat=True))
    outcome = {
        "statuses": sorted({status for each in under_way for status in each.result()}),
        "purges": purges,
        "live": len(live),
        "lost": len(live - kept),
        "links": IssuedToken.objects.count(),
    }
    sys.stdout.write(json.dumps(outcome))


if __name__ == "__main__":
    main()
