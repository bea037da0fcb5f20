"""Revocation from code: what each function ends, in one transaction, and what it leaves alone."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from oauth2_provider.models import (
    AbstractRefreshToken,
    get_access_token_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
)

from django_at_jwt.authorization_server.revocation import revoke
from django_at_jwt.authorization_server.revocation.entries import deny_tokens
from django_at_jwt.authorization_server.revocation.impact import TokenCounts, tokens_of_authorization
from django_at_jwt.events import CredentialReused
from django_at_jwt.models import Authorization, DenyListEntry, IssuedToken, SigningKey
from django_at_jwt.models.authorization import EndReason, credential_hash
from django_at_jwt.revocation import UnknownToken, revoke_authorization, revoke_client, revoke_token, revoke_user
from tests.conftest import decoded
from tests.links import expire_links, forget_links
from tests.people.models import Department

from .grants import entries, granted, revoking_statements

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]


@pytest.fixture
def tokens(web, user, signing_keys):
    return granted(web, web.code_flow(user))


def live_access_tokens():
    """Return the primary keys of unexpired rows."""
    return list(get_access_token_model().objects.filter(expires__gt=timezone.now()).values_list("pk", flat=True))


@pytest.fixture
def device(web, user):
    now, model = timezone.now(), get_device_grant_model()
    return model.objects.create(
        user=user,
        client_id=web.application.client_id,
        device_code="a device code",
        user_code="ABCD",
        expires=now + timedelta(minutes=5),
        status=model.AUTHORIZED,
    )


class TestUser:
    def test_ends_every_authorization(self, web, user, tokens, device):
        second = granted(web, web.code_flow(user))
        code = web.authorize(user)["code"]
        assert revoke_user(user) == 3
        assert {value for kind, value in entries() if kind == "authorization"} == {
            row.identifier for row in Authorization.objects.all()
        }
        assert {row.end_reason for row in Authorization.objects.all()} == {EndReason.ADMINISTRATOR}
        assert not tokens.is_live()
        assert not second.is_live()
        assert web.exchange(code).json()["error"] == "invalid_grant"
        device.refresh_from_db()
        assert device.status == device.EXPIRED
        assert revoke_user(user) == 0
        assert len(entries()) == 3

    def test_ends_tokens_and_codes_from_before_this_app(self, web, user, tokens):
        web.authorize(user)
        Authorization.objects.all().delete()
        assert revoke_user(user) == 0
        assert not tokens.is_live()
        assert not get_grant_model().objects.exists()

    def test_cleartokens_can_delete_the_rows(self, user, tokens):
        revoke_user(user)
        # The refresh token stays, so that a replay is detected.
        assert get_refresh_token_model().objects.get().access_token is None
        call_command("cleartokens")
        assert not get_access_token_model().objects.exists()

    def test_user_of_another_model_is_refused(self, user, tokens):
        # Threat 37: its primary key is that of a user.
        with pytest.raises(TypeError, match=r"the model of AccessToken.user .got Department."):
            revoke_user(Department(pk=user.pk))
        assert tokens.is_live()

    def test_rows_of_another_model_are_left_alone(self, user, tokens, device):
        stranger = Authorization.objects.create(
            user_model="people.Department", user_key=str(user.pk), expires_at=timezone.now()
        )
        assert revoke.revoke_users([Department(pk=user.pk)], model=Department, reason=EndReason.USER_DELETED) == 1
        assert entries() == [("authorization", stranger.identifier)]
        assert tokens.is_live()
        assert tokens.authorization.ended_at is None
        device.refresh_from_db()
        assert device.status == device.AUTHORIZED

    def test_number_of_statements_does_not_grow(self, web, user, tokens):
        with revoking_statements() as of_one:
            revoke_user(user)
        for _ in range(3):
            granted(web, web.code_flow(user))
        with revoking_statements() as of_three:
            revoke_user(user)
        assert len(of_three) == len(of_one)


class TestClient:
    def test_one_entry_concerns_all(self, web, user, tokens, make_client):
        other = make_client(client_id="other")
        others = granted(other, other.code_flow(user))
        code = web.authorize(user)["code"]
        before = timezone.now()
        assert revoke_client(web.application) == 2
        assert entries() == [("client", web.application.client_id)]
        assert before <= DenyListEntry.objects.get().issued_until <= timezone.now()
        assert not tokens.is_live()
        assert web.exchange(code).json()["error"] == "invalid_grant"
        assert others.is_live()
        assert others.authorization.ended_at is None


class TestAuthorization:
    def test_ends_its_tokens_alone(self, web, user, tokens):
        second = granted(web, web.code_flow(user))
        assert revoke_authorization(tokens.authorization.identifier) == 1
        assert revoke_authorization(tokens.authorization.identifier) == 0
        assert entries() == [("authorization", tokens.authorization.identifier)]
        assert not tokens.is_live()
        assert second.is_live()

    def test_ends_its_device_code(self, user, web, device):
        row = Authorization.for_device(
            "a device code", client=web.application, scopes=(), resources=(), expires_at=device.expires
        )
        row.set_user(user)
        row.save()
        assert revoke_authorization(row.identifier) == 1
        device.refresh_from_db()
        assert device.status == device.EXPIRED

    def test_ends_tokens_without_links(self, tokens):
        # Tokens from before the migration have no link; their row decides.
        forget_links()
        assert revoke_authorization(tokens.authorization.identifier) == 1
        assert not tokens.is_live()

    def test_ends_tokens_that_no_refresh_token_refers_to(self, tokens, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOKE_SUPERSEDED_TOKENS": False}
        tokens.refresh()
        get_refresh_token_model().objects.update(access_token=None)
        assert tokens_of_authorization(tokens.authorization) == TokenCounts(1, access_tokens=2, refresh_tokens=1)
        assert revoke_authorization(tokens.authorization.identifier) == 1
        assert live_access_tokens() == []

    def test_codes_of_other_authorizations_live_on(self, web, user, tokens):
        code = web.authorize(user)["code"]
        Authorization.objects.filter(pk=tokens.authorization.pk).update(code_hash=credential_hash("another code"))
        revoke_authorization(tokens.authorization.identifier)
        assert web.exchange(code).status_code == 200

    @pytest.mark.parametrize("identifier", ["", "0" * 32, "x" * 5000, "\x00", "\udcff"])
    def test_unknown_authorization_is_an_error(self, identifier, tokens):
        with pytest.raises(Authorization.DoesNotExist, match=r"^no authorization has the identifier '") as refused:
            revoke_authorization(identifier)
        assert len(str(refused.value)) < 200
        assert entries() == []

    def test_entry_lives_until_the_last_token_has_expired(self, tokens):
        last = timezone.now() + timedelta(days=30)
        Authorization.objects.update(tokens_expire_at=last)
        revoke_authorization(tokens.authorization.identifier)
        assert DenyListEntry.objects.get().expires_at == last + timedelta(seconds=600)

    def test_entry_covers_a_lifetime_that_was_shortened(self, tokens, settings):
        last = timezone.now() + timedelta(days=30)
        SigningKey.objects.update(last_token_expires_at=last)
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ACCESS_TOKEN_EXPIRE_SECONDS": 60}
        revoke_client(tokens.client.application)
        assert DenyListEntry.objects.get().expires_at == last + timedelta(seconds=600)


class TestToken:
    def test_is_denied_with_its_refresh_token(self, web, user, tokens):
        second = granted(web, web.code_flow(user))
        assert revoke_token(tokens.token_id) is True
        assert revoke_token(tokens.token_id) is False
        assert entries() == [("token", tokens.token_id), ("authorization", tokens.authorization.identifier)]
        assert not tokens.is_live()
        assert tokens.refresh().json()["error"] == "invalid_grant"
        assert second.is_live()

    def test_ends_its_authorization_if_that_has_no_other_token(self, tokens, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOKE_SUPERSEDED_TOKENS": False}
        refreshed = tokens.refresh().json()
        assert revoke_token(tokens.token_id) is True
        assert Authorization.objects.get().ended_at is None
        assert revoke_token(decoded(refreshed["access_token"])[1]["jti"]) is True
        authorization = Authorization.objects.get()
        assert authorization.end_reason == EndReason.ADMINISTRATOR
        assert ("authorization", authorization.identifier) in entries()

    @pytest.mark.parametrize("is_first", [True, False], ids=["the first", "a later one"])
    def test_leaves_its_authorization_if_that_has_another_access_token(self, is_first, tokens, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOKE_SUPERSEDED_TOKENS": False}
        later = granted(tokens.client, tokens.refresh())
        get_refresh_token_model().objects.update(revoked=timezone.now(), access_token=None)
        revoked, other = (tokens, later) if is_first else (later, tokens)
        assert revoke_token(revoked.token_id) is True
        assert Authorization.objects.get().ended_at is None
        assert live_access_tokens() == [other.access_token.pk]
        assert revoke_token(other.token_id) is True
        assert Authorization.objects.get().ended_at is not None

    @pytest.mark.parametrize("rotates", [True, False], ids=["rotation", "no rotation"])
    def test_next_refresh_is_not_reported_as_reuse(self, rotates, web, user, settings, events):
        def refresh(token, **asked):
            return web.token("refresh_token", refresh_token=token, **asked)

        changed = {"ROTATE_REFRESH_TOKEN": rotates, "REFRESH_TOKEN_REUSE_PROTECTION": True}
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **changed}
        first = web.code_flow(user, scope="read reports:read", resource=[settings.API, settings.REPORTS]).json()
        other = granted(web, refresh(first["refresh_token"], resource=settings.API))
        tokens = granted(web, refresh(other.response["refresh_token"], resource=settings.REPORTS))
        assert revoke_token(tokens.token_id) is True
        assert tokens.refresh().json()["error"] == "invalid_grant"
        assert CredentialReused not in map(type, events)
        assert tokens.authorization.ended_at is None
        assert get_access_token_model().objects.get(pk=other.access_token.pk).expires > timezone.now()
        if rotates:
            # This refresh token was replaced.
            assert other.refresh().json()["error"] == "invalid_grant"
            assert CredentialReused in map(type, events)
            assert tokens.authorization.end_reason == EndReason.REFRESH_TOKEN_REUSED

    def test_use_of_its_refresh_token_leaves_those_of_a_retry_alone(self, web, tokens, settings, events):
        changed = {"REFRESH_TOKEN_REUSE_PROTECTION": True, "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 60}
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **changed}
        lost, retried = granted(web, tokens.refresh()), granted(web, tokens.refresh())
        assert revoke_token(lost.token_id) is True
        assert lost.refresh().json()["error"] == "invalid_grant"
        assert CredentialReused not in map(type, events)
        assert retried.refresh().status_code == 200

    def test_again_if_only_the_deny_list_was_committed(self, tokens):
        # With several databases, the transaction of the rows can fail after that of the deny list.
        deny_tokens([(tokens.token_id, tokens.access_token.expires)], reason=EndReason.ADMINISTRATOR)
        assert tokens.is_live()
        assert revoke_token(tokens.token_id) is True
        assert not tokens.is_live()
        assert revoke_token(tokens.token_id) is False

    def test_whose_authorization_has_ended(self, tokens):
        identifier = tokens.authorization.identifier
        token_id = f"{identifier}.{'0' * 32}.1"
        Authorization.objects.update(first_token_id=token_id)
        revoke_authorization(identifier)
        assert revoke_token(token_id) is False
        forget_links()
        assert revoke_token(token_id) is False
        assert len(entries()) == 1

    def test_that_has_expired(self, tokens):
        expire_links(timezone.now())
        assert revoke_token(tokens.token_id) is False
        assert entries() == []

    @pytest.mark.parametrize("token_id", ["", "0", f"{'a' * 32}.{'0' * 32}.1", "x" * 5000, "\x00", "\udcff", "é"])
    def test_that_never_existed(self, token_id, tokens):
        with pytest.raises(UnknownToken, match=r"^no token with the jti '") as refused:
            revoke_token(token_id)
        assert len(str(refused.value)) < 200
        assert "\n" not in str(refused.value)
        assert entries() == []
        assert tokens.is_live()


class TestTransaction:
    @pytest.mark.parametrize("what", ["user", "client", "authorization", "token"])
    def test_nothing_is_stored_after_an_error(self, what, web, user, tokens, monkeypatch):
        def fail(*_arguments):
            raise OperationalError("the disk is full")

        monkeypatch.setattr(revoke, "expire_access_tokens", fail)
        with pytest.raises(OperationalError):
            {
                "user": lambda: revoke_user(user),
                "client": lambda: revoke_client(web.application),
                "authorization": lambda: revoke_authorization(tokens.authorization.identifier),
                "token": lambda: revoke_token(tokens.token_id),
            }[what]()
        assert entries() == []
        assert tokens.authorization.ended_at is None
        assert tokens.is_live()

    def test_deny_list_commits_first_with_several_databases(self, monkeypatch):
        aliases = {DenyListEntry: "ours", Authorization: "ours", IssuedToken: "ours", get_grant_model(): "codes"}
        monkeypatch.setattr(
            "django.db.router.db_for_write", lambda model, **_hints: aliases.get(model, "default"), raising=True
        )
        committed = []

        @contextmanager
        def atomic(using):
            yield
            committed.append(using)

        monkeypatch.setattr(revoke.transaction, "atomic", atomic)
        with revoke.one_transaction():
            pass
        assert committed[0] == "ours"
        assert sorted(committed) == ["codes", "default", "ours"]


class TestModelsOfTheSite:
    def test_own_revoke_is_called_for_each_token(self, web, user, tokens, monkeypatch):
        second, called = granted(web, web.code_flow(user)), []

        def own_revoke(token):
            called.append(token.pk)
            AbstractRefreshToken.revoke(token)

        monkeypatch.setattr(get_refresh_token_model(), "revoke", own_revoke)
        assert revoke_user(user) == 2
        assert sorted(called) == [tokens.refresh_token.pk, second.refresh_token.pk]
        assert not tokens.is_live()
        assert len(entries()) == 2

    def test_own_revoke_of_access_tokens_is_called(self, service, monkeypatch):
        granted(service, service.token("client_credentials"))
        called = []
        monkeypatch.setattr(get_access_token_model(), "revoke", lambda token: called.append(token.pk))
        revoke_client(service.application)
        assert len(called) == 1

    def test_two_live_refresh_tokens_with_one_checksum(self, web, user, tokens):
        if get_refresh_token_model()._meta.get_field("token_checksum").unique:
            pytest.skip("the installed django-oauth-toolkit stores no two refresh tokens with one checksum")
        second = granted(web, web.code_flow(user))
        same = get_refresh_token_model().objects.get(pk=tokens.refresh_token.pk).token_checksum
        get_refresh_token_model().objects.filter(pk=second.refresh_token.pk).update(token_checksum=same)
        assert revoke_user(user) == 2
        assert not get_refresh_token_model().objects.filter(revoked=None).exists()


def test_facade_takes_a_lazy_user(user, tokens):
    assert revoke_user(SimpleLazyObject(lambda: get_user_model().objects.get(pk=user.pk))) == 1
