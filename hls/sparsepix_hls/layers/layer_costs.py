"""What the layers behind the input reduction cost; see ``costs.py``."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sparsepix_hls.cost.costs import Estimate, counted, scaled
from sparsepix_hls.cost.primitives import (
    Cost,
    adder,
    adder_tree,
    constant_multiplier,
    equal,
    gate,
    less_than_constant,
    logic,
    maximum_tree,
    multiplier,
    mux,
    one_hot_mux,
    popcount,
    register,
    rom,
    tree_levels,
)
from sparsepix_hls.design.options import LayerDesign
from sparsepix_hls.design.schedule import PairMap
from sparsepix_hls.ir import graph as ir
from sparsepix_hls.ir.dims import index_bits

MERGED = 0.55  # of what looked-up weights, products and sums count, synthesis leaves so much (0.5 to 0.75)
POOLED = 1.6  # what it makes of comparisons and gates between all pixels
SCATTERED = 1.2  # of a flatten; an open synthesis tool needed 1.6 times the count
SHARED_SUMS = 0.5  # of the adders of a constant matrix; outputs share the rest


def _pair_map(step: PairMap, how: LayerDesign, clock_ns: float) -> Estimate:
    height, width = step.kernel_size
    bits = step.coords.type.width
    inside = 4 * less_than_constant(bits)
    place = constant_multiplier(index_bits(height), width) + adder(step.position_bits)
    one = 2 * adder(bits) + (inside | place)
    if how.implementation == "scan":
        # A row of it with each pixel that comes, in the same clock as everything else; then it waits in registers.
        cost = max(step.pixels - 1, 0) * one | register(step.pairs * step.position_bits)
        return replace(counted(cost, clock_ns, how, 0, waits=False), latency_cycles=0)
    return counted(step.pairs * one, clock_ns, how, step.pairs * step.position_bits)


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
    before = counted(
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
        return counted(cost, clock_ns, how, live / 2, products, waits=False)
    pixels = how.copies
    window = pixels * (mux(how.rounds, c_in * b) | slots * mux(how.rounds, position))
    bias = Cost() if layer.bias is None else pixels * c_out * (logic(out_bits) + adder(out_bits))
    if how.implementation == "pairs":
        products = pixels * slots * c_group * c_out
        tree = pixels * c_out * adder_tree(slots * c_group, b + w)
        cost = window + scaled(products * product + tree, MERGED) + bias
        live = products * (b + w) + slots * c_in * b
        return counted(cost, clock_ns, how, live / 2, products)
    # Gather: the pixel at each position, then constant products.
    select = area * (slots * equal(position) + one_hot_mux(slots, c_in * b))
    matrix = _constant_matrix(layer.weight.raw.reshape(area * c_group, c_out), b, w)
    cost = window + pixels * (select + matrix) + bias
    live = pixels * (area * c_in * b + c_out * out_bits)
    return counted(cost, clock_ns, how, live, pixels * int(np.count_nonzero(layer.weight.raw)))


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
    return counted(cost, clock_ns, how, items * bits, waits=False)


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
    return counted(cost, clock_ns, how, live, products)


def _global_avg(layer: ir.SparseGlobalAvgPool2d, how: LayerDesign, clock_ns: float) -> Estimate:
    slots, channels = layer.features.shape
    bits = layer.features.type.width
    mean = constant_multiplier(bits + tree_levels(slots), int(layer.reciprocal.raw))
    cost = channels * (adder_tree(slots, bits) + mean)
    return counted(cost, clock_ns, how, slots * channels * bits / 2, channels)


def _global_max(layer: ir.SparseGlobalMaxPool2d, how: LayerDesign, clock_ns: float) -> Estimate:
    slots, channels = layer.features.shape
    bits = layer.features.type.width
    members = popcount(slots) if layer.over == "cell" else Cost()
    cost = channels * maximum_tree(slots, bits + 1) | members  # an empty slot loses by a bit more
    return counted(cost, clock_ns, how, slots * channels * bits / 2)


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
    return counted(cost, clock_ns, how, how.copies * (height + width))


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
    return counted(cost, clock_ns, how, products * (b + w) / 2, products)


def _dense(layer: ir.Dense, how: LayerDesign, clock_ns: float) -> Estimate:
    outputs = layer.weight.raw.shape[1]
    b, w = layer.input.type.width, layer.weight.type.width
    bias = Cost() if layer.bias is None else outputs * adder(layer.output.type.width)
    live = outputs * layer.output.type.width
    if how.implementation == "adders":
        from sparsepix_hls.kernels.adder_graph import adder_graph

        graph = adder_graph(layer)
        return counted(Cost(lut=graph.lut, levels=graph.depth) + bias, clock_ns, how, 2 * live)
    if how.rounds == 1:
        products = layer.weight.raw.size
        return counted(_constant_matrix(layer.weight.raw, b, w) + bias, clock_ns, how, 2 * live, products)
    products = how.copies * outputs
    terms = how.copies + 1
    read = how.copies * mux(how.rounds, b) | products * rom(how.rounds, w)
    cost = read + scaled(products * multiplier(b, w) + outputs * adder_tree(terms, b + w), MERGED) + bias
    return counted(cost | register(live), clock_ns, how, products * (b + w) / 2, products)


def _add(layer: ir.Add, how: LayerDesign, clock_ns: float) -> Estimate:
    items, bits = math.prod(layer.output.shape), layer.output.type.width
    return counted(items * adder(bits), clock_ns, how, items * bits)


def _concat(_: ir.Concat, how: LayerDesign, clock_ns: float) -> Estimate:
    return replace(counted(Cost(), clock_ns, how, 0), latency_cycles=0)  # wires


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
    return counted(cost, clock_ns, how, count * out_bits)


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
