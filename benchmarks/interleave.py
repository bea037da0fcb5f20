"""A fair comparison of variants of the same work: A B C, C B A, A B C, ... in one process, by CPU time.

Other load on the machine, its clock rate and its temperature change within seconds. Variants that take turns are
affected equally, so neighbours in one round are compared, and only ratios are meaningful.
"""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# If the ratio of a variant to itself differs from 1 by more than this, the run is void.
NULL_CONTROL_TOLERANCE: Final = 0.03
# Untimed calls at the start of each turn, since the processor's caches still hold the previous variant's code.
WARM_UP_CALLS: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One way of doing the work.

    ``prepare(n)`` makes the inputs of ``n`` calls and is not timed; ``call(input)`` is. ``remarks`` describe how the
    variant differs from the others.
    """

    name: str
    prepare: Callable[[int], Sequence[Any]]
    call: Callable[[Any], object]
    remarks: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """The cost of a variant, as medians over all rounds.

    ``microseconds`` is the CPU time of a call, ``ratio`` is that divided by the baseline's, and ``added`` is the
    difference from the baseline's.
    """

    variant: Variant
    microseconds: float
    ratio: float
    added: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All measurements of one run, the baseline first, and how reliable the run was.

    ``null_control`` is the ratio of the baseline to itself. ``unrest`` is the interquartile range of its rounds,
    divided by their median. It is large if other processes used the processor's caches in between, which slows down
    variants with more code and data more than others.
    """

    measurements: Sequence[Measurement]
    null_control: float
    unrest: float

    def of(self, name: str) -> Measurement:
        """Return the measurement of the variant with this name."""
        return next(each for each in self.measurements if each.variant.name == name)


def interleave(variants: Sequence[Variant], *, calls: int, rounds: int) -> Comparison:
    """Run the variants in turns of ``calls`` calls, for a number of rounds. The first variant is the baseline.

    The baseline runs twice, at both ends of each round. Variants are compared with the mean of the two, whose ratio is
    the null control.
    """
    turns = [*variants, replace(variants[0], name=f"{variants[0].name}, again (null control)")]
    for variant in turns:
        _microseconds_per_call(variant, calls=1)  # Imports and lazy initialisation are not measured.
    costs: list[list[float]] = [[] for _ in turns]
    gc.collect()
    gc.freeze()  # So that collections do not traverse existing objects at the cost of one variant.
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
    # Python collects garbage cycles, such as a DRF view and its request, after a number of allocations. In a turn this
    # short, one variant would pay for a collection and another with slightly fewer allocations would not. So each turn
    # starts with nothing to collect, and collects its own garbage before its clock stops.
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
