"""The revocations that a remote issuer publishes: how soon they apply, and what a hostile issuer can do (threat 39)."""

from __future__ import annotations

import json
import logging

import pytest
from django.core.exceptions import ImproperlyConfigured

import django_at_jwt
from django_at_jwt.conf import problems_in
from django_at_jwt.core.errors import RevocationUnavailable, TokenRejected
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.revocation_document import MEDIA_TYPE, MOST_BYTES
from django_at_jwt.resource_server.remote import deny_list as module
from django_at_jwt.resource_server.verification import accepted_issuers, verify_token, verify_token_in_memory
from tests.core.token_factory import API, REPORTS, TokenFactory

from .issuer_process import KEYS, METADATA, OPENID, Page
from .published_revocations import AUTHORIZATION, CLIENT, FACTORY, JTI, PATH, Remote, end, entries_of_each_kind


class TestEntries:
    @pytest.mark.parametrize("kind", entries_of_each_kind())
    @pytest.mark.parametrize("repeated", [False, True], ids=["new token", "verified token in memory"])
    def test_each_kind_is_refused_once_the_document_is_read_again(self, remote, clock, kind, repeated):
        for _ in range(3 * repeated):
            assert remote.verdict() == "accepted"
        remote.publish(version=2, **entries_of_each_kind()[kind])
        clock.pass_by(5)
        assert remote.verdict() == "revoked"

    def test_document_is_requested_once_in_its_time(self, remote, clock):
        for _ in range(3):
            assert remote.verdict() == "accepted"
        assert remote.polls == 1
        remote.publish(version=2, tokens={JTI: end()})
        clock.pass_by(4.9)
        assert remote.verdict() == "accepted"
        clock.pass_by(0.2)
        assert remote.verdict() == "revoked"
        assert remote.polls == 2

    def test_time_by_setting(self, remote, clock):
        remote.configure(deny_list_max_age=30)
        assert remote.verdict() == "accepted"
        remote.publish(version=2, tokens={JTI: end()})
        clock.pass_by(29)
        assert remote.verdict() == "accepted"
        clock.pass_by(2)
        assert remote.verdict() == "revoked"

    def test_client_and_audience_concern_tokens_up_to_an_instant(self, remote):
        early = {"issued_until": end(-60), "end": end()}
        remote.publish(clients={CLIENT: early}, audiences={API: early})
        assert remote.verdict() == "accepted"
        assert remote.verdict(remote.issuer.token(iat=end(-61))) == "revoked"

    def test_audience_counts_at_that_api_only(self, remote):
        remote.configure(audience=[API, REPORTS])
        remote.publish(audiences={REPORTS: {"issued_until": end(60), "end": end()}})
        both, one = remote.issuer.token(aud=[API, REPORTS]), remote.issuer.token(aud=REPORTS)
        assert [remote.verdict(both, API), remote.verdict(both, REPORTS)] == ["accepted", "revoked"]
        # Without an audience of the view, a token counts while one of its audiences is left.
        assert [remote.verdict(both), remote.verdict(one)] == ["accepted", "revoked"]
        assert remote.polls == 1

    def test_tokens_of_other_formats_are_not_concerned_by_authorizations(self, remote):
        remote.publish(authorizations={AUTHORIZATION: end()})
        assert remote.verdict(remote.issuer.token(jti="7")) == "accepted"
        assert remote.verdict() == "revoked"

    def test_revoked_token_stays_revoked_if_an_entry_is_missing_later(self, remote, clock):
        remote.publish(version=2, tokens={JTI: end()})
        assert remote.verdict() == "revoked"
        remote.publish(version=3)
        clock.pass_by(5)
        assert remote.verdict() == "revoked"

    def test_hostile_tokens_cause_no_request(self, remote):
        head, _, _ = remote.token.rpartition(".")
        for token in (f"{head}.AAAA", "x.y.z", remote.issuer.token(aud="https://other.example.com/")):
            assert remote.verdict(token) not in {"accepted", "unavailable"}
        assert remote.polls == 0


