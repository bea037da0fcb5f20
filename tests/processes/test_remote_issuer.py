"""An API that has only settings, in separate processes from its issuer, and the requests that the issuer receives."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import jwt
import pytest
import requests

from tests.core.token_factory import API, TokenFactory
from tests.patience import PATIENCE_SECONDS
from tests.ports import reserved_port
from tests.resource_server.remote.issuer_process import KEYS, METADATA, running_issuer

from .databases import run
from .servers import gunicorn

pytestmark = pytest.mark.ci

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379")
NEW = TokenFactory("ES256", "a newer key")


@pytest.fixture(params=["redis", "file"])
def shared_cache(request, tmp_path):
    if request.param == "file":
        return {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(tmp_path / "cache")}
    redis = pytest.importorskip("redis", reason="Redis: its client is not installed")
    try:
        redis.Redis.from_url(REDIS, socket_connect_timeout=2).ping()
    except redis.ConnectionError:
        pytest.skip(f"Redis: no server at {REDIS}")
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS,
        "KEY_PREFIX": uuid.uuid4().hex,
    }


def environment(cache, issuers, **settings):
    # However slow this machine is, neither the issuer nor the cache counts as slow.
    at_jwt = {"ISSUERS": issuers, "ISSUER_TIMEOUT": PATIENCE_SECONDS, **settings}
    return {
        "DJANGO_SETTINGS_MODULE": "tests.processes.api_settings",
        "TEST_CACHE": json.dumps(cache),
        "TEST_AT_JWT": json.dumps(at_jwt),
    }


def ask(address, token):
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
    answer = requests.get(f"{address}/whoami/", headers=headers, timeout=PATIENCE_SECONDS)
    return answer.status_code, answer.headers["X-Process"]


def ask_all(address, tokens):
    with ThreadPoolExecutor(16) as threads:
        return list(threads.map(lambda token: ask(address, token), tokens))


def until_all_workers_accept(address, token):
    """Send a token until each of the four workers has accepted it; give the statuses that were answered."""
    statuses: Counter[int] = Counter()
    accepted: set[int] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(accepted) < 4 and time.monotonic() < deadline:
        for status, pid in ask_all(address, [token] * 32):
            statuses[status] += 1
            if status == 200:
                accepted.add(pid)
    assert len(accepted) == 4, statuses
    return statuses


@pytest.fixture
def api(shared_cache, tmp_path):
    with running_issuer() as issuer:
        issuer.pages[KEYS].wait = 0.5
        # Neither a second cool-down nor a second refresh begins while the test runs.
        extra = environment(shared_cache, issuer.settings(), UNKNOWN_KID_COOLDOWN=3600, ISSUER_MIN_AGE=3600)
        with gunicorn("", tmp_path / "log", workers=4, threads=4, **extra) as address:
            yield issuer, address


def exactly(count, cache):
    """Return how often something that happens ``count`` times may be seen; files cannot be claimed atomically."""
    return range(count, count + (1 if "redis" in cache["BACKEND"] else 4))


@pytest.mark.compliance("8725-10")
def test_four_workers_share_one_fetch_and_one_cool_down(api, shared_cache):
    issuer, address = api
    assert until_all_workers_accept(address, issuer.token()).keys() == {200}
    assert issuer.requests[METADATA] in exactly(1, shared_cache)
    assert issuer.fetches in exactly(1, shared_cache)

    before = issuer.fetches
    flood = [issuer.token(NEW, header=NEW.header(kid=f"kid {number}")) for number in range(300)]
    answers = Counter(status for status, _ in ask_all(address, flood + [issuer.token()] * 50))
    assert answers == {401: 300, 200: 50}
    assert issuer.fetches - before in exactly(1, shared_cache)


def test_new_key_reaches_all_workers_with_one_fetch(api, shared_cache):
    issuer, address = api
    until_all_workers_accept(address, issuer.token())
    before = issuer.fetches
    issuer.publish(TokenFactory("ES256"), NEW)
    until_all_workers_accept(address, issuer.token(NEW))
    assert issuer.fetches - before in exactly(1, shared_cache)


# The example project as the issuer: keys are announced for 3 seconds, and its JWK set may be cached for 1.
ISSUER = {"EXAMPLE_PROPAGATION_SECONDS": 3, "EXAMPLE_ROTATION_SECONDS": 3600, "EXAMPLE_ACCESS_TOKEN_SECONDS": 900}


def issued(server, client):
    data = {
        "grant_type": "client_credentials",
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
    }
    answer = requests.post(f"{server.base_url}/o/token/", data=data, timeout=PATIENCE_SECONDS)
    return answer.json()["access_token"]


def kid_of(token):
    return jwt.get_unverified_header(token)["kid"]


def wait_for(status, address, token):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (answered := ask(address, token)[0]) != status:
        assert time.monotonic() < deadline, answered
        time.sleep(0.2)


@pytest.mark.compliance("7009-2", "9068-25")
def test_through_rotation_revocation_outage_and_return(running_example, tmp_path):
    with ExitStack() as stack:
        # The issuer comes back where it was.
        issuers_address = f"http://127.0.0.1:{stack.enter_context(reserved_port())}"
        outage = stack.enter_context(ExitStack())
        server = outage.enter_context(running_example(tmp_path, **ISSUER, EXAMPLE_BASE_URL=issuers_address))
        description = server.description()
        client, audience = description["clients"]["service"], description["resource_servers"][0]["identifier"]

        def api(name, **settings):
            cache = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache"}
            extra = environment(
                cache | {"LOCATION": str(tmp_path / f"{name} cache")},
                {description["issuer"]: {"audience": audience}},
                **{"ISSUER_MIN_AGE": 1, "ISSUER_MAX_AGE": 2, "UNKNOWN_KID_COOLDOWN": 1, **settings},
            )
            return stack.enter_context(gunicorn("", tmp_path / f"{name} log", workers=2, **extra))

        # How long an outage may last is far more than the test takes for one, and next to nothing for the other.
        patient, impatient = api("patient", ISSUER_MAX_STALE=7200), api("impatient", ISSUER_MAX_STALE=0)
        first = issued(server, client)
        assert ask(patient, first)[0] == 200

        time.sleep(ISSUER["EXAMPLE_PROPAGATION_SECONDS"] + 0.5)
        server.manage("rotate_signing_keys", "--now")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while kid_of(second := issued(server, client)) == kid_of(first):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert [ask(patient, token)[0] for token in (second, first)] == [200, 200]

        server.manage("revoke_signing_key", kid_of(first), "--reason", "a test")
        wait_for(401, patient, first)
        assert ask(patient, second)[0] == 200
        wait_for(200, impatient, second)

        outage.close()
        wait_for(503, impatient, second)
        assert ask(patient, second)[0] == 200
        stack.enter_context(running_example(tmp_path, **ISSUER, EXAMPLE_BASE_URL=server.base_url))
        wait_for(200, impatient, second)
        assert ask(patient, second)[0] == 200


def test_checks_of_an_api_that_has_nothing_else():
    issuers = {"https://as.example.com/o": {"audience": API}}
    cache = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    checked = run("", "django", "check", **environment(cache, issuers))
    assert checked.returncode == 0, checked.stderr


def test_two_sites_with_an_issuer_each_and_an_api_for_both(running_example, tmp_path):
    with ExitStack() as stack:
        sites = []
        for name in ("books", "shop"):
            (tmp_path / name).mkdir()
            sites.append(stack.enter_context(running_example(tmp_path / name)))
        described = [site.description() for site in sites]
        tokens = [issued(site, each["clients"]["service"]) for site, each in zip(sites, described, strict=True)]
        issuers = {each["issuer"]: {"audience": each["resource_servers"][0]["identifier"]} for each in described}
        assert len(issuers) == 2

        cache = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        api = stack.enter_context(gunicorn("", tmp_path / "log", **environment(cache, issuers)))
        assert [ask(api, token)[0] for token in tokens] == [200, 200]

        def answered(site, token):
            headers = {"Authorization": f"Bearer {token}"}
            notes = f"{sites[site].base_url}/api/notes/"
            return requests.get(notes, headers=headers, timeout=PATIENCE_SECONDS).status_code

        assert [answered(site, tokens[site]) for site in (0, 1)] == [200, 200]
        assert [answered(site, tokens[1 - site]) for site in (0, 1)] == [401, 401]
