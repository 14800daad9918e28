"""ONNX to the intermediate representation: what is folded, named and typed."""

import re
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from onnx import TensorProto, numpy_helper

from firmware_graphs import oracle
from onnx_models import ACTIVATION, IMAGE, WEIGHT, ModelBuilder, whole_model
from sparsepix_hls.frontend.identifiers import Names, identifier, top_identifier
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.ir.tensors import Constant, Tensor
from sparsepix_hls.layers.dense import Dense
from sparsepix_hls.project.testbench_data import synthetic_events
from sparsepix_ops import FixedPoint, reference
from sparsepix_ops.ops.head import HEAD_FORMAT, exp_thresholds, sigmoid_thresholds


@pytest.fixture
def read(tmp_path):
    def read_builder(builder, keep_head=False, **settings):
        return read_model(builder.save(tmp_path / "net.onnx", **settings), keep_head)

    return read_builder


def kinds(graph):
    return [type(layer).__name__ for layer in graph.layers]


def test_whole_model(read):
    graph = read(whole_model()).graph
    assert kinds(graph) == [
        "InputReduce", "SparseConv2d", "Activation", "SparseAvgPool2d", "Activation", "SparseConv2d", "Activation",
        "SparseMaxPool2d", "SparseFlatten", "Dense", "Activation", "Dense",
    ]  # fmt: skip
    names = [layer.name for layer in graph.layers]
    assert names == ["reduce", "conv1", "act1", "pool1", "pool1_out", "conv2", "act2", "pool2", "flatten", "dense1",
                     "act3", "dense2"]  # fmt: skip
    assert graph.name == "net"
    assert graph.input == Tensor("image", (1, 8, 8), IMAGE)
    reduce, conv1, act1, pool1, _, conv2, _, pool2, flatten, dense1, _, dense2 = graph.layers
    assert reduce.features == Tensor("reduce_features", (5, 1), IMAGE)
    assert reduce.coords.shape == (5, 2)
    assert (reduce.coords.type.width, reduce.coords.type.integer, reduce.coords.type.signed) == (4, 4, True)
    assert conv1.features is reduce.features
    assert conv1.kernel_size == (3, 3)
    assert (conv1.weight.raw.shape, conv1.weight.type) == ((3, 3, 1, 2), WEIGHT)
    assert act1.relu
    assert act1.input == conv1.output
    assert act1.output.type == ACTIVATION
    assert pool1.coords == reduce.coords
    assert conv2.coords == pool1.output_coords
    assert pool1.reciprocal.type == FixedPoint(1, -1, signed=False, rounding="FLOOR", overflow="WRAP")
    assert pool1.reciprocal.raw.shape == ()
    assert pool2.spatial_shape == (4, 4)
    assert flatten.spatial_shape == (2, 2)
    assert dense1.weight.raw.shape == (4, 4)
    assert graph.output == dense2.output
    assert graph.dropped_head is None


def test_weights_are_the_quantized_values_in_the_order_of_the_kernels(read):
    weight = np.random.default_rng(1).normal(size=(2, 1, 3, 5))
    bias = np.array([0.3, -0.1])
    conv = read(ModelBuilder().image().reduce().conv(kernel=(3, 5), weight=weight, bias=bias)).graph.layers[1]
    expected = WEIGHT.quantize(weight.astype(np.float32)).raw
    assert_array_equal(conv.weight.raw, expected.transpose(2, 3, 1, 0))
    assert_array_equal(conv.bias.raw, WEIGHT.quantize(bias.astype(np.float32)).raw)


def test_float_weights_far_apart_need_only_their_quantizer(read):
    # 1 and 1e-30 lie on no common grid of 62 bits
    weight = np.array([1.0, 1e-30]).reshape(2, 1, 1, 1)
    conv = read(ModelBuilder().image().reduce().conv(kernel=(1, 1), weight=weight)).graph.layers[1]
    assert_array_equal(conv.weight.raw.ravel(), [16, 0])


@pytest.mark.parametrize("quantized", [True, False])
def test_zero_bias_is_no_bias(read, quantized):
    builder = ModelBuilder().image().reduce().conv(bias=np.zeros(2), bias_fmt=WEIGHT if quantized else None)
    assert read(builder).graph.layers[1].bias is None