class TestVersions:
    def test_older_document_is_ignored_silently(self, remote, clock, caplog):
        remote.publish(version=5)
        assert remote.verdict() == "accepted"
        # Used, the first would end the use of the other soon, the second at once.
        for older in ({"seconds": 30}, {"complete": False}):
            remote.publish(version=4, **older)
            caplog.clear()
            clock.pass_by(5)
            assert remote.verdict() == "accepted"
            assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
        clock.pass_by(80)
        assert remote.verdict() == "accepted"
        assert remote.polls == 4

    @pytest.mark.parametrize("kind", entries_of_each_kind())
    def test_revocations_after_the_issuer_was_restored_from_a_backup(self, remote, clock, kind):
        lost = remote.issuer.token(jti="revoked before the restore")
        remote.publish(version=500, tokens={"revoked before the restore": end()})
        assert [remote.verdict(), remote.verdict(lost)] == ["accepted", "revoked"]
        remote.publish(version=7, **entries_of_each_kind()[kind])
        clock.pass_by(5)
        assert [remote.verdict(), remote.verdict(lost)] == ["revoked", "revoked"]

    def test_issuer_that_adds_entries_to_older_documents_does_not_fill_the_memory(self, remote, clock):
        remote.publish(version=500)
        assert remote.verdict() == "accepted"
        for round_ in range(5):
            remote.publish(version=7, tokens={f"{round_}-{number}": end() for number in range(20_000)})
            clock.pass_by(5)
            assert remote.verdict() == "accepted"
        assert len(accepted_issuers()[remote.issuer.issuer].revocation._deny_list._held.entries) <= 60_000

    def test_older_document_is_used_once_the_other_has_expired(self, remote, clock):
        remote.publish(version=5, seconds=60)
        assert remote.verdict() == "accepted"
        clock.pass_by(95)
        remote.publish(version=4, tokens={JTI: end()})
        assert remote.verdict() == "revoked"

    def test_older_document_is_requested_again_when_the_other_expires(self, remote, clock):
        remote.publish(version=5, seconds=60)
        assert remote.verdict() == "accepted"
        remote.publish(version=4)
        clock.pass_by(88)
        assert remote.verdict() == "accepted"
        clock.pass_by(1)
        assert remote.verdict() == "accepted"
        assert remote.polls == 2
        clock.pass_by(2)
        assert remote.verdict() == "accepted"
        assert remote.polls == 3

    def test_document_that_expires_before_the_next_request_is_requested_again_at_its_end(self, remote, clock):
        remote.configure(deny_list_max_age=30, leeway=0)
        for _ in range(2):
            remote.publish(seconds=10)
            assert remote.verdict() == "accepted"
            clock.pass_by(10)
        remote.publish()
        assert remote.verdict() == "accepted"
        assert remote.polls == 3

    def test_same_version_with_another_entry_is_used(self, remote, clock):
        assert remote.verdict() == "accepted"
        remote.publish(version=1, tokens={JTI: end()})
        clock.pass_by(5)
        assert remote.verdict() == "revoked"


def hostile_documents(remote):
    """Return documents that must not be used, by what is wrong with them. Each would revoke the token."""
    entry = {"version": 9, "tokens": {JTI: end()}}
    good = remote.document(**entry)
    head, payload, signature = good.split(".")
    return {
        "another typ": remote.document(header={"typ": "at+jwt"}, **entry),
        "an access token": remote.issuer.token(**entry),
        "no algorithm": remote.document(header={"alg": "none"}, **entry),
        "no signature": f"{head}.{payload}.",
        "another payload": f"{head}.{remote.document(version=10).split('.')[1]}.{signature}",
        "the key of an attacker": remote.document(factory=FACTORY.attacker, header={"kid": FACTORY.kid}, **entry),
        "an unpublished key": remote.document(factory=FACTORY.attacker, **entry),
        "another issuer": remote.document(iss="https://as.example.com/o", **entry),
        "expired": remote.document(iat=end(-900), exp=end(-600), **entry),
        "from the future": remote.document(iat=end(600), exp=end(900), **entry),
        "no version": remote.document(tokens={JTI: end()}, version=None),
        "a version too many": remote.document(tokens={JTI: end()}, version=2**63),
        "no end": remote.document(version=9, tokens={JTI: None}),
        "too many entries": remote.document(version=9, tokens={f"{number:x}": 1 for number in range(20_001)}),
        "JSON": json.dumps({"version": 9, "tokens": {JTI: end()}}),
        "empty": "",
        "not ASCII": good + "é",
        "white space": good + "\n",
    }


