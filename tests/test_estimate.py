"""The estimate by counting: it grows with what costs, and lies near what has been published."""

from dataclasses import replace

import numpy as np
import pytest

from onnx_models import ModelBuilder, whole_model
from sparsepix_hls import ir
from sparsepix_hls.estimate import estimate_json, estimate_layer, estimate_total, utilization
from sparsepix_hls.parts import Part, find_part
from sparsepix_hls.reader import read_model
from sparsepix_ops import FixedPoint
from sparsepix_ops.sparse_avg_pool2d import reciprocal


def graph_of(builder, tmp_path, **settings):
    return read_model(builder.save(tmp_path / "net.onnx"), **settings).graph


def neutrino(max_pixels, weight, activation):
    """The published neutrino architecture with random weights."""
    builder = ModelBuilder(1, 63, 63).image(activation).reduce(max_pixels)
    builder.conv("conv1", 1, (7, 7), weight, weight).relu("act1").activation("act1", activation)
    builder.conv("conv2", 3, (7, 7), weight, weight).relu("act2").activation("act2", activation)
    builder.pool("pool", (7, 7)).activation("pool_out", activation).flatten()
    builder.dense("dense1", 16, fmt=weight).relu("act3").activation("act3", activation)
    return builder.dense("dense2", 1, fmt=weight)


def test_total_adds_up_and_the_slowest_layer_sets_the_interval(tmp_path):
    graph = graph_of(whole_model(), tmp_path)
    layers = [estimate_layer(layer, 5.0) for layer in graph.layers]
    total = estimate_total(graph, 5.0)
    assert total.latency_cycles == sum(e.latency_cycles for e in layers)
    assert total.lut == sum(e.lut for e in layers)
    assert total.interval_cycles == max(e.interval_cycles for e in layers) == 5


@pytest.mark.parametrize("kind", ["Sigmoid", "Softmax"])
def test_every_layer_costs_something(tmp_path, kind):
    graph = graph_of(whole_model().head(kind), tmp_path, keep_head=True)
    for layer in graph.layers:
        cost = estimate_layer(layer, 5.0)
        assert min(cost.latency_cycles, cost.interval_cycles, cost.lut, cost.ff) >= 1, layer.name
        assert all(isinstance(value, int) for value in vars(cost).values())


def test_more_pixels_cost_more(tmp_path):
    eight = FixedPoint(8, 3), FixedPoint(8, 2, signed=False)
    small = estimate_total(graph_of(neutrino(8, *eight), tmp_path), 5.0)
    large = estimate_total(graph_of(neutrino(20, *eight), tmp_path), 5.0)
    assert small.latency_cycles < large.latency_cycles
    assert small.lut < large.lut
    assert (small.interval_cycles, large.interval_cycles) == (8, 20)


def test_wide_products_go_to_dsps(tmp_path):
    sixteen = FixedPoint(16, 7), FixedPoint(16, 6, signed=False)
    eight = FixedPoint(8, 3), FixedPoint(8, 2, signed=False)
    conv16, conv8 = (graph_of(neutrino(8, *f), tmp_path).layers[1] for f in (sixteen, eight))
    assert estimate_layer(conv16, 5.0).dsp == 64
    assert estimate_layer(conv8, 5.0).dsp == 0


def test_a_slower_clock_takes_fewer_cycles(tmp_path):
    graph = graph_of(whole_model(), tmp_path)
    assert estimate_total(graph, 10.0).latency_cycles < estimate_total(graph, 2.5).latency_cycles


