"""What a part of a design costs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """Estimated cost of a layer, a stage or a model.

    Args:
        latency_cycles: from the first input to the last output.
        interval_cycles: between two events.
        lut, ff, dsp: look-up tables, flip-flops, DSP slices.
        bram: memory blocks of 18 kbit.
        multipliers: products that are computed in a clock, those by constants included.
    """

    latency_cycles: int
    interval_cycles: int
    lut: int
    ff: int
    dsp: int = 0
    bram: int = 0
    multipliers: int = 0
