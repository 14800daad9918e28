"""The two ports of a design: nothing leads from one to the other within a clock, and what they keep to is watched."""

import json
import subprocess

import pytest

import sparsepix_hls as hls
from onnx_models import ModelBuilder
from sparsepix_hls.design.options import LayerOptions
from sparsepix_hls.rtl.emit.writer import VERILOG
from sparsepix_hls.rtl.tools.synthesis import yosys_command
from sparsepix_ops.errors import SparsePixError

DESIGNS = [
    hls.Options(reduce="scan"),
    hls.Options(reduce="scan", io="stream", pixels_per_cycle=3, reuse_factor=2),
    hls.Options(reduce="stream", io="stream", pixels_per_cycle=3),
    hls.Options(reduce="stream", pixels_per_cycle=2, reuse_factor=100),
    hls.Options(reduce="tree"),
]


def project_of(tmp_path, options):
    model = ModelBuilder(1, 3, 4).image().reduce(3).conv("conv", 2).flatten().dense("dense", 2)
    return hls.translate(model.save(tmp_path / "net.onnx"), tmp_path / "net", backend="rtl", options=options)


def netlist_of(project):
    """The whole design as one flat module, mapped to an AMD family."""
    sources = " ".join(f"rtl/{path.name}" for path in (project.directory / "rtl").glob("*.sv"))
    script = [
        f"read_verilog -sv {sources}",
        "synth_xilinx -family xcup -top net -flatten -noiopad",
        "write_json net.json",
    ]
    done = subprocess.run(yosys_command(script), cwd=project.directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return json.loads((project.directory / "net.json").read_text())["modules"]["net"]


def reached(netlist, port):
    """The input ports that lead to an output port without a register between them."""
    sources = {}
    for cell in netlist["cells"].values():
        if cell["type"].startswith("FD"):
            continue  # everything else may be asynchronous: a memory's read port is
        ins = [
            bit
            for name, bits in cell["connections"].items()
            if cell["port_directions"][name] == "input"
            for bit in bits
        ]
        for name, bits in cell["connections"].items():
            if cell["port_directions"][name] == "output":
                sources |= dict.fromkeys(bits, ins)
    inputs = {
        bit: name for name, found in netlist["ports"].items() if found["direction"] == "input" for bit in found["bits"]
    }
    seen, left = set(), list(netlist["ports"][port]["bits"])
    while left:
        bit = left.pop()
        if bit not in seen:
            seen.add(bit)
            left += sources.get(bit, [])
    return {inputs[bit] for bit in seen if bit in inputs}


@pytest.mark.yosys
@pytest.mark.parametrize("options", DESIGNS)
def test_no_path_from_port_to_port(options, tmp_path):
    netlist = netlist_of(project_of(tmp_path, options))
    outputs = [name for name, found in netlist["ports"].items() if found["direction"] == "output"]
    assert len(outputs) == 4
    assert {name: reached(netlist, name) for name in outputs} == {name: set() for name in outputs}


@pytest.mark.yosys
def test_a_path_would_be_found(tmp_path):
    project = project_of(tmp_path, hls.Options(reduce="scan"))
    top = project.directory / "rtl" / "net.sv"
    top.write_text(top.read_text().replace("m_axis_tlast = 1'b1", "m_axis_tlast = m_axis_tready | s_axis_tdata[0]"))
    netlist = netlist_of(project)
    assert reached(netlist, "m_axis_tlast") == {"m_axis_tready", "s_axis_tdata"}


@pytest.mark.verilator
@pytest.mark.parametrize(("beats", "hold", "interval"), [(1, 0, 1), (1, 0, 8), (16, 0, 16), (3, 2, 8), (1, 12, 16)])
def test_a_gate_of_any_pace_is_free_of_warnings(beats, hold, interval):
    """A counter that fills its bits must be compared with nothing that it never exceeds."""
    values = {"BEATS": beats, "HOLD": hold, "INTERVAL": interval, "PLACES": 4}
    command = ["verilator", "--lint-only", "-Wall", *(f"-G{name}={value}" for name, value in values.items())]
    done = subprocess.run([*command, VERILOG / "event_gate.sv"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.verilator
def test_the_simulation_watches(tmp_path):
    """A gate that lets events in too soon is noticed, though this model's results would still be right."""
    project = project_of(tmp_path, hls.Options(reduce="scan", layers={"dense": LayerOptions(reuse_factor=1)}))
    gate = project.directory / "rtl" / "net_event_gate.sv"
    text = gate.read_text()
    assert text.count("if (ends) next_waits = WAIT_BITS'(INTERVAL - 1);") == 1
    gate.write_text(text.replace("next_waits = WAIT_BITS'(INTERVAL - 1);", "next_waits = WAIT_BITS'(INTERVAL - 2);"))
    project.compile()
    with pytest.raises(
        SparsePixError,
        match=r"\[\d+\] %Error: net_properties.sv:\d+: Assertion failed in TOP\.net\.ports\.gate\.properties\.\w+",
    ):
        project.measure()
