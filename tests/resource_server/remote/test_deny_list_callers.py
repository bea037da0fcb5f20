"""The published revocations in views, asynchronous code, ``Verifier``, the health report and the metrics."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import async_to_sync

import django_at_jwt
from django_at_jwt.conf import clear_process_caches
from django_at_jwt.core.errors import ReadNeeded, RevocationUnavailable, TokenRejected
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.metrics.gauges import REVOCATIONS_AGE, read_gauges
from django_at_jwt.resource_server.health import remote_issuers_health
from django_at_jwt.resource_server.verification import accepted_issuers, verify_token, verify_token_in_memory
from tests.core.token_factory import API

from .issuer_process import Page
from .published_revocations import CLIENT, JTI, PATH, end, entries_of_each_kind


class TestViews:
    def test_view_that_is_offline_does_not_ask(self, remote):
        remote.publish(tokens={JTI: end()})
        assert verify_token(remote.token, API, Revocation.OFFLINE)
        assert remote.polls == 0

    @pytest.mark.parametrize("revocation", [Revocation.DENY_LIST, Revocation.ROW])
    def test_deny_list_of_a_view_is_that_of_the_own_issuer(self, remote, revocation):
        remote.configure(revocation="offline")
        assert verify_token(remote.token, API, revocation)
        assert remote.polls == 0


class TestAsync:
    def test_in_memory_needs_a_request_when_due(self, remote, clock):
        verify_token(remote.token, API, Revocation.OFFLINE)
        with pytest.raises(ReadNeeded):
            verify_token_in_memory(remote.token)
        assert remote.verdict() == "accepted"
        assert verify_token_in_memory(remote.token)
        clock.pass_by(5)
        with pytest.raises(ReadNeeded):
            verify_token_in_memory(remote.token)

    def test_averify_obeys_the_document(self, remote, clock):
        verify = async_to_sync(django_at_jwt.averify)
        assert verify(remote.token).auth.client_id == CLIENT
        remote.publish(version=2, tokens={JTI: end()})
        clock.pass_by(5)
        with pytest.raises(TokenRejected):
            verify(remote.token)
        remote.issuer.stop()
        clock.pass_by(400)
        with pytest.raises(RevocationUnavailable):
            verify(remote.issuer.token())


class TestVerifier:
    def verifier(self, remote, **options):
        defaults = {"issuer": remote.issuer.issuer, "audience": API, "allow_loopback_http": True, "timeout": 60}
        return django_at_jwt.Verifier(**{**defaults, "revocation": "deny_list", **options})

    @pytest.mark.parametrize("kind", entries_of_each_kind())
    def test_refuses_each_kind(self, remote, clock, kind):
        verifier = self.verifier(remote)
        for verify in (verifier.verify, lambda token: asyncio.run(verifier.averify(token))):
            assert verify(remote.token).client_id == CLIENT
        remote.publish(version=2, **entries_of_each_kind()[kind])
        clock.pass_by(5)
        for verify in (lambda token: asyncio.run(verifier.averify(token)), verifier.verify):
            with pytest.raises(TokenRejected) as rejected:
                verify(remote.token)
            assert rejected.value.reason == "revoked"
        assert remote.polls == 2

    def test_refuses_in_an_mcp_server(self, remote, clock):
        pytest.importorskip("mcp", reason="the SDK of MCP is not installed")
        from django_at_jwt.mcp import TokenVerifier

        options = {"issuer": remote.issuer.issuer, "audience": API, "allow_loopback_http": True, "timeout": 60}
        verify = async_to_sync(TokenVerifier(**options, revocation="deny_list").verify_token)
        assert verify(remote.token).client_id == CLIENT
        remote.publish(version=2, tokens={JTI: end()})
        clock.pass_by(5)
        assert verify(remote.token) is None

    def test_missing_document_refuses_unless_told_to_accept(self, remote):
        remote.issuer.pages[PATH] = Page(status=500)
        for verify in (self.verifier(remote).verify, async_to_sync(self.verifier(remote).averify)):
            with pytest.raises(RevocationUnavailable):
                verify(remote.token)
        assert self.verifier(remote, revocation_unavailable="accept").verify(remote.token)

    def test_off_by_default(self, remote):
        remote.publish(tokens={JTI: end()})
        assert self.verifier(remote, revocation="offline").verify(remote.token)
        assert remote.polls == 0

    @pytest.mark.parametrize("option", [{"revocation": "row"}, {"revocation_unavailable": "introspect"}], ids=str)
    def test_unusable_options(self, remote, option):
        [name] = option
        with pytest.raises(ValueError, match=name):
            self.verifier(remote, **option)


class TestHealth:
    def test_age_of_the_document(self, remote, clock):
        assert remote.verdict() == "accepted"
        clock.pass_by(20)
        [report] = remote_issuers_health().facts["issuers"]
        assert 20 <= report["revocations"]["seconds_old"] < 50
        assert report["revocations"]["usable"] is True

    def test_failing_issuer_is_a_warning_once_no_document_can_be_used(self, remote, clock):
        assert remote_issuers_health().status == "ok"
        assert remote.verdict() == "accepted"
        remote.issuer.pages[PATH] = Page(status=500)
        clock.pass_by(6)
        assert remote.verdict() == "accepted"
        assert remote_issuers_health().status == "ok"
        clock.pass_by(400)
        assert remote.verdict() == "unavailable"
        [problem] = remote_issuers_health().problems
        assert "revocations" in problem.text
        clock.pass_by(3700)
        assert remote_issuers_health().status == "ok"
        assert remote.verdict(remote.issuer.token(jti=JTI)) == "unavailable"
        assert remote_issuers_health().status == "warning"

    def test_failure_is_known_to_a_worker_that_sends_no_request(self, remote, clock):
        workers = []
        for _ in range(2):
            clear_process_caches()
            assert remote.verdict() == "accepted"
            workers.append(accepted_issuers()[remote.issuer.issuer].revocation._deny_list)
        remote.issuer.pages[PATH] = Page(status=500)
        clock.pass_by(6)
        for worker in workers:
            worker._renew()
        assert remote.polls == 2
        assert [worker.state().is_failing for worker in workers] == [True, True]

    @pytest.mark.django_db
    def test_gauge_has_the_age_of_the_document(self, remote, clock):
        assert not [each for each in read_gauges() if each.metric is REVOCATIONS_AGE]
        assert remote.verdict() == "accepted"
        clock.pass_by(20)
        [measured] = [each for each in read_gauges() if each.metric is REVOCATIONS_AGE]
        assert 20 <= measured.value < 50

    def test_offline_issuer_has_none(self, remote):
        remote.configure(revocation="offline")
        assert remote.verdict() == "accepted"
        assert "revocations" not in remote_issuers_health().facts["issuers"][0]
