"""What the simulation of an RTL design measures."""

from dataclasses import dataclass
from typing import Any

from sparsepix_hls.project.base import CsimResult


@dataclass(frozen=True)
class Measurement:
    """What the simulation of a design measured; clocks are counted from transfer to transfer.

    Args:
        events: number of events.
        latency_cycles: from the first beat of an event to its result, the most of all events, each sent alone.
        latency_cycles_least: the least of them.
        tail_cycles: from the last beat of an event to its result, the most.
        interval_cycles: between two results while events wait at the input, the most.
        interval_cycles_mean: the mean of them; less than the most where the time of an event depends on its pixels.
        mismatches: outputs that differed from those of the first run when events followed each other, when both
            ports paused at random, and when the design was reset in the middle of events.
    """

    events: int
    latency_cycles: int
    latency_cycles_least: int
    tail_cycles: int
    interval_cycles: int
    interval_cycles_mean: float
    mismatches: dict[str, int]


def measured_json(checked: CsimResult, found: Measurement, clock_ns: float) -> dict[str, Any]:
    """What the simulation found, as plain data for ``report.json``.

    Args:
        checked: the testbench against the expected results.
        found: the runs that were measured.
        clock_ns: clock period.
    """
    interval = found.interval_cycles or None  # nothing to measure it by, if there is one event only
    return {
        "events": checked.events,
        "measured_events": found.events,
        "latency_cycles": found.latency_cycles,
        "latency_cycles_least": found.latency_cycles_least,
        "tail_cycles": found.tail_cycles,
        "interval_cycles": interval,
        "interval_cycles_mean": interval and found.interval_cycles_mean,
        "latency_ns": found.latency_cycles * clock_ns,
        "interval_ns": interval and interval * clock_ns,
        "mismatches": {"testbench": checked.mismatches, **found.mismatches},
        "first": list(checked.first),
    }
