"""The live tokens of a key: first tokens, whose link is part of their authorization, and those with a link."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from django_at_jwt.authorization_server.keys import affected_tokens
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.models import Authorization, IssuedToken, SigningKey
from tests.conftest import captured_statements, decoded

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]


@pytest.fixture
def key():
    return next(each for each in SigningKey.objects.all() if each.state_at(timezone.now()) is KeyState.SIGNING)


@pytest.fixture
def refreshed(web, user):
    """Return a function that stores a live token that came of a refresh."""

    def refresh():
        first = web.code_flow(user).json()
        return web.token("refresh_token", refresh_token=first["refresh_token"]).json()

    return refresh


def affected(key, **options):
    return affected_tokens.affected_tokens(key.times, timezone.now(), **options)


def counts(key, **options):
    found = affected(key, **options)
    return found.tokens, found.clients, found.users


def test_first_tokens_are_counted(key, web, user):
    for number in (1, 2):
        web.code_flow(user)
        assert counts(key) == (number, ((web.application.name, number),), 1)
    assert not IssuedToken.objects.exists()


def test_tokens_of_both_kinds_are_counted_once(key, web, user, refreshed, service):
    web.code_flow(user)
    refreshed()
    for _ in range(3):
        service.token("client_credentials")
    assert counts(key) == (5, ((service.application.name, 3), (web.application.name, 2)), 1)


@pytest.mark.parametrize("rotates", [True, False], ids=["rotation", "no rotation"])
def test_first_token_that_was_replaced_is_not_counted(rotates, key, refreshed, settings):
    """Without rotation, the refresh overwrites its row."""
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": rotates}
    refreshed()
    assert IssuedToken.objects.count() == 1
    assert Authorization.objects.get().first_token_id != IssuedToken.objects.get().token_id
    assert counts(key)[0] == 1


def test_first_tokens_are_read_in_batches_if_checksums_cannot_be_compared(key, web, user, monkeypatch):
    """As with MariaDB or MySQL."""
    monkeypatch.setattr(affected_tokens, "values_for", lambda _model, values: list(values))
    monkeypatch.setattr("django_at_jwt.authorization_server.revocation.rows.BATCH", 2)
    for _ in range(5):
        web.code_flow(user)
    assert counts(key) == (5, ((web.application.name, 5),), 1)


@pytest.mark.parametrize("change", [{"first_token_kid": "another"}, {"first_token_expires_at": timezone.now()}])
def test_first_tokens_of_other_keys_and_expired_ones_are_not_counted(change, key, web, user):
    web.code_flow(user)
    Authorization.objects.update(**change)
    assert counts(key) == (0, (), 0)
    assert affected_tokens.count_in_indexes(key.times, timezone.now()) == (0, None)


def test_many_tokens_of_both_kinds_are_only_counted_in_indexes(
    key, web, user, refreshed, service, admin_client, monkeypatch
):
    web.code_flow(user)
    # Its first token has no row any more, but it has not expired.
    refreshed()
    service.token("client_credentials")
    monkeypatch.setattr(affected_tokens, "COUNTED_AT_ONCE", 3)
    with captured_statements() as statements:
        found = affected(key, exact=False)
    assert (found.is_exact, found.tokens, found.clients, found.users) == (False, 4, (), 0)
    assert not [each for each in statements if get_access_token_model()._meta.db_table in each]
    monkeypatch.setattr(affected_tokens, "COUNTED_AT_ONCE", 4)
    assert (affected(key, exact=False).is_exact, counts(key, exact=False)[0]) == (True, 3)
    page = admin_client.get("/admin/django_at_jwt/signingkey/").content.decode()
    assert '<td class="field-live_tokens">4</td>' in page


def test_last_of_both_kinds_to_expire(key, web, user, service):
    first = decoded(web.code_flow(user).json()["access_token"])[1]["exp"]
    later = timezone.now() + timedelta(days=1)
    assert affected(key).last_expires_at.timestamp() == first
    assert affected(key, last_token_expires_at=later).last_expires_at == later
    service.token("client_credentials")
    IssuedToken.objects.update(expires_at=later)
    assert affected(key).last_expires_at == later
