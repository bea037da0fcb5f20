"""How long the keys of an issuer are used, through outages, unknown kids and the cache that workers share."""

from __future__ import annotations

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import caches

from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import KeysUnavailable, RejectionReason
from django_at_jwt.resource_server.remote.key_source import (
    RETRY_AFTER,
    UNKNOWN_KID_MEMORY,
    RemoteKeySource,
)
from django_at_jwt.resource_server.remote_issuers import remote_key_source, remote_options
from django_at_jwt.resource_server.verification import verify_token
from django_at_jwt.signals import issuer_fetched
from tests.core.token_factory import REPORTS, TokenFactory
from tests.patience import PATIENCE_SECONDS

from .api_process import cache_keys, get, new_worker, reason
from .issuer_process import HTML, KEYS, METADATA, Page, running_issuer

OLD, NEW = TokenFactory("ES256"), TokenFactory("ES256", "a newer key")
INVALID = 'Bearer error="invalid_token", error_description="The access token is invalid."'


class TestFreshness:
    def after(self, issuer, clock, seconds):
        """Advance the clock and verify; return the number of requests for the keys."""
        before = issuer.fetches
        clock.pass_by(seconds)
        verify_token(issuer.token())
        return issuer.fetches - before

    @pytest.mark.parametrize(
        ("headers", "lifetime"),
        [
            ({}, 300),
            ({"Cache_Control": "max-age=1000"}, 1000),
            ({"Cache_Control": "public, Max-Age=1000"}, 1000),
            ({"Cache_Control": 'max-age="1000"'}, 1000),
            ({"Cache_Control": "max-age=1000", "Age": "400"}, 600),
            ({"Cache_Control": "max-age=1000", "Age": "5000"}, 60),
            ({"Cache_Control": "max-age=0"}, 60),
            ({"Cache_Control": "no-store"}, 60),
            ({"Cache_Control": "max-age=1000, no-cache"}, 60),
            ({"Cache_Control": "max-age=-1"}, 60),
            ({"Cache_Control": "max-age=soon"}, 60),
            ({"Cache_Control": "max-age=99999999"}, 3600),
            ({"Cache_Control": "max-age=" + "9" * 5000}, 60),
            ({"Cache_Control": "s-maxage=5"}, 300),
            ({"Cache_Control": ',,;="'}, 300),
        ],
    )
    def test_refreshed_before_it_runs_out_and_not_sooner(self, headers, lifetime, api, issuer, clock):
        issuer.publish(OLD, **headers)
        verify_token(issuer.token())
        assert self.after(issuer, clock, lifetime * 0.8 - 2) == 0
        assert self.after(issuer, clock, 4) == 1

    def test_etag_is_sent_back_and_a_304_keeps_the_keys(self, api, issuer, clock):
        issuer.publish(OLD, etag='"one"')
        verify_token(issuer.token())
        ring = remote_key_source(only_issuer()).current()
        assert self.after(issuer, clock, 300) == 1
        assert issuer.seen[-1]["if-none-match"] == '"one"'
        assert remote_key_source(only_issuer()).current() is ring
        assert self.after(issuer, clock, 100) == 0
        issuer.publish(NEW, etag='"two"')
        clock.pass_by(300)
        assert verify_token(issuer.token(NEW))
        assert reason(issuer.token(OLD)) is RejectionReason.UNKNOWN_KEY

    @pytest.mark.parametrize("etag", ["no quotes", '"a\x01b"', '"' + "x" * 300 + '"', '"é"'])
    def test_etag_that_cannot_be_sent_is_not(self, etag, api, issuer, clock):
        issuer.publish(OLD).headers["ETag"] = etag
        verify_token(issuer.token())
        assert self.after(issuer, clock, 300) == 1
        assert "if-none-match" not in issuer.seen[-1]

    def test_metadata_is_asked_for_again_and_may_move_the_keys(self, api, issuer, clock):
        verify_token(issuer.token())
        issuer.pages["/moved"] = Page(json.dumps({"keys": [NEW.jwk]}).encode())
        issuer.describe(jwks_uri=f"{issuer.root}/moved")
        clock.pass_by(301)
        assert verify_token(issuer.token(NEW))
        assert issuer.requests[METADATA] == 2

    @pytest.mark.parametrize("gone", [Page(status=404), HTML, None], ids=["404", "html", "host is gone"])
    def test_keys_that_moved_are_followed_before_the_metadata_runs_out(self, gone, api, issuer, clock):
        with running_issuer() as elsewhere:
            issuer.describe(jwks_uri=f"{elsewhere.root}{KEYS}").headers["Cache-Control"] = "max-age=3600"
            assert verify_token(issuer.token())
            issuer.publish(NEW)
            issuer.describe()
            if gone is None:
                elsewhere.stop()
            else:
                elsewhere.pages[KEYS] = gone
            clock.pass_by(300)
            assert verify_token(issuer.token(NEW))
            assert issuer.requests == {METADATA: 2, KEYS: 1}

    def test_keys_that_did_not_move_are_not_asked_for_twice(self, api, issuer, clock, caplog):
        issuer.describe().headers["Cache-Control"] = "max-age=3600"
        assert verify_token(issuer.token())
        issuer.pages[KEYS] = Page(status=500)
        clock.pass_by(300)
        assert verify_token(issuer.token())
        assert issuer.requests == {METADATA: 2, KEYS: 2}
        assert "status is 500" in caplog.text

    def test_rotation_is_noticed_at_the_first_token_of_the_new_key(self, api, issuer):
        verify_token(issuer.token())
        issuer.publish(OLD, NEW)
        assert verify_token(issuer.token(NEW))
        assert verify_token(issuer.token(OLD))
        assert issuer.fetches == 2

    @pytest.mark.compliance("7009-2")
    def test_revoked_key_is_refused_after_the_next_refresh(self, api, issuer, clock):
        issuer.publish(OLD, NEW)
        token = issuer.token(OLD, exp=int(time.time()) + 7200)
        verify_token(token)
        issuer.publish(NEW)
        clock.pass_by(239)
        assert verify_token(token)
        clock.pass_by(2)
        assert reason(token) is RejectionReason.UNKNOWN_KEY

    def test_clearing_the_cache_and_restarting_drops_a_key_at_once(self, api, issuer):
        issuer.publish(OLD, NEW)
        verify_token(issuer.token(OLD))
        issuer.publish(NEW)
        new_worker()
        assert verify_token(issuer.token(OLD))
        caches["default"].clear()
        new_worker()
        assert reason(issuer.token(OLD)) is RejectionReason.UNKNOWN_KEY


