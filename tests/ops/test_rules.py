"""What an op declares fits together, and exporter and reader report a fault in the same words."""

import numpy as np
import pytest
from onnx import numpy_helper
from torch import nn

import sparsepix as sp
from onnx_models import ModelBuilder
from sparsepix.export import onnx_graph
from sparsepix.export.onnx_graph import contract_model
from sparsepix.recording.emit import emit
from sparsepix_hls.frontend.reader import read_model
from sparsepix_ops import SparsePixError, reference
from sparsepix_ops.op import Kind, is_coords
from sparsepix_ops.registry import (
    ALTERNATIVES,
    CUSTOM_OPS,
    HEADS,
    OPS,
    QUANTIZERS,
    RECTIFIERS,
    TRANSPARENT,
    find_op,
    op_named,
)


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: f"{op.domain}::{op.name}")
def test_an_op_fits_together(op):
    assert set(op.weights) <= set(op.inputs)
    assert not op.pixels or op.pixels in (*op.inputs, *op.outputs)
    assert (op.grid is not None) == any(is_coords(name) for name in op.outputs) == (op.pixels in op.outputs)
    # Coordinates come second, after the features that they belong to.
    assert [is_coords(name) for name in op.outputs] == [False, True][: len(op.outputs)]
    assert ("coords" in op.inputs) == ("features" in op.inputs)
    assert 0 <= op.optional < len(op.inputs)
    assert [op.is_optional(i) for i in range(len(op.inputs) + 1)].count(True) == op.optional
    assert op.name not in op.stands_in


def test_ops_by_kind():
    assert frozenset({"Relu", "LeakyRelu"}) == RECTIFIERS
    assert frozenset({"Sigmoid", "Softmax"}) == HEADS
    assert frozenset({"Cast", "Identity"}) == TRANSPARENT
    assert [op.name for op in OPS.values() if op.kind is Kind.INPUT] == ["InputReduce"]
    assert [op.name for op in OPS.values() if op.kind is Kind.JOIN] == ["Add", "Concat"]
    for reciprocal, needs in ((0.0625, set()), (1 / 3, {"SparseAvgPool2d", "SparseGlobalAvgPool2d"})):
        attributes = {"reciprocal": reciprocal}
        assert {op.name for op in OPS.values() if op.unquantized(attributes)} == needs
    assert {"Quant", "FixedPointQuant"} == QUANTIZERS
    assert [op.name for op in OPS.values() if op.optional] == ["Gemm"]
    assert op_named("LeakyRelu") in CUSTOM_OPS  # ours, not the standard one
    assert op_named("Quant").kind is Kind.QUANTIZER
    assert not set(ALTERNATIVES) & {name for _, name in OPS}


@pytest.mark.parametrize(
    ("op", "attributes", "before", "after"),
    [
        ("InputReduce", {}, (8, 7), (8, 7)),
        ("SparseMaxPool2d", {"kernel_shape": (3, 2)}, (8, 7), (2, 3)),
        ("SparseAvgPool2d", {"kernel_shape": (3, 2)}, (8, 7), (2, 3)),
        ("SparseStridedConv2d", {"strides": (3, 2)}, (8, 7), (3, 4)),
    ],
)
def test_grids(op, attributes, before, after):
    assert op_named(op).grid(before, attributes) == after


def pool_features(builder):
    features = builder.value
    builder.pool("pool1", kind="max")
    builder.value = features
    return builder.conv("conv2")


def across_a_pool(builder):
    builder.pool("pool1", kind="max")
    builder.value = builder.node("Add", ["reduce.features", builder.value], ["sum"])
    return builder


WIDE = sp.FixedPoint(26, 13)
FAULTS = {
    "image": (lambda: ModelBuilder().reduce().conv(), "the image has no quantizer"),
    "weight": (lambda: ModelBuilder().image().reduce().conv(fmt=None), "its weight has no quantizer"),
    "weight of zeros": (
        lambda: ModelBuilder().image().reduce().conv(fmt=None, weight=np.zeros((1, 1, 3, 3)), bias=[0.5]),
        "its weight has no quantizer; give the layer a weight_format",
    ),
    "bias": (
        lambda: ModelBuilder().image().reduce().conv(bias_fmt=None),
        "its bias has no quantizer; give the layer a bias_format",
    ),
    "grid": (lambda: ModelBuilder().image().reduce().pool(kind="max", spatial_shape=(7, 8)), "its spatial_shape is"),
    "another list": (lambda: pool_features(ModelBuilder().image().reduce()), "do not belong together"),
    "a join across a pool": (lambda: across_a_pool(ModelBuilder().image().reduce()), "lie on different pixels"),
    "too wide": (
        lambda: ModelBuilder().image(sp.FixedPoint(26, 13, signed=False)).reduce().conv(fmt=WIDE, bias_fmt=WIDE),
        "more than the 53 that double holds exactly",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_exporter_and_reader_say_the_same(fault, tmp_path):
    build, message = FAULTS[fault]
    builder = build()
    path = builder.save(tmp_path / "net.onnx")
    with pytest.raises(SparsePixError) as by_reader:
        read_model(path)
    constants = {i.name: numpy_helper.to_array(i).astype(np.float64) for i in builder.model().graph.initializer}
    with pytest.raises(SparsePixError) as by_exporter:
        contract_model(builder.nodes, constants, {"output": builder.value}, (1, 8, 8), "net")

    def said(error):
        return [problem.partition(": ")[2] for problem in error.value.problems]

    assert len(by_reader.value.problems) == 1
    assert said(by_reader) == said(by_exporter)
    assert message in said(by_reader)[0]


def test_wrong_grid_of_a_layer_is_refused_by_the_export(tmp_path):
    """A layer of one's own that records what the translator would refuse."""

    class Flatten(nn.Module):
        def forward(self, pixels):
            attributes = {"spatial_shape": [3, 3]}
            return emit("SparseFlatten", (pixels.features, pixels.coords), attributes, (pixels.features.shape[0], 9))

    model = nn.Sequential(sp.QuantIdentity(sp.FixedPoint(8, 4)), sp.SparseInputReduce(4), Flatten())
    with pytest.raises(sp.SparsePixError, match=r"2/SparseFlatten: its spatial_shape is \(3, 3\), but .* \(4, 5\)"):
        sp.export_onnx(model, tmp_path / "model.onnx", (1, 4, 5))


class Stubborn(nn.Identity):
    def export_problems(self):
        return ["it does not want to", "at all"]


def test_modules_say_their_problems_themselves(tmp_path):
    model = sp.models.neutrino()
    model.flatten = nn.Sequential(model.flatten, Stubborn())
    with pytest.raises(sp.SparsePixError) as error:
        sp.export_onnx(model, tmp_path / "model.onnx")
    assert error.value.problems == ("flatten.1: it does not want to", "flatten.1: at all")
    assert list(tmp_path.iterdir()) == []


def test_one_analysis_for_each_graph(tmp_path, monkeypatch):
    """The recorded graph is analysed once, and so is the file; the proof uses the latter."""
    calls = []
    analyze = onnx_graph.analyze
    for module in (onnx_graph, reference):
        monkeypatch.setattr(module, "analyze", lambda model: calls.append(model) or analyze(model))
    exported = sp.export_onnx(sp.models.digits(), tmp_path / "model.onnx")
    assert len(calls) == 2
    assert calls[1] is exported
    assert find_op(exported.graph.node[-1]) is op_named("Gemm")
