"""Clocks of a design: its structure says all of them."""

from dataclasses import dataclass

from sparsepix_hls.design.layout import Design
from sparsepix_hls.rtl.emit.reductions import largest_tail, scan_hold, scan_interval, scan_start
from sparsepix_hls.rtl.emit.stages import Module

OUTPUT_CYCLES = 1  # the register of the output port


def stage_cycles(module: Module, design: Design) -> tuple[int, int]:
    """Clocks from the first input of a stage to its output, and between two events."""
    stage, depth = module.stage, module.functions[0].depth if module.functions else 1
    if stage.kind == "loop":
        return stage.rounds + depth, stage.rounds
    if stage.kind == "tree":
        return module.cuts + 1, 1
    if stage.kind == "pipeline":
        return depth if module.registered else depth - 1, 1
    if stage.kind == "scan":
        latency = scan_start(design) + 3 + design.scan_pixels - 1 + stage.rounds + depth
        return latency, scan_interval(design)
    image = 1 if design.io == "parallel" and design.beats > 1 else 0
    if design.input_reduce.selection == "magnitude":
        return design.beats - 1 + image + largest_tail(design), max(design.beats, design.input_reduce.max_pixels)
    return design.beats - 1 + 3 + image + module.cuts, design.beats


@dataclass(frozen=True)
class Pace:
    """When events may come; see ``event_gate.sv``.

    Args:
        beats: of an event at the input port.
        latency_cycles: from the first beat of an event to its result at the output port.
        interval_cycles: between the last beats of two events.
        hold_cycles: after a last beat, in which no other beat is taken.
    """

    beats: int
    latency_cycles: int
    interval_cycles: int
    hold_cycles: int

    @property
    def tail_cycles(self) -> int:
        """From the last beat of an event to its result, always the same."""
        return self.latency_cycles - (self.beats - 1)

    @property
    def places(self) -> int:
        """Results that may be on their way or wait at the output: as many as events need that follow each other.

        A place is used again two clocks after its result was taken: one until the gate knows it, one until it opens.
        """
        return max(-(-(self.tail_cycles + 2) // self.interval_cycles), 2)


def pace(design: Design, modules: list[Module]) -> Pace:
    """When the stages of a design take events."""
    cycles = [stage_cycles(module, design) for module in modules]
    scans = modules[0].stage.kind == "scan"
    return Pace(
        beats=design.beats if design.io == "stream" else 1,
        latency_cycles=sum(latency for latency, _ in cycles) + OUTPUT_CYCLES,
        interval_cycles=max(interval for _, interval in cycles),
        hold_cycles=scan_hold(design) if scans else 0,
    )
