"""Every token names its authorization, and ends with it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import OperationalError, connection, connections, transaction
from django.urls import reverse
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_grant_model, get_refresh_token_model
from oauth2_provider.oauth2_validators import OAuth2Validator

from django_at_jwt.authorization_server.oauthlib_bridge import refresh_grant
from django_at_jwt.authorization_server.oauthlib_bridge.authorization import end_replayed_code
from django_at_jwt.authorization_server.oauthlib_bridge.opaque_token import read_opaque_token
from django_at_jwt.authorization_server.revocation.issued_tokens import link_of_row
from django_at_jwt.authorization_server.revocation.revoke import end_authorizations
from django_at_jwt.core.token_id import LONGEST_TOKEN_ID, TokenId
from django_at_jwt.core.verifier import Expectations
from django_at_jwt.models import Authorization, DenyListEntry, IssuedToken
from django_at_jwt.models.authorization import EndReason, credential_hash
from django_at_jwt.revocation import revoke_token
from tests.conftest import DEVICE_CODE_GRANT, decoded
from tests.links import expire_links, link_of, number_of_links
from tests.openid_connect import OPENID_CONNECT
from tests.site.validators import RecordingValidator, SiteValidator

pytestmark = pytest.mark.django_db
HYBRID = {"response_type": "code id_token token", "scope": "openid read write"}


@pytest.fixture
def hybrid(make_client, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}
    return make_client("openid-hybrid", algorithm="RS256")


def token_id_of(answer):
    text = decoded(answer["access_token"])[1]["jti"]
    assert len(text) <= LONGEST_TOKEN_ID
    parsed = TokenId.parse(text)
    assert str(parsed) == text
    return parsed


def check_row(authorization, user, client, *answers):
    """Check an authorization and the links of its tokens, all of which are live."""
    assert (authorization.user_model, authorization.user_key) == (user._meta.label, str(user.pk))
    application = client.application
    assert (authorization.client_model, authorization.client_key) == (application._meta.label, str(application.pk))
    assert authorization.scopes.split()[-2:] == ["read", "write"]
    assert authorization.resources == [settings.API]
    assert authorization.ended_at is None
    now = timezone.now()
    assert authorization.last_token_at == now.replace(minute=0, second=0, microsecond=0)
    expiries = []
    for answer in answers:
        token_id, claims = token_id_of(answer), decoded(answer["access_token"])[1]
        assert (token_id.authorization, token_id.has_row) == (authorization.identifier, True)
        link = link_of(token_id)
        assert link.authorization == authorization.identifier
        assert link.has_refresh_token == ("refresh_token" in answer)
        row = get_access_token_model().objects.get(pk=link.access_token)
        expiries.append(datetime.fromtimestamp(claims["exp"], tz=UTC))
        assert row.expires == link.expires_at == expiries[-1]
    assert authorization.tokens_expire_at == max(expiries)
    return authorization


class TestGrants:
    def test_code_and_its_tokens_share_an_authorization(self, signing_keys, web, user):
        code = web.authorize(user)["code"]
        before = Authorization.objects.get()
        assert (before.tokens_expire_at, before.code_used_at, before.family) == (None, None, None)
        answer = web.exchange(code).json()
        row = check_row(Authorization.objects.get(), user, web, answer)
        assert row == before == Authorization.objects.of_code(code)
        assert row.code_used_at is not None
        assert row.family == get_refresh_token_model().objects.get().token_family

    def test_hybrid_flow_has_one_for_the_response_and_the_code(self, signing_keys, hybrid, user):
        front = hybrid.authorize(user, **HYBRID)
        row = check_row(Authorization.objects.get(), user, hybrid, front)
        assert row.code_hash
        assert row.code_used_at is None
        back = hybrid.exchange(front["code"]).json()
        row = check_row(Authorization.objects.get(), user, hybrid, front, back)
        assert row.code_used_at is not None

    def test_implicit_token_begins_an_authorization(self, signing_keys, make_client, user):
        client = make_client("implicit")
        answer = client.authorize(user, response_type="token")
        row = check_row(Authorization.objects.get(), user, client, answer)
        assert (row.code_hash, row.family) == (None, None)

    def test_each_password_grant_begins_an_authorization(self, signing_keys, make_client, user):
        client = make_client("password")
        wanted = {"username": "alice", "password": "correct horse", "scope": "read write"}
        answers = [client.token("password", **wanted).json() for _ in range(2)]
        for answer in answers:
            identifier = token_id_of(answer).authorization
            row = check_row(Authorization.objects.get(identifier=identifier), user, client, answer)
            assert row.family is not None
        assert Authorization.objects.count() == 2

    def test_device_code_and_its_token_share_an_authorization(self, signing_keys, make_client, user):
        device = make_client(DEVICE_CODE_GRANT, client_type="public")
        started = device.post("/o/device-authorization/", {"scope": "read write"}).json()
        row = Authorization.objects.get()
        assert (row.user_model, row.user_key, row.client_key) == ("", "", str(device.application.pk))
        approve(device, started, user)
        answer = device.token(DEVICE_CODE_GRANT, device_code=started["device_code"]).json()
        assert check_row(Authorization.objects.get(), user, device, answer) == row

    def test_client_that_acts_for_itself_has_none(self, signing_keys, service):
        answer = service.token("client_credentials").json()
        token_id = token_id_of(answer)
        assert (token_id.authorization, token_id.has_row) == ("", True)
        assert link_of(token_id).authorization == ""
        assert not Authorization.objects.exists()

    def test_opaque_token(self, signing_keys, web, user, settings):
        opaque = {settings.API: {"format": "opaque"}}
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": opaque}
        answer = web.code_flow(user).json()
        expected = Expectations(issuer=settings.ISSUER, audiences=frozenset({settings.API}), leeway=0, max_bytes=1000)
        claims = read_opaque_token(answer["access_token"], expected=expected, now=timezone.now().timestamp())
        link = IssuedToken.objects.get()
        assert link.token_id == claims.token_id
        assert link.authorization == Authorization.objects.get().identifier

    def test_identifiers_do_not_repeat(self, signing_keys, web, user):
        ids = [token_id_of(web.code_flow(user).json()) for _ in range(3)]
        assert len({each.authorization for each in ids}) == len({each.random for each in ids}) == 3

    def test_validator_that_stores_another_value(self, signing_keys, web, user, settings):
        validator = f"{__name__}.StoresAnotherValue"
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OAUTH2_VALIDATOR_CLASS": validator}
        answer = web.code_flow(user).json()
        row, token_id = get_access_token_model().objects.get(), token_id_of(answer)
        assert row.token_checksum != credential_hash(answer["access_token"])
        assert link_of(token_id).access_token == str(row.pk)
        assert link_of_row(row).token_id == str(token_id)
        assert revoke_token(str(token_id))
        row.refresh_from_db()
        assert row.expires <= timezone.now()
        refused = web.token("refresh_token", refresh_token=answer["refresh_token"])
        assert refused.json()["error"] == "invalid_grant"

    def test_parameters_cannot_choose_it(self, signing_keys, web, user):
        forged = {
            "at_jwt_authorization": "x",
            "at_jwt_link": "x",
            "at_jwt_code_used": "x",
            "refresh_token_instance": "x",
        }
        code = web.authorize(user, **forged)["code"]
        answer = web.exchange(code, **forged).json()
        row = check_row(Authorization.objects.get(), user, web, answer)
        refreshed = web.token("refresh_token", refresh_token=answer["refresh_token"], **forged).json()
        assert token_id_of(refreshed).authorization == row.identifier
        assert web.exchange(code, **forged).json()["error"] == "invalid_grant"


class StoresAnotherValue(SiteValidator):
    """Stores another value than an access token, as a site does that encrypts it, and so another checksum."""

    def _set_token_value(self, token_instance, raw_token):
        super()._set_token_value(token_instance, raw_token)
        if isinstance(token_instance, get_access_token_model()):
            token_instance._raw_token = f"at the site: {raw_token}"


def approve(device, started, user):
    device.browser.force_login(user)
    confirm = device.browser.post(reverse("oauth2_provider:device"), {"user_code": started["user_code"]})["Location"]
    assert device.browser.post(confirm, {"action": "accept"}).status_code == 302


def refresh(client, answer, **asked):
    response = client.token("refresh_token", refresh_token=answer["refresh_token"], **asked)
    assert response.status_code == 200, response.content
    return response.json()


@pytest.fixture(params=[True, False], ids=["rotating", "not rotating"])
def rotating(request, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": request.param}
    return request.param


class TestRefresh:
    def test_stays_in_the_authorization(self, rotating, signing_keys, web, user):
        first = web.code_flow(user).json()
        second = refresh(web, first)
        check_row(Authorization.objects.get(), user, web, second)
        assert token_id_of(second).random != token_id_of(first).random
        assert IssuedToken.objects.get().token_id == str(token_id_of(second))

    def test_shorter_lived_token_does_not_shorten_it(self, rotating, signing_keys, web, user, settings):
        first = web.code_flow(user).json()
        latest = Authorization.objects.get().tokens_expire_at
        brief = {settings.API: {"lifetime": 60}}
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": brief}
        assert refresh(web, first)["expires_in"] == 60
        assert Authorization.objects.get().tokens_expire_at == latest

    def test_family_from_before_this_app_gets_one(self, rotating, signing_keys, web, user):
        first = web.code_flow(user).json()
        Authorization.objects.all().delete()
        second = refresh(web, first, scope="read")
        row = Authorization.objects.get()
        assert row.scopes == "read write"
        assert refresh(web, second)["scope"] == "read write"
        assert row.identifier == token_id_of(second).authorization
        assert (row.user_key, row.client_key) == (str(user.pk), str(web.application.pk))

    def test_validator_that_stores_tokens_itself(self, rotating, signing_keys, web, user, settings, monkeypatch):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "OAUTH2_VALIDATOR_CLASS": "tests.site.validators.RecordingValidator",
        }
        monkeypatch.setattr(RecordingValidator, "saved", [])
        first = web.code_flow(user, scope="read write reports:read", resource=[settings.API, settings.REPORTS]).json()
        second = refresh(web, first, resource=settings.API)
        third = refresh(web, second, resource=settings.API)
        assert RecordingValidator.saved == ["authorization_code", "refresh_token", "refresh_token"]
        assert [bool(denied(each)) for each in (first, second, third)] == [False, True, False]
        # DOT overwrites the row if the refresh token stays the same.
        assert live_access_tokens() == sorted(map(row_of, (first, third) if rotating else (third,)))
        assert Authorization.objects.get().ended_at is None

    def test_model_with_another_revoke(self, signing_keys, web, user, monkeypatch):
        model, revoked = get_refresh_token_model(), []

        def revoke(row):
            revoked.append(row.pk)
            super(model, row).revoke()

        monkeypatch.setattr(model, "revoke", revoke)
        first = web.code_flow(user).json()
        used = model.objects.get()
        second = refresh(web, first)
        assert revoked == [used.pk]
        assert live_access_tokens() == [row_of(second)]
        assert web.token("refresh_token", refresh_token=first["refresh_token"]).status_code == 400


def row_of(answer):
    return int(link_of(token_id_of(answer)).access_token)


def live_access_tokens():
    rows = get_access_token_model().objects.filter(expires__gt=timezone.now())
    return sorted(rows.values_list("pk", flat=True))


def denied(answer):
    return DenyListEntry.objects.filter(kind="token", value=str(token_id_of(answer))).first()


@pytest.mark.compliance("7009-2")
class TestSupersession:
    @pytest.fixture
    def both(self, signing_keys, web, user):
        return web.code_flow(user, scope="read reports:read", resource=[settings.API, settings.REPORTS]).json()

    def test_refresh_denies_the_token_that_it_replaces(self, rotating, signing_keys, web, user):
        first = web.code_flow(user).json()
        row = row_of(first)
        second = refresh(web, first)
        exp = datetime.fromtimestamp(decoded(first["access_token"])[1]["exp"], tz=UTC)
        assert denied(first).expires_at == exp + timedelta(seconds=600)
        assert denied(second) is None
        assert live_access_tokens() == [row_of(second)]
        assert (row_of(second) == row) is not rotating

    def test_token_for_another_resource_lives_on(self, rotating, both, web):
        first = refresh(web, both, resource=settings.API)
        second = refresh(web, first, resource=settings.REPORTS)
        assert [denied(each) for each in (both, first, second)] == [None, None, None]
        assert live_access_tokens() == sorted(map(row_of, (both, first, second)))
        # The next token for the same resource replaces the first, and only that.
        third = refresh(web, second, resource=settings.API)
        assert denied(first)
        assert denied(second) is None
        assert live_access_tokens() == sorted(map(row_of, (both, second, third)))

    def test_first_token_is_replaced_by_a_later_refresh(self, rotating, signing_keys, web, user):
        code = web.authorize(user, scope="read reports:read", resource=[settings.API, settings.REPORTS])["code"]
        first = web.exchange(code, resource=settings.API).json()
        assert Authorization.objects.get().first_token_id == str(token_id_of(first))
        second = refresh(web, first, resource=settings.REPORTS)
        assert denied(first) is None
        third = refresh(web, second, resource=settings.API)
        assert denied(first)
        assert live_access_tokens() == sorted(map(row_of, (second, third)))

    def test_row_that_another_request_has_overwritten_since_it_was_read(
        self, signing_keys, web, user, settings, monkeypatch
    ):
        first, save, answers = web.code_flow(user).json(), OAuth2Validator.save_bearer_token, []

        def refresh_without_rotation(*args, **kwargs):
            if not answers:
                answers.append(None)
                settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": False}
                answers[0] = refresh(web, first)
                settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": True}
            return save(*args, **kwargs)

        monkeypatch.setattr(OAuth2Validator, "save_bearer_token", refresh_without_rotation)
        refresh(web, first)
        assert denied(first)
        assert denied(answers[0])

    @pytest.mark.parametrize("is_first", [True, False], ids=["the first", "a later one"])
    def test_expired_token_needs_no_entry(self, is_first, rotating, signing_keys, web, user):
        expired = web.code_flow(user).json()
        if not is_first:
            expired = refresh(web, expired)
            DenyListEntry.objects.all().delete()
        expire_links(timezone.now() - timedelta(seconds=601))
        current = refresh(web, expired)
        assert not DenyListEntry.objects.exists()
        assert IssuedToken.objects.get().token_id == str(token_id_of(current))

    def test_can_be_switched_off(self, rotating, both, web, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOKE_SUPERSEDED_TOKENS": False}
        first = refresh(web, both)
        second = refresh(web, first)
        assert not DenyListEntry.objects.exists()
        assert live_access_tokens() == sorted(map(row_of, (both, first, second)))
        end_authorizations(Authorization.objects.all(), reason=EndReason.ADMINISTRATOR)
        assert live_access_tokens() == []

    def test_ends_with_its_authorization(self, rotating, both, web):
        first = refresh(web, both, resource=settings.API)
        refresh(web, first, resource=settings.REPORTS)
        end_authorizations(Authorization.objects.all(), reason=EndReason.ADMINISTRATOR)
        assert live_access_tokens() == []

    def test_front_channel_token_of_a_hybrid_flow_lives_on(self, rotating, signing_keys, hybrid, user):
        front = hybrid.authorize(user, **HYBRID)
        back = hybrid.exchange(front["code"]).json()
        refresh(hybrid, back)
        assert denied(back)
        assert denied(front) is None
        assert row_of(front) in live_access_tokens()

    def test_siblings_of_a_retry_end_with_their_access_tokens(self, signing_keys, web, user, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120}
        first = web.code_flow(user).json()
        lost, retried = refresh(web, first), refresh(web, first)
        assert (denied(lost), denied(retried)) == (None, None)
        third = refresh(web, retried)
        assert all(map(denied, (first, lost, retried)))
        assert live_access_tokens() == [row_of(third)]
        assert IssuedToken.objects.count() == 1

    @pytest.mark.parametrize("hashed", [True, False], ids=["hashed", "clear"])
    def test_token_that_lives_on_allows_no_retry_of_an_older_one(self, hashed, both, web, settings):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": hashed,
        }
        second = refresh(web, both, resource=settings.API)
        refresh(web, second, resource=settings.REPORTS)
        # The client has received the second response, since it has used its refresh token.
        retried = web.token("refresh_token", refresh_token=both["refresh_token"], resource=settings.API)
        assert retried.status_code == 400
        assert Authorization.objects.get().end_reason == "refresh_token_reused"


class TestEnded:
    """Authorizations that end between the validation of a request and the storage of its tokens."""

    @pytest.fixture(autouse=True)
    def _ended_meanwhile(self, monkeypatch, signing_keys):
        from django_at_jwt.authorization_server.oauthlib_bridge import generator

        sign = generator.sign_access_token

        def end_and_sign(composed):
            Authorization.objects.update(ended_at=timezone.now())
            return sign(composed)

        self.end = lambda: monkeypatch.setattr(generator, "sign_access_token", end_and_sign)

    def refused(self, response):
        assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
        assert not DenyListEntry.objects.exists()

    def test_code_of_an_ended_authorization_is_refused(self, web, user):
        code = web.authorize(user)["code"]
        self.end()
        self.refused(web.exchange(code))
        assert not get_access_token_model().objects.exists()
        assert not number_of_links()

    def test_refresh_token(self, rotating, web, user):
        answer = web.code_flow(user).json()
        self.end()
        self.refused(web.token("refresh_token", refresh_token=answer["refresh_token"]))
        assert live_access_tokens() == [row_of(answer)]

    def test_device_code_of_an_ended_authorization_is_refused(self, make_client, user):
        device = make_client(DEVICE_CODE_GRANT, client_type="public")
        started = device.post("/o/device-authorization/", {"scope": "read"}).json()
        approve(device, started, user)
        self.end()
        self.refused(device.token(DEVICE_CODE_GRANT, device_code=started["device_code"]))
        assert not get_access_token_model().objects.exists()


@pytest.fixture(params=[False, True], ids=["autocommit", "atomic requests"])
def atomic_requests(request, monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", request.param)


@pytest.mark.compliance("6749-1")
class TestReplayedCode:
    def ended(self, client, answer):
        row = Authorization.objects.get(identifier=token_id_of(answer).authorization)
        refreshed = client.token("refresh_token", refresh_token=answer["refresh_token"])
        is_denied = DenyListEntry.objects.filter(kind="authorization", value=row.identifier).exists()
        ends = {row.end_reason == "code_replayed", is_denied, refreshed.status_code == 400}
        assert len(ends) == 1
        return ends.pop()

    @pytest.mark.django_db(transaction=True)
    def test_ends_its_authorization(self, atomic_requests, signing_keys, web, user):
        code = web.authorize(user)["code"]
        answer, other = web.exchange(code).json(), web.code_flow(user).json()
        replayed = web.exchange(code)
        assert (replayed.status_code, replayed.json()["error"]) == (400, "invalid_grant")
        assert self.ended(web, answer)
        assert not self.ended(web, other)
        assert web.exchange(code).status_code == 400

    def test_exchange_between_the_reads_of_its_grant(self, signing_keys, web, user, monkeypatch):
        code, validate = web.authorize(user)["code"], OAuth2Validator.validate_code
        answers = []

        def exchanged_after_the_first_read(*args, **kwargs):
            valid = validate(*args, **kwargs)
            if not answers:
                answers.append(None)
                answers[0] = web.exchange(code)
            return valid

        monkeypatch.setattr(OAuth2Validator, "validate_code", exchanged_after_the_first_read)
        refused = web.exchange(code)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        assert answers[0].status_code == 200
        assert self.ended(web, answers[0].json())

    @pytest.mark.django_db(transaction=True)
    def test_exchange_that_is_not_committed_yet(self, signing_keys, web, user):
        # With several databases, its grant can be deleted already.
        if not connection.features.has_select_for_update:
            pytest.skip("without row locks, requests follow one another")
        code = web.authorize(user)["code"]

        def replay():
            try:
                end_replayed_code(code, web.application)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                Authorization.objects.update(code_used_at=timezone.now())
                replayed = pool.submit(replay)
                # It waits for the row; if it is late, it finds what it would wait for.
                wait([replayed], timeout=0.5)
                assert not replayed.done()
            replayed.result()
        assert Authorization.objects.get().end_reason == "code_replayed"

    def test_ends_its_tokens_since_refreshed(self, rotating, signing_keys, web, user):
        code = web.authorize(user)["code"]
        answer = refresh(web, web.exchange(code).json())
        web.exchange(code)
        assert self.ended(web, answer)
        assert live_access_tokens() == []

    def test_hybrid_flow(self, signing_keys, hybrid, user):
        front = hybrid.authorize(user, **HYBRID)
        hybrid.exchange(front["code"])
        assert len(live_access_tokens()) == 2
        hybrid.exchange(front["code"])
        assert Authorization.objects.get().end_reason == "code_replayed"
        assert live_access_tokens() == []

    @pytest.mark.parametrize("by", ["another client", "a wrong secret"])
    def test_only_the_client_itself_replays_it(self, by, signing_keys, web, make_client, user):
        code = web.authorize(user)["code"]
        answer = web.exchange(code).json()
        if by == "another client":
            other = make_client()
            other.verifier = web.verifier
            assert other.exchange(code).json()["error"] == "invalid_grant"
        else:
            assert web.exchange(code, client_secret="wrong").json()["error"] == "invalid_client"
        assert not self.ended(web, answer)

    def test_expired_code_that_was_never_exchanged(self, signing_keys, hybrid, user):
        front = hybrid.authorize(user, **HYBRID)
        get_grant_model().objects.update(expires=timezone.now() - timedelta(seconds=1))
        for _ in range(2):
            assert hybrid.exchange(front["code"]).json()["error"] == "invalid_grant"
            get_grant_model().objects.all().delete()
        assert Authorization.objects.get().ended_at is None

    def test_code_from_before_this_app(self, signing_keys, web, user):
        code = web.authorize(user)["code"]
        Authorization.objects.all().delete()
        answer = web.exchange(code).json()
        assert Authorization.objects.get().identifier == token_id_of(answer).authorization
        web.exchange(code)
        assert self.ended(web, answer)

    def test_unknown_code(self, signing_keys, web, user):
        web.verifier = "x" * 43
        assert web.exchange("no such code").json()["error"] == "invalid_grant"

    def test_code_deleted_before_its_tokens_are_stored(self, signing_keys, web, user, monkeypatch):
        from django_at_jwt.authorization_server.oauthlib_bridge import generator

        sign = generator.sign_access_token

        def delete_and_sign(composed):
            get_grant_model().objects.all().delete()
            return sign(composed)

        code = web.authorize(user)["code"]
        monkeypatch.setattr(generator, "sign_access_token", delete_and_sign)
        assert web.exchange(code).json()["error"] == "invalid_grant"
        assert not get_access_token_model().objects.exists()
        assert not number_of_links()
        row = Authorization.objects.get()
        # Another request has deleted the code, but not for tokens.
        assert (row.code_used_at, row.ended_at) == (None, None)


class TestReusedRefreshToken:
    @pytest.fixture(autouse=True)
    def _configure(self, settings, signing_keys):
        self.settings = settings
        self.protect(True)

    def protect(self, protected, period=0):
        self.settings.OAUTH2_PROVIDER = {
            **self.settings.OAUTH2_PROVIDER,
            "REFRESH_TOKEN_REUSE_PROTECTION": protected,
            "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": period,
        }

    def reuse(self, client, answer):
        response = client.token("refresh_token", refresh_token=answer["refresh_token"])
        assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")

    def test_ends_its_authorization(self, web, user):
        both = {"scope": "read reports:read", "resource": [settings.API, settings.REPORTS]}
        first = web.code_flow(user, **both).json()
        second = refresh(web, first, resource=settings.API)
        refresh(web, second, resource=settings.REPORTS)
        assert len(live_access_tokens()) == 3
        self.reuse(web, first)
        assert Authorization.objects.get().end_reason == "refresh_token_reused"
        assert DenyListEntry.objects.filter(kind="authorization").exists()
        assert live_access_tokens() == []

    def test_ends_an_authorization_without_unexpired_access_tokens(self, web, user):
        first = web.code_flow(user).json()
        refresh(web, first)
        get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))
        self.reuse(web, first)
        assert Authorization.objects.get().end_reason == "refresh_token_reused"

    def test_used_by_a_server_whose_clock_is_ahead(self, web, user):
        first = web.code_flow(user).json()
        second = refresh(web, first)
        get_refresh_token_model().objects.exclude(revoked=None).update(revoked=timezone.now() + timedelta(seconds=60))
        refresh(web, second)
        self.reuse(web, first)
        assert Authorization.objects.get().end_reason == "refresh_token_reused"

    def test_after_its_replacement_was_deleted(self, web, user):
        first = web.code_flow(user).json()
        refresh(web, first)
        get_refresh_token_model().objects.filter(revoked=None).delete()
        self.reuse(web, first)
        assert Authorization.objects.get().end_reason == "refresh_token_reused"

    def test_next_request_ends_what_an_outage_left(self, web, user, monkeypatch):
        def fail(*args, **kwargs):
            raise OperationalError("the database is down")

        first = web.code_flow(user).json()
        second = refresh(web, first)
        with monkeypatch.context() as outage:
            outage.setattr(refresh_grant, "end_authorizations", fail)
            assert web.token("refresh_token", refresh_token=first["refresh_token"]).status_code == 503
        assert Authorization.objects.get().ended_at is None
        self.reuse(web, second)
        assert Authorization.objects.get().end_reason == "refresh_token_reused"

    def test_without_protection(self, web, user):
        self.protect(False)
        first = web.code_flow(user).json()
        refresh(web, first)
        self.reuse(web, first)
        assert Authorization.objects.get().ended_at is None

    def test_another_client_within_the_grace_period(self, web, make_client, user):
        self.protect(True, period=120)
        first = web.code_flow(user).json()
        refresh(web, first)
        self.reuse(make_client(), first)
        assert Authorization.objects.get().ended_at is None

    def test_unknown_refresh_token(self, web):
        self.reuse(web, {"refresh_token": "no such token"})
