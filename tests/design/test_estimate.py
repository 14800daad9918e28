"""The estimate: it adds up, it grows with what costs, reuse shrinks it, and it lies near what has been published."""

import csv
import itertools
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnx_models import ModelBuilder, whole_model
from random_networks import SETTINGS
from sparsepix_hls.cost.costs import RESTART, interval
from sparsepix_hls.cpp.estimate import estimate_design
from sparsepix_hls.design.layout import layer_design
from sparsepix_hls.design.options import Options
from sparsepix_hls.design.select import make_design
from sparsepix_hls.flow.explore import explore, published_point, write_points
from sparsepix_hls.flow.pictures import estimate_figure, exploration_figure
from sparsepix_hls.flow.report import estimate_json, utilization, warnings
from sparsepix_hls.flow.rtl import RTL
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.ir.tensors import Constant, KernelMap, LayerDesign, Tensor
from sparsepix_hls.layers.dense import Dense
from sparsepix_hls.layers.input_reduce import input_reduce, reduce_cost
from sparsepix_hls.layers.kernel_map import MakeKernelMap
from sparsepix_hls.layers.sparse_avg_pool2d import SparseAvgPool2d
from sparsepix_hls.layers.sparse_conv2d import SparseConv2d
from sparsepix_hls.layers.sparse_flatten import SparseFlatten, SparseFlattenDense
from sparsepix_hls.layers.sparse_max_pool2d import SparseMaxPool2d
from sparsepix_hls.project.parts import Part, find_part
from sparsepix_hls.reference.published_models import ARCHITECTURES, PUBLISHED_MODELS, architecture, find_published
from sparsepix_ops import FixedPoint
from sparsepix_ops.ops.sparse_avg_pool2d import reciprocal

CLOCK = 5.0


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


def estimate(graph, **options):
    return estimate_design(make_design(graph, Options(**options), CLOCK)[0], CLOCK)


EIGHT = FixedPoint(8, 3), FixedPoint(8, 2, signed=False)


@pytest.mark.parametrize("options", [{}, {"reuse_factor": 3}, {"reduce": "tree", "io": "stream"}, {"reduce": "stream"}])
def test_everything_adds_up(tmp_path, options):
    found = estimate(graph_of(whole_model(), tmp_path), **options)
    for key in ("lut", "ff", "dsp", "bram", "multipliers", "latency_cycles"):
        assert getattr(found.total, key) == sum(getattr(row.cost, key) for row in found.rows)
    for stage in found.stages:
        own = [row.cost for row in found.rows if row.stage == stage.name]
        assert stage.latency_cycles == sum(cost.latency_cycles for cost in own)
        assert stage.interval_cycles >= max(cost.interval_cycles for cost in own)
    assert found.total.interval_cycles == max(stage.interval_cycles for stage in found.stages)


@pytest.mark.parametrize("kind", ["Sigmoid", "Softmax"])
def test_every_layer_costs_something(tmp_path, kind):
    found = estimate(graph_of(whole_model().head(kind), tmp_path, keep_head=True))
    for row in found.rows:
        assert min(row.cost.interval_cycles, row.cost.lut, row.cost.ff) >= 1, row.name
        assert row.cost.latency_cycles >= (row.op != "KernelMap")
        assert all(isinstance(value, int) for value in vars(row.cost).values())


def test_more_pixels_cost_more(tmp_path):
    small, large = (estimate(graph_of(neutrino(n, *EIGHT), tmp_path)).total for n in (8, 20))
    assert small.latency_cycles < large.latency_cycles
    assert small.lut < large.lut
    assert (small.interval_cycles, large.interval_cycles) == (9, 21)


def test_wide_products_go_to_dsps(tmp_path):
    sixteen = FixedPoint(16, 7), FixedPoint(16, 6, signed=False)
    for formats, dsp in ((sixteen, 64), (EIGHT, 0)):
        conv = graph_of(neutrino(8, *formats), tmp_path).layers[1]
        assert conv.cost(layer_design(conv, "pairs", 1), CLOCK).dsp == dsp


def test_a_slower_clock_takes_fewer_cycles(tmp_path):
    design, _ = make_design(graph_of(whole_model(), tmp_path))
    slow, fast = (estimate_design(design, clock).total.latency_cycles for clock in (10.0, 2.5))
    assert slow < fast


