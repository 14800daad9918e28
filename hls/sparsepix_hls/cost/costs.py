"""Cost model: latency and area from primitive counts; an estimate, not synthesis.

Each layer (``sparsepix_hls.layers``) has one rule for its kernel of ``include/sparsepix``, from its structure.
Two figures are from the synthesis results of the published designs (``published.py``): three levels of LUTs fit in a
clock of 5 ns of which 27 % are kept free, and looked-up products with their sums need about half of the LUTs that are
counted. The estimate may be off by a factor of 1.5 in both directions.
"""

from dataclasses import replace

from sparsepix_hls.cost.primitives import Cost, cycles
from sparsepix_hls.ir.estimate import Estimate

LEVEL_NS = 1.16  # a level of LUTs: three in 5 ns less 27 %, as in the published search tree
RESTART = 1  # clocks that a rewound loop loses between two events
FIFO_CONTROL = 8  # LUTs that the FIFO of one element of an array takes, besides a LUT and a register a bit


def depth_cycles(cost: Cost, logic_ns: float) -> int:
    """Clocks that some logic takes from input to output."""
    return cycles(cost, logic_ns, LEVEL_NS)


def layer_estimate(
    cost: Cost, logic_ns: float, rounds: int, live_bits: float, multipliers: int = 0, owns_loop: bool = True
) -> Estimate:
    """A layer with this number of rounds; each pipeline stage of its depth holds ``live_bits`` in registers.

    ``owns_loop`` is False for a layer that shares the loop of another one and adds nothing but its depth.
    """
    depth = depth_cycles(cost, logic_ns)
    return Estimate(
        latency_cycles=depth + (rounds - 1 if owns_loop else 0),
        interval_cycles=interval(rounds),
        lut=round(cost.lut),
        ff=round(cost.ff + depth * live_bits),
        dsp=round(cost.dsp),
        bram=round(cost.bram),
        multipliers=multipliers,
    )


def interval(rounds: int, restart: int = RESTART) -> int:
    """Clocks between two events of a stage with this number of rounds."""
    return rounds + restart if rounds > 1 else 1


def scaled(cost: Cost, factor: float) -> Cost:
    """Logic whose LUTs change by a factor in synthesis; levels and DSP slices stay the same."""
    return replace(cost, lut=cost.lut * factor)


def channel_cost(elements: int, bits: int) -> Cost:
    """An array between two processes: a FIFO for each element; ``bits`` are those of the whole array."""
    return Cost(lut=elements * FIFO_CONTROL + bits, ff=elements * FIFO_CONTROL / 2 + bits)