HOSTILE = (
    *("another typ", "an access token", "no algorithm", "no signature", "another payload", "the key of an attacker"),
    *("an unpublished key", "another issuer", "expired", "from the future", "no version", "a version too many"),
    *("no end", "too many entries", "JSON", "empty", "not ASCII", "white space"),
)


class TestHostileIssuer:
    """Threat 39: refused, and the last good document is kept for its time."""

    @pytest.mark.compliance("8725-8")
    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_document_is_refused_and_the_last_one_kept(self, remote, clock, caplog, name):
        assert remote.verdict() == "accepted"
        remote.publish(hostile_documents(remote)[name])
        clock.pass_by(5)
        assert remote.verdict() == "accepted"
        assert "cannot be asked for revocations" in caplog.text
        clock.pass_by(400)
        assert remote.verdict() == "unavailable"
        remote.publish(tokens={JTI: end()})
        clock.pass_by(module.RETRY_AFTER)
        assert remote.verdict() == "revoked"

    def test_each_hostile_document_has_a_test(self, remote):
        assert {*hostile_documents(remote)} == {*HOSTILE}

    @pytest.mark.parametrize(
        "page",
        [
            Page(status=500),
            Page(status=404),
            Page(status=304, headers={"Content-Type": MEDIA_TYPE}),
            Page(status=302, headers={"Location": "/o/elsewhere", "Content-Type": MEDIA_TYPE}),
            Page(body=b"x" * (MOST_BYTES + 1), headers={"Content-Type": MEDIA_TYPE}),
            Page(body=b"x", headers={"Content-Type": MEDIA_TYPE, "Content-Length": str(MOST_BYTES + 1)}),
            Page(body=b"x", headers={"Content-Type": MEDIA_TYPE, "Content-Encoding": "gzip"}),
            Page(body=b"-1\r\nx\r\n", headers={"Content-Type": MEDIA_TYPE, "Transfer-Encoding": "chunked"}),
        ],
        ids=["500", "404", "304 unasked", "redirect", "huge", "huge by its header", "compressed", "endless chunk"],
    )
    def test_answer_that_is_not_a_document(self, remote, clock, page):
        assert remote.verdict() == "accepted"
        remote.issuer.pages[PATH] = page
        clock.pass_by(5)
        assert remote.verdict() == "accepted"
        clock.pass_by(400)
        assert remote.verdict() == "unavailable"
        assert remote.issuer.requests["/o/elsewhere"] == 0

    @pytest.mark.parametrize("media_type", ["application/json", "application/jwt", "text/plain", ""])
    def test_other_content_types(self, remote, media_type):
        page = remote.issuer.pages[PATH]
        page.headers["Content-Type"] = media_type
        assert remote.verdict() == "unavailable"

    def test_slow_issuer_ends_with_the_timeout(self, api, issuer):
        remote = Remote(issuer, api)
        # Other workers' copy of the keys: a slow machine might not fetch them within the timeout below.
        verify_token(remote.token, API, Revocation.OFFLINE)
        remote.configure(others={"ISSUER_TIMEOUT": 1})
        remote.issuer.pages[PATH].drip = 0.3
        assert remote.verdict() == "unavailable"
        assert remote.polls == 1

    def test_failing_issuer_is_left_alone_for_a_while(self, remote, clock):
        remote.issuer.pages[PATH] = Page(status=500)
        for _ in range(5):
            assert remote.verdict() == "unavailable"
        assert remote.polls == 1
        clock.pass_by(module.RETRY_AFTER)
        assert remote.verdict() == "unavailable"
        assert remote.polls == 2

    def test_bug_has_no_worse_effect_than_an_outage(self, remote, monkeypatch, caplog):
        def fail(*_arguments, **_options):
            raise ZeroDivisionError

        monkeypatch.setattr(module, "read_revocations", fail)
        assert remote.verdict() == "unavailable"
        assert "This is a bug in django-at-jwt" in caplog.text

    def test_new_key_of_the_issuer_is_fetched(self, remote, clock):
        assert remote.verdict() == "accepted"
        new = TokenFactory("ES256", "a newer key")
        remote.issuer.publish(FACTORY, new)
        remote.publish(factory=new, version=2, tokens={JTI: end()})
        clock.pass_by(31)
        assert remote.verdict() == "revoked"

    def test_issuer_that_has_no_key_left(self, remote, clock):
        assert remote.verdict() == "accepted"
        remote.issuer.publish()
        token = remote.issuer.token(exp=end(9000))
        clock.pass_by(3700)
        with pytest.raises(django_at_jwt.KeysUnavailable):
            verify_token(token)


