"""The verifier without Django settings, and the functions for Django projects, with and without an event loop."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured

import django_at_jwt
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.authorization_server.revocation.revoke import revoke_client
from django_at_jwt.conf import clear_process_caches
from django_at_jwt.resource_server import verified_token
from django_at_jwt.resource_server.users.principal import MachinePrincipal, TokenPrincipal
from django_at_jwt.signals import event_emitted
from tests.conftest import create_client
from tests.core.token_factory import API, REPORTS, TokenFactory
from tests.patience import PATIENCE_SECONDS
from tests.resource_server.remote.issuer_process import KEYS, METADATA

from .signed_tokens import token

SCRIPT = """
import asyncio, sys
from django.conf import settings
from django_at_jwt import RejectionReason, TokenRejected, Verifier

issuer, audience, token = sys.argv[1:]
verifier = Verifier(issuer=issuer, audience=audience, allow_loopback_http=True, timeout=60)
assert verifier.verify(token).client_id == asyncio.run(verifier.averify(token)).client_id
try:
    verifier.verify("a.b.c")
except TokenRejected as rejected:
    assert rejected.reason is RejectionReason.MALFORMED or rejected.reason is RejectionReason.BAD_HEADER, rejected
assert not settings.configured
try:
    from django_at_jwt import rest_framework
except Exception as error:
    print(error)
