"""As-soon-as-possible scheduling with chaining, and the interval that the recurrences of a loop allow."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_INTERVAL = 64
_WAYS_BACK = 8  # variables that are handed on from one to the next without logic
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
        bits: of its result, that are in registers from one clock to another.
        held: bits of registers that it has in any case.
    """

    delay: float
    reads: tuple[tuple[int, int], ...]
    lut: int = 0
    dsp: int = 0
    registered: bool = False
    bits: int = 0
    held: int = 0


@dataclass(frozen=True)
class LoopSchedule:
    """When a region runs.

    Args:
        depth_cycles: clocks that one iteration takes.
        interval_cycles: clocks between the starts of two iterations.
        ff: flip-flops between its clocks.
    """

    depth_cycles: int
    interval_cycles: int
    ff: int


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
        clocks = _clocks(region, budget_ns, interval, _PASSES if carried else 1, not forwarded)
        if clocks is not None:
            return LoopSchedule(max(clocks, default=0) + 1, interval, _registers(region, clocks, interval))
    return None


def _clocks(region: Sequence[Operation], budget_ns: float, interval: int, passes: int, later: int) -> list[int] | None:
    """The clock of each operation at this interval; None if corrections do not come to an end."""
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
            return clocks
    return None


def _registers(region: Sequence[Operation], clocks: Sequence[int], interval: int) -> int:
    """Bits that wait for a later clock. A wire is no register of its own: what it comes from waits for its readers."""
    wires = [bool(o.reads) and not (o.delay or o.registered or o.held) for o in region]
    last = list(clocks)
    for _ in range(_WAYS_BACK):
        before = list(last)
        for k in reversed(range(len(region))):
            for source, distance in region[k].reads:
                needed = (last[k] if wires[k] else clocks[k]) + interval * distance
                last[source] = max(last[source], needed)
        if last == before:
            break
    # A register is written once an iteration.
    return sum(
        operation.held + operation.bits * -(-(end - clock) // interval)
        for operation, clock, end, wire in zip(region, clocks, last, wires, strict=True)
        if not wire
    )
