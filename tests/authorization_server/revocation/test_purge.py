"""Deleting authorizations that can no longer be used, and what is stored about expired tokens."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError
from django.db import OperationalError, router
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from django_at_jwt.authorization_server.revocation import purge
from django_at_jwt.models import Authorization, DenyListEntry, IssuedToken
from tests import commands
from tests.conftest import captured_statements, decoded
from tests.links import forget_links

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

NOTHING = "Deleted 0 authorizations, 0 issued tokens, 0 deny list entries and 0 unused clients.\n"


def run(command="purge_authorizations", *arguments, **options):
    return commands.run(command, *arguments, **options)


def long_ago():
    return timezone.now() - timedelta(hours=1)


def expire(**columns):
    Authorization.objects.update(expires_at=long_ago(), tokens_expire_at=long_ago(), **columns)


@pytest.fixture
def meanwhile(monkeypatch):
    """Return a function that has something done between reading the keys of expired rows and deleting the rows."""

    def arrange(model, do):
        read = purge.rows_in_batches

        def read_and_do(rows, *, size):
            for batch in read(rows, size=size):
                if rows.model is model:
                    do()
                yield batch

        monkeypatch.setattr(purge, "rows_in_batches", read_and_do)

    return arrange


def test_what_is_in_use_stays(web, user):
    web.code_flow(user)
    web.authorize(user)
    assert run() == NOTHING
    expire()
    # The code is expired; the family has a live refresh token.
    assert run("purge_authorizations", "--dry-run").startswith("Would delete 1 authorization, ")
    assert run().startswith("Deleted 1 authorization, ")
    assert Authorization.objects.get().family is not None
    assert run() == NOTHING


def test_authorization_stays_until_its_last_token_has_expired(web, user):
    web.code_flow(user)
    get_refresh_token_model().objects.get().revoke()
    Authorization.objects.update(expires_at=long_ago())
    run()
    assert Authorization.objects.exists()
    Authorization.objects.update(tokens_expire_at=long_ago())
    run()
    assert not Authorization.objects.exists()


def test_front_channel_token_keeps_it_after_the_code_has_expired(make_client, user):
    make_client("implicit").authorize(user, response_type="token")
    row = Authorization.objects.get()
    assert row.expires_at == row.tokens_expire_at > timezone.now()
    run()
    assert Authorization.objects.exists()
    expire()
    run()
    assert not Authorization.objects.exists()


def test_what_is_stored_about_expired_tokens_goes(web, user):
    answer = web.code_flow(user).json()
    web.token("refresh_token", refresh_token=answer["refresh_token"])
    assert (IssuedToken.objects.count(), DenyListEntry.objects.count()) == (1, 1)
    # An API with the greatest leeway accepts the token for ten minutes more.
    IssuedToken.objects.update(expires_at=timezone.now() - timedelta(minutes=9))
    run()
    assert (IssuedToken.objects.count(), DenyListEntry.objects.count()) == (1, 1)
    for model in (IssuedToken, DenyListEntry):
        model.objects.update(expires_at=long_ago())
    counts = "0 authorizations, 1 issued token, 1 deny list entry and 0 unused clients.\n"
    assert run("purge_authorizations", "--dry-run") == f"Would delete {counts}"
    assert run() == f"Deleted {counts}"
    assert (IssuedToken.objects.count(), DenyListEntry.objects.count()) == (0, 0)


def test_refresh_of_a_token_without_a_link(web, user, oauth2_provider):
    oauth2_provider(ROTATE_REFRESH_TOKEN=False)
    answer = web.code_flow(user).json()
    forget_links()
    refreshed = web.token("refresh_token", refresh_token=answer["refresh_token"]).json()
    assert IssuedToken.objects.get().token_id == decoded(refreshed["access_token"])[1]["jti"]


def test_nothing_to_delete_takes_four_statements_however_much_is_kept(web, user, monkeypatch):
    monkeypatch.setattr(purge, "_BATCH", 2)
    if router.db_for_write(Authorization) != router.db_for_write(get_refresh_token_model()):
        pytest.skip("the refresh tokens are in another database")
    for _ in range(5):
        web.code_flow(user)
    expire()
    with captured_statements() as statements:
        assert run() == NOTHING
    assert len(statements) == 4


def test_in_batches_with_progress(web, user, monkeypatch):
    monkeypatch.setattr(purge, "_BATCH", 2)
    for _ in range(5):
        web.authorize(user)
    answer = web.code_flow(user)
    expire()
    said = run("purge_authorizations", verbosity=2).splitlines()
    assert said[:3] == [f"Deleted so far: {number} authorizations." for number in (2, 4, 5)]
    assert said[-1].startswith("Deleted 5 authorizations, ")
    assert web.token("refresh_token", refresh_token=answer.json()["refresh_token"]).status_code == 200


def test_authorization_that_gets_a_token_meanwhile_stays(web, user, meanwhile):
    code = web.authorize(user)["code"]
    Authorization.objects.update(expires_at=long_ago())
    answers = []
    meanwhile(Authorization, lambda: answers.append(web.exchange(code)))
    assert run() == NOTHING
    assert answers[0].status_code == 200
    refreshed = web.token("refresh_token", refresh_token=answers[0].json()["refresh_token"])
    assert refreshed.status_code == 200
    assert Authorization.objects.get().family is not None


def test_link_that_is_handed_on_meanwhile_stays(web, user, oauth2_provider, meanwhile):
    oauth2_provider(ROTATE_REFRESH_TOKEN=False)
    answer = web.code_flow(user).json()
    answer = web.token("refresh_token", refresh_token=answer["refresh_token"]).json()
    IssuedToken.objects.update(expires_at=long_ago())
    refreshed = []
    meanwhile(
        IssuedToken,
        lambda: refreshed.append(web.token("refresh_token", refresh_token=answer["refresh_token"]).json()),
    )
    assert run() == NOTHING
    assert IssuedToken.objects.get().token_id == decoded(refreshed[0]["access_token"])[1]["jti"]


def test_database_that_is_down(monkeypatch):
    def fail(**_):
        raise OperationalError("no such table")

    monkeypatch.setattr("django_at_jwt.management.commands.purge_authorizations.purge_authorizations", fail)
    with pytest.raises(CommandError, match=r"The clean-up stopped: no such table\."):
        run()


class TestWithTheToolkitsTokens:
    def test_everything_that_has_expired_goes(self, web, user, oauth2_provider):
        oauth2_provider(REFRESH_TOKEN_EXPIRE_SECONDS=1)
        answer = web.code_flow(user).json()
        web.token("refresh_token", refresh_token=answer["refresh_token"])
        get_access_token_model().objects.update(expires=timezone.now() - timedelta(days=9))
        IssuedToken.objects.update(expires_at=long_ago())
        expire()
        said = "Deleted 1 authorization, 1 issued token, 0 deny list entries and 0 unused clients.\n"
        assert run("purge_tokens") == said
        for model in (Authorization, IssuedToken, get_access_token_model(), get_refresh_token_model()):
            assert not model.objects.exists()

    def test_what_is_in_use_stays(self, web, user):
        answer = web.code_flow(user).json()
        expire()
        get_access_token_model().objects.update(expires=long_ago())
        assert "Running cleartokens." in run("purge_tokens", verbosity=2, stderr=StringIO())
        assert web.token("refresh_token", refresh_token=answer["refresh_token"]).status_code == 200

    def test_warns_as_cleartokens_that_refresh_tokens_never_expire(self, db):
        warned = StringIO()
        run("purge_tokens", stderr=warned)
        assert "REFRESH_TOKEN_EXPIRE_SECONDS is not set" in warned.getvalue()

    def test_dry_run_deletes_nothing(self, web, user):
        web.code_flow(user)
        get_refresh_token_model().objects.get().revoke()
        expire()
        said = run("purge_tokens", "--dry-run")
        assert said.startswith("cleartokens has no dry run: expired tokens and codes are not counted, nor ")
        assert "\nWould delete 1 authorization, " in said
        assert get_refresh_token_model().objects.exists()

    def test_dry_run_names_what_it_cannot_count(self, web, user, oauth2_provider):
        """The refresh token has expired but was not revoked: only ``cleartokens`` finds that out."""
        oauth2_provider(REFRESH_TOKEN_EXPIRE_SECONDS=60)
        web.code_flow(user)
        expire()
        get_access_token_model().objects.update(expires=long_ago())
        said = run("purge_tokens", "--dry-run")
        assert "authorizations whose refresh tokens it would delete.\nWould delete 0 authorizations, " in said
        assert run("purge_tokens").startswith("Deleted 1 authorization, ")

    @pytest.mark.parametrize("failures", [2, 3])
    def test_a_deadlock_is_tried_again_twice(self, failures, monkeypatch):
        left = [OperationalError(1213, "Deadlock found")] * failures

        def clear_expired():
            if left:
                raise left.pop()

        monkeypatch.setattr("oauth2_provider.management.commands.cleartokens.clear_expired", clear_expired)
        if failures == 2:
            assert run("purge_tokens", stderr=StringIO()) == NOTHING
        else:
            with pytest.raises(CommandError, match=r"The clean-up stopped: .*Deadlock found"):
                run("purge_tokens", stderr=StringIO())

    def test_wrong_settings_of_the_toolkit(self, oauth2_provider):
        oauth2_provider(REFRESH_TOKEN_GRACE_PERIOD_SECONDS=-1)
        with pytest.raises(CommandError, match=r"^REFRESH_TOKEN_GRACE_PERIOD_SECONDS must not be negative$"):
            run("purge_tokens")


def test_authorizations_without_a_family_are_not_those_of_other_families(web, user):
    """``NULL`` equals nothing: a live refresh token without a family keeps no authorization."""
    web.code_flow(user)
    get_refresh_token_model().objects.update(token_family=None)
    expire(family=None)
    assert run().startswith("Deleted 1 authorization, ")
    web.code_flow(user)
    expire(family=uuid4())
    assert run().startswith("Deleted 1 authorization, ")