# LUTs of 8-bit layers after logic synthesis with Vivado, published with SparsePixels (arXiv 2512.06208):
# slots, input channels, output channels, kernel, LUTs
PUBLISHED_CONVS = [
    (20, 1, 1, 7, 40_174), (20, 1, 3, 7, 117_429), (8, 1, 1, 7, 5_419), (8, 1, 3, 7, 19_062), (20, 1, 3, 9, 116_568),
    (20, 3, 1, 9, 92_425), (8, 3, 1, 9, 15_650), (20, 1, 3, 5, 92_122), (20, 1, 1, 3, 18_958), (30, 1, 1, 3, 56_071),
]  # fmt: skip
# slots, channels, window, LUTs
PUBLISHED_POOLS = [(20, 3, 7, 12_782), (8, 3, 7, 2_538), (20, 1, 4, 5_236), (8, 1, 4, 756), (30, 3, 2, 19_467)]
WEIGHT8, FEATURE8, COORD8 = FixedPoint(8, 3), FixedPoint(8, 2, signed=False), FixedPoint(7, 7)


def pixels(slots, channels):
    return ir.Tensor("features", (slots, channels), FEATURE8), ir.Tensor("coords", (slots, 2), COORD8)


def published_conv(slots, c_in, c_out, size):
    output = ir.Tensor("output", (slots, c_out), FixedPoint(17, 6))
    weight = ir.Constant("weight", np.ones((size, size, c_in, c_out), int), WEIGHT8)
    bias = ir.Constant("bias", np.ones(c_out, int), WEIGHT8)
    return ir.SparseConv2d("conv", *pixels(slots, c_in), output, (size, size), weight, bias, "active")


@pytest.mark.parametrize(("slots", "c_in", "c_out", "size", "lut"), PUBLISHED_CONVS)
def test_convolutions_are_near_the_published_ones(slots, c_in, c_out, size, lut):
    cost = estimate_layer(published_conv(slots, c_in, c_out, size), 5.0)
    assert lut / 2 < cost.lut < lut * 2


@pytest.mark.parametrize(("slots", "channels", "size", "lut"), PUBLISHED_POOLS)
def test_pools_are_near_the_published_ones(slots, channels, size, lut):
    outputs = (ir.Tensor("y", (slots, channels), FixedPoint(18, 2)), ir.Tensor("cells", (slots, 2), FixedPoint(5, 5)))
    factor = reciprocal(size * size, 10)
    constant = ir.Constant("reciprocal", np.asarray(factor.raw), factor.range.format())
    layer = ir.SparseAvgPool2d("pool", *pixels(slots, channels), *outputs, (size, size), (63, 63), constant)
    assert lut / 2 < estimate_layer(layer, 5.0).lut < lut * 2


def test_flatten_and_reduction_have_the_published_order_of_magnitude(tmp_path):
    """Other designs: the published flatten takes the slots in turn, the published reduction searches for each pixel."""
    graph = graph_of(neutrino(20, WEIGHT8, FEATURE8), tmp_path)
    lut = {type(layer).__name__: estimate_layer(layer, 5.0).lut for layer in graph.layers}
    assert 3_969 < lut["SparseFlatten"] < 4 * 3_969
    assert 98_305 / 4 < lut["InputReduce"] < 98_305


def test_utilization_and_json(tmp_path):
    graph = graph_of(whole_model(), tmp_path)
    total = estimate_total(graph, 5.0)
    part = find_part("xcvu9p")
    assert utilization(total, part)["lut"] == total.lut / part.luts
    assert utilization(total, Part("xcvu19p", "xcvu19p-fsva3824-2-e")) is None
    data = estimate_json(graph, part, 5.0)
    assert data["latency_ns"] == 5.0 * total.latency_cycles
    assert list(data["layers"]) == [layer.name for layer in graph.layers]
    assert "estimate" in data["kind"]


def test_magnitude_selection_takes_longer(tmp_path):
    reduce = graph_of(whole_model(), tmp_path).layers[0]
    assert isinstance(reduce, ir.InputReduce)
    largest = replace(reduce, selection="magnitude")
    assert estimate_layer(reduce, 5.0).latency_cycles == reduce.max_pixels + 3
    assert estimate_layer(largest, 5.0).latency_cycles > estimate_layer(reduce, 5.0).latency_cycles
