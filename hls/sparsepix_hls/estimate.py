"""A first estimate of latency and resources by counting; no synthesis has confirmed its figures.

One rule for each kernel of ``include/sparsepix``, in its fully parallel form. Against the published synthesis
results of similar 8-bit layers (convolutions, average pooling) it is good to about a factor of two.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from sparsepix_hls import ir
from sparsepix_hls.parts import Part

LEVEL_NS = 2.0  # an adder or a multiplexer level with its wires
DSP_BITS = 10  # a product with both factors wider than this goes to a DSP slice
DSP_WIDE = 18  # and takes another for each further 18 bits of its narrower factor


@dataclass(frozen=True)
class Estimate:
    """Estimated cost of a layer or of a whole model; ``interval_cycles`` is the time between two events."""

    latency_cycles: int
    interval_cycles: int
    dsp: int
    lut: int
    ff: int


def _levels(terms: int) -> int:
    """Levels of a tree that joins so many terms in pairs."""
    return max(int(terms) - 1, 0).bit_length()


def _index_bits(count: int) -> int:
    return max(int(count - 1).bit_length(), 1)


def _cycles(levels: int, clock_ns: float) -> int:
    """Clock cycles of so many levels of logic."""
    return -(-max(levels, 1) // max(int(clock_ns / LEVEL_NS), 1))


def _product(a: int, b: int) -> tuple[int, int]:
    """DSPs and LUTs of a product of a x b bits: an array of a * b cells, or DSP slices for wide factors."""
    narrow = min(a, b)
    return (-(-narrow // DSP_WIDE), 0) if narrow > DSP_BITS else (0, a * b)


def _pipelined(levels: int, bits: int, dsp: float, lut: float, clock_ns: float) -> Estimate:
    """A block that takes an event each cycle: one rank of registers of ``bits`` bits in each cycle."""
    cycles = _cycles(levels, clock_ns)
    return Estimate(cycles, 1, int(dsp), int(lut), cycles * int(bits))


def _input_reduce(layer: ir.InputReduce, clock: float) -> Estimate:
    # A comparator a pixel (half a LUT a bit) and its channel sum or maximum; a priority encoder (about
    # 2 LUTs a pixel); one multiplexer over all pixels (a LUT takes 4 of them, a third more for the rest).
    channels, height, width = layer.image.shape
    pixels, bits = height * width, layer.image.type.width
    score = (channels - 1) * bits if layer.activity != "first" else 0
    lut = pixels * (bits / 2 + score + 2 + channels * bits / 3)
    # One pixel a clock, three more for the encoder and the multiplexer; the image waits in registers.
    cycles = layer.max_pixels
    if layer.selection == "magnitude":
        # First a tournament in each row, then one among the rows for each kept pixel.
        cycles += layer.max_pixels * _cycles(_levels(height), clock) + _cycles(_levels(width), clock)
        lut += pixels * 1.5 * bits
    slot_bits = layer.max_pixels * (channels * bits + 2 * layer.coords.type.width)
    return Estimate(cycles + 3, cycles, 0, int(lut), channels * pixels * bits + pixels + slot_bits)


def _conv(layer: ir.SparseConv2d, clock: float) -> Estimate:
    # Every pair of pixels: the offset between them (two subtractions, two range checks) and, for each channel pair,
    # a product. It is a weight looked up by the position (a LUT holds 64 positions of one bit) times the feature, or,
    # for a small kernel, a constant product for each position (half a LUT a bit) and a choice among them. Then a
    # tree of adders.
    slots, c_in = layer.features.shape
    c_out, taps = layer.output.shape[1], int(np.prod(layer.kernel_size))
    products, sums = slots * slots * c_in * c_out, slots * c_out
    feature_bits, weight_bits = layer.features.type.width, layer.weight.type.width
    dsp, multiply = _product(feature_bits, weight_bits)
    product = min(multiply + weight_bits * -(-taps // 64), taps * feature_bits / 2)
    terms = slots * c_in + (layer.bias is not None)
    pairs = slots * (slots - 1) / 2 * 4 * layer.coords.type.width
    lut = pairs + products * product + sums * (terms - 1) * layer.output.type.width
    # Offset and look-up take two levels each, a product about two. The widest rank of registers holds the products.
    cost = _pipelined(6 + _levels(terms), sums * layer.output.type.width, products * dsp, lut, clock)
    return replace(cost, ff=cost.ff + products * (feature_bits + weight_bits))


def _activation(layer: ir.Activation, clock: float) -> Estimate:
    # Rounding is an adder over the kept bits, saturation and ReLU a LUT for each bit of the output.
    count = int(np.prod(layer.output.shape))
    bits = layer.output.type.width
    return _pipelined(2, count * bits, 0, count * 2 * bits, clock)


def _pool(layer: ir.SparsePool2d, clock: float) -> Estimate:
    # Every pair of slots compares its cells and offers its features; a tree joins them.
    slots, channels = layer.features.shape
    bits, cell_bits = layer.output_features.type.width, layer.output_coords.type.width
    lut = slots * slots / 2 * cell_bits + slots * (slots - 1) * channels * layer.features.type.width
    dsp = 0
    if isinstance(layer, ir.SparseAvgPool2d):
        dsp, multiply = _product(layer.features.type.width, layer.reciprocal.type.width)
        lut += slots * channels * multiply
        dsp *= slots * channels
    return _pipelined(6 + _levels(slots), slots * (channels * bits + 2 * cell_bits), dsp, lut, clock)


def _flatten(layer: ir.SparseFlatten, clock: float) -> Estimate:
    # Each cell compares itself with every slot (a LUT or two), and joins the masked features (3 of them a LUT).
    # All cells at once: a flatten that takes the slots one after the other, as the published one, is smaller.
    slots, channels = layer.features.shape
    cells = layer.spatial_shape[0] * layer.spatial_shape[1]
    lut = cells * slots * (1.5 + channels * layer.features.type.width / 3)
    return _pipelined(2 + _levels(slots) // 2, layer.output.shape[0] * layer.output.type.width, 0, lut, clock)


def _dense(layer: ir.Dense, clock: float) -> Estimate:
    # A product with a constant is a few shifted additions; with those that outputs share, about one adder
    # is left for each weight that is not zero, three bits wider than the input.
    weights = np.count_nonzero(layer.weight.raw) + (0 if layer.bias is None else np.count_nonzero(layer.bias.raw))
    terms = layer.input.shape[0] + (layer.bias is not None)
    bits = layer.output.shape[0] * layer.output.type.width
    return _pipelined(2 + _levels(terms), bits, 0, weights * (layer.input.type.width + 3), clock)


def _head(layer: ir.Head, clock: float) -> Estimate:
    # A binary search halves the table level by level: as many multiplexer bits as the table has.
    steps, bits, count = layer.thresholds.raw.size, layer.thresholds.type.width, layer.input.shape[0]
    levels, out_bits = 2 * _levels(steps), layer.output.type.width
    lut = count * steps * bits / 3
    if layer.kind == "Softmax":
        # The largest logit and the sum of the exponentials; a divider is a subtraction for each bit.
        sum_bits = _index_bits(steps + 1) + _levels(count)
        levels += 2 * _levels(count) + sum_bits + out_bits
        lut += count * ((sum_bits + out_bits) * sum_bits + 2 * layer.input.type.width)
    return _pipelined(levels, count * out_bits, 0, lut, clock)


_RULES: dict[type, Callable[..., Estimate]] = {
    ir.InputReduce: _input_reduce,
    ir.SparseConv2d: _conv,
    ir.Activation: _activation,
    ir.SparseAvgPool2d: _pool,
    ir.SparseMaxPool2d: _pool,
    ir.SparseFlatten: _flatten,
    ir.Dense: _dense,
    ir.Head: _head,
}


def estimate_layer(layer: ir.Layer, clock_ns: float) -> Estimate:
    """Estimated cost of one layer at a clock period of ``clock_ns``."""
    return _RULES[type(layer)](layer, clock_ns)


def estimate_total(graph: ir.Graph, clock_ns: float) -> Estimate:
    """Estimated cost of a model: latencies and resources add up, the slowest layer sets the interval."""
    parts = [estimate_layer(layer, clock_ns) for layer in graph.layers]
    return Estimate(
        latency_cycles=sum(e.latency_cycles for e in parts),
        interval_cycles=max(e.interval_cycles for e in parts),
        dsp=sum(e.dsp for e in parts),
        lut=sum(e.lut for e in parts),
        ff=sum(e.ff for e in parts),
    )


def utilization(total: Estimate, part: Part) -> dict[str, float] | None:
    """Share of a part's resources, 1.0 is all of them; None for a part that the table does not have."""
    if not part.known:
        return None
    return {"dsp": total.dsp / part.dsps, "lut": total.lut / part.luts, "ff": total.ff / part.ffs}


def estimate_json(graph: ir.Graph, part: Part, clock_ns: float) -> dict:
    """The estimate of a model as plain data for ``report.json``."""
    total = estimate_total(graph, clock_ns)
    return {
        "kind": "estimate by counting, not confirmed by synthesis",
        "layers": {layer.name: asdict(estimate_layer(layer, clock_ns)) for layer in graph.layers},
        "total": asdict(total),
        "latency_ns": total.latency_cycles * clock_ns,
        "interval_ns": total.interval_cycles * clock_ns,
        "utilization": utilization(total, part),
    }
