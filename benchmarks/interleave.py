"""Comparing variants of the same work fairly: A B C, C B A, A B C, ... in one process, by CPU time.

Other work on the machine, its clock rate and its heat change within seconds. Variants that take turns suffer from that
alike, so what is compared is always two neighbours of one round, and only ratios are worth quoting.
"""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# How far from 1 the same variant may be from itself before the run says nothing about anything else.
NULL_CONTROL_TOLERANCE: Final = 0.03
# Untimed calls at the start of each turn: the processor's caches hold the neighbour's code until then.
WARM_UP_CALLS: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One way of doing the work.

    ``prepare(n)`` makes the inputs of ``n`` calls and is not timed; ``call(one of them)`` is. ``remarks`` say what the
    variant does that others do not, or does not do.
    """

    name: str
    prepare: Callable[[int], Sequence[Any]]
    call: Callable[[Any], object]
    remarks: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What a variant costs: the medians over all rounds.

    ``microseconds`` is the CPU time of a call, ``ratio`` how many times the baseline's, ``added`` how many microseconds
    more than the baseline's.
    """

    variant: Variant
    microseconds: float
    ratio: float
    added: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All measurements of one run, the baseline first, and how well the run could tell things apart.

    ``null_control`` is the ratio of the baseline to itself. ``unrest`` is the width of the middle half of its rounds,
    as a share of their median: large where other work had the processor's caches in between, which costs every variant,
    but those with more code and data more than others.
    """

    measurements: Sequence[Measurement]
    null_control: float
    unrest: float

    def of(self, name: str) -> Measurement:
        """Give the measurement of the variant with this name."""
        return next(each for each in self.measurements if each.variant.name == name)


def interleave(variants: Sequence[Variant], *, calls: int, rounds: int) -> Comparison:
    """Let the variants take turns, ``calls`` calls at a time, for so many rounds; the first one is the baseline.

    The baseline takes part twice, at both ends of each round. Variants are compared with the mean of the two, and their
    ratio is the null control.
    """
    turns = [*variants, replace(variants[0], name=f"{variants[0].name}, again (null control)")]
    for variant in turns:
        _microseconds_per_call(variant, calls=1)  # Imports and what is made at first use are not what is measured.
    costs: list[list[float]] = [[] for _ in turns]
    gc.collect()
    gc.freeze()  # What is already there is not traversed again and again on behalf of whoever allocates most.
    order = list(enumerate(turns))
    for _ in range(rounds):
        for place, variant in order:
            costs[place].append(_microseconds_per_call(variant, calls=calls))
        order.reverse()
    gc.unfreeze()
    first, again = costs[0], costs[-1]
    baseline = [(one + other) / 2 for one, other in zip(first, again, strict=True)]
    low, middle, high = statistics.quantiles(baseline, n=4)
    return Comparison(
        measurements=[_measurement(*each, baseline=baseline) for each in zip(turns, costs, strict=True)],
        null_control=statistics.median(other / one for one, other in zip(first, again, strict=True)),
        unrest=(high - low) / middle,
    )


def _microseconds_per_call(variant: Variant, *, calls: int) -> float:
    inputs, call = variant.prepare(WARM_UP_CALLS + calls), variant.call
    for each in inputs[:WARM_UP_CALLS]:
        call(each)
    timed = inputs[WARM_UP_CALLS:]
    # Python looks for unreachable cycles, such as a DRF view and its request, whenever so many objects were made. In
    # a turn as short as this, one variant would pay for most of its own, and another that makes a few less for nothing.
    # So each starts with nothing to collect, and collects before its clock stops: no more and no less than it
    # made itself.
    gc.collect()
    started = time.process_time()
    for each in timed:
        call(each)
    gc.collect(0)
    return (time.process_time() - started) / calls * 1e6


def _measurement(variant: Variant, costs: Sequence[float], *, baseline: Sequence[float]) -> Measurement:
    pairs = list(zip(costs, baseline, strict=True))
    return Measurement(
        variant=variant,
        microseconds=statistics.median(costs),
        ratio=statistics.median(cost / base for cost, base in pairs),
        added=statistics.median(cost - base for cost, base in pairs),
    )
