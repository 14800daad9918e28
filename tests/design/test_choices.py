"""From options to a design and its stages: what may be asked for, what is chosen, and what is where."""

import itertools

import pytest

from design_space import every, options_of
from onnx_models import ModelBuilder, whole_model
from sparsepix_hls.cost.costs import interval
from sparsepix_hls.design.layout import layer_design
from sparsepix_hls.design.options import LayerOptions, Options
from sparsepix_hls.design.options_file import read_options
from sparsepix_hls.design.schedule import plan
from sparsepix_hls.design.select import make_design
from sparsepix_hls.flow.backends import backend_design
from sparsepix_hls.flow.hls import HLS
from sparsepix_hls.flow.rtl import RTL
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.ir.tensors import LayerDesign, Tensor
from sparsepix_hls.layers.dense import Dense
from sparsepix_hls.layers.sparse_flatten import SparseFlatten
from sparsepix_ops import FixedPoint
from sparsepix_ops.errors import SparsePixError

W, A = FixedPoint(8, 3), FixedPoint(8, 2, signed=False)


def two_convs(selection="raster"):
    """12x10 pixels, 7 slots: conv, conv, pool, flatten, dense, dense."""
    builder = ModelBuilder(1, 12, 10).image(A).reduce(7, selection=selection)
    builder.conv("conv1", 2, (3, 3), W, W).relu("act1").activation("act1", A)
    builder.conv("conv2", 3, (3, 3), W, W).relu("act2").activation("act2", A)
    builder.pool("pool", (2, 2)).activation("pool_out", A).flatten()
    builder.dense("dense1", 4, fmt=W).relu("act3").activation("act3", A)
    return builder.dense("dense2", 2, fmt=W)


@pytest.fixture
def graph(tmp_path):
    return read_model(two_convs().save(tmp_path / "net.onnx")).graph


def names(steps):
    return [step.name for step in steps]


@pytest.mark.parametrize("values", every(), ids=lambda values: "-".join(map(str, values)))
def test_arrays_pass_from_stage_to_stage(graph, values):
    """Each stage reads what the one before it wrote, and everything it needs is there."""
    design, _ = make_design(graph, options_of(values, 7, 9))
    stages = plan(design)
    assert stages[0].inputs == (graph.input,)
    assert stages[-1].outputs == (design.graph.output,)
    for before, stage in itertools.pairwise(stages):
        assert stage.inputs == before.outputs
    done = []
    for stage in stages:
        here = list(stage.inputs)
        for step in stage.steps:
            assert set(step.reads(design.implementation(step))) <= set(here), step.name
            here += step.outputs
            done.append(step.name)
        assert set(stage.outputs) <= set(here)
        assert (stage.kind == "pipeline") == (stage.rounds == 1 and stage.kind != "stream") or stage.rounds > 1
    assert [name for name in done if name in names(design.graph.layers)] == names(design.graph.layers)
    maps = [name for name in done if "_pairs_" in name]
    assert len(maps) == len(set(maps)) == 1  # computed once, shared


@pytest.mark.parametrize(
    ("items", "asked", "reuse_factor", "parallel"),
    [(20, 1, 1, 20), (20, 3, 3, 7), (20, 6, 5, 4), (20, 20, 20, 1), (7, 99, 7, 1)],
)
def test_reuse_that_does_not_divide(items, asked, reuse_factor, parallel):
    dense = Dense("d", Tensor("x", (items,), W), Tensor("y", (1,), W), None, None)
    design = layer_design(dense, "multiply", asked)
    assert (design.reuse_factor, design.parallel) == (reuse_factor, parallel)
    assert (reuse_factor - 1) * parallel < items <= reuse_factor * parallel


@pytest.mark.parametrize(
    ("asked", "reuse_factor", "parallel", "folds"),
    [
        (1, 1, 7, 1),
        (7, 7, 1, 1),
        (13, 7, 1, 1),
        (14, 14, 1, 2),
        (21, 21, 1, 3),
        (30, 21, 1, 3),
        (35, 35, 1, 5),
        (99, 35, 1, 5),
    ],
)
def test_reuse_beyond_one_item_a_round(asked, reuse_factor, parallel, folds):
    """7 inputs of 5 outputs: never more rounds than asked for; 4 folds would be no smaller than 3."""
    dense = Dense("d", Tensor("x", (7,), W), Tensor("y", (5,), W), None, None)
    assert layer_design(dense, "multiply", asked, RTL.loops) == LayerDesign("multiply", reuse_factor, parallel, folds)
    assert layer_design(dense, "multiply", asked).folds == layer_design(dense, "adders", asked, RTL.loops).folds == 1


