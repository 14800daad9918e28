"""As-soon-as-possible scheduling with chaining, and the interval that the recurrences of a loop allow."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_INTERVAL = 64
_PASSES = 64  # after so many rounds of corrections a recurrence is taken to be longer than the interval


@dataclass(frozen=True)
class Operation:
    """One operation of a region.

    Args:
        delay: in ns.
        reads: the operations that it reads, each with the iterations that lie between: 0 in the same one, 1 for what
            the iteration before left. What is read in the same iteration comes earlier in the region.
        lut, dsp: what it is made of.
        registered: a memory that takes its address at the end of a clock: its data are there in the next one.
    """

    delay: float
    reads: tuple[tuple[int, int], ...]
    lut: int = 0
    dsp: int = 0
    registered: bool = False


@dataclass(frozen=True)
class LoopSchedule:
    """When a region runs.

    Args:
        depth_cycles: clocks that one iteration takes.
        interval_cycles: clocks between the starts of two iterations.
    """

    depth_cycles: int
    interval_cycles: int


def schedule_region(region: Sequence[Operation], budget_ns: float, forwarded: bool = False) -> LoopSchedule | None:
    """The least interval that a region can have, and its depth then.

    Operations start as soon as what they read is there. One follows the other within a clock as long as both fit into
    it; what crosses into another clock is in a register and starts it. An operation that is longer than a clock takes
    one for itself.

    Args:
        region: the operations, those of one iteration in the order of their dependences.
        budget_ns: what a clock has for logic: the period less the uncertainty.
        forwarded: as Vitis HLS 2023.1 schedules variables: what is written in a clock can be read by the next iteration
            in the same clock ("distance = 1, offset = 0" in its log), without counting the path that this makes. Ours
            is read from a register, a clock later.

    Returns:
        None if no interval up to ``MAX_INTERVAL`` is enough.
    """
    carried = any(distance for operation in region for _, distance in operation.reads)
    for interval in range(1, MAX_INTERVAL + 1 if carried else 2):
        depth = _depth(region, budget_ns, interval, _PASSES if carried else 1, not forwarded)
        if depth is not None:
            return LoopSchedule(depth, interval)
    return None


def _depth(region: Sequence[Operation], budget_ns: float, interval: int, passes: int, later: int) -> int | None:
    """Clocks of an iteration at this interval; None if corrections do not come to an end."""
    clocks, ends = [0] * len(region), [0.0] * len(region)
    for _ in range(passes):
        changed = False
        for k, operation in enumerate(region):
            clock, begin = 0, 0.0
            for source, distance in operation.reads:
                # What an earlier iteration left is in a register.
                at = (clocks[source] + later - interval * distance, 0.0) if distance else (clocks[source], ends[source])
                if at > (clock, begin):
                    clock, begin = at
            if operation.registered or (operation.delay and begin and begin + operation.delay > budget_ns):
                clock, begin = clock + 1, 0.0
            if clock != clocks[k] or begin + operation.delay != ends[k]:
                clocks[k], ends[k], changed = clock, begin + operation.delay, True
        if not changed or passes == 1:
            return max(clocks, default=0) + 1
    return None
