"""What layers cost on pixels that come one by one."""

import math
from dataclasses import replace

from sparsepix_hls.cost.costs import layer_estimate
from sparsepix_hls.cost.primitives import (
    Cost,
    adder,
    equal,
    gate,
    less_than,
    maximum,
    mux,
    priority_encoder,
    register,
    tree_levels,
)
from sparsepix_hls.ir.dims import index_bits
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.streams import Cells, Gathers, Size, Unpooled, Window, waiting
from sparsepix_hls.ir.tensors import Tensor

_WORD_CYCLES = 4  # from a word of a stream to the next stream, beside what is computed
_GENERATION_BITS = 7  # of what is in a memory: the event, and whether it is written at all
_BLOCK_WORDS, _BLOCK_BITS = 512, 36  # of a block of 18 kbit
_LUT_WORDS, _LUT_BITS = 64, 64  # a memory of more words is block memory; bits of a LUT that is memory


def memory(words: int, bits: int) -> Cost:
    """A memory of LUTs or of blocks of 18 kbit."""
    if words <= _LUT_WORDS:
        return Cost(lut=bits * words / _LUT_BITS, levels=1)
    return Cost(bram=math.ceil(bits / _BLOCK_BITS) * math.ceil(words / _BLOCK_WORDS), levels=1)


def gathering(gathers: Window | Cells, bits: int, merged_bits: int, grid: Size) -> Cost:
    """What gathers the pixels of a window or of a cell.

    Args:
        gathers: what is gathered.
        bits: of a pixel.
        merged_bits: of a cell.
        grid: rows and columns of the image.
    """
    rows, columns = index_bits(grid[0]), index_bits(grid[1])
    if isinstance(gathers, Cells):
        word = merged_bits + (math.prod(gathers.cell) + 1).bit_length()
        find = priority_encoder(gathers.grid[1])
        return 2 * memory(gathers.grid[1], word) + find | register(2 * gathers.grid[1] + word)
    height, width = gathers.kernel_size
    area, tag = height * width, rows + _GENERATION_BITS
    words = 2 * math.ceil(grid[1] / width)
    # What is read is compared with its tag, and turned to its place in the window.
    turned = gate(bits) + mux(height, bits) + mux(width, bits)
    banks = area * (memory(words, bits + tag) + equal(tag) + turned)
    waits = memory(256, rows + columns) | 2 * less_than(rows) | less_than(columns)
    return banks | waits | register(area * bits + 2 * (rows + columns + bits))


def streamed_estimate(
    gathers: Gathers,
    shape: tuple[int, int],
    grid: Size,
    gathered: Cost,
    computed: Cost,
    logic_ns: float,
    live_bits: float,
    products: int = 0,
) -> Estimate:
    """A layer on a stream.

    Args:
        gathers: what it has to see of other pixels.
        shape: slots and channels of the list.
        grid: rows and columns of the image.
        gathered: cost of that.
        computed: cost of what is made of a pixel.
        logic_ns: what a clock has for logic.
        live_bits: in the registers of a pipeline stage.
        products: computed in a clock.
    """
    waits = waiting(gathers, shape[0], grid)
    whole = layer_estimate(gathered + computed, logic_ns, 1, live_bits, products)
    latency = whole.latency_cycles + waits + _WORD_CYCLES
    return replace(whole, latency_cycles=latency, interval_cycles=shape[0] + waits + _WORD_CYCLES)


def cells_estimate(
    cells: Cells, features: Tensor, grid: Size, mean: Cost, logic_ns: float, products: int = 0
) -> Estimate:
    """A layer that merges the pixels of a cell.

    Args:
        cells: of the image.
        features: of the list.
        grid: rows and columns of the image.
        mean: what is made of sum or maximum.
        logic_ns: what a clock has for logic.
        products: computed in a clock.
    """
    channels, bits = features.shape[1], features.type.width
    members = min(features.shape[0], math.prod(cells.cell))
    merged = bits + (tree_levels(members) if cells.is_sum else 0)
    joined = channels * (adder(merged) if cells.is_sum else maximum(bits))
    gathered = gathering(cells, channels * bits, channels * merged, grid) + joined
    shape = (features.shape[0], channels)
    return streamed_estimate(cells, shape, grid, gathered, mean, logic_ns, channels * merged, products)


def unpooled_estimate(unpooled: Unpooled, bits: int, max_pixels: int, grid: Size, logic_ns: float) -> Estimate:
    """A layer that gives each pixel what its cell has.

    Args:
        unpooled: what is gathered.
        bits: of a cell.
        max_pixels: of the list.
        grid: rows and columns of the image.
        logic_ns: what a clock has for logic.
    """
    rows, cells = index_bits(grid[0]), -(-grid[1] // unpooled.cell[1])
    gathered = memory(cells, bits) | equal(rows) | less_than(rows) | mux(cells, 1) | register(cells + bits + 2 * rows)
    return streamed_estimate(unpooled, (max_pixels, bits), grid, gathered, gate(bits), logic_ns, bits)