def only_issuer():
    [issuer] = app_settings().issuers
    return issuer


class TestOutage:
    def test_last_good_keys_are_used_for_a_bounded_time_and_the_issuer_comes_back(self, api, issuer, clock, caplog):
        verify_token(issuer.token())
        issuer.stop()
        for _ in range(7):
            clock.pass_by(1000)
            assert verify_token(issuer.token())
        assert "the previous keys stay in use" in caplog.text
        clock.pass_by(201)
        with pytest.raises(KeysUnavailable, match="unconfirmed for too long"):
            verify_token(issuer.token())
        issuer.start()
        clock.pass_by(RETRY_AFTER + 1)
        caches["default"].clear()  # The cache has a clock of its own, which these tests do not move.
        assert verify_token(issuer.token())

    @pytest.mark.parametrize(
        ("max_stale", "headers", "usable"),
        [
            (0, {"Cache_Control": "max-age=1000"}, 1000),
            (0, {"Cache_Control": "max-age=0"}, 60),
            (500, {"Cache_Control": "max-age=1000"}, 1000),
            (500, {"Cache_Control": "max-age=100"}, 500),
            (500, {}, 500),
        ],
    )
    def test_time_may_be_shorter_than_the_longest_answer(self, max_stale, headers, usable, api, issuer, clock):
        api.AT_JWT = {**api.AT_JWT, "ISSUER_MAX_STALE": max_stale}
        issuer.publish(OLD, **headers)
        verify_token(issuer.token())
        issuer.stop()
        clock.pass_by(usable - 2)
        assert verify_token(issuer.token())
        clock.pass_by(3)
        with pytest.raises(KeysUnavailable, match="unconfirmed for too long"):
            verify_token(issuer.token())

    @pytest.mark.parametrize("cache", ["locmem.LocMemCache", "dummy.DummyCache"])
    def test_failing_issuer_is_retried_at_intervals(self, cache, api, issuer, clock):
        api.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{cache}"}}
        verify_token(issuer.token())
        issuer.pages[KEYS] = Page(status=500)
        clock.pass_by(300)
        for _ in range(20):
            assert verify_token(issuer.token())
        assert issuer.fetches == 2

    def test_issuer_that_is_down_from_the_start_is_retried_at_intervals(self, api, issuer):
        issuer.pages[METADATA] = Page(status=500)
        for _ in range(20):
            with pytest.raises(KeysUnavailable):
                verify_token(issuer.token())
        assert issuer.requests[METADATA] == 1

    def test_setting_the_clock_back_does_not_make_keys_last(self, api, issuer, clock, monkeypatch):
        verify_token(issuer.token())
        issuer.stop()
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() - 100_000)
        token = issuer.token(exp=int(time.time()) + 10_000)
        clock.pass_by(7201)
        with pytest.raises(KeysUnavailable):
            verify_token(token)


