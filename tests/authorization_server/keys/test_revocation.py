"""After a revocation: affected tokens, refresh tokens, and reports of partial failures."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, router
from django.db.models import IntegerField
from django.utils import timezone
from oauth2_provider.models import AbstractRefreshToken, get_access_token_model, get_refresh_token_model

from django_at_jwt.authorization_server.keys import revocation
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.revocation.rows import interleaved_batches
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.core.quotation import format_instant
from django_at_jwt.models import Authorization, DenyListEntry, IssuedToken, SigningKey, SigningKeyEvent
from django_at_jwt.models.authorization import EndReason
from django_at_jwt.models.change_times import last_change
from django_at_jwt.revocation import revoke_user
from tests.authorization_server.revocation.grants import revoking_statements
from tests.commands import run
from tests.conftest import decoded
from tests.links import expire_links

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly")]

LIST = "/admin/django_at_jwt/signingkey/"
OPAQUE, OTHER = "https://opaque.example.com/", "https://other.example.com/"


def revoke(kid, *options) -> str:
    return run("revoke_signing_key", kid, "--reason", "x", *options)


def document(kid, *options) -> dict:
    return json.loads(revoke(kid, "--json", *options))


def in_state(state, algorithm="ES256"):
    keys = SigningKey.objects.filter(algorithm=algorithm)
    return next(key for key in keys if key.state_at(timezone.now()) is state)


def expire_access_tokens():
    """Expire all access tokens, as if an hour had passed without a refresh."""
    long_ago = timezone.now() - timedelta(hours=2)
    model = get_access_token_model()
    model.objects.update(**{last_change(model): long_ago}, expires=long_ago + timedelta(hours=1))
    expire_links(long_ago + timedelta(hours=1))


@pytest.fixture
def configure(settings):
    def set_them(*, toolkit=(), **options):
        settings.AT_JWT = {**settings.AT_JWT, **options}
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **dict(toolkit)}
        key_store.forget()

    return set_them


@pytest.fixture
def leaked(signing_keys):
    return in_state(KeyState.SIGNING)


@pytest.fixture
def uncountable(monkeypatch):
    def fail(*_arguments, **_options):
        raise OperationalError("canceling statement due to\nstatement timeout")

    monkeypatch.setattr(revocation, "affected_tokens", fail)


@pytest.fixture
def unrevokable(monkeypatch):
    """Make ``revoke()`` fail for the first refresh token."""
    model = get_refresh_token_model()
    proper = model.revoke

    def fail(token):
        if token.pk == model.objects.order_by("pk").first().pk:
            raise RuntimeError("a site's own revoke()")
        proper(token)

    monkeypatch.setattr(model, "revoke", fail)
    return monkeypatch


class TestWhenAPartFails:
    def test_the_command_says_that_the_key_is_revoked(self, leaked, uncountable, capsys):
        with pytest.raises(CommandError) as failed:
            call_command("revoke_signing_key", leaked.kid, "--reason", "x")
        said = capsys.readouterr().out
        assert f"Revoked signing key {leaked.kid}." in said
        assert f'"REVOKED_KIDS": ["{leaked.kid}"]' in said
        assert "is revoked, but" in str(failed.value)
        assert "statement timeout" in str(failed.value)
        assert "not revoked" not in str(failed.value)
        assert "\n" not in str(failed.value)
        leaked.refresh_from_db()
        assert leaked.revoked_at is not None

    def test_the_json_says_so_too(self, leaked, uncountable, capsys):
        with pytest.raises(CommandError):
            call_command("revoke_signing_key", leaked.kid, "--reason", "x", "--json")
        said = json.loads(capsys.readouterr().out)
        assert said["settings"] == {"REVOKED_KIDS": [leaked.kid]}
        assert said["live_tokens"] is None
        assert "statement timeout" in said["problems"][0]

    def test_the_admin_and_its_history_say_so_too(self, leaked, uncountable, admin_client):
        assert "statement timeout" in admin_client.get(f"{LIST}{leaked.pk}/revoke/").content.decode()
        page = admin_client.post(f"{LIST}{leaked.pk}/revoke/", {"reason": "x"}, follow=True).content.decode()
        assert "The key was revoked." in page
        assert "statement timeout" in page
        assert f"manage.py revoke_signing_key --reason … --revoke-refresh-tokens --dry-run -- {leaked.kid}" in page
        assert LogEntry.objects.filter(object_id=str(leaked.pk)).get().change_message == "Revoked: x"

    def test_refresh_token_that_cannot_be_revoked_does_not_stop_the_others(self, leaked, web, user, unrevokable):
        web.code_flow(user)
        web.code_flow(user)
        with pytest.raises(CommandError, match="1 refresh token could not be revoked"):
            revoke(leaked.kid, "--revoke-refresh-tokens")
        assert get_refresh_token_model().objects.filter(revoked=None).count() == 1

    @pytest.mark.parametrize(
        ("chosen", "options"), [("of its tokens", "--revoke-refresh-tokens"), ("all", "--revoke-all-refresh-tokens")]
    )
    def test_the_admin_leaves_a_site_with_its_own_revoke_to_the_command(
        self, chosen, options, leaked, web, user, unrevokable, admin_client
    ):
        web.code_flow(user)
        data = {"reason": "x", "refresh_tokens": chosen}
        page = admin_client.post(f"{LIST}{leaked.pk}/revoke/", data, follow=True).content.decode()
        assert "The key was revoked." in page
        assert f"Run: manage.py revoke_signing_key --reason … {options} -- {leaked.kid}</li>" in page
        assert get_refresh_token_model().objects.filter(revoked=None).exists()
        assert LogEntry.objects.filter(object_id=str(leaked.pk)).get().change_message == "Revoked: x"

    @pytest.mark.parametrize(
        ("chosen", "options"),
        [
            ("none", "--revoke-refresh-tokens --dry-run"),
            ("of its tokens", "--revoke-refresh-tokens"),
            ("all", "--revoke-all-refresh-tokens"),
        ],
    )
    def test_the_admin_shows_the_command_to_retry(self, chosen, options, leaked, uncountable, admin_client):
        data = {"reason": "x", "refresh_tokens": chosen}
        page = admin_client.post(f"{LIST}{leaked.pk}/revoke/", data, follow=True).content.decode()
        assert f"manage.py revoke_signing_key --reason … {options} -- {leaked.kid}</li>" in page

    def test_a_retry_revokes_the_remaining_tokens(self, leaked, web, user, unrevokable):
        web.code_flow(user)
        web.code_flow(user)
        with pytest.raises(CommandError, match="1 refresh token could not be revoked"):
            revoke(leaked.kid, "--revoke-refresh-tokens")
        unrevokable.undo()
        assert "Refresh tokens revoked: 1." in revoke(leaked.kid, "--revoke-refresh-tokens")
        assert not get_refresh_token_model().objects.filter(revoked=None).exists()

    def test_only_the_first_failure_is_logged(self, leaked, web, user, monkeypatch, caplog):
        def fail(_token):
            raise RuntimeError("a site's own revoke()")

        monkeypatch.setattr(get_refresh_token_model(), "revoke", fail)
        for _ in range(3):
            web.code_flow(user)
        with pytest.raises(CommandError, match="3 refresh tokens could not be revoked"):
            revoke(leaked.kid, "--revoke-refresh-tokens")
        assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [RuntimeError]

    def test_refresh_tokens_that_cannot_be_read(self, leaked, monkeypatch):
        def fail(*_arguments, **_options):
            raise OperationalError

        monkeypatch.setattr(revocation, "revoke_refresh_tokens_of_key", fail)
        with pytest.raises(CommandError, match="is revoked, but: The refresh tokens could not be revoked: Operational"):
            revoke(leaked.kid, "--revoke-refresh-tokens")


class TestWhenTheNextKeyCannotBeMade:
    @pytest.fixture(autouse=True)
    def nothing_encrypts(self, keys_made_quickly, leaked, configure):
        configure(KEY_ENCRYPTION_KEYS=["too short"])

    def test_the_key_is_revoked_and_the_announced_one_takes_over(self, leaked, capsys):
        announced = in_state(KeyState.ANNOUNCED)
        with pytest.raises(CommandError, match=r"is revoked, but: The next key could not be made: .*KEY_ENCRYPTION"):
            run("revoke_signing_key", leaked.kid, "--reason", "x")
        assert in_state(KeyState.REVOKED).kid == leaked.kid
        assert SigningKey.objects.get(kid=leaked.kid).private_jwe == ""
        assert in_state(KeyState.SIGNING).kid == announced.kid
        assert set(key_store.current().public_keys) == {announced.kid}

    def test_a_later_rotation_makes_the_key(self, leaked, configure):
        with pytest.raises(CommandError):
            revoke(leaked.kid)
        configure(KEY_ENCRYPTION_KEYS=[])
        run("rotate_signing_keys")
        assert in_state(KeyState.ANNOUNCED)

    def test_the_admin_says_so_too(self, leaked, admin_client):
        form = {"reason": "x", "refresh_tokens": "none"}
        page = admin_client.post(f"{LIST}{leaked.pk}/revoke/", form, follow=True).content.decode()
        assert "The key was revoked." in page
        assert "The next key could not be made" in page


class TestRefreshTokensAfterwards:
    def test_of_a_key_that_is_already_revoked(self, leaked, web, user):
        web.code_flow(user)
        revoke(leaked.kid)
        before = list(SigningKey.objects.values())
        said = revoke(leaked.kid, "--revoke-refresh-tokens")
        assert f"Signing key {leaked.kid} was already revoked at " in said
        assert f'"REVOKED_KIDS": ["{leaked.kid}"]' in said
        assert "Refresh tokens revoked: 1." in said
        assert list(SigningKey.objects.values()) == before
        assert document(leaked.kid, "--revoke-refresh-tokens")["already_revoked"] is True
        with pytest.raises(CommandError, match="already"):
            revoke(leaked.kid)

    def test_without_a_live_access_token_are_revoked_with_all(self, leaked, web, user):
        answer = web.code_flow(user).json()
        expire_access_tokens()
        assert "Refresh tokens revoked: 0." in revoke(leaked.kid, "--revoke-refresh-tokens")
        assert "Refresh tokens to be revoked: 1." in revoke(leaked.kid, "--revoke-all-refresh-tokens", "--dry-run")
        assert "Refresh tokens revoked: 1." in revoke(leaked.kid, "--revoke-all-refresh-tokens")
        refreshed = web.token("refresh_token", refresh_token=answer["refresh_token"])
        assert refreshed.json()["error"] == "invalid_grant"

    def test_all_in_the_admin(self, leaked, web, user, admin_client):
        web.code_flow(user)
        expire_access_tokens()
        data = {"reason": "x", "refresh_tokens": "all"}
        page = admin_client.post(f"{LIST}{leaked.pk}/revoke/", data, follow=True).content.decode()
        assert "Refresh tokens revoked: 1." in page
        event = SigningKeyEvent.objects.get(kid=leaked.kid, action="refresh_tokens_revoked")
        assert (event.description, event.actor, event.reason) == ("All refresh tokens were revoked: 1.", "admin", "x")

    @pytest.mark.parametrize("option", ["--revoke-refresh-tokens", "--revoke-all-refresh-tokens"])
    @pytest.mark.parametrize("as_lists", [False, True], ids=["subqueries", "lists"])
    def test_more_than_one_batch(self, as_lists, option, leaked, web, user, monkeypatch):
        monkeypatch.setattr("django_at_jwt.authorization_server.keys.revocation._BATCH", 2)
        if as_lists:
            # As with MariaDB or MySQL.
            monkeypatch.setattr(revocation, "values_for", lambda _model, values: list(values))
        answers = [web.code_flow(user).json() for _ in range(6)]
        for answer in answers[:3]:
            web.token("refresh_token", refresh_token=answer["refresh_token"])
        # Those of the tokens that a refresh replaced.
        denied = set(DenyListEntry.objects.values_list("value", flat=True))
        assert "Refresh tokens to be revoked: 6." in revoke(leaked.kid, option, "--dry-run")
        assert "Refresh tokens revoked: 6." in revoke(leaked.kid, option)
        assert not get_refresh_token_model().objects.filter(revoked=None).exists()
        assert {row.end_reason for row in Authorization.objects.all()} == {EndReason.KEY_REVOKED}
        assert not get_access_token_model().objects.filter(expires__gt=timezone.now()).exists()
        assert set(DenyListEntry.objects.values_list("value", flat=True)) == denied

    def test_of_first_tokens_of_other_keys_are_not_revoked(self, leaked, web, user):
        answer = web.code_flow(user).json()
        Authorization.objects.update(first_token_kid="another")
        assert "Refresh tokens to be revoked: 0." in revoke(leaked.kid, "--revoke-refresh-tokens", "--dry-run")
        assert "Refresh tokens revoked: 0." in revoke(leaked.kid, "--revoke-refresh-tokens")
        assert web.token("refresh_token", refresh_token=answer["refresh_token"]).status_code == 200

    def test_first_token_of_another_key_is_denied_with_all(self, leaked, web, user):
        first, _of_key = (web.code_flow(user).json()["access_token"] for _ in range(2))
        jti = decoded(first)[1]["jti"]
        Authorization.objects.filter(first_token_id=jti).update(first_token_kid="another")
        assert "Refresh tokens revoked: 2." in revoke(leaked.kid, "--revoke-all-refresh-tokens")
        assert [row.value for row in DenyListEntry.objects.all()] == [jti]
        assert not get_access_token_model().objects.filter(expires__gt=timezone.now()).exists()

    @pytest.mark.parametrize("option", ["--revoke-refresh-tokens", "--revoke-all-refresh-tokens"])
    @pytest.mark.parametrize("is_first", [True, False], ids=["the first", "a later one"])
    def test_tokens_of_other_keys_end_with_their_authorization(self, is_first, option, leaked, web, user, settings):
        def refresh(answer, resource):
            return web.token("refresh_token", refresh_token=answer["refresh_token"], resource=resource).json()

        both = [settings.API, settings.REPORTS]
        answer = web.code_flow(user, resource=both, exchange={"resource": settings.REPORTS}).json()
        # As if it were of the key before.
        if is_first:
            Authorization.objects.update(first_token_kid="another")
        else:
            answer = refresh(answer, settings.REPORTS)
            IssuedToken.objects.update(kid="another")
            DenyListEntry.objects.all().delete()
        refresh(answer, settings.API)
        assert "Refresh tokens revoked: 1." in revoke(leaked.kid, option)
        assert [row.value for row in DenyListEntry.objects.all()] == [decoded(answer["access_token"])[1]["jti"]]
        assert not get_access_token_model().objects.filter(expires__gt=timezone.now()).exists()

    def test_all_batches_are_spread_over_their_range(self, web, user, monkeypatch):
        monkeypatch.setattr("django_at_jwt.authorization_server.revocation.rows._INTERLEAVED", 3)
        rows = get_user_model().objects.order_by("pk")
        others = [get_user_model().objects.create(username=f"user {number}").pk for number in range(7)]
        keys = sorted([user.pk, *others])
        batches = [[row.pk for row in rows.filter(each)] for each in interleaved_batches(rows, size=2)]
        assert [len(batch) for batch in batches] == [2, 2, 2, 2]
        assert sorted(key for batch in batches for key in batch) == keys
        assert all(keys.index(max(batch)) - keys.index(min(batch)) == 3 for batch in batches[:3])
        assert list(interleaved_batches(rows.none(), size=2)) == []

    def test_batches_have_each_row_whatever_its_key(self, db):
        if not isinstance(get_user_model()._meta.pk, IntegerField):
            pytest.skip("the keys of these users are not numbers")
        for key in (-1000, -7, -3, -1, 2, 5, 9, 1000):
            get_user_model().objects.create(pk=key, username=f"user {key}")
        rows = get_user_model().objects.order_by("pk")
        batches = [[row.pk for row in rows.filter(each)] for each in interleaved_batches(rows, size=2)]
        assert sorted(key for batch in batches for key in batch) == [row.pk for row in rows]

    @pytest.mark.parametrize("option", ["--revoke-refresh-tokens", "--revoke-all-refresh-tokens"])
    @pytest.mark.skipif(connection.vendor == "mysql", reason="it gets the values of a subquery")
    def test_families_are_not_read(self, option, leaked, web, user):
        if router.db_for_write(Authorization) != router.db_for_write(get_refresh_token_model()):
            pytest.skip("a subquery cannot have another database")
        for _ in range(2):
            web.code_flow(user)
        families = get_refresh_token_model().objects.values_list("token_family", flat=True)
        families = [text for family in families for text in (str(family), family.hex)]
        with revoking_statements() as statements:
            assert "Refresh tokens revoked: 2." in revoke(leaked.kid, option)
        assert not [each for each in statements for family in families if family in each]

    def test_all_includes_one_that_was_replaced_before_its_batch(self, leaked, web, user, monkeypatch):
        answers = [web.code_flow(user).json() for _ in range(3)]

        def refresh_first(*arguments, **options):
            answers[0] = web.token("refresh_token", refresh_token=answers[0]["refresh_token"]).json()
            yield from interleaved_batches(*arguments, **options)

        monkeypatch.setattr(revocation, "interleaved_batches", refresh_first)
        assert "Refresh tokens revoked: 3." in revoke(leaked.kid, "--revoke-all-refresh-tokens")
        for answer in answers:
            refused = web.token("refresh_token", refresh_token=answer["refresh_token"]).json()
            assert refused["error"] == "invalid_grant"
        assert {row.end_reason for row in Authorization.objects.all()} == {EndReason.KEY_REVOKED}

    def test_all_leaves_those_of_later_logins(self, leaked, web, user, monkeypatch):
        web.code_flow(user)
        later = []

        def log_in_later(*arguments, **options):
            yield from interleaved_batches(*arguments, **options)
            later.append(web.code_flow(user).json())

        monkeypatch.setattr(revocation, "interleaved_batches", log_in_later)
        assert "Refresh tokens revoked: 1." in revoke(leaked.kid, "--revoke-all-refresh-tokens")
        assert web.token("refresh_token", refresh_token=later[0]["refresh_token"]).status_code == 200

    def test_number_of_statements_does_not_grow(self, leaked, web, user):
        revoke(leaked.kid)
        numbers = []
        for _ in range(2):
            web.code_flow(user)
            web.code_flow(user)
            with revoking_statements() as statements:
                revoke(leaked.kid, "--revoke-all-refresh-tokens")
            numbers.append(len(statements))
        assert numbers[0] == numbers[1]

    def test_own_revoke_ends_authorizations_without_an_entry(self, leaked, web, user, monkeypatch):
        def own_revoke(token):
            AbstractRefreshToken.revoke(token)

        monkeypatch.setattr(get_refresh_token_model(), "revoke", own_revoke)
        web.code_flow(user)
        assert "Refresh tokens revoked: 1." in revoke(leaked.kid, "--revoke-refresh-tokens")
        assert Authorization.objects.get().end_reason == EndReason.KEY_REVOKED
        assert not DenyListEntry.objects.exists()

    def test_not_both(self, leaked):
        with pytest.raises(CommandError, match="not allowed with"):
            revoke(leaked.kid, "--revoke-refresh-tokens", "--revoke-all-refresh-tokens")


@pytest.fixture(params=[True, False], ids=["hashed", "in clear"])
def storage(request, configure):
    configure(toolkit={"COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": request.param})
    return "hashed" if request.param else "in clear"


class TestAffectedTokens:
    def test_opaque_tokens_are_not_counted(self, leaked, web, user, service, configure, storage):
        configure(RESOURCE_SERVERS={OPAQUE: {"format": "opaque"}})
        refresh_token = web.code_flow(user, resource=OPAQUE).json()["refresh_token"]
        service.token("client_credentials")
        said = document(leaked.kid, "--revoke-refresh-tokens")
        assert (said["live_tokens"], said["users"], said["refresh_tokens_revoked"]) == (1, 0, 0)
        assert web.token("refresh_token", refresh_token=refresh_token, resource=OPAQUE).status_code == 200

    def test_tokens_of_another_algorithm_are_not_counted(self, db, service, configure, storage):
        configure(SIGNING_ALGORITHMS=["ES256", "EdDSA"], RESOURCE_SERVERS={OTHER: {"algorithm": "EdDSA"}})
        run("rotate_signing_keys")
        algorithms = [
            decoded(service.token("client_credentials", **resource).json()["access_token"])[0]["alg"]
            for resource in ({}, {"resource": OTHER}, {"resource": OTHER})
        ]
        assert algorithms == ["ES256", "EdDSA", "EdDSA"]
        assert document(in_state(KeyState.SIGNING, "ES256").kid)["live_tokens"] == 1
        assert document(in_state(KeyState.SIGNING, "EdDSA").kid)["live_tokens"] == 2

    def test_tokens_signed_instead_of_another_algorithm_are_counted(self, leaked, service, configure, storage):
        configure(SIGNING_ALGORITHMS=["ES256", "EdDSA"], RESOURCE_SERVERS={OTHER: {"algorithm": "EdDSA"}})
        run("rotate_signing_keys")
        token = service.token("client_credentials", resource=OTHER).json()["access_token"]
        assert decoded(token)[0]["kid"] == leaked.kid
        assert document(leaked.kid)["live_tokens"] == 1

    def test_says_at_most_while_tokens_from_before_their_key_was_stored_are_live(self, leaked, service, admin_client):
        service.token("client_credentials")
        said = revoke(leaked.kid, "--dry-run")
        assert "\n1 live access token was signed by it, for 1 client" in said
        IssuedToken.objects.update(kid=None)
        service.token("client_credentials")
        assert "\nAt most 2 live access tokens were signed by it, for 1 client" in revoke(leaked.kid, "--dry-run")
        assert "At most 2 live access tokens" in admin_client.get(f"{LIST}{leaked.pk}/revoke/").content.decode()
        said = document(leaked.kid, "--dry-run")
        assert (said["live_tokens"], said["live_tokens_of_unknown_keys"]) == (2, 1)
        expire_access_tokens()
        assert "\n0 live access tokens were signed by it" in revoke(leaked.kid, "--dry-run")

    def test_refresh_tokens_of_tokens_from_before_their_key_was_stored_are_revoked(self, leaked, web, user):
        # A later token, since the key of a first one is always stored.
        web.token("refresh_token", refresh_token=web.code_flow(user).json()["refresh_token"])
        assert IssuedToken.objects.update(kid=None) == 1
        assert "Refresh tokens to be revoked: 1." in revoke(leaked.kid, "--revoke-refresh-tokens", "--dry-run")
        assert "Refresh tokens revoked: 1." in revoke(leaked.kid, "--revoke-refresh-tokens")

    def test_revoked_tokens_are_not_counted(self, leaked, web, user):
        web.code_flow(user)
        assert document(leaked.kid, "--dry-run")["live_tokens"] == 1
        revoke_user(user)
        assert document(leaked.kid, "--dry-run")["live_tokens"] == 0

    def test_number_of_statements_does_not_grow(self, leaked, web, user):
        numbers = []
        for _ in range(2):
            web.code_flow(user)
            web.code_flow(user)
            with revoking_statements() as statements:
                revoke(leaked.kid, "--revoke-refresh-tokens", "--dry-run")
            numbers.append(len(statements))
        assert numbers[0] == numbers[1]

    def test_says_if_tokens_without_rows_are_not_counted(self, leaked, service, configure, admin_client):
        service.token("client_credentials")
        assert "ROTATE_REFRESH_TOKEN" not in revoke(leaked.kid, "--dry-run")
        configure(toolkit={"ROTATE_REFRESH_TOKEN": False})
        said = revoke(leaked.kid, "--dry-run")
        assert "At most" not in said
        assert "ROTATE_REFRESH_TOKEN is off: tokens replaced by a refresh have no row, so they are not counted." in said
        page = admin_client.get(f"{LIST}{leaked.pk}/revoke/").content.decode()
        assert "At most" not in page
        assert "ROTATE_REFRESH_TOKEN is off" in page

    def test_tokens_without_rows_are_not_counted(self, leaked, service, configure, admin_client):
        configure(STORE_ACCESS_TOKENS=False)
        service.token("client_credentials")
        said = revoke(leaked.kid, "--dry-run")
        assert "0 live access tokens were signed by it" in said
        warned = "STORE_ACCESS_TOKENS: tokens issued without a row are not counted."
        assert warned in said
        assert document(leaked.kid, "--dry-run")["tokens_issued_without_rows"] is True
        assert warned in admin_client.get(f"{LIST}{leaked.pk}/revoke/").content.decode()


class TestOtherKeys:
    def test_changes_are_shown_before_and_after(self, leaked, admin_client):
        announced = in_state(KeyState.ANNOUNCED)
        said, page = (
            revoke(announced.kid, "--dry-run"),
            admin_client.get(f"{LIST}{announced.pk}/revoke/").content.decode(),
        )
        assert "Would create a key for ES256 that signs from" in said
        assert f"Would change {leaked.kid}" not in said
        assert "a new key for ES256" in page
        said = revoke(leaked.kid, "--dry-run")
        assert f"Would change {announced.kid}: it signs until" in said
        assert f"Changed {announced.kid}: it signs until" in revoke(leaked.kid)

    def test_changes_are_in_the_history_of_each_key(self, leaked, admin_client):
        announced = in_state(KeyState.ANNOUNCED)
        soon = timezone.now() + timedelta(days=2)
        SigningKey.objects.filter(pk=leaked.pk).update(retained_at=soon, retired_at=soon + timedelta(hours=2))
        SigningKey.objects.filter(pk=announced.pk).update(signing_at=soon)
        page = admin_client.get(f"{LIST}{announced.pk}/revoke/").content.decode()
        assert leaked.kid in page
        admin_client.post(f"{LIST}{announced.pk}/revoke/", {"reason": "x"})
        leaked.refresh_from_db()
        assert leaked.retained_at > soon
        events = {event.kid: event for event in SigningKeyEvent.objects.all()}
        assert events.keys() == {key.kid for key in SigningKey.objects.all()}
        until, before = (format_instant(at) for at in (leaked.retained_at, soon))
        assert f"Signs until {until} instead of {before}." in events[leaked.kid].description
        assert events[leaked.kid].reason == f"{announced.kid} was revoked: x"

    def test_changes_are_in_the_json(self, leaked):
        dry = document(leaked.kid, "--dry-run")
        assert [new["algorithm"] for new in dry["planned"]["new"]] == ["ES256"]
        assert [key["kid"] for key in dry["planned"]["changed"]] == [in_state(KeyState.ANNOUNCED).kid]
        assert dry["made"] == []
        done = document(leaked.kid)
        assert done["made"] == [in_state(KeyState.ANNOUNCED).kid]


def test_refusal_is_translated(signing_keys, monkeypatch):
    catalog = {"There is no signing key %(kid)s.": "Kein Schlüssel %(kid)s."}
    monkeypatch.setattr(revocation, "gettext", lambda text: catalog.get(text, text))
    with pytest.raises(CommandError, match=r"^Kein Schlüssel A\.$"):
        revoke("A")
