"""What the kernels of ``include/sparsepix`` cost, counted in hardware primitives; an estimate, not synthesis.

One rule for each kernel, from its structure. Two figures are taken over from the published designs, of which
synthesis results exist (``published.py``): three levels of LUTs fit in a clock of 5 ns, and synthesis leaves about
half of the LUTs that looked-up products and their sums count. Expect a factor of 1.5 either way.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sparsepix_hls import ir
from sparsepix_hls.design import LayerDesign
from sparsepix_hls.primitives import (
    Cost,
    adder,
    adder_tree,
    constant_multiplier,
    cycles,
    equal,
    gate,
    index_bits,
    less_than_constant,
    logic,
    maximum_tree,
    multiplier,
    mux,
    one_hot_mux,
    popcount,
    priority_encoder,
    register,
    rom,
    tree_levels,
)
from sparsepix_hls.stages import PairMap

LEVEL_NS = 1.6  # a level of LUTs with its wires: three in 5 ns, as in the published search tree
MERGED = 0.55  # of what looked-up weights, products and sums count, synthesis leaves so much (0.5 to 0.75)
POOLED = 1.6  # what it makes of comparisons and gates between all pixels
SCATTERED = 1.2  # of a flatten; an open synthesis tool needed 1.6 times the count
SHARED_SUMS = 0.5  # of the adders of a constant matrix; outputs share the rest
RESTART = 1  # clocks that a rewound loop loses between two events
FIFO_CONTROL = 8  # LUTs that the FIFO of one element of an array takes, besides a LUT and a register a bit


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


def _depth(cost: Cost, clock_ns: float) -> int:
    return cycles(cost, clock_ns, LEVEL_NS)


def _estimate(
    cost: Cost, clock_ns: float, how: LayerDesign, live_bits: float, multipliers: int = 0, waits: bool = True
) -> Estimate:
    """A layer of ``how.rounds`` rounds; every clock of its depth holds ``live_bits`` in registers.

    ``waits`` is False for a layer that shares the loop of another one and adds nothing but its depth.
    """
    depth = _depth(cost, clock_ns)
    return Estimate(
        latency_cycles=depth + (how.rounds - 1 if waits else 0),
        interval_cycles=interval(how.rounds),
        lut=round(cost.lut),
        ff=round(cost.ff + depth * live_bits),
        dsp=round(cost.dsp),
        bram=round(cost.bram),
        multipliers=multipliers,
    )


def interval(rounds: int) -> int:
    """Clocks between two events of a stage of so many rounds."""
    return rounds + RESTART if rounds > 1 else 1


def scaled(cost: Cost, factor: float) -> Cost:
    """Some logic of which synthesis leaves a part; levels and DSP slices stay."""
    return replace(cost, lut=cost.lut * factor)


# --- input reduction --------------------------------------------------------------------------------------------


def _score_bits(layer: ir.InputReduce) -> int:
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
    return pixels * (joined + less_than_constant(_score_bits(layer)))


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
        return _estimate(cost | listed, clock_ns, LayerDesign("", 1, slots), slots * slot * 2)
    if reduce == "stream":
        lanes = pixels_per_cycle
        append = Cost()
        for k in range(slots):
            append = append | mux(min(lanes, slots, k + 1) + 1, slot)
        places = min(lanes, slots) * (adder(index_bits(width + lanes)) + less_than_constant(index_bits(width + lanes)))
        cost = _thresholds(layer, lanes) + _merge_tree(lanes, slots, data) + places + append
        beats = -(-pixels // lanes)
        return _estimate(cost | listed, clock_ns, LayerDesign("", beats, lanes), min(lanes, slots) * slot)
    found = _thresholds(layer, pixels) + height * logic(width)
    pick = priority_encoder(height) + mux(height, width) + priority_encoder(width)
    read = mux(height, width * data) + mux(width, data)
    clear = pixels * gate(1)
    cost = (found + pick + read) | clear | slots * logic(index_bits(slots)) | listed | register(pixels)
    how = LayerDesign("", slots, 1)
    scan = _estimate(cost, clock_ns, how, width * data)
    if layer.selection == "raster":
        return scan
    # Before the scan the largest are found, one each turn of two tournaments; the loops follow each other.
    bits = _score_bits(layer)
    row, column = maximum_tree(width, bits), maximum_tree(height, bits)
    best = (height * row + column) | mux(height, width * bits) | register(pixels + height * (bits + index_bits(width)))
    turn = _depth(column + mux(height, width * bits) + row, clock_ns)
    cycles_before = _depth(row, clock_ns) + slots * turn
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


def channel_cost(elements: int, bits: int) -> Cost:
    """An array between two processes: a FIFO for each element; ``bits`` are those of the whole array."""
    return Cost(lut=elements * FIFO_CONTROL + bits, ff=elements * FIFO_CONTROL / 2 + bits)


# --- layers -----------------------------------------------------------------------------------------------------


def _pair_map(step: PairMap, how: LayerDesign, clock_ns: float) -> Estimate:
    height, width = step.kernel_size
    bits = step.coords.type.width
    inside = 4 * less_than_constant(bits)
    place = constant_multiplier(index_bits(height), width) + adder(step.position_bits)
    one = 2 * adder(bits) + (inside | place)
    if how.implementation == "scan":
        # A row of it with each pixel that comes, in the same clock as everything else; then it waits in registers.
        cost = max(step.pixels - 1, 0) * one | register(step.pairs * step.position_bits)
        return replace(_estimate(cost, clock_ns, how, 0, waits=False), latency_cycles=0)
    return _estimate(step.pairs * one, clock_ns, how, step.pairs * step.position_bits)


def _strided_conv(layer: ir.SparseStridedConv2d, how: LayerDesign, clock_ns: float) -> Estimate:
    """The cells of a pool, the position of every pixel in the window of each cell, then a convolution of one round."""
    slots, bits, cell = layer.features.shape[0], layer.coords.type.width, layer.output_coords.type.width
    height, width = layer.kernel_size
    position = index_bits(height * width + 1)
    cells = 2 * slots * rom(2 ** (bits - 1), cell)
    own = how.copies * (mux(how.rounds, 2 * cell) + 2 * constant_multiplier(cell, max(layer.strides)))
    members = how.copies * ((slots - 1) * equal(2 * cell) + logic(slots))
    inside = 4 * less_than_constant(bits)
    place = constant_multiplier(index_bits(height), width) + adder(position)
    pairs = how.copies * slots * (2 * adder(bits) + (inside | place))
    before = _estimate(
        scaled(cells + own + members, POOLED) + pairs, clock_ns, how, how.copies * slots * position, waits=False
    )
    sums = _conv(layer, how, clock_ns)
    return replace(
        sums,
        latency_cycles=sums.latency_cycles + before.latency_cycles,
        lut=sums.lut + before.lut,
        ff=sums.ff + before.ff,
    )


def _conv(layer: ir.SparseConv2d | ir.SparseStridedConv2d, how: LayerDesign, clock_ns: float) -> Estimate:
    slots, c_in = layer.features.shape
    c_group = c_in // layer.groups  # channels that a filter reads
    c_out, area = layer.output.shape[1], int(np.prod(layer.kernel_size))
    b, w = layer.features.type.width, layer.weight.type.width
    position, out_bits = index_bits(area + 1), layer.output.type.width
    product = rom(area + 1, w) + multiplier(b, w)
    if how.implementation == "overlap":
        products = 2 * slots * c_group * c_out
        sums = slots * c_out * (adder_tree(c_group + 1, b + w) | adder(out_bits)) | c_out * adder_tree(
            slots * c_group + 1, b + w
        )
        cost = scaled(products * product + sums, MERGED) | register(slots * c_out * out_bits)
        live = products * (b + w)
        return _estimate(cost, clock_ns, how, live / 2, products, waits=False)
    pixels = how.copies
    window = pixels * (mux(how.rounds, c_in * b) | slots * mux(how.rounds, position))
    bias = Cost() if layer.bias is None else pixels * c_out * (logic(out_bits) + adder(out_bits))
    if how.implementation == "pairs":
        products = pixels * slots * c_group * c_out
        tree = pixels * c_out * adder_tree(slots * c_group, b + w)
        cost = window + scaled(products * product + tree, MERGED) + bias
        live = products * (b + w) + slots * c_in * b
        return _estimate(cost, clock_ns, how, live / 2, products)
    # Gather: the pixel at each position, then constant products.
    select = area * (slots * equal(position) + one_hot_mux(slots, c_in * b))
    matrix = _constant_matrix(layer.weight.raw.reshape(area * c_group, c_out), b, w)
    cost = window + pixels * (select + matrix) + bias
    live = pixels * (area * c_in * b + c_out * out_bits)
    return _estimate(cost, clock_ns, how, live, pixels * int(np.count_nonzero(layer.weight.raw)))


def _constant_matrix(raw: np.ndarray, bits: int, weight_bits: int) -> Cost:
    """A constant matrix [inputs, outputs] times a vector: shifted additions, some shared between outputs."""
    values, counts = np.unique(raw[raw != 0], return_counts=True)
    products = Cost()
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        products = products | count * constant_multiplier(bits, value)
    trees = Cost()
    for terms in np.count_nonzero(raw, axis=0).tolist():
        trees = trees | adder_tree(terms, bits + weight_bits // 2)
    return scaled(products + trees, SHARED_SUMS)


def _activation(layer: ir.Activation, how: LayerDesign, clock_ns: float) -> Estimate:
    # Rounding is an adder over the kept bits; saturation and ReLU are a LUT for each bit of the output.
    items = how.copies * layer.output.shape[1] if len(layer.output.shape) == 2 else layer.output.shape[0]
    bits = layer.output.type.width
    copies = layer.input.type == layer.output.type and not layer.relu and not layer.slope_shift
    cost = Cost() if copies else items * (adder(bits) + Cost(lut=bits, levels=1))
    if layer.slope_shift:
        cost = items * mux(2, layer.input.type.width + layer.slope_shift) + cost
    return _estimate(cost, clock_ns, how, items * bits, waits=False)


def _pool(layer: ir.SparsePool2d, how: LayerDesign, clock_ns: float) -> Estimate:
    slots, channels = layer.features.shape
    b, cell, coord = layer.features.type.width, layer.output_coords.type.width, layer.coords.type.width
    cells = 2 * slots * rom(2 ** (coord - 1), cell)
    own = how.copies * mux(how.rounds, 2 * cell)
    members = how.copies * ((slots - 1) * equal(2 * cell) + logic(slots))
    products = 0
    if isinstance(layer, ir.SparseAvgPool2d):
        joined = slots * channels * gate(b) + channels * adder_tree(slots, b)
        raw, bits = int(layer.reciprocal.raw), b + tree_levels(min(slots, int(np.prod(layer.kernel_size))))
        mean = channels * constant_multiplier(bits, raw)
        products = how.copies * channels
    else:
        joined, mean = channels * maximum_tree(slots, b), popcount(slots)
    cost = scaled(cells + own + members + how.copies * joined, POOLED) + how.copies * mean
    live = slots * (channels * b + 2 * cell) + how.copies * slots
    return _estimate(cost, clock_ns, how, live, products)


def _global_avg(layer: ir.SparseGlobalAvgPool2d, how: LayerDesign, clock_ns: float) -> Estimate:
    slots, channels = layer.features.shape
    bits = layer.features.type.width
    mean = constant_multiplier(bits + tree_levels(slots), int(layer.reciprocal.raw))
    cost = channels * (adder_tree(slots, bits) + mean)
    return _estimate(cost, clock_ns, how, slots * channels * bits / 2, channels)


def _global_max(layer: ir.SparseGlobalMaxPool2d, how: LayerDesign, clock_ns: float) -> Estimate:
    slots, channels = layer.features.shape
    bits = layer.features.type.width
    counted = popcount(slots) if layer.over == "cell" else Cost()
    cost = channels * maximum_tree(slots, bits + 1) | counted  # an empty slot loses by a bit more
    return _estimate(cost, clock_ns, how, slots * channels * bits / 2)


def _flatten(layer: ir.SparseFlatten, how: LayerDesign, clock_ns: float) -> Estimate:
    channels, bits = layer.features.shape[1], layer.features.type.width
    (height, width), cell = layer.spatial_shape, layer.coords.type.width
    read = how.copies * mux(how.rounds, channels * bits + 2 * cell)
    match = how.copies * (height * equal(cell) | width * equal(cell))
    cells = height * width
    keep = 1 if how.rounds > 1 else 0
    # Row and column meet in the LUTs that mask the features.
    write = cells * (how.copies * logic(2) | channels * bits * logic(2 * how.copies + 2 * keep))
    cost = scaled(read + match + write, SCATTERED) | register(cells * channels * bits)
    return _estimate(cost, clock_ns, how, how.copies * (height + width))


def _flatten_dense(layer: ir.SparseFlattenDense, how: LayerDesign, clock_ns: float) -> Estimate:
    channels = layer.features.shape[1]
    outputs, (height, width) = layer.output.shape[0], layer.spatial_shape
    b, w, cell = layer.features.type.width, layer.weight.type.width, layer.coords.type.width
    read = how.copies * (mux(how.rounds, channels * b + 2 * cell) + constant_multiplier(cell, width) + adder(2 * cell))
    products = how.copies * channels * outputs
    looked_up = products * (rom(height * width, w) + multiplier(b, w))
    terms = how.copies * channels + (how.rounds > 1) + (layer.bias is not None)
    cost = read + scaled(looked_up + outputs * adder_tree(terms, b + w), MERGED)
    cost = cost | register(outputs * layer.output.type.width)
    return _estimate(cost, clock_ns, how, products * (b + w) / 2, products)


def _dense(layer: ir.Dense, how: LayerDesign, clock_ns: float) -> Estimate:
    outputs = layer.weight.raw.shape[1]
    b, w = layer.input.type.width, layer.weight.type.width
    bias = Cost() if layer.bias is None else outputs * adder(layer.output.type.width)
    live = outputs * layer.output.type.width
    if how.implementation == "adders":
        from sparsepix_hls.adder_graph import adder_graph

        graph = adder_graph(layer)
        return _estimate(Cost(lut=graph.lut, levels=graph.depth) + bias, clock_ns, how, 2 * live)
    if how.rounds == 1:
        products = layer.weight.raw.size
        return _estimate(_constant_matrix(layer.weight.raw, b, w) + bias, clock_ns, how, 2 * live, products)
    products = how.copies * outputs
    terms = how.copies + 1
    read = how.copies * mux(how.rounds, b) | products * rom(how.rounds, w)
    cost = read + scaled(products * multiplier(b, w) + outputs * adder_tree(terms, b + w), MERGED) + bias
    return _estimate(cost | register(live), clock_ns, how, products * (b + w) / 2, products)


def _add(layer: ir.Add, how: LayerDesign, clock_ns: float) -> Estimate:
    items, bits = math.prod(layer.output.shape), layer.output.type.width
    return _estimate(items * adder(bits), clock_ns, how, items * bits)


def _concat(_: ir.Concat, how: LayerDesign, clock_ns: float) -> Estimate:
    return replace(_estimate(Cost(), clock_ns, how, 0), latency_cycles=0)  # wires


def _head(layer: ir.Head, how: LayerDesign, clock_ns: float) -> Estimate:
    # A binary search halves the table of constants level by level.
    steps, bits, count = layer.thresholds.raw.size, layer.thresholds.type.width, layer.input.shape[0]
    levels, out_bits = 2 * tree_levels(steps + 1), layer.output.type.width
    cost = Cost(lut=count * steps * bits / 3, levels=levels)
    if layer.kind == "Softmax":
        # The largest logit and the sum of the exponentials; a divider is a subtraction for each bit.
        sum_bits = index_bits(steps + 1) + tree_levels(count)
        divider = Cost(lut=(sum_bits + out_bits) * sum_bits, levels=sum_bits + out_bits)
        logit = layer.input.type.width
        cost = maximum_tree(count, logit) + count * adder(logit) + cost + adder_tree(count, sum_bits) + count * divider
    return _estimate(cost, clock_ns, how, count * out_bits)


_RULES: dict[type, Callable[..., Estimate]] = {
    PairMap: _pair_map,
    ir.SparseConv2d: _conv,
    ir.SparseStridedConv2d: _strided_conv,
    ir.Activation: _activation,
    ir.SparseAvgPool2d: _pool,
    ir.SparseMaxPool2d: _pool,
    ir.SparseGlobalAvgPool2d: _global_avg,
    ir.SparseGlobalMaxPool2d: _global_max,
    ir.SparseFlatten: _flatten,
    ir.SparseFlattenDense: _flatten_dense,
    ir.Dense: _dense,
    ir.Add: _add,
    ir.Concat: _concat,
    ir.Head: _head,
}


def layer_cost(step: ir.Layer | PairMap, how: LayerDesign, clock_ns: float) -> Estimate:
    """Estimated cost of anything but the input reduction.

    Args:
        step: a layer, or a pair map, whose implementation is 'scan' if a scan makes it on the way, else ''.
        how: its implementation and rounds.
        clock_ns: clock period.
    """
    return _RULES[type(step)](step, how, clock_ns)
