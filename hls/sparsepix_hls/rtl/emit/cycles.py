"""Clocks of a design: its structure says all of them."""

from dataclasses import dataclass

from sparsepix_hls.design.layout import Design
from sparsepix_hls.rtl.emit.stages import Module
from sparsepix_hls.rtl.stages.chain import Chain
from sparsepix_hls.rtl.stages.reductions import largest_tail, scan_hold, scan_interval, scan_start

OUTPUT_CYCLES = 1  # the register of the output port
_FIRST_PIXEL = 8  # clocks from a beat to its first pixel in a stream, and for the word that ends an event
_BETWEEN_EVENTS = 14  # that a stream loses at most: a word that ends an event, and what is wiped
_QUEUE_CYCLES = 3  # through a queue before a layer that reads several lists, or before one of several readers
_MOST_PLACES = 16


def stage_cycles(module: Module, design: Design) -> tuple[int, int]:
    """Clocks from the first input of a stage to its output, and between two events."""
    stage, depth = module.stage, module.functions[0].depth if module.functions else 1
    if stage.kind == "loop":
        return stage.rounds + depth, stage.rounds
    if stage.kind == "tree":
        return module.cuts + 1, 1
    if stage.kind == "pipeline":
        return depth if module.registered else depth - 1, 1
    if module.chain is not None:
        return chain_cycles(module.chain, design)
    if stage.kind == "scan":
        latency = scan_start(design) + 3 + design.scan_pixels - 1 + stage.rounds + depth
        return latency, scan_interval(design)
    image = 1 if design.io == "parallel" and design.beats > 1 else 0
    if design.input_reduce.selection == "magnitude":
        return design.beats - 1 + image + largest_tail(design), max(design.beats, design.input_reduce.max_pixels)
    return design.beats - 1 + 3 + image + module.cuts, design.beats


def chain_cycles(chain: Chain, design: Design) -> tuple[int, int]:
    """Of a full list that comes with the last beat; every window waits for the end of the event.

    Full rows between rows of few pixels take longer, by a clock for each pixel and convolution at most: a row is not
    written over what lies in its place before the windows of that are done with.
    """
    pixels, waits = design.input_reduce.max_pixels, [step.waits for step in chain.steps]
    after = {design.input_reduce.features.name: design.beats - 1 + _FIRST_PIXEL + pixels}
    for number, step in enumerate(chain.steps):
        names = [tensor.name for tensor in step.part.reads]
        slowest = max(after[name] + (_QUEUE_CYCLES if (name, number) in chain.queues else 0) for name in names)
        after[step.part.result.name] = slowest + step.waits + step.latency_cycles
    latency = max(after.values()) + (sum(step.part.ends for step in chain.steps) > 1)
    return latency, max(design.beats, pixels + max(waits)) + _BETWEEN_EVENTS


@dataclass(frozen=True)
class Pace:
    """When events may come; see ``event_gate.sv``.

    Args:
        beats: of an event at the input port.
        latency_cycles: from the first beat of an event to its result at the output port.
        interval_cycles: between the last beats of two events.
        hold_cycles: after a last beat, in which no other beat is taken.
        waits: whether stages may hold back the beats; the other cycles are those of ``chain_cycles`` then.
    """

    beats: int
    latency_cycles: int
    interval_cycles: int
    hold_cycles: int
    waits: bool = False

    @property
    def gate_cycles(self) -> int:
        """Between two last beats, for the gate; stages that wait need none."""
        return 1 if self.waits else self.interval_cycles

    @property
    def tail_cycles(self) -> int:
        """From the last beat of an event to its result, always the same."""
        return self.latency_cycles - (self.beats - 1)

    @property
    def places(self) -> int:
        """Results that may be on their way or wait at the output: as many as events need that follow each other.

        A place is used again two clocks after its result was taken: one until the gate knows it, one until it opens.
        """
        if self.waits:  # quick events follow each other in as many clocks as they have beats
            return max(min(-(-(self.tail_cycles + 2) // self.beats), _MOST_PLACES), 2)
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
        waits=modules[0].chain is not None,
    )
