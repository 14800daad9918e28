"""What the simulation of an RTL design measures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sparsepix_hls.project.base import CsimResult

SHOWN_EVENTS = 6


@dataclass(frozen=True)
class StageTimes:
    """What the simulation measured of a stage.

    Args:
        name: of the stage.
        latency_cycles: from when the stage before hands an event on (of the first: from the first beat) to when it does
            itself, the most of all events.
        latency_cycles_least: the least of them.
    """

    name: str
    latency_cycles: int
    latency_cycles_least: int


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
        stages: of events that were sent alone, in order; 'ports' are the last.
        timeline: of the first events that waited at the input: the clocks of the first beat, of each stage handing it
            on, and of the result, counted from the first of all.
    """

    events: int
    latency_cycles: int
    latency_cycles_least: int
    tail_cycles: int
    interval_cycles: int
    interval_cycles_mean: float
    mismatches: dict[str, int]
    stages: tuple[StageTimes, ...]
    timeline: tuple[tuple[int, ...], ...]


def stage_times(names: Sequence[str], clocks: np.ndarray) -> tuple[StageTimes, ...]:
    """Times of the stages.

    Args:
        names: of the stages and of what is behind the last one.
        clocks: of events sent alone, integers [events, len(names) + 1]: see ``Measurement.timeline``.
    """
    cycles = np.diff(clocks, axis=1)
    return tuple(
        StageTimes(name, int(its.max()), int(its.min())) for name, its in zip(names, cycles.transpose(), strict=True)
    )


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
        "stages": [asdict(stage) for stage in found.stages],
        "timeline": [list(event) for event in found.timeline],
        "mismatches": {"testbench": checked.mismatches, **found.mismatches},
        "first": list(checked.first),
    }