def test_a_target_beyond_one_item_a_round(graph):
    """RTL shares out the filters too, and its loops lose no clock; C++ takes whole items."""
    options = Options(target_interval=21, io="stream", flatten="lookup")
    design, _ = backend_design(graph, options, 5.0, RTL)
    assert {name: how.folds for name, how in design.layers.items() if how.folds > 1} == {
        "conv1": 2, "act1": 2, "conv2": 3, "act2": 3, "dense1": 2, "dense2": 2
    }  # fmt: skip
    assert max(stage.rounds for stage in plan(design)) == 21
    assert all(how.folds == 1 for how in backend_design(graph, options, 5.0, HLS)[0].layers.values())
    at_12 = Options(target_interval=12, io="stream")  # of an image of 12 rows
    assert backend_design(graph, at_12, 5.0, RTL)[0].beats == 12
    with pytest.raises(SparsePixError, match="takes 13 cycles at 10 pixels a cycle, found a target of 12"):
        backend_design(graph, at_12, 5.0, HLS)


def test_more_reuse_than_there_is(graph):
    own = {"conv2": LayerOptions(reuse_factor=22), "pool": LayerOptions(reuse_factor=8)}
    found = [backend_design(graph, Options(layers=own), 5.0, way)[1] for way in (HLS, RTL)]
    pool = "pool: a reuse factor of 8 is more than its 7 items of work: 7"
    assert found == [
        ("conv2: a reuse factor of 22 is more than its 7 items of work: 7", pool),
        ("conv2: a reuse factor of 22 is more than its 7 items of work of 3 outputs: 21", pool),
    ]


def test_defaults_overlap_the_first_convolution(graph):
    design, notices = make_design(graph)
    assert (design.reduce, design.io, notices) == ("scan", "parallel", ())
    assert [design.implementation(layer) for layer in design.graph.layers][:2] == ["", "overlap"]
    assert [stage.kind for stage in plan(design)] == ["scan", "pipeline"]


def test_options_of_a_layer_come_first(graph):
    own = {
        "conv1": LayerOptions("gather", 2),
        "dense2": LayerOptions(reuse_factor=3),
        "pool": LayerOptions(reuse_factor=9),
    }
    design, notices = make_design(graph, Options(flatten="scatter", reuse_factor=7, layers=own))
    found = {name: (how.implementation, how.reuse_factor) for name, how in design.layers.items()}
    assert found["conv1"] == ("gather", 2)
    assert found["dense2"] == ("multiply", 2)  # 4 inputs: two rounds of two
    assert found["pool"] == ("", 7)
    assert found["conv2"][1] == 7
    assert notices == ("pool: a reuse factor of 9 is more than its 7 items of work: 7",)


@pytest.mark.parametrize("target", [1, 2, 5, 7, 12, 60])
def test_no_stage_is_slower_than_the_target(graph, target):
    design, _ = make_design(graph, Options(target_interval=target, pixels_per_cycle=40, dense="auto"))
    assert all(interval(stage.rounds) <= target for stage in plan(design))
    small, _ = make_design(graph, Options(target_interval=8))
    assert design.reduce != "scan" or target >= 8
    assert small.reduce == "scan"


def test_streams_reduce_while_they_arrive(graph):
    design, _ = make_design(graph, Options(io="stream"))
    assert (design.reduce, design.pixels_per_cycle, design.beats) == ("stream", 10, 12)
    assert [stage.kind for stage in plan(design)] == ["stream", "pipeline"]
    scan, _ = make_design(graph, Options(io="stream", reduce="scan", pixels_per_cycle=7))
    assert [(stage.kind, stage.rounds) for stage in plan(scan)][:2] == [("receive", 18), ("scan", 7)]


MAGNITUDE = "selection 'magnitude' needs the whole image before the first pixel is known"
WRONG = [
    (
        Options(reduce="fast", io="axi", conv="x", flatten="x", dense="x"),
        ["reduce: expected one of scan, stream, tree"],
    ),
    (
        Options(reuse_factor=0, target_interval=-1),
        ["reuse_factor: expected 1 or more, found 0", "target_interval: exp"],
    ),
    (Options(reuse_factor=2, target_interval=2), ["give one of them"]),
    (Options(pixels_per_cycle=121, reduce="stream"), ["expected at most the 120 pixels of the image, found 121"]),
    (Options(pixels_per_cycle=4, reduce="scan"), ["only a stream has it, found reduce 'scan' and parallel io"]),
    (Options(conv="overlap", reduce="tree"), ["'overlap' works while a scan lists the pixels: use reduce 'scan'"]),
    (Options(layers={"conv2": LayerOptions("overlap")}), ["only conv1, which reads the input reduction itself"]),
    (Options(layers={"conv1": LayerOptions("overlap", 2)}), ["an overlapped convolution has the time of the scan"]),
    (Options(layers={"conv3": LayerOptions()}), ["the model has no layer 'conv3': did you mean conv"]),
    (Options(layers={"conv1": LayerOptions("lookup")}), ["conv1: implementation: expected one of pairs, gather, over"]),
    (Options(layers={"pool": LayerOptions("scatter", -3)}), ["expected none, a SparseAvgPool2d", "found -3"]),
    (Options(layers={"reduce": LayerOptions(reuse_factor=2)}), ["a InputReduce has none: reduce decides its time"]),
    (Options(target_interval=3, reduce="scan"), ["takes 8 cycles by 'scan', found a target of 3"]),
    (
        Options(target_interval=3, io="stream"),
        ["an image of 12x10 takes 13 cycles", "give 60 pixels_per_cycle or more"],
    ),
    (
        Options(target_interval=8, layers={"conv2": LayerOptions(reuse_factor=9)}),
        ["takes 10 cycles, more than the target_interval of 8"],
    ),
]