class TestAnnouncement:
    def test_issuer_that_announces_none_is_named_in_the_log(self, remote, caplog):
        remote.issuer.describe()
        assert remote.verdict() == "unavailable"
        assert 'announces no document of revocations ("at_jwt_revocations_uri")' in caplog.text
        assert 'AT_JWT["PUBLISH_REVOCATIONS"]' in caplog.text

    def test_openid_metadata(self, remote):
        del remote.issuer.pages[METADATA]
        remote.issuer.describe(OPENID, at_jwt_revocations_uri=f"{remote.issuer.root}{PATH}")
        assert remote.verdict() == "accepted"

    @pytest.mark.parametrize("address", ["http://as.example.com/x", "ftp://127.0.0.1/", "/o/revocations/", 7, None])
    def test_address_that_must_not_be_fetched(self, remote, caplog, address):
        document = {"issuer": remote.issuer.issuer, "jwks_uri": f"{remote.issuer.root}{KEYS}"}
        remote.issuer.pages[METADATA] = Page(json.dumps(document | {"at_jwt_revocations_uri": address}).encode())
        assert remote.verdict() == "unavailable"
        assert "must be an https URL" in caplog.text

    def test_document_that_moved(self, remote, clock):
        assert remote.verdict() == "accepted"
        page = remote.issuer.pages.pop(PATH)
        remote.issuer.pages["/o/moved/"] = page
        remote.issuer.describe(at_jwt_revocations_uri=f"{remote.issuer.root}/o/moved/")
        clock.pass_by(5)
        assert remote.verdict() == "accepted"
        clock.pass_by(module.RETRY_AFTER)
        assert remote.verdict() == "accepted"
        assert remote.issuer.requests["/o/moved/"] == 1


class TestConditionalRequests:
    def test_unchanged_document_is_confirmed(self, remote, clock):
        remote.publish(etag='W/"a"')
        assert remote.verdict() == "accepted"
        remote.issuer.pages[PATH] = Page(status=304)
        for _ in range(3):
            clock.pass_by(60)
            assert remote.verdict() == "accepted"
        assert [each.get("if-none-match") for each in remote.issuer.seen if each["path"] == PATH][1:] == ['W/"a"'] * 3

    def test_confirmation_does_not_extend_the_document(self, remote, clock):
        remote.publish(etag='"a"')
        assert remote.verdict() == "accepted"
        remote.issuer.pages[PATH] = Page(status=304)
        for seconds in (200, 120):
            clock.pass_by(seconds)
            assert remote.verdict() == "accepted"
        # exp, which is 300 seconds after the start, and the leeway.
        clock.pass_by(15)
        assert remote.verdict() == "unavailable"
        assert "if-none-match" not in [each for each in remote.issuer.seen if each["path"] == PATH][-1]