HOPELESS = {
    "no token": lambda issuer: "abc",
    "five segments": lambda issuer: "a.b.c.d.e",
    "too long": lambda issuer: "A" * 20_000,
    "alg none": lambda issuer: issuer.token(header=NEW.header(alg="none")),
    "unknown alg": lambda issuer: issuer.token(header=NEW.header(alg="HS256")),
    "typ": lambda issuer: issuer.token(header=NEW.header(typ="JWT")),
    "crit": lambda issuer: issuer.token(header=NEW.header(crit=["x"])),
    "kid is a list": lambda issuer: issuer.token(header=NEW.header(kid=["x"])),
    "no claims": lambda issuer: NEW.token(payload="x"),
    "no sub": lambda issuer: issuer.token(NEW, sub=None),
    "another issuer": lambda issuer: issuer.token(NEW, iss="https://evil.example.com"),
    "another audience": lambda issuer: issuer.token(NEW, aud=REPORTS),
    "expired": lambda issuer: issuer.token(NEW, exp=1),
    "not yet": lambda issuer: issuer.token(NEW, nbf=int(time.time()) + 3600),
    "no signature": lambda issuer: issuer.token(NEW).rpartition(".")[0] + ".",
    "signature that is too short": lambda issuer: issuer.token(NEW)[:-4],
    "signature that is too short for RSA": lambda issuer: issuer.token(NEW, header=NEW.header(alg="RS256")),
    "signature with another spelling": lambda issuer: issuer.token(NEW)[:-1] + "_",
    "empty kid": lambda issuer: issuer.token(NEW, header=NEW.header(kid="")),
    "long kid": lambda issuer: issuer.token(NEW, header=NEW.header(kid="k" * 513)),
}


@pytest.mark.compliance("8725-10")
@pytest.mark.parametrize("hopeless", HOPELESS.values(), ids=HOPELESS)
class TestTokensThatNoKeyCanMakeValid:
    """It is rejected without a request to the issuer, without waiting, and without starting the cool-down."""

    def test_before_there_are_keys(self, hopeless, api, issuer, client):
        answer = get(client, hopeless(issuer))
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, INVALID)
        assert not issuer.requests

    def test_while_the_issuer_is_down(self, hopeless, api, issuer, client):
        issuer.stop()
        assert get(client, hopeless(issuer)).status_code == 401
        assert get(client, issuer.token()).status_code == 503
        assert get(client, hopeless(issuer)).status_code == 401

    def test_while_another_request_waits_for_a_slow_issuer(self, hopeless, api, issuer, client):
        # A request that waits for the keys without success gets a 503.
        with remote_key_source(only_issuer())._request.lock:
            assert get(client, hopeless(issuer)).status_code == 401

    def test_once_there_are_keys(self, hopeless, api, issuer, client, clock):
        assert get(client, issuer.token()).status_code == 200
        token = hopeless(issuer)
        assert get(client, token).status_code == 401
        clock.pass_by(300)
        assert get(client, token).status_code == 401
        assert issuer.fetches == 1
        # The cool-down is still available for a token of the issuer's new key.
        issuer.publish(OLD, NEW)
        assert get(client, issuer.token(NEW)).status_code == 200


def test_cached_token_that_has_expired_causes_no_request(api, issuer, clock):
    token = issuer.token()
    for _ in range(3):
        assert verify_token(token)
    clock.pass_by(700)
    assert reason(token) is RejectionReason.EXPIRED
    assert issuer.fetches == 1


