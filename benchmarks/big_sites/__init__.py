"""Each operation on a small site and on a big one, both on PostgreSQL, filled by :mod:`~benchmarks.big_sites.fill`."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from benchmarks.postgresql import absence, new_database
from benchmarks.report import Table

from .sizes import BIG, QUICK, SMALL, Size

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUICK_ROUNDS: Final = 10
_ROUNDS: Final = 5


class _Site:
    """A process with a site of one size."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        ready = self._read()
        self.filled: float = ready["filled"]
        self.operations: list[str] = ready["operations"]

    def cost_of(self, operation: str) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(operation) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process of a site has ended; its error is above")
        return json.loads(line)


def tables(rounds: int) -> Iterator[Table]:
    """Measure, and yield the table; none without PostgreSQL."""
    reason = absence()
    if reason:
        print(f"\nbig_sites was skipped: {reason}.")
        return
    quick = rounds < _QUICK_ROUNDS
    with ExitStack() as stack:
        small, big = (stack.enter_context(_site(size)) for size in (SMALL, QUICK if quick else BIG))
        yield _table(small, big, QUICK if quick else BIG, rounds=1 if quick else _ROUNDS)


@contextmanager
def _site(size: Size) -> Iterator[_Site]:
    command = [sys.executable, "-m", "benchmarks.big_sites.worker", json.dumps(asdict(size))]
    with new_database() as url:
        process = subprocess.Popen(
            command,
            env={**os.environ, "DATABASE_URL": url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield _Site(process)
        finally:
            process.kill()
            process.communicate()


def _table(small: _Site, big: _Site, size: Size, *, rounds: int) -> Table:
    rows, controls = [], []
    # A big site also has pages of rows that a small one does not have.
    for name in small.operations:
        turns = [[site.cost_of(name) for site in (small, big, small)] for _ in range(rounds)]
        costs = [[cost["python"] + cost["database"] for cost in turn] for turn in turns]
        controls.append(statistics.median(again / first for first, _, again in costs))
        rows.append(
            {
                "variant": name,
                "small ms": statistics.median((first + again) / 2 for first, _, again in costs),
                "big ms": statistics.median(cost for _, cost, _ in costs),
                "ratio": statistics.median(cost / ((first + again) / 2) for first, cost, again in costs),
                "in the database": statistics.median(turn[1]["database"] for turn in turns),
                "SQL small": int(min(cost["statements"] for turn in turns for cost in (turn[0], turn[2]))),
                "SQL big": int(min(turn[1]["statements"] for turn in turns)),
            }
        )
    low, middle, high = statistics.quantiles(controls, n=4)
    return Table(
        title=f"A small site and one with {size.tokens} tokens, {size.users} users, {size.clients} clients, "
        f"{size.apis} APIs, {size.mappers} mappers and {size.keys} keys, filled in {big.filled:.0f} s (CPU time)",
        rows=rows,
        null_control=middle,
        unrest=(high - low) / middle,
        goal="at most 2 times for a request or page, 3 for lists of mappers and APIs, and as many statements",
    )