class TestOutage:
    def test_last_document_until_it_expires(self, remote, clock, events):
        assert remote.verdict() == "accepted"
        remote.issuer.stop()
        for seconds, verdict in ((295, "accepted"), (0, "accepted"), (10, "unavailable")):
            clock.pass_by(seconds)
            assert remote.verdict() == verdict
        failed = [event for event in events if event.name == "issuer.failed" and event.purpose == "revocations"]
        assert [event.fallback for event in failed] == [
            "its last document is used until it expires",
            "tokens are answered with 503",
        ]

    def test_no_longer_than_the_settings_allow(self, remote, clock):
        remote.configure(others={"REVOCATION_MAX_STALE": 60})
        assert remote.verdict() == "accepted"
        remote.issuer.stop()
        clock.pass_by(61)
        assert remote.verdict() == "unavailable"

    def test_revoked_token_stays_revoked(self, remote, clock):
        remote.publish(tokens={JTI: end(3600)})
        assert remote.verdict() == "revoked"
        remote.issuer.stop()
        clock.pass_by(400)
        assert remote.verdict() == "revoked"
        assert remote.verdict(remote.issuer.token()) == "unavailable"

    @pytest.mark.parametrize("by", ["issuer", "project"])
    def test_accepted_by_setting(self, remote, by):
        others = {"REVOCATION_UNAVAILABLE": "accept"} if by == "project" else {}
        remote.configure(others=others, **({"revocation_unavailable": "accept"} if by == "issuer" else {}))
        remote.issuer.pages[PATH] = Page(status=500)
        assert remote.verdict() == "accepted"
        assert verify_token_in_memory(remote.token)

    def test_setting_of_the_issuer_comes_first(self, remote):
        remote.configure(others={"REVOCATION_UNAVAILABLE": "accept"}, revocation_unavailable="refuse")
        remote.issuer.pages[PATH] = Page(status=500)
        assert remote.verdict() == "unavailable"

    def test_503_with_retry_after_over_http(self, remote, client):
        remote.issuer.pages[PATH] = Page(status=500)
        response = client.get("/whoami/", headers={"Authorization": f"Bearer {remote.token}"})
        assert response.status_code == 503
        assert response["Retry-After"]
        assert "WWW-Authenticate" not in response

    def test_issuer_that_comes_back_is_asked_again(self, remote, clock):
        assert remote.verdict() == "accepted"
        remote.issuer.stop()
        clock.pass_by(400)
        assert remote.verdict() == "unavailable"
        remote.issuer.start()
        clock.pass_by(module.RETRY_AFTER)
        remote.publish(version=2, tokens={JTI: end()})
        assert remote.verdict() == "revoked"


INTROSPECT = "/o/introspect/"
CREDENTIALS = {"revocation_unavailable": "introspect", "client_id": "the api", "client_secret": "its secret"}


class TestIntrospection:
    @pytest.fixture(autouse=True)
    def configured(self, remote):
        uris = {"at_jwt_revocations_uri": PATH, "introspection_endpoint": INTROSPECT}
        remote.issuer.describe(**{name: f"{remote.issuer.root}{path}" for name, path in uris.items()})
        remote.issuer.pages[INTROSPECT] = Page(b'{"active": false}')
        remote.configure(**CREDENTIALS)

    def test_not_asked_while_there_is_a_document(self, remote):
        assert remote.verdict() == "accepted"
        assert remote.issuer.requests[INTROSPECT] == 0

    def test_asked_without_a_document(self, remote):
        remote.issuer.pages[PATH] = Page(status=500)
        assert remote.verdict() == "revoked"
        with pytest.raises(TokenRejected):
            verify_token_in_memory(remote.token)

    @pytest.mark.parametrize("entries", [{}, {"tokens": {JTI: 9_999_999_999}}], ids=["no entry", "an entry"])
    def test_asked_if_there_are_too_many_revocations(self, remote, caplog, entries):
        remote.publish(complete=False, **entries)
        assert remote.verdict() == "revoked"
        assert remote.issuer.requests[INTROSPECT] == (0 if entries else 1)
        assert "too many revocations to publish them; the issuer is asked about each token" in caplog.text

    def test_needs_credentials(self, remote):
        options = {"revocation": "deny_list", "revocation_unavailable": "introspect", "audience": API}
        [(_, problem)] = problems_in({"ISSUERS": {remote.issuer.issuer: options}})
        assert 'needs a "client_id" and a "client_secret"' in problem
        remote.configure(**{**CREDENTIALS, "client_secret": None})
        with pytest.raises(ImproperlyConfigured, match="client_secret"):
            accepted_issuers()


def test_too_many_revocations_without_introspection(remote, caplog):
    remote.publish(complete=False)
    assert remote.verdict() == "unavailable"
    with pytest.raises(RevocationUnavailable, match="too many revocations"):
        verify_token(remote.token)
    assert "tokens are answered with 503" in caplog.text
    remote.configure(revocation_unavailable="accept")
    assert remote.verdict() == "accepted"


@pytest.mark.parametrize(
    "options",
    [{"revocation": "row"}, {"deny_list_max_age": 0}, {"deny_list_max_age": "5"}, {"revocation_unavailable": "ask"}],
    ids=str,
)
def test_unusable_options(options):
    [name] = options
    [(place, _)] = problems_in({"ISSUERS": {"https://as.example.com": {"audience": API, **options}}})
    assert place.endswith(f'["{name}"]')
