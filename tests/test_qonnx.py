"""Exported files in QONNX, and in a stock ONNX Runtime that knows nothing of us."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.testing import assert_array_equal

import sparsepix as sp
from sparsepix_ops import integer
from sparsepix_ops.registry import CUSTOM_OPS

pytest.importorskip("qonnx")
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.cleanup import cleanup_model

from sparsepix_ops.qonnx_ops import MakeExecutable

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
        expected = integer.run(onnx.load(path), images).real
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
