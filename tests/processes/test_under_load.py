"""The token endpoint and the key set under load: many rotations, wrong clocks, stale copies, no keys."""

from __future__ import annotations

import json
import random
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING

import jwt
import pytest
import requests

from tests.patience import PATIENCE_SECONDS

from .clock import SharedClock
from .databases import CLIENT, KINDS, environment, manage
from .servers import gunicorn

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.ci

ROTATIONS = 10
# By how many seconds the clock of all processes is moved at once. Requests and rotations may be under way then.
STEP = 100
# One worker's clock is ahead by this and another's is behind, which takes the longest leeway there is.
CLOCK_ERROR = 300
# The propagation time leaves room for some steps, which an announcement takes to be seen.
POLICY = {
    "JWK_SET_MAX_AGE": 100,
    "LIFETIME": 1800,
    "LEEWAY": 2 * CLOCK_ERROR,
    "PROPAGATION_TIME": 1340,
    "ROTATION_INTERVAL": 1340,
    "KEY_RING_MAX_AGE": 60,
}


@pytest.fixture
def database_url(kind, prepared_databases, tmp_path):
    with prepared_databases.copy(kind, tmp_path, keys=False) as url:
        yield url


def ask_for_token(address: str) -> requests.Response:
    data = {"grant_type": "client_credentials", **CLIENT}
    return requests.post(f"{address}/o/token/", data=data, timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("kind", KINDS)
def test_parallel_requests_on_an_empty_table_make_no_key(database_url, tmp_path):
    with (
        gunicorn(database_url, tmp_path / "log", workers=2, threads=8) as address,
        ThreadPoolExecutor(25) as pool,
    ):
        answers = list(pool.map(lambda _: ask_for_token(address), range(50)))
        assert requests.get(f"{address}/o/.well-known/jwks.json", timeout=PATIENCE_SECONDS).json() == {"keys": []}
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["error"] for answer in answers} == {"server_error"}
    assert "rotate_signing_keys" in (tmp_path / "log").read_text()
    planned = json.loads(manage(database_url, "rotate_signing_keys", "--json", "--dry-run").stdout)
    assert planned["keys"] == []


@dataclass
class Consumer:
    """A resource server that uses its copy of the JWK set for as long as it may, and never asks for an unknown kid."""

    now: Callable[[], float]
    keys: dict = field(default_factory=dict)
    good_until: float = 0
    fetches: int = 0

    def key(self, address: str, kid: str):
        asked_at = self.now()
        if asked_at >= self.good_until:
            answer = requests.get(f"{address}/o/.well-known/jwks.json", timeout=PATIENCE_SECONDS)
            cache = dict(re.findall(r"([a-z-]+)=(\d+)", answer.headers["Cache-Control"]))
            self.keys = {key["kid"]: jwt.PyJWK(key) for key in answer.json()["keys"]}
            # The answer may have been made as soon as it was asked for (RFC 9111 section 4.2.3).
            self.good_until = asked_at + int(cache["max-age"]) + int(cache["stale-while-revalidate"])
            self.fetches += 1
        return self.keys[kid]

    def verify(self, address: str, token: str) -> None:
        key = self.key(address, jwt.get_unverified_header(token)["kid"])
        # The library's clock is the real one, so the times are left to the test, which compares them to the shared one.
        jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            audience="https://api.example.com/",
            options={"verify_exp": False, "verify_iat": False},
        )


@dataclass
class Load:
    """Asks one worker for tokens and shows them to the other, and to a consumer with stale keys, until they expire."""

    addresses: list[str]
    now: Callable[[], float]
    consumer: Consumer
    failures: list[str] = field(default_factory=list)
    kids: set[str] = field(default_factory=set)
    verified: int = 0
    alive: list[tuple[float, str]] = field(default_factory=list)

    def run_once(self) -> None:
        issuer, verifier = random.sample(self.addresses, 2)
        answer = ask_for_token(issuer)
        if answer.status_code != 200:
            self.failures.append(f"token endpoint: {answer.status_code} {answer.text}")
            return
        token = answer.json()["access_token"]
        self.kids.add(jwt.get_unverified_header(token)["kid"])
        self.alive.append((jwt.decode(token, options={"verify_signature": False})["exp"], token))
        # The slow worker's tokens expire early by the true clock, and none is shown later than its own exp.
        self.alive = [(exp, each) for exp, each in self.alive if exp > self.now() + 2 * CLOCK_ERROR]
        for _, each in random.sample(self.alive, min(3, len(self.alive))):
            self.show(verifier, each)

    def show(self, verifier: str, token: str) -> None:
        try:
            self.consumer.verify(verifier, token)
        except (jwt.PyJWTError, KeyError) as error:
            self.failures.append(f"consumer: {error!r}")
        headers = {"Authorization": f"Bearer {token}"}
        accepted = requests.get(f"{verifier}/whoami/", headers=headers, timeout=PATIENCE_SECONDS)
        if accepted.status_code != 200:
            self.failures.append(f"API: {accepted.status_code} {accepted.text}")
        self.verified += 1


# What depends on the database are rotations that race, which test_rotation has on each.
@pytest.mark.parametrize("kind", ["postgresql"])
def test_many_rotations_under_load(database_url, tmp_path):
    clock = SharedClock.create(tmp_path / "clock")
    policy = {"TEST_POLICY": json.dumps(POLICY)}

    def rotate() -> None:
        rotations.stdin.write("now\n")
        rotations.stdin.flush()
        assert rotations.stdout.readline() == "done\n"

    with (
        gunicorn(database_url, tmp_path / "fast", **policy, **clock.environment(CLOCK_ERROR)) as fast,
        gunicorn(database_url, tmp_path / "slow", **policy, **clock.environment(-CLOCK_ERROR)) as slow,
        Popen(
            [sys.executable, "-m", "tests.processes.rotate_by_the_line"],
            env=environment(database_url, **policy, **clock.environment()),
            stdin=PIPE,
            stdout=PIPE,
            text=True,
        ) as rotations,
        ThreadPoolExecutor() as pool,
    ):
        rotate()
        loads = [Load([fast, slow], clock.now, Consumer(clock.now)) for _ in range(2)]
        ends = clock.now() + (ROTATIONS + 2) * POLICY["ROTATION_INTERVAL"]
        while clock.now() < ends:
            under_way = [pool.submit(task) for task in (rotate, *(load.run_once for load in loads))]
            clock.move(STEP)
            for each in under_way:
                each.result()
    logs = (tmp_path / "fast").read_text() + (tmp_path / "slow").read_text()
    failures = [failure for load in loads for failure in load.failures]
    assert failures == [], (failures[:5], len(failures), logs[-2000:])
    assert len({kid for load in loads for kid in load.kids}) >= ROTATIONS
    assert all(load.verified > 100 and load.consumer.fetches > 1 for load in loads)
