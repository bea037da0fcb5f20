"""Many threads see the same subjects for the first time at the same moment; writes what came of it as JSON."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import django

from tests.patience import PATIENCE_SECONDS

THREADS = 12
SUBJECTS = ("first", "second")


def fill(user, claims):
    user.username = "ann"


def main():
    django.setup()
    from django.contrib.auth import get_user_model
    from django.db import connection

    from django_at_jwt.core.profile import parse_claims
    from django_at_jwt.core.subjects import UserMode
    from django_at_jwt.models import IssuerSubject
    from django_at_jwt.resource_server.users import resolution as subjects
    from django_at_jwt.resource_server.users.lookup import UserOptions

    options = UserOptions(mode=UserMode.CREATED, fill=f"{__spec__.name}.fill")
    subjects.user_options = lambda _issuer: options
    get_user_model().objects.create_user("ann")
    ready = threading.Barrier(THREADS)

    def see(number):
        subject = SUBJECTS[number % len(SUBJECTS)]
        raw = {"iss": "https://a", "sub": subject, "aud": "x", "client_id": "c", "iat": 1, "exp": 2, "jti": "j"}
        claims = parse_claims(raw)
        try:
            connection.ensure_connection()
            ready.wait(PATIENCE_SECONDS)
            return subject, subjects.principal_for(claims, "").pk
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        seen = sorted(set(pool.map(see, range(THREADS))))
    names = sorted(get_user_model().objects.values_list("username", flat=True))
    sys.stdout.write(json.dumps({"seen": seen, "names": names, "rows": IssuerSubject.objects.count()}))


if __name__ == "__main__":
    main()