@pytest.mark.parametrize(("options", "reasons"), WRONG, ids=range(len(WRONG)))
def test_what_cannot_be_built(graph, options, reasons):
    with pytest.raises(SparsePixError) as caught:
        make_design(graph, options)
    for reason in reasons:
        assert reason in str(caught.value)


def test_everything_wrong_is_said_at_once(graph):
    with pytest.raises(SparsePixError) as caught:
        make_design(graph, Options(reduce="x", io="y", conv="z", reuse_factor=-1, layers={"a": LayerOptions()}))
    assert len(caught.value.problems) == 5


@pytest.mark.parametrize(
    ("reduce", "backend", "fix"),
    [("stream", HLS, "'scan', or"), ("tree", HLS, "'scan', or"), ("tree", RTL, "'scan' or 'stream', or")],
)
def test_what_cannot_list_the_largest_pixels(tmp_path, reduce, backend, fix):
    graph = read_model(two_convs("magnitude").save(tmp_path / "net.onnx")).graph
    with pytest.raises(SparsePixError, match=f"{MAGNITUDE}.*use reduce {fix} train"):
        backend_design(graph, Options(reduce=reduce), 5.0, backend)


def test_a_stream_lists_the_largest_pixels_as_rtl(tmp_path):
    graph = read_model(two_convs("magnitude").save(tmp_path / "net.onnx")).graph

    def reduction(backend, **options):
        return backend_design(graph, Options(**options), 5.0, backend)[0].reduce

    assert (reduction(HLS, io="stream"), reduction(RTL, io="stream")) == ("scan", "stream")
    assert (reduction(HLS), reduction(RTL)) == ("scan", "scan")
    assert reduction(RTL, target_interval=20) == "stream"
    with pytest.raises(SparsePixError, match="takes 12 cycles by 'stream', found a target of 10"):
        reduction(RTL, target_interval=10, reduce="stream")


def test_lookup_needs_a_dense_layer(tmp_path):
    graph = read_model(whole_model().save(tmp_path / "net.onnx")).graph
    flatten = next(layer for layer in graph.layers if isinstance(layer, SparseFlatten))
    assert flatten.work == flatten.features.shape[0]
    alone = Graph(graph.name, graph.input, (flatten.output,), graph.layers[: graph.layers.index(flatten) + 1])
    with pytest.raises(SparsePixError, match="'lookup' needs a dense layer directly after the flatten"):
        make_design(alone, Options(flatten="lookup"))


def test_a_file_of_options(tmp_path, graph):
    path = tmp_path / "design.yaml"
    path.write_text("reduce: scan\nreuse_factor: 4\nlayers:\n  conv2: {implementation: gather, reuse_factor: 3}\n")
    options = read_options(path)
    assert options == Options(reduce="scan", reuse_factor=4, layers={"conv2": LayerOptions("gather", 3)})
    assert make_design(graph, options)[0].layers["conv2"].reuse_factor == 3
    path.write_text("")
    assert read_options(path) == Options()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("reuse: 4", "no option is called 'reuse': did you mean reuse_factor?"),
        ("reuse_factor: many", "reuse_factor: expected a whole number, found 'many'"),
        ("reuse_factor: true", "expected a whole number, found True"),
        ("reduce: 3", "reduce: expected a word, found 3"),
        ("layers: [conv1]", "layers: expected layer names, each with its options"),
        ("layers: {conv1: pairs}", "layers: conv1: expected names and values, found 'pairs'"),
        ("layers: {conv1: {reuse: 2}}", "layers: conv1: no option is called 'reuse'"),
        ("- 1", "the file: expected names and values"),
        ("a: [", "expected YAML, found something else"),
    ],
)
def test_a_file_that_is_wrong(tmp_path, text, reason):
    path = tmp_path / "design.yaml"
    path.write_text(text)
    with pytest.raises(SparsePixError) as caught:
        read_options(path)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(SparsePixError, match="expected a YAML file with options, found a folder"):
        read_options(tmp_path)