@pytest.mark.compliance("8725-10")
class TestUnknownKids:
    def test_flood_costs_one_fetch_in_a_cool_down(self, api, issuer, clock):
        verify_token(issuer.token())
        for number in range(200):
            header = NEW.header(kid=f"kid {number}")
            assert reason(issuer.token(NEW, header=header)) is RejectionReason.UNKNOWN_KEY
            assert verify_token(issuer.token())
        assert issuer.fetches == 2

    def test_next_cool_down_allows_one_more(self, api, issuer, clock):
        api.AT_JWT = {**api.AT_JWT, "UNKNOWN_KID_COOLDOWN": 1}
        verify_token(issuer.token())
        for number in range(2):
            reason(issuer.token(NEW, header=NEW.header(kid=f"kid {number}")))
            reason(issuer.token(NEW, header=NEW.header(kid=f"another {number}")))
            clock.pass_by(1.1)
        # Without a cool-down there would be five.
        assert issuer.fetches == 3

    def test_kid_that_the_issuer_does_not_know_is_remembered(self, api, issuer, clock):
        verify_token(issuer.token())
        reason(issuer.token(NEW))
        assert issuer.fetches == 2
        clock.pass_by(35)
        caches["default"].delete(next(key for key in cache_keys() if key.endswith("unknown-kid")))
        reason(issuer.token(NEW))
        assert issuer.fetches == 2
        reason(issuer.token(NEW, header=NEW.header(kid="another")))
        assert issuer.fetches == 3
        assert UNKNOWN_KID_MEMORY == 300

    def test_kid_that_another_worker_asked_about_is_remembered_too(self, api, issuer, clock):
        verify_token(issuer.token())
        reason(issuer.token(NEW))
        new_worker()
        clock.pass_by(35)
        caches["default"].delete(next(key for key in cache_keys() if key.endswith("unknown-kid")))
        reason(issuer.token(NEW))
        assert issuer.fetches == 2

    def test_key_that_another_worker_fetched_costs_no_fetch(self, api, issuer):
        verify_token(issuer.token())
        here = remote_key_source(only_issuer())
        issuer.publish(OLD, NEW)
        new_worker()
        assert verify_token(issuer.token(NEW))
        assert issuer.fetches == 2
        assert NEW.kid in here.after_unknown_kid(NEW.kid).public_keys
        assert issuer.fetches == 2

    def test_key_that_another_worker_is_fetching_is_found_a_second_later(self, api, issuer, clock):
        verify_token(issuer.token())
        here, another = remote_key_source(only_issuer()), RemoteKeySource(remote_options(only_issuer()))
        issuer.publish(OLD, NEW)
        assert another._request.claim()
        assert here.after_unknown_kid(NEW.kid) is None
        clock.pass_by(1.1)
        assert another._fetch()
        assert NEW.kid in here.after_unknown_kid(NEW.kid).public_keys
        assert issuer.fetches == 2

    def test_others_do_not_wait_for_it(self, api, issuer):
        verify_token(issuer.token())
        with ThreadPoolExecutor() as threads, issuer.holding(KEYS) as asked:
            waiting = threads.submit(reason, issuer.token(NEW))
            assert asked.wait(PATIENCE_SECONDS)
            for _ in range(10):
                assert verify_token(issuer.token())
                reason(issuer.token(NEW, header=NEW.header(kid="another")))
            assert not waiting.done()
        assert waiting.result() is RejectionReason.UNKNOWN_KEY


