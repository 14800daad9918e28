"""The primitives composed as the published kernels (SparsePixels in hls4ml, arXiv 2512.06208) are composed.

A layer is a few named blocks. Each counts primitives; a factor on each block says what synthesis makes of them
(merged, copied and pruned logic). ``benchmarks/estimator.py`` fits the factors to published synthesis results and
checks them on layers that the fit has not seen. ``CALIBRATION`` is the fit on all of them.

The results come from three states of the published code, and its structure differs between them:

- ``early``: the scaling study at 10 bits;
- ``study``: the scaling studies at 8 and 16 bits;
- ``release``: the published models, 8 and 16 bits.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from sparsepix_hls.cost.primitives import (
    Cost,
    adder,
    dsp_multiplier,
    gate,
    less_than_constant,
    logic,
    lut_multiplier,
    mux,
    register,
    tree_levels,
)
from sparsepix_hls.ir.dims import index_bits

Kind = Literal["reduce", "conv", "pool", "flatten"]
Version = Literal["early", "study", "release"]

# What follows was read off the published results as a whole; only the factors are fitted.
DSP_PRODUCT_BITS = 16  # products of this width are in DSP slices; the data has no width between 10 and 16
REGISTER_WORDS = 64  # weights of a layer up to which no memory blocks occur: a choice of constants, not a table
BLOCK_BITS = (2800, 4000)  # slots * slots * bits: between these, the tables of the studies move to memory blocks
SHARED_TREE_SLOTS = 20  # up to here the sum over pixels of a single 16-bit channel costs nothing beside its DSP slices
FLATTEN_SLOTS = 4  # slots that flatten writes in a clock
SEARCH_LEVELS = 3  # levels of the search tree that fit in a clock of 5 ns
CHAIN_SLOTS = 3  # slots that a chain of sums takes in a clock of 5 ns
MERGED_SUM_BITS = 16  # nominal width of the sum after a pair's products; it hardly follows the features' width


@dataclass(frozen=True)
class PublishedLayer:
    """One layer of a published design.

    Args:
        kind: which kernel.
        version: state of the published code.
        bits: width of features and weights.
        slots: ``max_pixels``.
        height, width: of the image that the coordinates count (for flatten: of the flattened image).
        in_channels, out_channels: of the features.
        kernel: side of the window (conv) or of the cell (pool).
        divisor_bits: flatten: log2 of the area of the pool in front where it is no power of two, else 0. The
            product with its reciprocal leaves as many bits nearly constant.
    """

    kind: Kind
    version: Version
    bits: int
    slots: int
    height: int
    width: int
    in_channels: int = 1
    out_channels: int = 1
    kernel: int = 1
    divisor_bits: float = 0.0

    @property
    def coord_bits(self) -> int:
        """Bits of a row and a column."""
        return index_bits(self.height + 1) + index_bits(self.width + 1)


@dataclass(frozen=True)
class Calibration:
    """Factors on the blocks: what is left or added after synthesis, for each LUT or flip-flop counted.

    Args:
        lut: by block; a block without a factor counts as it is.
        ff: by block.
        start: by version: cycles besides those that the structure explains.
    """

    lut: Mapping[str, float] = field(default_factory=dict)
    ff: Mapping[str, float] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)


def _reduce(layer: PublishedLayer) -> dict[str, Cost]:
    # Each kept pixel costs a search over the whole image: a tree of two-way multiplexers over (value, index), after
    # which the pixel found is cleared. The image waits in registers with a multiplexer for 'new' or 'cleared'.
    pixels, bits, index = layer.height * layer.width, layer.bits, index_bits(layer.height * layer.width)
    style = "early" if layer.version == "early" else "study"
    node = less_than_constant(bits) + mux(2, bits) * 2 + gate(bits)
    in_a_clock = index / _search_cycles(layer)
    return {
        f"pixel {style}": pixels * (node | register(bits)),
        # A wider value takes a second block of carry logic and a tree with more control lines.
        "wide pixel": pixels * Cost(lut=max(bits - 8, 0)),
        "index": pixels * mux(2, index),
        # The more levels are in one clock, the more of them synthesis duplicates to meet it.
        "parallel": pixels * Cost(lut=in_a_clock),
        "slots": layer.slots * (mux(2, bits + layer.coord_bits) | register(bits + layer.coord_bits)),
        "control": pixels * register(index / in_a_clock),
    }


def _search_cycles(layer: PublishedLayer) -> int:
    return max(tree_levels(layer.height * layer.width) // SEARCH_LEVELS, 1)


def _conv(layer: PublishedLayer) -> dict[str, Cost]:
    # Every pair of slots but a slot with itself, whose weight is one constant.
    slots, bits, release = layer.slots, layer.bits, layer.version == "release"
    pairs = slots * (slots - 1)
    filters = layer.in_channels * layer.out_channels
    wide = bits >= DSP_PRODUCT_BITS
    in_dsp = _filters_in_dsp(layer)
    in_lut = filters - in_dsp
    table = layer.kernel**2 * filters > REGISTER_WORDS
    style = "release" if release else "study"
    width = " wide" if wide else ""
    blocks = {
        # One product a pair comes first: with it merges what every pair needs.
        f"first product {layer.version}": (pairs * (in_lut > 0)) * lut_multiplier(bits, bits),
        f"product {style}": (pairs * max(in_lut - 1, 0)) * lut_multiplier(bits, bits),
        "dsp product": (slots * slots * in_dsp) * dsp_multiplier(bits, bits),
        # There are registers after the products in LUTs, before all products, and after the pairs' sums.
        f"product registers {layer.version}": pairs * in_lut * register(bits),
        f"operand registers {style}{width}": pairs * filters * register(bits),
        f"sum registers {style}{width}": slots * slots * layer.out_channels * register(bits),
    }
    if release:
        # Offsets: two differences and a range check of each. Sums: a chain over the slots, not a tree.
        offset = adder(layer.coord_bits) + 4 * less_than_constant(layer.coord_bits // 2)
        blocks["offset"] = pairs * offset
        blocks["chain"] = slots * slots * layer.out_channels * adder(2 * MERGED_SUM_BITS)
    else:
        # A weight is a choice by position: a LUT a bit.
        single = "single " if wide and layer.in_channels == 1 else ""
        blocks[f"{single}{'wide' if wide else 'narrow'} lookup"] = pairs * in_dsp * Cost(lut=bits)
        if layer.in_channels > 1 or (wide and slots > SHARED_TREE_SLOTS):
            # The sum over pixels no longer merges with a product: an adder of its own.
            blocks["sum"] = pairs * adder(MERGED_SUM_BITS)
    if table:
        # A larger table is read by address. Many reads at once move to memory blocks, in the studies.
        first, last = BLOCK_BITS
        in_blocks = 0.0 if release else min(max((slots * slots * bits - first) / (last - first), 0.0), 1.0)
        blocks[f"table {style}"] = pairs * filters * (1 - in_blocks) * Cost(lut=bits)
        if not wide and layer.kernel > 5:
            blocks["large table"] = pairs * filters * Cost(lut=bits)  # more than 32 positions
    return blocks


def _filters_in_dsp(layer: PublishedLayer) -> int:
    """How many of the in x out products of a pair of slots are in DSP slices."""
    if layer.bits >= DSP_PRODUCT_BITS:
        return layer.in_channels * layer.out_channels
    # The studies' C synthesis packs a product and the sum after it into one slice: of each sum over channels, all
    # products but one. The release keeps narrow products in LUTs.
    return 0 if layer.version == "release" else (layer.in_channels - 1) * layer.out_channels


def _pool(layer: PublishedLayer) -> dict[str, Cost]:
    # Every pair of slots: are they in one cell, and if so, add. The mean is a shift, or a product in DSP slices.
    pairs, channels, bits = layer.slots * (layer.slots - 1) // 2, layer.in_channels, layer.bits
    style = "release" if layer.version == "release" else "study"
    shift = layer.kernel & (layer.kernel - 1) == 0
    mean = Cost() if shift else dsp_multiplier(bits, bits)
    if not shift and bits >= DSP_PRODUCT_BITS:
        mean = 2 * mean  # the accumulator is wider than one slice's factor
    blocks = {
        "cell": pairs * (adder(layer.coord_bits) | register(layer.coord_bits)),
        f"add {style}": pairs * channels * (adder(bits) | register(bits)),
        "mean": layer.slots * channels * mean,
    }
    if style == "release":
        # The released code carries sums of double width through the chain.
        blocks["double width"] = pairs * channels * (Cost(lut=bits * bits) | register(bits))
    return blocks


def _flatten(layer: PublishedLayer) -> dict[str, Cost]:
    # Every clock writes four slots: each cell compares itself with each of them. What the number of slots leaves
    # over four gets hardware of its own, in which the slots pass through each other's multiplexers.
    cells, rest = layer.height * layer.width, layer.slots % FLATTEN_SLOTS
    rounds = -(-layer.slots // FLATTEN_SLOTS)
    bits = layer.in_channels * max(layer.bits - layer.divisor_bits, 1.0)
    style = "release" if layer.version == "release" else "study"
    return {
        f"match {style}": cells * (FLATTEN_SLOTS + rest) * logic(index_bits(cells)),
        "write": cells * (Cost(lut=bits * FLATTEN_SLOTS) | register(bits)),
        "reuse_factor": cells * rounds * Cost(lut=bits),
        "rest": cells * (rest * (rest - 1) // 2) * (Cost(lut=bits) | register(bits)),
        f"stages {style}": cells * register(FLATTEN_SLOTS + rest),
    }


_BLOCKS: dict[Kind, Callable[[PublishedLayer], dict[str, Cost]]] = {
    "reduce": _reduce,
    "conv": _conv,
    "pool": _pool,
    "flatten": _flatten,
}


def blocks(layer: PublishedLayer) -> dict[str, Cost]:
    """The blocks of a layer, by name, before calibration; blocks that the layer does not have are left out."""
    return {name: cost for name, cost in _BLOCKS[layer.kind](layer).items() if cost.lut or cost.ff or cost.dsp}


def structural_cycles(layer: PublishedLayer) -> float:
    """Latency that follows from the structure, without the fixed start of a kernel."""
    if layer.kind == "reduce":
        return layer.slots * _search_cycles(layer)
    if layer.kind == "flatten":
        return -(-layer.slots // FLATTEN_SLOTS)
    if layer.kind == "pool":
        product = 0 if layer.kernel & (layer.kernel - 1) == 0 else layer.bits // 8
        return layer.slots / CHAIN_SLOTS + product
    # Channels are summed one after the other; the release sums the slots in a chain, the studies in a tree.
    chain = layer.slots / CHAIN_SLOTS if layer.version == "release" else 0.0
    return chain + layer.in_channels - 1


def predict(layer: PublishedLayer, calibration: Calibration | None = None) -> tuple[Cost, int]:
    """Resources and latency in cycles of a published layer (5 ns, xcu250, after Vivado synthesis).

    Args:
        layer: the layer.
        calibration: factors; None takes those of ``CALIBRATION``.
    """
    factors = CALIBRATION[layer.kind] if calibration is None else calibration
    parts = blocks(layer)
    cost = Cost(
        lut=sum(part.lut * factors.lut.get(name, 1.0) for name, part in parts.items()),
        ff=sum(part.ff * factors.ff.get(name, 1.0) for name, part in parts.items()),
        dsp=sum(part.dsp for part in parts.values()),
    )
    latency = structural_cycles(layer) + factors.start.get(layer.version, 0.0)
    return cost, max(math.floor(latency + 0.5), 1)


# Fitted on all published layers by ``python benchmarks/estimator.py --calibration``.
CALIBRATION: Mapping[Kind, Calibration] = MappingProxyType(
    {
        "conv": Calibration(
            lut={
                "chain": 0.958,
                "first product early": 0.454,
                "first product release": 0.249,
                "first product study": 0.701,
                "large table": 2.94,
                "narrow lookup": 1.03,
                "offset": 2.59,
                "product release": 0.244,
                "product study": 0.752,
                "single wide lookup": 1.33,
                "sum": 1.1,
                "table release": 1.7,
                "table study": 0.805,
                "wide lookup": 0.872,
            },
            ff={
                "operand registers release": 0.0,
                "operand registers release wide": 1.68,
                "operand registers study": 0.117,
                "operand registers study wide": 0.141,
                "product registers early": 0.0,
                "product registers release": 2.39,
                "product registers study": 0.801,
                "sum registers release": 0.0,
                "sum registers release wide": 0.276,
                "sum registers study": 0.748,
                "sum registers study wide": 0.236,
            },
            start={
                "early": 2.5,
                "study": 3.5,
                "release": 2.83,
            },
        ),
        "reduce": Calibration(
            lut={
                "parallel": 0.913,
                "index": 0.502,
                "pixel early": 1.07,
                "pixel study": 1.25,
                "slots": 0.898,
                "wide pixel": 1.32,
            },
            ff={
                "control": 0.176,
                "pixel early": 1.28,
                "pixel study": 1.27,
                "slots": 1.05,
            },
            start={
                "early": 2.5,
                "study": 2.5,
                "release": 2.5,
            },
        ),
        "pool": Calibration(
            lut={
                "add release": 2.02,
                "add study": 1.59,
                "cell": 0.45,
                "double width": 0.0826,
            },
            ff={
                "add release": 0.732,
                "add study": 0.712,
                "cell": 0.484,
                "double width": 0.0,
            },
            start={
                "early": 0.333,
                "study": 0.333,
                "release": 1.06,
            },
        ),
        "flatten": Calibration(
            lut={
                "match release": 2.69,
                "match study": 1.04,
                "rest": 0.935,
                "reuse_factor": 0.2,
                "write": 0.762,
            },
            ff={
                "rest": 0.347,
                "stages release": 0.0,
                "stages study": 0.759,
                "write": 2.91,
            },
            start={
                "early": 4.0,
                "study": 4.0,
                "release": 2.5,
            },
        ),
    }
)
