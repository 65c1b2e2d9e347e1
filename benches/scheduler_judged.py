"""How often each moment of a timetable was kept: decided from when work arrived."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Less than this share of a period after the one before, it is the same period again.
SAME_PERIOD = 0.75


@dataclass(frozen=True)
class Kept:
    """Moments that were to come, what came beyond one each, and those that never came.

    Lateness is in seconds, empty where nobody can tell when it should have been.
    """

    slots: int
    duplicates: int
    missed: int
    late_s: Sequence[float] = ()


def by_slot(arrived: Iterable[tuple[int, float]], expected: Iterable[int]) -> Kept:
    """Judge work that names its slot, as (slot, moment it came); what is not expected is left out."""
    wanted = set(expected)
    first: dict[int, float] = {}
    counted: Counter[int] = Counter()
    for slot, at in arrived:
        if slot in wanted:
            counted[slot] += 1
            first[slot] = min(at, first.get(slot, at))
    return Kept(
        len(wanted),
        sum(count - 1 for count in counted.values()),
        len(wanted - counted.keys()),
        [max(at - slot, 0.0) for slot, at in first.items()],
    )


def by_period(moments: Iterable[float], *, begin: float, end: float, period_s: float) -> Kept:
    """Judge work that only keeps a distance, as kindly as may be: a shift of its phase costs nothing.

    What comes within three quarters of a period after the one before is a duplicate. A gap, or the time
    before the first or after the last, misses as many as whole periods fit in, rounded, beyond the one.
    """
    kept = [begin]
    duplicates = 0
    for at in sorted(at for at in moments if begin <= at < end):
        if len(kept) > 1 and at - kept[-1] < SAME_PERIOD * period_s:
            duplicates += 1
        else:
            kept.append(at)
    gaps = [later - earlier for earlier, later in zip(kept, [*kept[1:], end], strict=True)]
    missed = sum(max(round(gap / period_s) - 1, 0) for gap in gaps)
    return Kept(round((end - begin) / period_s), duplicates, missed)


def quantile(numbers: Sequence[float], percent: int) -> float:
    """Return a percentile by the nearest rank; the median and the worst are percentiles too."""
    if not numbers:
        return 0.0
    if percent == 50:
        return statistics.median(numbers)
    ordered = sorted(numbers)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
