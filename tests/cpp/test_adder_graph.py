"""Dense layers as adder graphs: the graph, and the C++ that is written from it, against integers."""

import ctypes
import subprocess

import numpy as np
import pytest

from firmware_graphs import Builder, accumulator, design_of, run_library
from sparsepix_hls.cost.primitives import signed_digits
from sparsepix_hls.cpp.writer import write_project
from sparsepix_hls.ir.tensors import Constant, Tensor
from sparsepix_hls.kernels.adder_graph import adder_graph, adder_graph_source
from sparsepix_hls.layers.dense import Dense
from sparsepix_hls.project import toolchain
from sparsepix_ops.fixed_point import FixedPoint

U8, S6, S4 = FixedPoint(8, 3, signed=False), FixedPoint(6, 2), FixedPoint(4, 1)


def dense(raw, kind=S6, weight=S4, bias=None):
    raw = np.asarray(raw, dtype=np.int64)
    output = accumulator(40, kind.exponent + weight.exponent)
    constant = None if bias is None else Constant("b", np.asarray(bias), S6)
    x, y = Tensor("x", raw.shape[:1], kind), Tensor("y", raw.shape[1:], output)
    return Dense("layer", x, y, Constant("w", raw, weight), constant)


def evaluate(graph, inputs):
    """Raw results of a graph for raw inputs [events, inputs]; every node must keep to its range."""
    values = []
    for node in graph.nodes:
        if not node.terms:
            # An input counts in units of 1, a constant is 0.
            value = inputs[:, node.input].astype(object) if node.input >= 0 else np.zeros(len(inputs), object)
        else:
            first, second = (values[term] for term in node.terms)
            factor = 2**node.shift if node.shift >= 0 else None
            second = second * factor if factor is not None else _halved(second, -node.shift)
            value = first - second if node.minus else first + second
        scaled = [number / 2.0**node.exponent for number in value]
        assert all(node.low <= number <= node.high for number in scaled)
        values.append(value)
    results = []
    for output in graph.outputs:
        value = values[output.node] if output.node >= 0 else np.zeros(len(inputs), object)
        value = np.array([number * 2.0**output.shift for number in value])
        results.append(-value if output.minus else value)
    return np.stack(results, axis=1)


def _halved(values, places):
    return np.array([number / 2.0**places for number in values], dtype=object)


RANDOM = np.random.default_rng(3)
MATRICES = {
    "one": [[5]],
    "minus_one": [[-1]],
    "zeros": np.zeros((3, 2)),
    "zero_column": [[3, 0], [-7, 0], [1, 0]],
    "powers": [[4, -2], [-8, 1]],
    "negative": -np.abs(RANDOM.integers(1, 8, (6, 3))),
    "same": np.full((5, 4), 3),
    "random": RANDOM.integers(-8, 8, (12, 5)),
}


@pytest.mark.parametrize("kind", [U8, S6], ids=["unsigned", "signed"])
@pytest.mark.parametrize("name", MATRICES)
def test_graph_equals_matrix(name, kind):
    layer = dense(MATRICES[name], kind)
    graph = adder_graph(layer)
    raw = layer.weight.raw
    inputs = RANDOM.integers(kind.raw_min, kind.raw_max + 1, (50, raw.shape[0]))
    inputs[0], inputs[1] = kind.raw_min, kind.raw_max
    np.testing.assert_array_equal(evaluate(graph, inputs), inputs @ raw)
    digits = sum(signed_digits(int(value)) for value in raw.ravel())
    assert graph.adders <= max(digits - np.count_nonzero(raw.any(axis=0)), 0)
    assert adder_graph(dense(MATRICES[name], kind)) == graph


def test_shared_sums_are_fewer_than_digits():
    raw = RANDOM.integers(-128, 128, (24, 8))
    graph = adder_graph(dense(raw, U8, FixedPoint(8, 3)))
    digits = sum(signed_digits(int(value)) for value in raw.ravel()) - 8
    assert graph.adders < 0.75 * digits
    assert graph.lut > graph.adders
    assert 5 <= graph.depth <= 12


def test_the_source_is_one_line_an_adder():
    layer = dense(MATRICES["random"], U8)
    graph = adder_graph(layer)
    text = adder_graph_source(layer, graph, "layer_bias")
    assert text.startswith(f"// layer: {graph.adders} adders")
    assert text.count("  const ap_") == graph.adders
    assert text.count("  output[") == 5
    assert "inline void layer_adders(const x_t input[12], y_t output[5]) {\n#pragma HLS INLINE\n" in text


def networks():
    """Two dense layers each: signed and unsigned inputs, with and without bias, columns and layers of zeros."""
    found = []
    for number, (size, outputs, bias) in enumerate([((1, 3, 4), 5, S6), ((2, 2, 3), 1, None), ((1, 1, 1), 3, S4)]):
        kind = S6 if number else U8
        builder = Builder(f"adders{number}", size, kind).reduce(size[1] * size[2], threshold_raw=-100).flatten()
        builder.dense(outputs, FixedPoint(8, 2), accumulator(30, kind.exponent - 6), bias).act(S6)
        builder.dense(2, S4, accumulator(20, -7), None)
        graph = builder.graph()
        graph.layers[2].weight.raw[:, 0] = 0
        found.append(graph)
    return found


@pytest.mark.gxx
@pytest.mark.parametrize("build", ["synthesis", "ap_fixed", "native"])
def test_firmware(build, tmp_path):
    graphs = networks()
    for graph in graphs:
        zeros = [np.zeros((1, *tensor.shape), np.int64) for tensor in (graph.input, graph.output)]
        directory = tmp_path / graph.name
        directory.mkdir()
        write_project(design_of(graph, dense="adders"), directory, "part", 5.0, *zeros)
        flags = toolchain.NATIVE_FLAGS if build == "native" else toolchain.FLAGS
        flags = [*flags, *(["-DSPARSEPIX_SYNTHESIS"] if build == "synthesis" else [])]
        command = [*toolchain.find_compiler(), "-Wall", "-Wextra", "-Werror", *flags, "-fPIC", "-shared", "-o", "l.so"]
        done = subprocess.run(
            [*command, f"tb/{graph.name}_bridge.cpp"], cwd=directory, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[:3000]
        kind = graph.input.type
        images = RANDOM.integers(kind.raw_min, kind.raw_max + 1, (40, *graph.input.shape))
        first, act, second = (layer for layer in graph.layers[2:])
        vectors = images.transpose(0, 2, 3, 1).reshape(40, -1)  # row, column, channel; all pixels are active
        sums = vectors @ first.weight.raw
        if first.bias is not None:
            sums = sums + first.bias.raw * 2 ** (first.bias.type.exponent - first.output.type.exponent)
        hidden = act.output.type.quantize(np.maximum(np.ldexp(sums.astype(float), first.output.type.exponent), 0)).raw
        expected = hidden @ second.weight.raw
        assert len(np.unique(expected)) > 5 or not first.weight.raw.any()
        found = run_library(ctypes.CDLL(str(directory / "l.so")), graph.name, images, expected)
        np.testing.assert_array_equal(found, expected)
