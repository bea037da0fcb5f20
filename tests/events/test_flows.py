"""What emits events: tokens, keys and revocations, over HTTP and by commands."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_at_jwt.authorization_server.keys import store as keystore
from django_at_jwt.authorization_server.keys.revocation import revoke_signing_key
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.keys.store import KeyStore
from django_at_jwt.events import (
    AccessTokenIssued,
    AccessTokenRefused,
    AccessTokenRejected,
    CredentialReused,
    KeyAnnounced,
    KeyMade,
    KeyRetained,
    KeyRevoked,
    KeySigning,
    KeysRewrapped,
    RotationRan,
    TokensRevoked,
)
from django_at_jwt.revocation import revoke_client, revoke_token, revoke_user
from tests.commands import run
from tests.conftest import DEVICE_CODE_GRANT, SECRET, decoded

pytestmark = pytest.mark.django_db


def of(events, *kinds):
    return [event for event in events if isinstance(event, kinds)]


class TestTokens:
    def test_issued(self, signing_keys, service, events):
        answer = service.token("client_credentials", scope="read").json()
        header, claims = decoded(answer["access_token"])
        [issued] = events
        assert isinstance(issued, AccessTokenIssued)
        assert (issued.grant, issued.client_id) == ("client_credentials", service.application.client_id)
        assert (issued.format, issued.algorithm, issued.kid) == ("at+jwt", header["alg"], header["kid"])
        assert (issued.audience, issued.lifetime) == ((claims["aud"],), claims["exp"] - claims["iat"])
        assert issued.seconds > 0

    @pytest.mark.parametrize("stores", [True, False])
    def test_issued_whether_it_has_a_row_or_not(self, stores, signing_keys, service, events, settings):
        settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": stores}
        assert service.token("client_credentials").status_code == 200
        [issued] = events
        assert (issued.name, issued.grant) == ("token.issued", "client_credentials")

    def test_issued_once_in_each_step_of_a_flow(self, signing_keys, web, user, events):
        answer = web.code_flow(user).json()
        web.token("refresh_token", refresh_token=answer["refresh_token"])
        assert [event.grant for event in of(events, AccessTokenIssued)] == ["authorization_code", "refresh_token"]

    def test_not_issued_if_it_was_not_stored(self, signing_keys, web, user, events, monkeypatch):
        from django_at_jwt.authorization_server.oauthlib_bridge import grants

        monkeypatch.setattr(grants, "store_first_token", lambda *args, **kwargs: False)
        assert web.code_flow(user).status_code == 400
        [refused] = events
        assert (refused.name, refused.error) == ("token.refused", "invalid_grant")

    @pytest.mark.parametrize(
        ("data", "error", "grant", "identified", "reason"),
        [
            (
                {"grant_type": "client_credentials", "client_secret": "wrong"},
                "invalid_client",
                "client_credentials",
                True,
                "wrong client secret",
            ),
            (
                {"grant_type": "client_credentials", "client_secret": ""},
                "invalid_client",
                "client_credentials",
                True,
                "no client secret",
            ),
            (
                {"grant_type": "client_credentials", "client_id": "nobody\n"},
                "invalid_client",
                "client_credentials",
                False,
                "unknown client",
            ),
            (
                {"grant_type": "authorization_code", "client_id": "nobody", "code": "x"},
                "invalid_client",
                "authorization_code",
                False,
                "unknown client",
            ),
            ({"grant_type": "authorization_code", "code": "x"}, "unauthorized_client", "authorization_code", True, ""),
            ({"grant_type": "x' or 1"}, "unsupported_grant_type", "other", False, ""),
            ({}, "unsupported_grant_type", None, False, ""),
            (
                {"grant_type": "client_credentials", "resource": "https://x/"},
                "invalid_target",
                "client_credentials",
                True,
                "'https://x/' is not registered",
            ),
            ({"grant_type": "client_credentials", "scope": "unknown"}, "invalid_scope", "client_credentials", True, ""),
        ],
    )
    def test_refused_at_the_token_endpoint(self, data, error, grant, identified, reason, signing_keys, service, events):
        answer = service.post("/o/token/", data)
        assert answer.json()["error"] == error
        [refused] = events
        assert isinstance(refused, AccessTokenRefused)
        assert (refused.endpoint, refused.error, refused.grant) == ("token", error, grant)
        assert refused.client_id == (service.application.client_id if identified else None)
        assert refused.reason == reason or not reason
        assert not reason or reason not in answer.text

    @pytest.mark.parametrize(
        ("url", "endpoint", "credentials", "identified", "reason"),
        [
            ("/o/revoke_token/", "revocation", {"client_secret": "wrong"}, True, "wrong client secret"),
            ("/o/revoke_token/", "revocation", {"client_id": "nobody"}, False, "unknown client"),
            ("/o/introspect/", "introspection", {"client_secret": "wrong"}, True, "wrong client secret"),
            ("/o/introspect/", "introspection", {"client_id": "nobody"}, False, "unknown client"),
            (
                "/o/device-authorization/",
                "device_authorization",
                {"client_secret": "wrong"},
                True,
                "wrong client secret",
            ),
        ],
    )
    def test_client_is_not_authenticated_at_another_endpoint(
        self, url, endpoint, credentials, identified, reason, make_client, events, caplog
    ):
        caplog.set_level(logging.INFO, "django_at_jwt")
        web = make_client(DEVICE_CODE_GRANT)
        assert web.post(url, {"token": "x", "grant_type": "x", **credentials}).status_code == 401
        assert events == [
            AccessTokenRefused(
                endpoint=endpoint,
                grant=None,
                client_id=web.application.client_id if identified else None,
                error="invalid_client",
                reason=reason,
            )
        ]
        assert f"A client was not authenticated at the {endpoint} endpoint: {reason}" in caplog.messages

    @pytest.mark.parametrize("url", ["/o/revoke_token/", "/o/introspect/"])
    def test_other_errors_of_endpoints_without_tokens_are_not_refusals(self, url, service, events):
        assert service.post(url, {}).status_code == 400
        assert events == []

    def test_introspection_without_credentials(self, client, events):
        assert client.post("/o/introspect/", {"token": "x"}).status_code == 401
        [refused] = events
        assert (refused.endpoint, refused.error, refused.client_id) == ("introspection", "invalid_client", None)

    def test_refused_for_a_reason_that_only_the_log_has(self, service, events):
        assert service.token("client_credentials").json()["error"] == "server_error"
        [refused] = events
        assert "rotate_signing_keys" in refused.reason
        assert refused.level == logging.ERROR

    def test_refused_at_the_authorization_endpoint(self, signing_keys, web, user, events):
        assert web.authorize(user, resource="https://unknown.example.com/")["error"] == "invalid_target"
        [refused] = events
        assert (refused.endpoint, refused.error) == ("authorization", "invalid_target")

    def test_device_that_waits_is_not_refused(self, signing_keys, make_client, events):
        device = make_client("urn:ietf:params:oauth:grant-type:device_code")
        started = device.post("/o/device-authorization/", {"scope": "read"}).json()
        answer = device.token(DEVICE_CODE_GRANT, device_code=started["device_code"])
        assert answer.json()["error"] == "authorization_pending"
        assert events == []

    def test_rejected_at_an_api(self, signing_keys, service, client, events):
        token = service.token("client_credentials", scope="read").json()["access_token"]
        del events[:]
        assert client.get("/whoami/", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert events == []
        answer = client.get("/whoami/", headers={"Authorization": f"Bearer {token[:-8]}AAAAAAAA"})
        assert answer.status_code == 401
        [rejected] = events
        assert isinstance(rejected, AccessTokenRejected)
        assert (rejected.where, rejected.reason) == ("api", "bad_signature")

    def test_rejected_at_the_issuer(self, signing_keys, client, events, service):
        token = service.token("client_credentials", scope="read").json()["access_token"]
        del events[:]
        client.get("/toolkit-drf/", headers={"Authorization": f"Bearer {token[:-8]}AAAAAAAA"})
        assert [(event.where, event.reason) for event in of(events, AccessTokenRejected)] == [
            ("issuer", "bad_signature")
        ]

    def test_revoked_after_the_commit(self, signing_keys, web, user, events, django_capture_on_commit_callbacks):
        web.code_flow(user)
        with django_capture_on_commit_callbacks(execute=True):
            revoke_user(user)
            assert of(events, TokensRevoked) == []
        [revoked] = of(events, TokensRevoked)
        assert (revoked.kind, revoked.reason, revoked.count) == ("authorization", "administrator", 1)
        with django_capture_on_commit_callbacks(execute=True):
            revoke_client(web.application)
        assert of(events, TokensRevoked)[-1] == TokensRevoked(
            kind="client", reason="client_revoked", count=1, client_id=web.application.client_id
        )

    def test_code_that_is_used_again_is_a_warning(
        self, signing_keys, web, user, events, django_capture_on_commit_callbacks
    ):
        code = web.authorize(user)["code"]
        web.exchange(code)
        with django_capture_on_commit_callbacks(execute=True):
            web.exchange(code)
        assert [event.reason for event in of(events, TokensRevoked)] == ["code_replayed"]
        [reused] = of(events, CredentialReused)
        assert (reused.credential, reused.client_id) == ("code", web.application.client_id)
        assert reused.level == logging.WARNING

    def test_refresh_token_that_is_used_again_is_a_warning(
        self, signing_keys, web, user, events, settings, django_capture_on_commit_callbacks
    ):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_REUSE_PROTECTION": True}
        token = web.code_flow(user).json()["refresh_token"]
        web.token("refresh_token", refresh_token=token)
        with django_capture_on_commit_callbacks(execute=True):
            web.token("refresh_token", refresh_token=token)
        assert [event.reason for event in of(events, TokensRevoked)] == ["refresh_token_reused"]
        assert of(events, CredentialReused) == [
            CredentialReused(credential="refresh_token", client_id=web.application.client_id)
        ]

    def test_use_of_a_revoked_refresh_token_is_not_reuse(self, signing_keys, web, user, events, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_REUSE_PROTECTION": True}
        token = web.code_flow(user).json()["refresh_token"]
        revoke_user(user)
        assert web.token("refresh_token", refresh_token=token).json()["error"] == "invalid_grant"
        assert of(events, CredentialReused) == []

    def test_use_of_a_refresh_token_revoked_with_its_access_token_is_not_reuse(
        self, signing_keys, web, user, events, settings
    ):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_REUSE_PROTECTION": True}
        answer = web.code_flow(user).json()
        revoke_token(decoded(answer["access_token"])[1]["jti"])
        refused = web.token("refresh_token", refresh_token=answer["refresh_token"])
        assert refused.json()["error"] == "invalid_grant"
        assert of(events, CredentialReused) == []


@pytest.mark.usefixtures("keys_made_quickly")
class TestKeys:
    def test_first_rotation_and_one_with_nothing_to_do(self, events):
        keys = rotate_signing_keys().keys
        made, ran = of(events, KeyMade), of(events, RotationRan)
        assert [(event.kid, event.cause, event.signing_at) for event in made] == [
            (key.kid, "rotation", key.signing_at) for key in keys
        ]
        [first] = ran
        assert (first.outcome, first.made, first.changed) == ("changed", 2, 0)
        assert (first.signing, first.announced) == ((keys[0].kid,), (keys[1].kid,))
        assert first.next_signing_at == keys[1].signing_at
        assert timezone.now() < first.next_due_at < keys[1].signing_at
        del events[:]
        rotate_signing_keys()
        [second] = events
        assert (second.outcome, second.made, second.next_due_at) == ("unchanged", 0, first.next_due_at)

    def test_rotation_has_something_to_do_from_the_instant_on_that_it_reports(self, events, monkeypatch):
        from django_at_jwt.authorization_server.keys import rotation

        rotate_signing_keys()
        due = of(events, RotationRan)[-1].next_due_at
        for now, changes in ((due - timedelta(seconds=1), False), (due, True)):
            monkeypatch.setattr(rotation.timezone, "now", lambda now=now: now)
            assert bool(rotate_signing_keys(dry_run=True).plan) == changes
        # Dry runs are not reported.
        assert len(of(events, RotationRan)) == 1

    def test_rotation_that_fails(self, settings, events):
        settings.AT_JWT = {**settings.AT_JWT, "PROPAGATION_TIME": 1}
        with pytest.raises(CommandError):
            call_command("rotate_signing_keys")
        [ran] = events
        assert (ran.outcome, ran.level) == ("failed", logging.ERROR)
        assert "propagation time" in ran.problem

    def test_worker_notices_a_takeover(self, events, monkeypatch):
        old, new = rotate_signing_keys().keys
        store = KeyStore()
        store.current()
        del events[:]
        store.current()
        assert events == []
        # The rotation has not run since.
        at = new.signing_at + timedelta(seconds=1)
        monkeypatch.setattr(keystore.timezone, "now", lambda: at)
        monkeypatch.setattr(keystore.time, "time", at.timestamp)
        store.current()
        store.current()
        assert events == [
            KeyRetained(kid=old.kid, algorithm="ES256", since=new.signing_at),
            KeySigning(kid=new.kid, algorithm="ES256", since=new.signing_at),
        ]

    def test_worker_notices_keys_that_others_make_and_revoke(self, events):
        old, new = rotate_signing_keys().keys
        store = KeyStore()
        store.current()
        del events[:]
        revoke_signing_key(old.kid, reason="leaked by Alice")
        [made] = of(events, KeyMade)
        [revoked] = of(events, KeyRevoked)
        assert (made.cause, revoked.kid, revoked.noticed, revoked.level) == (
            "revocation",
            old.kid,
            False,
            logging.WARNING,
        )
        del events[:]
        store.forget()
        store.current()
        seen = {(type(event), event.kid) for event in events}
        assert seen == {(KeyRevoked, old.kid), (KeySigning, new.kid), (KeyAnnounced, made.kid)}
        assert all(event.noticed for event in of(events, KeyRevoked))

    def test_rewrapping(self, settings, events):
        rotate_signing_keys()
        settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"]}
        del events[:]
        run("rewrap_signing_keys")
        assert events == [KeysRewrapped(rewrapped=2, up_to_date=0, failed=0)]


def test_no_field_or_record_has_personal_data(
    signing_keys, web, service, client, caplog, events, django_capture_on_commit_callbacks
):
    user = get_user_model().objects.create_user("alice", password="correct horse", pk=87654321)
    caplog.set_level(logging.DEBUG, "django_at_jwt")
    with django_capture_on_commit_callbacks(execute=True):
        answer = web.code_flow(user).json()
        refreshed = web.token("refresh_token", refresh_token=answer["refresh_token"]).json()
        web.token("refresh_token", refresh_token=answer["refresh_token"])
        machine = service.token("client_credentials", scope="read").json()
        service.post("/o/token/", {"grant_type": "password", "username": "alice", "password": "correct horse"})
        service.post("/o/token/", {"grant_type": "client_credentials", "client_secret": "nearly right"})
        for token in (answer["access_token"], machine["access_token"][:-8] + "AAAAAAAA", refreshed["access_token"]):
            client.get("/whoami/", headers={"Authorization": f"Bearer {token}"})
            service.post("/o/introspect/", {"token": token})
        user.is_active = False
        user.save()
        web.token("refresh_token", refresh_token=refreshed["refresh_token"])
        client.get("/whoami/", headers={"Authorization": f"Bearer {refreshed['access_token']}"})
    assert {event.name for event in events} >= {"token.issued", "token.refused", "token.rejected", "token.revoked"}
    secrets = {
        "alice",
        "correct horse",
        "nearly right",
        SECRET,
        *(value for value in (*answer.values(), *refreshed.values()) if isinstance(value, str) and len(value) > 20),
        *(
            token.split(".")[2]
            for token in (answer["access_token"], refreshed["access_token"], machine["access_token"])
        ),
    }
    written = [
        *(str(vars(record)) for record in caplog.records if record.name.startswith("django_at_jwt")),
        *map(str, events),
    ]
    assert [(secret, text) for text in written for secret in secrets if secret in text] == []
    subject = decoded(answer["access_token"])[1]["sub"]
    assert [text for text in written if subject in text] == []


def test_refusal_of_a_user_without_an_identifier_does_not_name_the_user(signing_keys, web, settings, caplog, events):
    user = get_user_model().objects.create_user("alice", pk=87654321)
    code = web.authorize(user)["code"]
    settings.AT_JWT = {**settings.AT_JWT, "SUBJECT": "email"}
    assert web.exchange(code).json()["error"] == "server_error"
    [refused] = of(events, AccessTokenRefused)
    assert "has no identifier" in refused.reason
    assert str(user.pk) not in refused.reason
    assert "alice" not in refused.reason
