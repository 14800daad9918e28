"""An import changes nothing for others: no schema, no setting of the process."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

# The translator imports its backends when they are asked for.
TRANSLATOR = ("sparsepix_hls.flow.translation", "sparsepix_hls.flow.hls", "sparsepix_hls.flow.rtl")
PACKAGES = ("sparsepix_ops", *TRANSLATOR, "sparsepix", "sparsepix_ops.qonnx")
STATE = """
import decimal, locale, logging, os, random, signal, sys, threading, warnings
import numpy as np, onnx, torch, matplotlib
def state():
    return {
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "numpy": (np.geterr(), np.get_printoptions(), np.random.get_state()[1].tobytes()),
        "recursion": sys.getrecursionlimit(),
        "signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "torch": (
            torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), torch.initial_seed(),
            torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark,
        ),
        "matplotlib": (matplotlib.get_backend(auto_select=False), matplotlib.rcParams["font.size"]),
        "random": random.getstate(),
        "locale": locale.setlocale(locale.LC_ALL),
        "hooks": (sys.excepthook, sys.displayhook, threading.excepthook, sys.gettrace()),
        "paths": (list(sys.path), list(sys.meta_path), os.getcwd()),
        "schemas": sorted((s.domain, s.name, s.since_version) for s in onnx.defs.get_all_schemas_with_history()),
        "decimal": str(decimal.getcontext()),
    }
"""


def python(code, *arguments):
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_an_import_changes_no_setting(package):
    # What others do when they are imported is their own: Brevitas sets warnings, rich draws random numbers.
    others = {
        "sparsepix": "import brevitas.nn, brevitas.quant",
        "sparsepix_hls.flow.rtl": "import da4ml, rich.console, rich.progress",
    }
    before = others.get(package, "import qonnx.custom_op.base")
    code = f"{STATE}\n{before}\nfirst = state()\nimport {package}\nsecond = state()\n"
    code += "print([k for k in first if first[k] != second[k]])"
    assert python(code) == "[]\n"


@pytest.fixture
def standard(tmp_path):
    """A float model of other people with ops whose names we have too."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(4, 3)).astype(np.float32), "b": np.zeros(3, np.float32)}
    nodes = [
        helper.make_node("LeakyRelu", ["x"], ["leaky"], alpha=0.3),
        helper.make_node("Gemm", ["leaky", "w", "b"], ["product"]),
        helper.make_node("Relu", ["product"], ["relu"]),
        helper.make_node("MatMul", ["relu", "square"], ["y"]),
    ]
    weights["square"] = np.eye(3, dtype=np.float32)
    graph = helper.make_graph(
        nodes,
        "standard",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [onnx.numpy_helper.from_array(a, n) for n, a in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "standard.onnx")
    return tmp_path / "standard.onnx"


def test_tools_of_onnx_work_on_models_of_others(standard):
    """The reference, the checker, shape inference, onnxscript and the quantizers, after our imports."""
    code = """
import sys
import sparsepix_ops, sparsepix_hls.flow.hls, sparsepix_hls.flow.rtl, sparsepix_hls.flow.translation
import sparsepix_ops.qonnx
import numpy as np, onnx, onnxruntime, onnxscript
from onnx import reference
from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static
path = sys.argv[1]
model = onnx.load(path)
onnx.checker.check_model(model, full_check=True)
assert onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.value_info
x = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
expected = onnxruntime.InferenceSession(path).run(None, {"x": x})[0]
np.testing.assert_allclose(reference.ReferenceEvaluator(model).run(None, {"x": x})[0], expected, rtol=1e-6)

class Reader(CalibrationDataReader):
    def __init__(self):
        self.images = iter([{"x": x}] * 4)
    def get_next(self):
        return next(self.images, None)

quantize_static(path, path + ".static", Reader())
quantize_dynamic(path, path + ".dynamic")
for kind in ("static", "dynamic"):
    assert onnxruntime.InferenceSession(f"{path}.{kind}").run(None, {"x": x})[0].shape == (2, 3)
onnxscript.ir.load(path)
onnx.version_converter.convert_version(model, 21)
assert not onnx.defs.has("LeakyRelu", domain="sparsepix_ops")
"""
    python(code, str(standard))