@pytest.mark.parametrize("clock", [2.5, 5.0, 10.0])
def test_more_uncertainty_takes_more_cycles(tmp_path, clock):
    graph = graph_of(whole_model(), tmp_path)
    options = [Options(clock_uncertainty=percent) for percent in (0, 27, 60)] + [Options()]
    designs = [make_design(graph, one, clock)[0] for one in options]
    none, usual, much, default = (estimate_design(design, clock).total for design in designs)
    assert none.latency_cycles < usual.latency_cycles <= much.latency_cycles
    assert default == usual
    # A period that is longer by as much: the same clock for logic.
    assert estimate_design(designs[0], clock * 0.73).total == usual


def test_the_image_of_a_scan_waits_in_registers(tmp_path):
    """Vitis HLS reads it in the first clock; a rewound loop keeps it until a row is known, and the one before."""
    reduce = input_reduce(graph_of(neutrino(20, *EIGHT), tmp_path))
    bits = 63 * 63 * reduce.image.type.width
    raster, largest = (reduce_cost(replace(reduce, selection=how), "scan", 1, CLOCK) for how in ("raster", "magnitude"))
    assert 3 * bits < raster.ff < 3.5 * bits
    assert bits < largest.ff < 2 * bits


@st.composite
def reused_layers(draw):
    """A random layer that can be reused, and its implementation."""
    slots, c_in, c_out = draw(st.integers(1, 24)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    bits, weight_bits = draw(st.integers(2, 16)), draw(st.integers(2, 16))
    feature, weight = FixedPoint(bits, 2), FixedPoint(weight_bits, 1)
    features, coords = Tensor("f", (slots, c_in), feature), Tensor("c", (slots, 2), FixedPoint(7, 7))
    rng = np.random.default_rng(draw(st.integers(0, 99)))

    def constant(*shape):
        return Constant("w", rng.integers(weight.raw_min, weight.raw_max + 1, shape), weight)

    side = draw(st.sampled_from([1, 3, 5, 7]))
    wide = FixedPoint(30, 10)
    kind = draw(st.sampled_from(["pairs", "gather", "pool", "flatten", "lookup", "dense"]))
    if kind in ("pairs", "gather"):
        output = Tensor("y", (slots, c_out), wide)
        return SparseConv2d("l", features, coords, output, (side, side), constant(side, side, c_in, c_out), None,
                               "active"), kind  # fmt: skip
    if kind == "pool":
        cells = Tensor("cells", (slots, 2), FixedPoint(5, 5))
        output = Tensor("y", (slots, c_in), wide)
        return SparseMaxPool2d("l", features, coords, output, cells, (side, side), (32, 32), "active"), ""
    if kind == "flatten":
        return SparseFlatten("l", features, coords, Tensor("y", (36 * c_in,), feature), (6, 6)), ""
    output = Tensor("y", (c_out,), wide)
    if kind == "lookup":
        return SparseFlattenDense("l", features, coords, output, (6, 6), constant(36, c_in, c_out), None), kind
    return Dense("l", Tensor("x", (slots,), feature), output, constant(slots, c_out), None), "multiply"


@settings(**SETTINGS)
@given(reused_layers())
def test_more_reuse_never_takes_more_multipliers(layer_and_kind):
    layer, kind = layer_and_kind
    beyond = [layer_design(layer, kind, layer.work * outs, RTL.loops) for outs in range(2, layer.outs + 1)]
    for one, more in itertools.pairwise([layer_design(layer, kind, layer.work), *beyond]):
        assert layer.work == 1 or layer.cost(more, CLOCK).multipliers <= layer.cost(one, CLOCK).multipliers
    designs = [layer_design(layer, kind, factor) for factor in range(1, layer.work + 2)]
    costs = [layer.cost(how, CLOCK) for how in designs]
    for (one, less), more in zip(zip(designs, costs, strict=True), costs[1:], strict=False):
        assert more.multipliers <= less.multipliers
        assert more.interval_cycles >= less.interval_cycles == interval(one.reuse_factor)
        if one.reuse_factor > 1 or kind != "multiply":  # products with constants are additions and need no DSP slice
            assert more.dsp <= less.dsp
    assert costs[-1].interval_cycles == (layer.work + RESTART if layer.work > 1 else 1)


def test_matched_stages_are_small(tmp_path):
    """The more cycles a stage may take, the smaller the design; within them it is the smallest."""
    graph = graph_of(neutrino(20, *EIGHT), tmp_path)
    luts = [estimate(graph, reduce="tree", target_interval=target).total.lut for target in (1, 3, 6, 11, 21)]
    assert luts == sorted(luts, reverse=True)
    for target in (21, 40):
        assert estimate(graph, target_interval=target).total.interval_cycles <= target


def test_pairs_on_the_way_of_a_scan_are_cheap():
    pairs = MakeKernelMap(KernelMap(Tensor("c", (20, 2), FixedPoint(7, 7)), (7, 7)))
    scanned, at_once = (pairs.cost(LayerDesign(how, 1, 1), CLOCK) for how in ("scan", ""))
    assert scanned.latency_cycles == 0
    assert scanned.lut * 9 < at_once.lut


def test_a_scan_takes_a_clock_a_pixel_and_magnitude_longer(tmp_path):
    reduce = input_reduce(graph_of(neutrino(20, *EIGHT), tmp_path))
    raster, largest = (reduce_cost(replace(reduce, selection=how), "scan", 1, CLOCK) for how in ("raster", "magnitude"))
    assert 20 < raster.latency_cycles < 30
    assert raster.interval_cycles == 21
    assert largest.interval_cycles == largest.latency_cycles > 60
    widths = [reduce_cost(reduce, "stream", lanes, CLOCK) for lanes in (1, 7, 63, 3969)]
    assert [cost.interval_cycles for cost in widths] == [3970, 568, 64, 1]
    assert [cost.lut for cost in widths] == sorted(cost.lut for cost in widths)


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
    return Tensor("features", (slots, channels), FEATURE8), Tensor("coords", (slots, 2), COORD8)


def published_conv(slots, c_in, c_out, size):
    output = Tensor("output", (slots, c_out), FixedPoint(17, 6))
    weight = Constant("weight", np.ones((size, size, c_in, c_out), int), WEIGHT8)
    bias = Constant("bias", np.ones(c_out, int), WEIGHT8)
    return SparseConv2d("conv", *pixels(slots, c_in), output, (size, size), weight, bias, "active")


def pairs_cost(layer):
    return layer.cost(layer_design(layer, "pairs", 1), CLOCK)


@pytest.mark.parametrize(("slots", "c_in", "c_out", "size", "lut"), PUBLISHED_CONVS)
def test_convolutions_are_near_the_published_ones(slots, c_in, c_out, size, lut):
    cost = pairs_cost(published_conv(slots, c_in, c_out, size))
    assert lut / 2 < cost.lut < lut * 2


@pytest.mark.parametrize(("slots", "channels", "size", "lut"), PUBLISHED_POOLS)
def test_pools_are_near_the_published_ones(slots, channels, size, lut):
    outputs = (Tensor("y", (slots, channels), FixedPoint(18, 2)), Tensor("cells", (slots, 2), FixedPoint(5, 5)))
    factor = reciprocal(size * size, 10)
    constant = Constant("reciprocal", np.asarray(factor.raw), factor.range.format())
    layer = SparseAvgPool2d("pool", *pixels(slots, channels), *outputs, (size, size), (63, 63), constant)
    # Ours shares no adders between the slots, and divides in LUTs where the published one has DSP slices.
    assert lut / 2 < layer.cost(layer_design(layer, "", 1), CLOCK).lut < lut * 4


def test_the_published_reduction_is_larger(tmp_path):
    """It searches the image again for each pixel: 98,305 LUTs."""
    reduce = input_reduce(graph_of(neutrino(20, *EIGHT), tmp_path))
    assert 98_305 / 8 < reduce_cost(reduce, "scan", 1, CLOCK).lut < 98_305


def test_utilization_warnings_and_json(tmp_path):
    design, _ = make_design(graph_of(neutrino(20, *EIGHT), tmp_path), Options(reduce="tree"))
    total = estimate_design(design, CLOCK).total
    part, small = find_part("xcvu9p"), find_part("xc7z020")
    shares = utilization(total, part)
    assert shares["lut"] == total.lut / part.luts
    assert shares["slr"] == pytest.approx(3 * shares["lut"])
    assert utilization(total, Part("xcvu19p", "xcvu19p-fsva3824-2-e")) is None
    assert "of its LUT of xc7z020: use more reuse" in warnings(total, small)[0]
    assert "of the 3 dies (SLR) of xcvu9p" in warnings(total, part)[0]
    assert warnings(replace(total, lut=1000), part) == ()
    data = estimate_json(estimate_design(design, CLOCK), part, CLOCK)
    assert data["latency_ns"] == CLOCK * total.latency_cycles
    names = [row["name"] for row in data["rows"]]
    assert [name for name in names if name in {layer.name for layer in design.graph.layers}] == [
        layer.name for layer in design.graph.layers
    ]
    assert "estimate" in data["kind"]


# --- exploration and pictures -----------------------------------------------------------------------------------


def test_explored_designs(tmp_path):
    graph = graph_of(neutrino(20, *EIGHT), tmp_path)
    points = explore(graph, Options(), CLOCK)
    ways = {point.options.reduce if point.options.conv == "auto" else point.options.conv for point in points}
    assert ways == {"scan", "stream", "tree"}
    assert {point.options.conv for point in points} == {"auto", "stream"}
    for point in points:
        better = [
            p for p in points
            if p.total.latency_cycles <= point.total.latency_cycles and p.total.lut <= point.total.lut
            and p.total.interval_cycles <= point.total.interval_cycles and p.total != point.total
        ]  # fmt: skip
        assert point.best == (not better)
        assert estimate_design(make_design(graph, point.options, CLOCK)[0], CLOCK).total == point.total
    write_points(tmp_path / "designs.csv", points)
    with (tmp_path / "designs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["lut"]) for row in rows] == [point.total.lut for point in points]
    assert any("--reduce stream --pixels-per-cycle 63" in row["options"] for row in rows)
    # The goal that was set against the published design: 60 cycles, an event every 24, half of its 362,637 LUTs.
    assert any(
        p.total.latency_cycles <= 60 and p.total.interval_cycles <= 24 and 2 * p.total.lut <= 362_637 for p in points
    )
    figure = exploration_figure(points, published_point(graph), graph.name, CLOCK)
    axes = figure.axes[0]
    labels = axes.get_legend_handles_labels()[1]
    assert "published: neutrino, 8 bit, synthesized" in labels
    shown = sum(len(collection.get_offsets()) for collection in axes.collections)
    assert shown == len(points) + 1
    figure.canvas.draw()


def test_magnitude_explores_scans_only(tmp_path):
    builder = (
        ModelBuilder(1, 8, 8).image(EIGHT[1]).reduce(5, selection="magnitude").conv("conv", 1, (3, 3), *EIGHT[:1] * 2)
    )
    points = explore(graph_of(builder, tmp_path), Options(), CLOCK)
    assert {point.options.reduce for point in points} == {"scan"}


def test_published_designs_are_recognized(tmp_path):
    graph = graph_of(neutrino(20, *EIGHT), tmp_path)
    assert architecture(graph) == ARCHITECTURES["neutrino"]
    assert find_published(graph).lut == 362_637
    assert find_published(graph_of(neutrino(19, *EIGHT), tmp_path)) is None
    point = published_point(graph_of(neutrino(19, *EIGHT), tmp_path))
    assert point.interval_cycles is None
    assert "without dense layers" in point.origin
    assert 150_000 < point.lut < 400_000
    assert len(PUBLISHED_MODELS) == 24


def test_the_picture_of_a_project(tmp_path):
    design, _ = make_design(graph_of(whole_model(), tmp_path), Options(reuse_factor=2))
    part = find_part("xcvu9p")
    report = {
        "top_function": "net",
        "part": asdict(part),
        "estimate": estimate_json(estimate_design(design, CLOCK), part, CLOCK),
    }
    figure = estimate_figure(report)
    time, area = figure.axes
    assert [label.get_text() for label in time.get_yticklabels()] == [s["name"] for s in report["estimate"]["stages"]]
    assert len(area.patches) == sum(row["lut"] > 0 for row in report["estimate"]["rows"])
    figure.canvas.draw()
