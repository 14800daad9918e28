"""What an input reduction costs; see ``costs.py``."""

from dataclasses import replace

from sparsepix_hls.cost.costs import Estimate, counted, depth_cycles, interval
from sparsepix_hls.cost.primitives import (
    Cost,
    adder,
    adder_tree,
    constant_multiplier,
    gate,
    less_than_constant,
    logic,
    maximum_tree,
    mux,
    priority_encoder,
    register,
    tree_levels,
)
from sparsepix_hls.design.options import LayerDesign
from sparsepix_hls.ir import graph as ir
from sparsepix_hls.ir.dims import index_bits


def score_bits(layer: ir.InputReduce) -> int:
    """Bits of the number that decides whether a pixel is active, and which pixels are the largest."""
    extra = tree_levels(layer.image.shape[0]) if layer.activity == "sum" else 0
    return layer.image.type.width + extra


def _thresholds(layer: ir.InputReduce, pixels: int) -> Cost:
    """The flags of the active ones of some pixels."""
    channels, bits = layer.image.shape[0], layer.image.type.width
    joined = {
        "first": Cost(),
        "any": maximum_tree(channels, bits),
        "sum": adder_tree(channels, bits),
    }[layer.activity]
    return pixels * (joined + less_than_constant(score_bits(layer)))


def _slot_bits(layer: ir.InputReduce) -> int:
    return layer.image.shape[0] * layer.image.type.width + 2 * layer.coords.type.width


def _merge_tree(pixels: int, slots: int, bits: int) -> Cost:
    """Merges of neighbouring lists, until one holds the first ``slots`` of the pixels."""
    total, size = Cost(), 1
    while size < pixels:
        held, place = min(size, slots), index_bits(2 * size)
        nodes = pixels / (2 * size)
        node = adder(index_bits(held + 1))
        for k in range(min(2 * size, slots)):
            node = node | mux(min(k + 1, held) + 1, bits + place)
        total = total + nodes * node
        size *= 2
    return total


def reduce_cost(layer: ir.InputReduce, reduce: str, pixels_per_cycle: int, clock_ns: float) -> Estimate:
    """Estimated cost of an input reduction.

    Args:
        layer: the reduction.
        reduce: 'scan', 'stream' or 'tree'.
        pixels_per_cycle: of a stream.
        clock_ns: clock period.
    """
    channels, height, width = layer.image.shape
    pixels, slots, data = height * width, layer.max_pixels, channels * layer.image.type.width
    slot = _slot_bits(layer)
    listed = slots * register(slot)
    if reduce == "tree":
        places = slots * constant_multiplier(index_bits(pixels), 2 * width + 1)
        cost = _thresholds(layer, pixels) + _merge_tree(pixels, slots, data) + places
        return counted(cost | listed, clock_ns, LayerDesign("", 1, slots), slots * slot * 2)
    if reduce == "stream":
        lanes = pixels_per_cycle
        append = Cost()
        for k in range(slots):
            append = append | mux(min(lanes, slots, k + 1) + 1, slot)
        places = min(lanes, slots) * (adder(index_bits(width + lanes)) + less_than_constant(index_bits(width + lanes)))
        cost = _thresholds(layer, lanes) + _merge_tree(lanes, slots, data) + places + append
        beats = -(-pixels // lanes)
        return counted(cost | listed, clock_ns, LayerDesign("", beats, lanes), min(lanes, slots) * slot)
    found = _thresholds(layer, pixels) + height * logic(width)
    pick = priority_encoder(height) + mux(height, width) + priority_encoder(width)
    read = mux(height, width * data) + mux(width, data)
    clear = pixels * gate(1)
    cost = (found + pick + read) | clear | slots * logic(index_bits(slots)) | listed | register(pixels)
    how = LayerDesign("", slots, 1)
    scan = counted(cost, clock_ns, how, width * data)
    if layer.selection == "raster":
        return scan
    # Before the scan the largest are found, one each turn of two tournaments; the loops follow each other.
    bits = score_bits(layer)
    row, column = maximum_tree(width, bits), maximum_tree(height, bits)
    best = (height * row + column) | mux(height, width * bits) | register(pixels + height * (bits + index_bits(width)))
    turn = depth_cycles(column + mux(height, width * bits) + row, clock_ns)
    cycles_before = depth_cycles(row, clock_ns) + slots * turn
    latency = scan.latency_cycles + cycles_before
    return replace(
        scan,
        latency_cycles=latency,
        interval_cycles=latency,
        lut=scan.lut + round(best.lut + row.lut),
        ff=scan.ff + round(best.ff),
    )


def read_beats_cost(layer: ir.InputReduce, pixels_per_cycle: int) -> Cost:
    """Beats read from an image that is there as a whole: a multiplexer over the beats for each lane."""
    channels, height, width = layer.image.shape
    beats = -(-height * width // pixels_per_cycle)
    return pixels_per_cycle * mux(beats, channels * layer.image.type.width)


def receive_cost(layer: ir.InputReduce, beats: int) -> Estimate:
    """An image collected from its stream, in registers."""
    channels, height, width = layer.image.shape
    bits = channels * height * width * layer.image.type.width
    return Estimate(beats + 1, interval(beats), beats, bits)