class TestSharing:
    def test_another_worker_sends_no_request(self, api, issuer):
        verify_token(issuer.token())
        new_worker()
        verify_token(issuer.token())
        assert issuer.requests == {METADATA: 1, KEYS: 1}

    def test_failure_is_known_to_a_worker_that_sends_no_request(self, api, issuer, clock):
        asks, waits = (RemoteKeySource(remote_options(only_issuer())) for _ in range(2))
        for worker in (asks, waits):
            worker.current()
        issuer.stop()
        clock.pass_by(300)
        for worker in (asks, waits):
            worker.current()
        assert [worker.state().is_failing for worker in (asks, waits)] == [True, True]
        issuer.start()
        clock.pass_by(RETRY_AFTER)
        for worker in (asks, waits):
            worker.current()
        assert [worker.state().is_failing for worker in (asks, waits)] == [False, False]

    def test_many_threads_at_the_start_ask_once(self, api, issuer):
        issuer.pages[KEYS].wait = 0.3
        with ThreadPoolExecutor(8) as threads:
            assert len(list(threads.map(verify_token, [issuer.token() for _ in range(16)]))) == 16
        assert issuer.fetches == 1

    def test_workers_at_the_start_wait_for_the_one_that_asks(self, api, issuer):
        issuer.pages[KEYS].wait = 0.5
        workers = [RemoteKeySource(remote_options(only_issuer())) for _ in range(4)]
        with ThreadPoolExecutor(4) as threads:
            rings = list(threads.map(lambda worker: worker.current(), workers))
        assert [list(ring.public_keys) for ring in rings] == [[OLD.kid]] * 4
        assert issuer.fetches == 1

    def test_worker_that_finishes_between_the_read_and_the_claim_of_another(self, api, issuer, monkeypatch):
        late, quick = (RemoteKeySource(remote_options(only_issuer())) for _ in range(2))
        claim = late._shared.claim

        def claim_late(name, *, seconds):
            quick.current()
            return claim(name, seconds=seconds)

        monkeypatch.setattr(late._shared, "claim", claim_late)
        assert list(late.current().public_keys) == [OLD.kid]
        assert issuer.fetches == 1
        assert not late._shared.is_claimed("refresh")

    def test_no_request_waits_while_there_are_keys(self, api, issuer, clock):
        verify_token(issuer.token())
        clock.pass_by(300)
        with ThreadPoolExecutor() as threads, issuer.holding(KEYS) as asked:
            waiting = threads.submit(verify_token, issuer.token())
            assert asked.wait(PATIENCE_SECONDS)
            assert verify_token(issuer.token())
            assert reason(issuer.token(NEW)) is RejectionReason.UNKNOWN_KEY
            assert not waiting.done()
        assert waiting.result()

    def text(self):
        [key] = [key for key in cache_keys() if key.endswith("snapshot")]
        return key, caches["default"].get(key)

    def test_nothing_but_text_and_public_keys_is_in_the_cache(self, api, issuer):
        verify_token(issuer.token())
        _, text = self.text()
        assert isinstance(text, str)
        document = json.loads(text.rpartition(":")[0])
        assert document["jwk_set"] == {"keys": [OLD.jwk]}

    @pytest.mark.parametrize(
        "entry",
        [5, b"bytes", "", "{}", "text", None, "x" * 2_000_000, "attacker", "future", "other issuer", "no set", "http"],
        ids=str,
    )
    def test_broken_or_hostile_entry_is_ignored(self, entry, api, issuer, caplog):
        from django.core.signing import Signer

        verify_token(issuer.token())
        key, text = self.text()
        document = json.loads(text.rpartition(":")[0])
        sign = Signer(salt="django_at_jwt.issuers").sign
        attackers = json.dumps(document | {"jwk_set": {"keys": [NEW.jwk]}, "confirmed_at": time.time() + 1})
        entry = (
            {
                "attacker": f"{attackers}:{text.rpartition(':')[2]}",
                "future": sign(
                    json.dumps(document | {"confirmed_at": time.time() + 1e6, "fresh_until": time.time() + 1e6})
                ),
                "other issuer": sign(json.dumps(document | {"issuer": "https://as.example.com"})),
                "no set": sign(json.dumps(document | {"jwk_set": {"keys": {}}})),
                "http": sign(json.dumps(document | {"jwks_uri": "http://192.0.2.1/"})),
            }.get(entry, entry)
            if isinstance(entry, str)
            else entry
        )
        caches["default"].set(key, entry)
        new_worker()
        assert verify_token(issuer.token())
        assert reason(issuer.token(NEW)) is RejectionReason.UNKNOWN_KEY
        assert issuer.fetches >= 2
        assert entry is None or "is ignored" in caplog.text

    @pytest.mark.parametrize(
        "number",
        [
            pytest.param("1" + "0" * 400, id="more than a float holds"),
            pytest.param("-1" + "0" * 400, id="less than a float holds"),
            pytest.param("9" * 5000, id="5000 digits"),
            "1e400",
            "-1",
            "true",
            '"1"',
        ],
    )
    @pytest.mark.parametrize("member", ["confirmed_at", "metadata_until", "fresh_until"])
    def test_entry_with_an_absurd_instant_is_ignored(self, member, number, api, issuer, client, caplog):
        from django.core.signing import Signer

        verify_token(issuer.token())
        key, text = self.text()
        document = json.loads(text.rpartition(":")[0])
        absurd = json.dumps(document | {member: "absurd"}).replace('"absurd"', number)
        caches["default"].set(key, Signer(salt="django_at_jwt.issuers").sign(absurd))
        new_worker()
        answer = client.get("/whoami/", headers={"Authorization": f"Bearer {issuer.token()}"})
        assert answer.status_code == 200
        assert issuer.fetches == 2
        assert "is ignored" in caplog.text

    def test_cache_that_never_expires_a_claim(self, api, issuer, clock, caplog):
        verify_token(issuer.token())
        key = next(key for key in cache_keys() if key.endswith("snapshot"))
        caches["default"].set(key.replace("snapshot", "refresh"), "taken", None)
        clock.pass_by(300)
        for _ in range(50):
            assert verify_token(issuer.token())
            clock.pass_by(4)
        assert issuer.fetches == 2

    @pytest.mark.parametrize("fails", [True, False])
    def test_cache_that_hangs_holds_up_one_request_and_not_each(self, fails, api, issuer, clock, monkeypatch, caplog):
        verify_token(issuer.token())
        asked = []

        def hang(cache, key, *_arguments, **_options):
            asked.append(key)
            # A fifth of ISSUER_TIMEOUT is too long.
            clock.pass_by(12.1)
            if fails:
                raise TimeoutError

        for operation in "get", "set", "add", "delete":
            monkeypatch.setattr(type(caches["default"]), operation, hang)
        for number in range(3):
            clock.pass_by(35)
            # The cache is used again after a while, since it may have recovered.
            assert reason(issuer.token(NEW, header=NEW.header(kid=f"kid {number}"))) is RejectionReason.UNKNOWN_KEY
            assert len(asked) == number + 1
        assert verify_token(issuer.token())
        assert "is not used to share" in caplog.text

    @pytest.mark.parametrize("kind", ["away", "dummy", "unknown alias"])
    def test_without_a_cache_that_works(self, kind, api, issuer, caplog, clock):
        api.CACHES = {
            **api.CACHES,
            "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
            "away": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:9"},
        }
        api.AT_JWT = {**api.AT_JWT, "ISSUER_CACHE": kind}
        for number in range(3):
            assert verify_token(issuer.token())
            reason(issuer.token(NEW, header=NEW.header(kid=f"kid {number}")))
            clock.pass_by(5)
        assert issuer.fetches == 2
        assert caplog.text.count("is not used to share") == (0 if kind == "dummy" else 1)


