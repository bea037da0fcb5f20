"""Requests per second of gunicorn with two workers on PostgreSQL: this package, stock DOT and simplejwt.

All variants run at once and are put under load in turns: A B C A, A C B A, ... Each turn is compared with the baseline
of its round.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from benchmarks.postgresql import absence, new_database
from benchmarks.report import Table

from .load import put_load
from .servers import migrate, running
from .variants import APIS, HASHED_SECRETS, TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .load import Load
    from .servers import Server, Variant

_QUICK_ROUNDS: Final = 10
_ROUNDS: Final = 7
_SECONDS: Final = 3.0
_QUICK_SECONDS: Final = 0.2
_CONNECTIONS: Final = 4


def tables(rounds: int) -> Iterator[Table]:
    """Measure, and yield the tables; none without PostgreSQL."""
    reason = absence()
    if reason:
        print(f"\nthroughput was skipped: {reason}.")
        return
    with new_database() as template:
        migrate(template)
        yield from _tables(template, quick=rounds < _QUICK_ROUNDS)


def _tables(template: str, *, quick: bool) -> Iterator[Table]:
    for title, variants, goal in (
        (
            "Token requests per second, client_credentials",
            TOKENS,
            "at least the toolkit's with a row, 1.3 times without",
        ),
        ("API requests per second", APIS, "at least as many as simplejwt"),
        (
            "Token requests per second, client_credentials with a hashed secret",
            HASHED_SECRETS,
            "120 for each second of CPU time, as in Keycloak's sizing guide",
        ),
    ):
        with ExitStack() as stack:
            servers = [
                stack.enter_context(running(variant, stack.enter_context(new_database(template=template))))
                for variant in variants
            ]
            yield _table(
                title,
                variants,
                servers,
                goal=goal,
                rounds=2 if quick else _ROUNDS,
                seconds=_QUICK_SECONDS if quick else _SECONDS,
            )


def _table(
    title: str, variants: Sequence[Variant], servers: Sequence[Server], *, goal: str, rounds: int, seconds: float
) -> Table:
    turns = [*servers, servers[0]]
    loads: list[list[Load]] = [[] for _ in turns]
    cpu: list[float] = [0.0 for _ in turns]
    for server in servers:
        _load(server, seconds)  # Connections to the database and caches.
    order = list(range(len(turns)))
    for _ in range(rounds):
        for place in order:
            before = turns[place].cpu_seconds()
            loads[place].append(_load(turns[place], seconds))
            cpu[place] += turns[place].cpu_seconds() - before
        order.reverse()
    rates = [[len(load.latencies) / load.seconds for load in each] for each in loads]
    baseline = [(first + again) / 2 for first, again in zip(rates[0], rates[-1], strict=True)]
    low, middle, high = statistics.quantiles(baseline, n=4)
    names = [*(variant.name for variant in variants), f"{variants[0].name}, again (null control)"]
    return Table(
        title=title,
        rows=[
            _row(name, loads[place], rates[place], baseline, cpu[place])
            | {"remarks": variants[place % len(variants)].remarks}
            for place, name in enumerate(names)
        ],
        null_control=statistics.median(again / first for first, again in zip(rates[0], rates[-1], strict=True)),
        unrest=(high - low) / middle,
        goal=goal,
    )


def _load(server: Server, seconds: float) -> Load:
    return put_load(server.port, server.requests, connections=_CONNECTIONS, seconds=seconds)


def _row(
    name: str, loads: Sequence[Load], rates: Sequence[float], baseline: Sequence[float], cpu: float
) -> dict[str, Any]:
    latencies = [latency for load in loads for latency in load.latencies]
    percentiles = statistics.quantiles(latencies, n=100)
    return {
        "variant": name,
        "requests/s": statistics.median(rates),
        "ratio": statistics.median(rate / base for rate, base in zip(rates, baseline, strict=True)),
        "p50 ms": percentiles[49] * 1000,
        "p99 ms": percentiles[98] * 1000,
        # Of the workers, without the database server.
        "per CPU second": len(latencies) / cpu if cpu else None,
    }