@pytest.mark.parametrize("form", ["gemm", "gemm_transposed", "matmul", "matmul_add", "matmul_add_swapped"])
def test_every_form_of_a_dense_layer(read, form):
    builder = ModelBuilder(height=2, width=2).image().reduce(3).flatten()
    dense = read(builder.dense("dense1", 3, form=form)).graph.layers[-1]
    stored = {i.name: numpy_helper.to_array(i) for i in builder.initializers}
    weight = WEIGHT.quantize(stored["dense1.weight"]).raw
    assert_array_equal(dense.weight.raw, weight.T if form == "gemm_transposed" else weight)
    if form == "matmul":
        assert dense.bias is None
    else:
        assert_array_equal(dense.bias.raw, WEIGHT.quantize(stored["dense1.bias"]).raw)
    assert dense.name == "dense1"
    assert dense.output.shape == (3,)


def test_relu_alone_keeps_every_bit(read):
    conv, act = read(ModelBuilder().image().reduce().conv().relu()).graph.layers[1:]
    assert act.relu
    assert not act.output.type.signed
    assert act.output.type.exponent == conv.output.type.exponent


def test_quantizer_after_quantizer(read):
    narrow = FixedPoint(3, 1)
    layers = read(ModelBuilder().image().reduce().activation("a").activation("b", narrow)).graph.layers
    assert [layer.output.type for layer in layers[1:]] == [ACTIVATION, narrow]
    assert [layer.relu for layer in layers[1:]] == [False, False]


def test_casts_to_double_are_transparent(read):
    builder = ModelBuilder()
    builder.element = TensorProto.DOUBLE
    builder.cast(TensorProto.DOUBLE, "image_double").image().reduce().conv().relu().activation()
    builder.cast(TensorProto.FLOAT, "result")
    graph = read(builder, output_element=TensorProto.FLOAT).graph
    assert kinds(graph) == ["InputReduce", "SparseConv2d", "Activation"]
    assert graph.input.name == "image"
    assert graph.output.name == "result"


def test_constant_nodes_and_unused_layers(read, tmp_path):
    builder = ModelBuilder().image().reduce().conv()
    kept = builder.value
    builder.activation("unused")
    builder.value = kept
    model = builder.model()
    for initializer in list(model.graph.initializer):
        model.graph.node.insert(0, onnx.helper.make_node("Constant", [], [initializer.name], value=initializer))
    del model.graph.initializer[:]
    onnx.save(model, tmp_path / "net.onnx")
    result = read_model(tmp_path / "net.onnx")
    assert kinds(result.graph) == ["InputReduce", "SparseConv2d"]
    assert result.notices == ("unused/Quant (Quant): left out, nothing uses its result",)


@pytest.mark.parametrize("kind", ["Sigmoid", "Softmax"])
def test_head(read, kind):
    builder = ModelBuilder(height=2, width=2).image().reduce(3).flatten().dense().head(kind)
    result = read(builder)
    assert result.graph.dropped_head == kind
    assert isinstance(result.graph.layers[-1], Dense)
    assert kind in result.notices[0]
    assert "--keep-head" in result.notices[0]
    kept = read(builder, keep_head=True)
    assert kept.graph.dropped_head is None
    assert kept.notices == ()
    head = kept.graph.layers[-1]
    logits = head.input.type
    assert head.output.type == HEAD_FORMAT
    steps = {"Sigmoid": sigmoid_thresholds, "Softmax": exp_thresholds}[kind](logits.exponent)
    assert_array_equal(head.thresholds.raw, steps)
    assert head.thresholds.type.exponent == logits.exponent
    assert head.thresholds.type.raw_min <= steps.min()
    assert head.thresholds.type.raw_max >= steps.max()


@pytest.mark.parametrize(
    ("threshold", "activity", "expected"),
    [(0.0, "first", 0), (0.3, "any", 19), (-0.3, "sum", -1), (1e9, "first", 255), (1e9, "sum", 510), (-1e9, "any", -1)],
)
def test_threshold_on_the_grid_of_the_image(read, threshold, activity, expected):
    builder = ModelBuilder(channels=2).image().reduce(threshold=threshold, activity=activity).conv()
    result = read(builder)
    assert result.graph.layers[0].threshold_raw == expected
    assert bool(result.notices) == (threshold == 1e9)


def test_float32_that_would_round_is_told(read):
    wide = FixedPoint(16, 7)
    builder = ModelBuilder().image(FixedPoint(16, 6, signed=False)).reduce().conv(fmt=wide, bias_fmt=wide)
    (notice,) = read(builder).notices
    assert "float32" in notice


