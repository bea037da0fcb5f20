"""The published revocations in several threads and processes: who requests them, and what they share."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import caches

from django_at_jwt.conf import clear_process_caches
from django_at_jwt.core.errors import RevocationUnavailable, TokenRejected
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.revocation_document import MOST_BYTES
from django_at_jwt.resource_server.verification import accepted_issuers, verify_token
from tests.core.token_factory import API
from tests.patience import PATIENCE_SECONDS

from .issuer_process import Page
from .published_revocations import JTI, PATH, end


class TestThreads:
    def test_cold_start_makes_one_request(self, remote):
        verify_token(remote.token, API, Revocation.OFFLINE)
        remote.issuer.pages[PATH].wait = 0.3
        with ThreadPoolExecutor(16) as threads:
            assert {*threads.map(lambda _: remote.verdict(), range(64))} == {"accepted"}
        assert remote.polls == 1

    def test_others_use_the_document_while_one_thread_requests_it(self, remote, clock):
        assert remote.verdict() == "accepted"
        clock.pass_by(5)
        with ThreadPoolExecutor(1) as thread, remote.issuer.holding(PATH) as asked:
            waiting = thread.submit(remote.verdict)
            assert asked.wait(PATIENCE_SECONDS)
            assert remote.verdict() == "accepted"
            assert not waiting.done()
        assert waiting.result() == "accepted"
        assert remote.polls == 2

    def test_others_wait_if_the_document_is_old(self, remote, clock):
        assert remote.verdict() == "accepted"
        # Longer than its time and ISSUER_TIMEOUT.
        clock.pass_by(100)
        remote.publish(version=2, tokens={JTI: end()})
        started = threading.Event()

        def second():
            started.set()
            return remote.verdict()

        with ThreadPoolExecutor(2) as threads:
            with remote.issuer.holding(PATH) as asked:
                first = threads.submit(remote.verdict)
                assert asked.wait(PATIENCE_SECONDS)
                other = threads.submit(second)
                assert started.wait(PATIENCE_SECONDS)
            assert (first.result(), other.result()) == ("revoked", "revoked")


class TestSharedCache:
    def test_other_processes_take_what_one_fetched(self, remote, clock):
        remote.publish(etag='"a"', tokens={JTI: end()})
        assert remote.verdict() == "revoked"
        clear_process_caches()
        clock.pass_by(3)
        assert remote.verdict() == "revoked"
        assert remote.polls == 1
        # The copy is as old as in the other process.
        clock.pass_by(2.5)
        assert remote.verdict() == "revoked"
        assert remote.polls == 2

    def test_process_takes_what_another_one_fetched_while_a_third_makes_a_request(self, remote, clock):
        claims = verify_token(remote.token, API, Revocation.OFFLINE)
        one, other = (accepted_of(remote).revocation for _ in range(2))
        one(claims, remote.token)
        clock.pass_by(5)
        remote.publish(version=2, tokens={JTI: end()})
        with pytest.raises(TokenRejected):
            other(claims, remote.token)
        # What the other process has is older than the document may be, and the request is claimed.
        clock.pass_by(5)
        other._deny_list._request.claim()
        with pytest.raises(TokenRejected):
            one(claims, remote.token)
        assert remote.polls == 2

    def test_confirmation_of_another_process(self, remote, clock):
        one, other = (accepted_of(remote) for _ in range(2))
        one.revocation(verify_token(remote.token, API, Revocation.OFFLINE), remote.token)
        for _ in range(2):
            clock.pass_by(6)
            for each in (one, other):
                each.revocation(verify_token(remote.token, API, Revocation.OFFLINE), remote.token)
        assert remote.polls == 3

    @pytest.mark.parametrize("entry", ["revocations-document", "revocations-confirmation"])
    @pytest.mark.parametrize("value", ["x", 7, None, "{}:signature", "x" * (MOST_BYTES * 2)], ids=lambda v: str(v)[:9])
    def test_broken_entry_costs_a_request(self, remote, entry, value):
        assert remote.verdict() == "accepted"
        [key] = [name for name in keys_of_the_cache() if name.endswith(entry)]
        caches["default"].set(key, value)
        clear_process_caches()
        assert remote.verdict() == "accepted"
        assert remote.polls == 2

    def test_hostile_entry_with_a_valid_signature_costs_a_request(self, remote):
        assert remote.verdict() == "accepted"
        cache = accepted_of(remote).revocation._deny_list._shared._cache
        cache.write_text("revocations-confirmation", '{"form": 1, "issuer": "https://x"}', seconds=60)
        clear_process_caches()
        assert remote.verdict() == "accepted"
        assert remote.polls == 2

    def test_document_of_another_process_is_requested_again_at_its_end(self, remote, clock):
        remote.configure(deny_list_max_age=30, leeway=0)
        claims = verify_token(remote.token, API, Revocation.OFFLINE)
        remote.publish(seconds=10)
        one, other = (accepted_of(remote).revocation for _ in range(2))
        for each in (one, other):
            each(claims, remote.token)
        assert remote.polls == 1
        clock.pass_by(10)
        remote.publish()
        other(claims, remote.token)
        one(claims, remote.token)
        assert remote.polls == 2

    def test_process_that_cannot_share_what_it_fetched_does_not_keep_a_new_one_waiting(
        self, remote, clock, monkeypatch
    ):
        claims = verify_token(remote.token, API, Revocation.OFFLINE)
        one, other = (accepted_of(remote).revocation for _ in range(2))
        store = type(caches["default"]).set

        def store_slowly(cache, key, *arguments, **options):
            store(cache, key, *arguments, **options)
            if "revocations-document" in key:
                # A fifth of ISSUER_TIMEOUT is too long: this process does without the cache for a while.
                clock.pass_by(12.1)

        with monkeypatch.context() as patched:
            patched.setattr(type(caches["default"]), "set", store_slowly)
            one(claims, remote.token)
        assert "revocations-confirmation" not in str(keys_of_the_cache())
        other(claims, remote.token)
        assert remote.polls == 2

    def test_new_process_takes_over_from_one_that_died_during_its_request(self, remote, clock, monkeypatch):
        claims = verify_token(remote.token, API, Revocation.OFFLINE)
        dead, other = (accepted_of(remote).revocation for _ in range(2))
        assert dead._deny_list._request.claim()
        monkeypatch.setattr(time, "sleep", lambda _seconds: clock.pass_by(1))
        other(claims, remote.token)
        assert remote.polls == 1

    def test_new_process_does_not_wait_after_the_failure_of_another_one(self, remote, clock, monkeypatch):
        claims = verify_token(remote.token, API, Revocation.OFFLINE)
        one, other = (accepted_of(remote).revocation for _ in range(2))
        monkeypatch.setattr(time, "sleep", lambda _seconds: pytest.fail("it waited"))
        remote.issuer.pages[PATH] = Page(status=500)
        for each in (one, other):
            with pytest.raises(RevocationUnavailable):
                each(claims, remote.token)
        assert remote.polls == 1

    def test_claim_of_a_process_that_died_is_not_waited_for_while_the_document_is_recent(self, remote, clock):
        assert remote.verdict() == "accepted"
        accepted_issuers()[remote.issuer.issuer].revocation._deny_list._request.claim()
        clock.pass_by(5)
        remote.publish(version=2, tokens={JTI: end()})
        assert remote.verdict() == "accepted"
        assert remote.polls == 1
        caches["default"].clear()
        clock.pass_by(1)
        assert remote.verdict() == "revoked"


def accepted_of(remote):
    """Return the issuer as another process has it."""
    clear_process_caches()
    return accepted_issuers()[remote.issuer.issuer]


def keys_of_the_cache():
    return [key.split(":", 2)[2] for key in caches["default"]._cache]
