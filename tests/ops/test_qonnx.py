"""Exported files in QONNX, and in a stock ONNX Runtime that knows nothing of us."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
from sparsepix_hls.frontend.reader import read_model
from sparsepix_ops import FixedPoint, reference
from sparsepix_ops.registry import CUSTOM_OPS

pytest.importorskip("qonnx")
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.cleanup import cleanup, cleanup_model
from qonnx.util.inference_cost import inference_cost
from qonnx.util.to_channels_last import to_channels_last

from sparsepix_ops.qonnx import MakeExecutable

OURS = {op.name for op in CUSTOM_OPS}
MODELS = {
    "neutrino8": lambda: sp.models.neutrino(max_pixels=12, bits=8),
    "neutrino16": lambda: sp.models.neutrino(max_pixels=12, bits=16),
    "mnist8": lambda: sp.models.mnist(max_pixels=12, bits=8),
    "magnitude": lambda: sp.models.digits(max_pixels=9, selection="magnitude", threshold=0.25),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """By name: the file, images for it [6, C, H, W], and what the integer reference makes of them."""
    found = {}
    for name, make in MODELS.items():
        torch.manual_seed(3)
        path = tmp_path_factory.mktemp("qonnx") / f"{name}.onnx"
        model = make()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(4)  # untrained weights leave little of an image
        sp.export_onnx(model, path)
        rng = np.random.default_rng(5)
        shape = (6, *model.input_shape)
        images = (rng.random(shape) * (rng.random(shape) < 0.03)).astype(np.float32)
        expected = reference.run(onnx.load(path), images).real
        assert len(np.unique(expected)) > 3, "the images make no difference"
        found[name] = path, images, expected
    return found


def outputs_of(model, images):
    """One run of QONNX, whose values have names of its own after a clean-up."""
    return execute_onnx(model, {model.graph.input[0].name: images})[model.graph.output[0].name]


@pytest.mark.parametrize("batch", [1, 6])
@pytest.mark.parametrize("name", MODELS)
def test_execution_equals_the_integer_reference(exported, name, batch):
    path, images, expected = exported[name]
    model = ModelWrapper(str(path)).transform(MakeExecutable(batch))
    for start in range(0, 6, batch):
        found = outputs_of(model, images[start : start + batch])
        assert found.shape == expected[start : start + batch].shape
        assert_array_equal(found, expected[start : start + batch])


@pytest.mark.parametrize("name", ["neutrino8", "mnist8", "magnitude"])
def test_cleanup_keeps_the_numbers(exported, name):
    path, images, expected = exported[name]
    shape = (3, *images.shape[1:])
    model = cleanup_model(ModelWrapper(str(path)), override_inpsize=str(shape))
    kinds = [node.op_type for node in model.graph.node]
    assert {"InputReduce", "SparseConv2d", "SparseFlatten", "Quant"} <= set(kinds)
    assert_array_equal(outputs_of(model, images[:3]), expected[:3])


@pytest.mark.parametrize("name", MODELS)
def test_shapes_are_inferred_again(exported, name):
    path, _, _ = exported[name]
    model = ModelWrapper(str(path)).transform(MakeExecutable(2))
    shapes = {output: model.get_tensor_shape(output) for node in model.graph.node for output in node.output}
    assert all(shape[0] == 2 for node in model.graph.node if node.op_type in OURS for shape in [shapes[node.output[0]]])
    assert all(all(size > 0 for size in shape) for shape in shapes.values())
    del model.model.graph.value_info[:]
    again = model.transform(InferShapes())
    assert {name: again.get_tensor_shape(name) for name in shapes} == shapes
    onnx.checker.check_model(again.model)


def test_data_types_are_those_of_the_formats(exported):
    path, _, _ = exported["mnist8"]
    model = ModelWrapper(str(path)).transform(MakeExecutable(1)).transform(InferDataTypes())
    types = {}
    for node in model.graph.node:
        if node.op_type in OURS:
            assert getCustomOp(node).verify_node()
            types |= {output: model.get_tensor_datatype(output) for output in node.output}
    assert types["reduce.coords"] == types["pool1.coords"] == DataType["INT64"]
    assert types["conv1.features"].is_fixed_point()


def test_the_command_qonnx_exec(exported, tmp_path):
    pytest.importorskip("tqdm", reason="qonnx-exec needs tqdm")
    path, images, expected = exported["mnist8"]
    np.save(tmp_path / "images.npy", images)
    command = [str(Path(sys.executable).with_name("qonnx-exec")), str(path), "images.npy", "--override-batchsize=6"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (result,) = tmp_path.glob("out_*.npy")
    assert_array_equal(np.load(result), expected)


def several_outputs():
    """Every op that the models above have not, several results, and numbers that need a double."""

    class Net(nn.Module):
        input_shape = (1, 12, 12)

        def __init__(self):
            super().__init__()
            formats = {"weight_format": FixedPoint(8, 2), "bias_format": FixedPoint(8, 2)}
            self.image = sp.QuantIdentity(FixedPoint(8, 2, signed=False))
            self.reduce = sp.SparseInputReduce(9)
            self.conv = sp.SparseConv2d(1, 4, 3, **formats)
            self.leaky = sp.SparseLeakyReLU(0.125, FixedPoint(10, 4))
            self.strided = sp.SparseConv2d(4, 4, 3, stride=2, groups=2, **formats)
            self.act = sp.SparseReLU(FixedPoint(8, 3, signed=False))
            self.average = sp.SparseGlobalAvgPool2d(5, FixedPoint(8, 2, signed=False))
            self.largest = sp.SparseGlobalMaxPool2d()
            self.dense = sp.QuantLinear(4, 3, **formats)

        def forward(self, x):
            x = self.act(self.strided(self.leaky(self.conv(self.reduce(self.image(x))))))
            return {"scores": self.dense(self.average(x)), "peak": self.largest(x)}

    return Net()


TOOL_MODELS = {
    "neutrino": sp.models.neutrino,
    "mnist": sp.models.mnist,
    "jet": sp.models.jet,
    "muon": sp.models.muon,
    "wide": lambda: sp.models.neutrino(max_pixels=12, bits=16),
    "several": several_outputs,
}
TOOLS = {"cleanup": "--out-file", "inference-cost": "--output-onnx", "to-channels-last": "--out-file"}


@pytest.fixture(scope="module")
def tooled(tmp_path_factory):
    """By name: the exported file, its images, and the results of the integer reference in order."""
    found = {}
    for name, make in TOOL_MODELS.items():
        torch.manual_seed(1)
        model = make()
        path = tmp_path_factory.mktemp("tools") / f"{name}.onnx"
        sp.export_onnx(model, path)
        rng = np.random.default_rng(2)
        shape = (2, *model.input_shape)
        images = (rng.random(shape) * (rng.random(shape) < 0.05)).astype(np.float32)
        exact = reference.run(onnx.load(path), images)
        found[name] = path, images, [e.real for e in exact.values()] if isinstance(exact, dict) else [exact.real]
    return found


def check_result_of_a_tool(tool, path, images, expected):
    """It is a valid file that computes the same numbers in QONNX and in onnxruntime, and can still be translated."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for found, exact in zip(session.run(None, {session.get_inputs()[0].name: images}), expected, strict=True):
        assert_array_equal(found, exact)
    model = ModelWrapper(str(path)).transform(MakeExecutable(len(images)))
    results = execute_onnx(model, {model.graph.input[0].name: images})
    for output, exact in zip(model.graph.output, expected, strict=True):
        assert_array_equal(results[output.name], exact)
    if tool != "inference-cost":  # which folds the quantizers of the weights away
        assert read_model(path).graph.outputs