class TestFigures:
    @pytest.fixture
    def figures(self):
        seen = []

        def receive(sender, **figures):
            seen.append((figures["issuer"], figures["what"], figures["outcome"]))
            assert 0 <= figures["seconds"] <= 60

        issuer_fetched.connect(receive)
        yield seen
        issuer_fetched.disconnect(receive)

    def test_signal_for_each_request(self, figures, api, issuer, clock):
        issuer.publish(OLD, etag='"one"')
        verify_token(issuer.token())
        clock.pass_by(250)
        verify_token(issuer.token())
        issuer.stop()
        clock.pass_by(250)
        verify_token(issuer.token())
        assert [figure[1:] for figure in figures] == [
            ("metadata", "fetched"),
            ("jwk_set", "fetched"),
            ("jwk_set", "unchanged"),
            ("metadata", "failed"),
        ]
        assert {figure[0] for figure in figures} == {issuer.issuer}

    def test_failing_receiver_is_ignored(self, api, issuer, caplog):
        def fail(**_kwargs):
            raise ValueError("a receiver")

        issuer_fetched.connect(fail)
        try:
            assert verify_token(issuer.token())
        finally:
            issuer_fetched.disconnect(fail)

    def test_log_once_for_a_failure(self, api, issuer, caplog):
        caplog.set_level(logging.WARNING)
        issuer.pages[METADATA] = Page(status=500)
        for _ in range(5):
            with pytest.raises(KeysUnavailable):
                verify_token(issuer.token())
        assert caplog.text.count("cannot be asked for keys") == 1
