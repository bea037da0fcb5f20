"""Runs of consumers: what they accept, and how soon they see that a key is new or gone."""

from __future__ import annotations

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.ports import reserved_port

from .catalog import ALGORITHMS, SCOPE
from .installation import DEBIAN, NODE_PACKAGES, command_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from .catalog import Consumer
    from .issuer import Issuer

DEFAULT: Final = "by default"
NAMED: Final = "named"
LONGEST_WAIT: Final = 90


@dataclass(kw_only=True)
class Result:
    """What a consumer did.

    Attributes:
        accepts: for each algorithm, ``DEFAULT``, ``NAMED`` (if the option names it), or the reason of the refusal.
        wrongly_accepts: the defects of tokens that it accepted.
        new_key: seconds until a token of a new key was accepted, or ``None`` if not within ``LONGEST_WAIT``.
        old_key: the same until a token of the revoked key was refused.
    """

    consumer: Consumer
    version: str
    accepts: dict[str, str] = field(default_factory=dict)
    wrongly_accepts: list[str] = field(default_factory=list)
    new_key: float | None = None
    old_key: float | None = None

    def accepted(self) -> list[str]:
        return [algorithm for algorithm, how in self.accepts.items() if how in {DEFAULT, NAMED}]


class Process:
    """A running consumer, configured for the API of one algorithm."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._process.stdout.readline()

    def refusal(self, token: str) -> str | None:
        """Return why it refuses a token, or ``None`` if it accepts it."""
        self._process.stdin.write(f"{token}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        return None if answer == "accepted" else answer or "it ended"


@contextmanager
def running(
    consumer: Consumer, issuer: Issuer, algorithm: str, folder: Path, *, named: bool, python: str | None = None
) -> Iterator[Process]:
    with reserved_port() as port:
        api = {
            "issuer": issuer.url,
            "jwks_uri": issuer.metadata()["jwks_uri"],
            "audience": issuer.audience(algorithm),
            "algorithm": algorithm if named else None,
            "scope": SCOPE,
            "certificate": issuer.certificate,
            "folder": str(folder),
            "debian": str(DEBIAN),
            "port": port,
        }
        trust = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        environment = os.environ | dict.fromkeys(trust, issuer.certificate)
        environment |= {"CONSUMER_SITE": json.dumps(api), "NODE_PACKAGES": str(NODE_PACKAGES)}
        pipe = subprocess.PIPE
        with (folder / "consumers.log").open("a") as log:
            command = command_of(consumer, python=python)
            process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=log, text=True)
        try:
            yield Process(process)
        finally:
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def try_tokens(
    result: Result,
    issuer: Issuer,
    tokens: Mapping[str, str],
    invalid: Mapping[str, Mapping[str, str]],
    folder: Path,
    *,
    algorithms: Sequence[str] = ALGORITHMS,
    python: str | None = None,
) -> None:
    """Send valid tokens of each algorithm to a consumer, and invalid ones of the first that it takes."""
    consumer = result.consumer
    for algorithm in algorithms:
        ways = [True] if consumer.must_name else [False, True] if consumer.option else [False]
        for named in ways:
            with running(consumer, issuer, algorithm, folder, named=named, python=python) as process:
                # Some give up the fetch of the keys after few seconds, which a busy machine may take.
                refusal = process.refusal(tokens[algorithm]) and process.refusal(tokens[algorithm])
                result.accepts[algorithm] = refusal or (NAMED if named else DEFAULT)
                if refusal is None:
                    if result.accepted() == [algorithm]:
                        result.wrongly_accepts += [
                            defect for defect, token in invalid[algorithm].items() if process.refusal(token) is None
                        ]
                    break


def measure_new_key(results: Sequence[Result], issuer: Issuer, folder: Path) -> float:
    """Replace the key of the first algorithm, and measure how long each consumer takes to notice it.

    Two processes of each consumer have just fetched the keys. One gets a token of the new key every second until it
    accepts it, and the other a token of the revoked key until it refuses it. The time counts from the publication of
    the new key if the first try succeeds, and else from the fetch, since then the consumer waited because of it.

    Returns:
        how many seconds before the publication the earliest fetch was. A package that waits longer between two fetches
        has been measured; one that waits less may seem to fetch at once.
    """
    algorithm = ALGORITHMS[0]
    timed = [result for result in results if result.consumer.fetches and algorithm in result.accepted()]
    if not timed:
        return 0.0
    old = issuer.token(algorithm)
    with ExitStack() as stack, ThreadPoolExecutor(2 * len(timed)) as pool:

        def start(result: Result) -> Process:
            named = result.accepts[algorithm] == NAMED
            return stack.enter_context(running(result.consumer, issuer, algorithm, folder, named=named))

        first, second = ([start(result) for result in timed] for _ in range(2))
        operation = stack.enter_context(issuer.operation("replace", algorithm))
        # Those first for which it does not matter when, and a warm-up without a fetch for the others.
        fetched_second = list(pool.map(partial(_fetch_time, old), second))
        list(pool.map(lambda process: process.refusal("no.access.token"), first))
        fetched = list(pool.map(partial(_fetch_time, old), first))
        published = json.loads(operation.communicate("now\n")[0])
        new = issuer.token_of_another_key(algorithm, old)
        accepted = pool.map(partial(_seconds_until, new, published, accepted=True), first, fetched)
        refused = pool.map(partial(_seconds_until, old, published, accepted=False), second, fetched_second)
        for result, new_key, old_key in zip(timed, accepted, refused, strict=True):
            result.new_key, result.old_key = new_key, old_key
    return published - min(fetched)


def _fetch_time(token: str, process: Process) -> float:
    """Let a consumer fetch the keys, again if it was too impatient for a busy machine, and return when it had them."""
    deadline = time.time() + LONGEST_WAIT
    while (refusal := process.refusal(token)) is not None:
        if time.time() > deadline:
            raise RuntimeError(f"a consumer that accepted a token refuses one: {refusal}")
        time.sleep(1)
    return time.time()


def _seconds_until(token: str, published: float, process: Process, fetched: float, *, accepted: bool) -> float | None:
    since = published
    while time.time() < published + LONGEST_WAIT:
        if (process.refusal(token) is None) is accepted:
            return time.time() - since
        since = fetched
        time.sleep(1)
    return None