def test_names_of_the_firmware(read):
    builder = ModelBuilder(height=2, width=2).image().reduce(3)
    builder.conv("int").conv("class.conv").conv("conv1").conv("conv1_weight").conv("size").conv("conv1-features")
    graph = read(builder).graph
    names = [graph.name, graph.input.name]
    for layer in graph.layers:
        names.append(layer.name)
        names += [v.name for v in vars(layer).values() if isinstance(v, Constant)]
        names += [v.name for r, v in vars(layer).items() if isinstance(v, Tensor) and "output" in r]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", n) for n in names)
    assert not {"int", "class", "size"} & set(names)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=20))
def test_identifiers_are_valid_and_unique(texts):
    names = Names()
    found = [names.unique(text) for text in texts]
    everything = [name + suffix for name in found for suffix in ("", "_t", "_config")]
    assert len(set(everything)) == len(everything)
    for name in found:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*_?", name)
        assert "__" not in name


def test_identifier_of_dotted_names():
    assert identifier("conv1.features") == "conv1_features"
    assert identifier("1st layer") == "v_1st_layer"
    assert identifier("__x__y") == "x_y"
    assert identifier("sparsepix") == "sparsepix_v"
    assert top_identifier("input") == "input_top"


FORMATS = st.builds(
    FixedPoint,
    width=st.integers(3, 8),
    integer=st.integers(-1, 5),
    signed=st.booleans(),
    rounding=st.sampled_from(["ROUND", "FLOOR"]),
)
SIZES = st.tuples(st.integers(3, 9), st.integers(3, 9))


@st.composite
def models(draw):
    """Random models of the contract; returns the builder and whether its head is kept."""
    channels, (height, width) = draw(st.integers(1, 3)), draw(SIZES)
    builder = ModelBuilder(channels, height, width, seed=draw(st.integers(0, 2**32 - 1))).image(draw(FORMATS))
    builder.reduce(
        draw(st.integers(1, 7)),
        threshold=draw(st.sampled_from([0.0, 0.3, -0.25, 1.0])),
        activity=draw(st.sampled_from(["first", "any", "sum"])),
        selection=draw(st.sampled_from(["raster", "magnitude"])),
    )
    for i in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["conv", "avg", "max"]))
        if kind == "conv":
            kernel = draw(st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3])))
            bias_on = draw(st.sampled_from(["active", "nonzero"]))
            builder.conv(f"conv{i}", draw(st.integers(1, 3)), kernel, draw(FORMATS), draw(FORMATS), bias_on=bias_on)
        else:
            window = tuple(draw(st.integers(1, min(3, size))) for size in builder.spatial)
            over = {"over": draw(st.sampled_from(["active", "cell"]))} if kind == "max" else {}
            builder.pool(f"pool{i}", window, kind, draw(st.integers(3, 9)), **over)
        if draw(st.booleans()):
            builder.relu(f"act{i}")
        builder.activation(f"act{i}", draw(FORMATS))
    builder.flatten()
    form = draw(st.sampled_from(["gemm", "gemm_transposed", "matmul", "matmul_add", "matmul_add_swapped"]))
    builder.dense("dense", draw(st.integers(1, 4)), form, draw(FORMATS))
    head = draw(st.sampled_from([None, "Sigmoid", "Softmax"]))
    if head:
        builder.head(head)
    return builder, draw(st.booleans())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_the_graph_computes_what_the_model_does(network):
    """Against an oracle of the graph that shares no code with the integer reference."""
    builder, keep_head = network
    with tempfile.TemporaryDirectory() as folder:
        result = read_model(builder.save(Path(folder) / "net.onnx"), keep_head)
    graph = result.graph
    raw = synthetic_events(graph)[:14]
    images = np.ldexp(raw.astype(np.float64), graph.input.type.exponent)
    expected = reference.run(result.model, images, keep_head)
    assert graph.output.type.exponent == expected.exponent
    found = oracle(graph, raw)
    assert_array_equal(found, expected.raw)


def test_types_and_configurations_never_meet_names():
    names = Names()
    assert names.unique("x") == "x"
    assert names.unique("x_t") == "x_t_2"
    assert names.unique("conv_config") == "conv_config"
    assert names.unique("conv") == "conv_2"
