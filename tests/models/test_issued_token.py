"""The links between rows of access tokens and the tokens."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import IntegrityError, router, transaction
from django.utils.timezone import now

from django_at_jwt.models import IssuedToken
from tests.conftest import captured_statements

pytestmark = pytest.mark.django_db(databases="__all__")

LINKS = {
    "of a user": {
        "access_token": "7",
        "token_id": f"{'a' * 32}.{'b' * 32}.1",
        "authorization": "a" * 32,
        "kid": "k" * 43,
        "has_refresh_token": True,
        "expires_at": datetime(2026, 1, 1, 12, 30, 59, 123456, tzinfo=UTC),
    },
    "of a client": {"access_token": "f" * 64, "token_id": f".{'b' * 32}.1", "kid": "", "expires_at": now()},
    "from before the column of the key": {
        "access_token": "%s",
        "token_id": "' OR 1=1 --",
        "kid": None,
        "expires_at": datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    },
}


@pytest.mark.parametrize("values", LINKS.values(), ids=LINKS)
def test_insert_stores_what_save_would(values):
    IssuedToken(**values).insert()
    inserted = IssuedToken.objects.get()
    inserted.delete()
    IssuedToken(**values).save()
    saved = IssuedToken.objects.get()
    for field in IssuedToken._meta.concrete_fields:
        assert field.primary_key or getattr(inserted, field.attname) == getattr(saved, field.attname)


def test_insert_takes_one_statement():
    with captured_statements() as statements:
        IssuedToken(**LINKS["of a user"]).insert()
    assert len(statements) == 1


def test_two_links_of_one_row_are_an_error():
    IssuedToken(**LINKS["of a user"]).insert()
    with pytest.raises(IntegrityError), transaction.atomic(using=router.db_for_write(IssuedToken)):
        IssuedToken(**LINKS["of a user"]).insert()
    assert IssuedToken.objects.count() == 1
