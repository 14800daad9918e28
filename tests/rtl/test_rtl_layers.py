"""Every layer as RTL computes it, against the plain integer oracle: traced by da4ml, run by its interpreter.

Also what da4ml's own tools make of our models. Simulations of the whole hardware are in test_rtl_networks.py.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from da4ml.converter import trace_model
from da4ml.trace import comb_trace
from da4ml.types import CombLogic

from firmware_graphs import oracle
from kernel_cases import CASES
from onnx_models import whole_model
from sparsepix_hls.cli.main import main
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.layers.head import Head
from sparsepix_hls.rtl.emit.verilog import function_source
from sparsepix_hls.rtl.lower.function import Field, trace
from sparsepix_hls.rtl.lower.layers import Part
from sparsepix_hls.rtl.tools.dais import write_dais
from sparsepix_hls.rtl.tools.synthesis import yosys_command
from sparsepix_ops import FixedPoint
from sparsepix_ops.errors import SparsePixError


def has_rtl(graph):
    layers = graph.layers
    result = graph.output in (layers[0].features, layers[0].coords)  # nothing after the reduction
    return not result and not any(isinstance(x, Head) for x in layers)


GRAPHS = [name for name, (graph, _) in CASES.items() if has_rtl(graph)]


def listed(graph, images):
    """What the reduction of a graph gives, features and coords side by side."""
    reduce = graph.layers[0]
    halves = [
        oracle(Graph(graph.name, graph.input, (t,), (reduce,)), images).reshape(len(images), -1)
        for t in (reduce.features, reduce.coords)
    ]
    return np.concatenate(halves, axis=1).astype(np.float64)


def test_there_are_enough_graphs():
    assert len(GRAPHS) > 20


@pytest.mark.parametrize("name", GRAPHS)
def test_layer_equals_oracle(name):
    graph, images = CASES[name]
    logic = comb_trace(*trace_model(graph))
    expected = oracle(graph, images)
    np.testing.assert_array_equal(logic.predict(listed(graph, images)).reshape(expected.shape), expected)


def test_da4ml_converts_a_model(tmp_path):
    """Its command, on the file that we write: the Verilog project is there, and the file computes the same."""
    graph, images = CASES["conv_two_sizes"]
    file, project = tmp_path / "model.json", tmp_path / "verilog"
    operations = write_dais(graph, file)
    assert operations > 100
    expected = oracle(graph, images)
    found = CombLogic.load(file).predict(listed(graph, images)).reshape(expected.shape)
    np.testing.assert_array_equal(found, expected)
    done = subprocess.run(
        [Path(sys.executable).with_name("da4ml"), "convert", file, project, "-n", "0"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(project.rglob("*.v")) + list(project.rglob("*.sv"))


def test_command(tmp_path, capsys):
    model = whole_model().save(tmp_path / "net.onnx")
    assert main(["dais", str(model)]) == 0
    assert "da4ml convert" in capsys.readouterr().out
    assert CombLogic.load(tmp_path / "net.json").ops
    assert main(["dais", str(tmp_path / "none.onnx")]) == 2
    assert main(["dais", str(model), "-o", str(tmp_path / "no" / "folder.json")]) == 2
    assert f"its folder {tmp_path / 'no'} does not exist; make it first" in capsys.readouterr().err


def test_a_head_is_refused(tmp_path):
    with pytest.raises(SparsePixError, match="Sigmoid has no RTL"):
        write_dais(CASES["sigmoid"][0], tmp_path / "model.json")
    assert not (tmp_path / "model.json").exists()


@pytest.mark.yosys
def test_a_negated_value_is_widened_before_its_sign(tmp_path):
    """``-15'(v)`` would be a cast to -15 bits: Yosys refuses it."""
    small, wide = (Field("x", (2,), FixedPoint(8, 8)), Field("y", (2,), FixedPoint(15, 15)))
    parts = [Part("minus", "", lambda values: {"y": -values["x"]})]
    (tmp_path / "m.sv").write_text(function_source(trace("m", "", [small], [wide], parts, 9.0), "m_layer_"))
    command = yosys_command(["read_verilog -sv m.sv", "prep -top m"])
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