@pytest.mark.parametrize("name", TOOL_MODELS)
@pytest.mark.parametrize("tool", TOOLS)
def test_tools_of_qonnx_take_files_as_exported(tooled, tmp_path, tool, name):
    """With an open batch, in process: the functions that the commands call."""
    path, images, expected = tooled[name]
    target = tmp_path / "out.onnx"
    if tool == "cleanup":
        cleanup(str(path), out_file=str(target))
    elif tool == "inference-cost":
        cost = inference_cost(str(path), output_onnx=str(target))["total_cost"]
        assert cost["total_mem_w_elems"] > 0
    else:
        to_channels_last(str(path), out_file=str(target))
    (batch,) = {v.type.tensor_type.shape.dim[0].dim_param for v in onnx.load(target).graph.input}
    assert batch == "batch"
    if (tool, name) != ("inference-cost", "wide"):  # QONNX folds the weights of a DOUBLE model to float32
        check_result_of_a_tool(tool, target, images, expected)


@pytest.mark.parametrize("tool", TOOLS)
def test_the_commands_of_qonnx(tooled, tmp_path, tool):
    path, images, expected = tooled["several"]
    command = str(Path(sys.executable).with_name(f"qonnx-{tool}"))
    done = subprocess.run(
        [command, str(path), f"{TOOLS[tool]}={tmp_path / 'out.onnx'}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    check_result_of_a_tool(tool, tmp_path / "out.onnx", images, expected)


def test_stock_onnxruntime_needs_no_library_of_ours(exported, tmp_path):
    """All models in one process that cannot import anything of ours, QONNX or torch."""
    arguments = []
    for name, (path, images, _) in exported.items():
        np.save(tmp_path / f"{name}.npy", images)
        arguments += [path, tmp_path / f"{name}.npy"]
    code = (
        "import sys\n"
        "for name in ('sparsepix', 'sparsepix_ops', 'sparsepix_hls', 'onnx', 'qonnx', 'torch', 'brevitas'):\n"
        "    sys.modules[name] = None\n"
        "import numpy as np, onnxruntime\n"
        "for model, images in zip(sys.argv[1::2], sys.argv[2::2]):\n"
        "    session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])\n"
        "    x = np.load(images)\n"
        "    (every,) = session.run(None, {session.get_inputs()[0].name: x})\n"
        "    single = [session.run(None, {session.get_inputs()[0].name: i[None]})[0][0] for i in x]\n"
        "    np.testing.assert_array_equal(every, single)\n"
        "    np.save(images + '.out.npy', every)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name, (_, _, expected) in exported.items():
        assert_array_equal(np.load(tmp_path / f"{name}.npy.out.npy"), expected, err_msg=name)