"""


def without_django(script, *arguments, **environment):
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"} | environment
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env=environment,
        check=False,
    )


def verifier_of(remote, **options):
    defaults = {"issuer": remote.issuer, "audience": API, "allow_loopback_http": True, "timeout": 60}
    return django_at_jwt.Verifier(**{**defaults, **options})


class TestWithoutSettings:
    def test_works_in_a_script_and_says_what_other_modules_need(self, issuer):
        done = without_django(SCRIPT, issuer.issuer, API, issuer.token())
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.strip() == (
            "Set DJANGO_SETTINGS_MODULE and call django.setup() before importing this. "
            "Without a Django project, use django_at_jwt.Verifier."
        )
        assert issuer.requests == {METADATA: 1, KEYS: 1}

    @pytest.mark.parametrize(
        ("claims", "options", "reason"),
        [
            ({"aud": REPORTS}, {}, "wrong_audience"),
            ({"iss": "https://other.example/"}, {}, "wrong_issuer"),
            ({"exp": 1}, {}, "expired"),
            ({}, {"algorithms": ["RS256"]}, "algorithm_mismatch"),
            ({}, {"required_claims": ["org"]}, "missing_claim"),
            ({}, {"max_token_bytes": 100}, "too_large"),
        ],
    )
    def test_rejects_by_each_argument(self, issuer, claims, options, reason):
        verifier = verifier_of(issuer, **options)
        for verify in verifier.verify, async_to_sync(verifier.averify):
            with pytest.raises(django_at_jwt.TokenRejected) as rejected:
                verify(issuer.token(**claims))
            assert rejected.value.reason == reason

    def test_accepts_one_of_several_audiences(self, issuer):
        verifier = verifier_of(issuer, audience=[API, REPORTS], required_claims=["org"])
        assert verifier.verify(issuer.token(aud=REPORTS, org="x"))["org"] == "x"

    def test_unreachable_issuer(self, issuer):
        rejected = issuer.token()
        issuer.stop()
        verifier = verifier_of(issuer)
        for verify in verifier.verify, async_to_sync(verifier.averify):
            with pytest.raises(django_at_jwt.KeysUnavailable):
                verify(rejected)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"issuer": "http://as.example.com"}, "issuer must be an https URL"),
            (
                {"allow_loopback_http": False},
                "issuer must be an https URL .*; for development, allow_loopback_http=True",
            ),
            ({"audience": ""}, "audience must be"),
            ({"audience": []}, "audience must be"),
            ({"audience": None}, "audience must be"),
            ({"audience": [None]}, "audience must be"),
            ({"algorithms": ["HS256"]}, "algorithms must be"),
            ({"algorithms": "RS256"}, "algorithms must be a list"),
            ({"required_claims": "org"}, "required_claims must be a list"),
            ({"leeway": -1}, r"leeway must be a non-negative number \(got -1\)"),
            ({"leeway": "30"}, "leeway must be a non-negative number"),
            ({"leeway": True}, "leeway must be a non-negative number"),
            ({"max_stale": float("nan")}, "max_stale must be a non-negative number"),
            ({"leeway": 10**400}, "leeway must be at most 600 seconds"),
            ({"leeway": 601}, r"leeway must be at most 600 seconds \(got 601\)"),
            ({"max_stale": math.inf}, r"max_stale must be a non-negative number \(got inf\)"),
            ({"cache_size": None}, "cache_size must be a non-negative number"),
            ({"timeout": 0}, r"timeout must be more than 0 \(got 0\)"),
            ({"max_age": -1}, "max_age must be more than 0"),
            ({"revocation_max_age": 0}, "revocation_max_age must be more than 0"),
        ],
    )
    def test_unusable_argument_is_an_error(self, issuer, options, message):
        with pytest.raises(ValueError, match=message):
            verifier_of(issuer, **options)


class TestEventLoop:
    def test_is_not_blocked_while_keys_are_fetched(self, issuer):
        async def both():
            # The issuer answers only after the loop has done something else.
            with issuer.holding(KEYS) as asked:
                verification = asyncio.create_task(verifier_of(issuer).averify(issuer.token()))
                await asyncio.to_thread(asked.wait, PATIENCE_SECONDS)
                assert not verification.done()
            return await verification

        assert async_to_sync(both)().client_id == "a-client-of-the-tests"

    def test_uses_no_thread_once_the_keys_are_in_memory(self, issuer, monkeypatch):
        verifier = verifier_of(issuer)
        verifier.verify(issuer.token())
        monkeypatch.setattr(asyncio, "to_thread", None)
        assert async_to_sync(verifier.averify)(issuer.token()).client_id == "a-client-of-the-tests"

    def test_finds_a_key_that_is_new(self, issuer):
        new = TokenFactory("ES256", "a newer key")
        verifier = verifier_of(issuer, unknown_kid_cooldown=0)
        verifier.verify(issuer.token())
        issuer.publish(new)
        assert async_to_sync(verifier.averify)(issuer.token(new)).client_id == "a-client-of-the-tests"


@pytest.fixture
def no_thread(monkeypatch):
    def fail(*_arguments):
        raise AssertionError("a thread was used")

    def forbid():
        monkeypatch.setattr(verified_token, "sync_to_async", fail)

    return forbid


def averified(*arguments, **options):
    return async_to_sync(django_at_jwt.averify)(*arguments, **options)


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly", "signing_keys")
class TestInAProject:
    @pytest.fixture(params=["verify", "averify"])
    def verify(self, request):
        return django_at_jwt.verify if request.param == "verify" else averified

    def test_returns_token_and_principal(self, verify, user):
        machine = verify(token("read"))
        assert (machine.auth.scope, machine.user) == ("read", MachinePrincipal("a client", machine.auth["iss"]))
        assert verify(token("read", sub=str(user.pk))).user == user

    def test_raises_the_documented_errors(self, verify, monkeypatch):
        events = []
        event_emitted.connect(receiver := lambda event, **_: events.append(event.fields()))
        try:
            with pytest.raises(django_at_jwt.TokenRejected) as rejected:
                verify(token(aud=REPORTS))
            assert rejected.value.reason is django_at_jwt.RejectionReason.WRONG_AUDIENCE
            assert [(each["where"], each["reason"]) for each in events] == [("api", "wrong_audience")]
            with pytest.raises(ImproperlyConfigured, match="revocation must be one of"):
                verify(token(), revocation="sometimes")

            def unavailable():
                raise django_at_jwt.KeysUnavailable("no database")

            signed = token()
            monkeypatch.setattr(key_store, "at_hand", lambda: None)
            monkeypatch.setattr(key_store, "current", unavailable)
            with pytest.raises(django_at_jwt.KeysUnavailable):
                verify(signed)
            assert events[-1]["missing"] == "keys"
        finally:
            event_emitted.disconnect(receiver)

    def test_takes_an_audience(self, verify, settings):
        signed = token(aud=settings.REPORTS)
        assert verify(signed, audience=settings.REPORTS).auth.claims.audience == (settings.REPORTS,)

    def test_obeys_revocation(self, verify, django_capture_on_commit_callbacks):
        client = create_client().application
        signed = token(sub=client.client_id, client_id=client.client_id)
        verify(signed)
        with django_capture_on_commit_callbacks(execute=True):
            revoke_client(client)
        with pytest.raises(django_at_jwt.TokenRejected) as rejected:
            verify(signed)
        assert rejected.value.reason is django_at_jwt.RejectionReason.REVOKED
        assert verify(signed, revocation="offline").auth.client_id == client.client_id

    def test_works_in_an_event_loop_with_nothing_in_memory(self, user):
        for signed in token(), token(sub=str(user.pk)):
            clear_process_caches()
            assert averified(signed).auth.client_id == "a client"

    def test_uses_no_thread_for_clients_and_subjects_without_a_row(self, settings, no_thread):
        signed = token("read"), token("read", sub="1")
        settings.AT_JWT = {**settings.AT_JWT, "USER_MODE": "stateless"}
        for each in signed:
            averified(each)
        no_thread()
        assert [type(averified(each).user) for each in signed] == [MachinePrincipal, TokenPrincipal]

    @pytest.mark.parametrize("stale", [key_store.forget, deny_list.forget])
    def test_reads_in_a_thread_what_is_not_recent(self, stale, no_thread):
        signed = token()
        averified(signed)
        no_thread()
        averified(signed)
        stale()
        with pytest.raises(AssertionError, match="a thread was used"):
            averified(signed)

    def test_reads_a_row_in_a_thread(self, no_thread):
        signed = token(jti="from before the format")
        no_thread()
        with pytest.raises(AssertionError, match="a thread was used"):
            averified(signed)


def test_answers_of_introspection_are_used_without_a_thread(api, issuer, no_thread):
    issuer.describe(introspection_endpoint=f"{issuer.root}/introspect")
    issuer.pages["/introspect"] = type(issuer.pages[KEYS])(b'{"active": true}')
    credentials = {"client_id": "an-api", "client_secret": "of-the-tests"}
    api.AT_JWT = {**api.AT_JWT, "ISSUERS": issuer.settings(revocation="introspect", **credentials)}
    signed = issuer.token()
    averified(signed)
    no_thread()
    averified(signed)
    with pytest.raises(AssertionError, match="a thread was used"):
        averified(issuer.token())
    assert issuer.requests["/introspect"] == 1
