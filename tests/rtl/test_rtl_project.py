"""Writing, simulating, measuring and synthesizing an RTL project."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import sparsepix_hls as hls
from onnx_models import ModelBuilder
from sparsepix_hls.design.options import Options
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.project.base import CsimResult
from sparsepix_hls.project.parts import PARTS, yosys_family
from sparsepix_hls.rtl.tools.netlist import LongestPath
from sparsepix_hls.rtl.tools.synthesis import area_of
from sparsepix_ops import FixedPoint, reference
from sparsepix_ops.errors import SparsePixError

# Layers in three rounds: a number that is no power of two. 25 pixels in beats of 4: the last beat is not full.
DESIGNS = {
    "scan": Options(reduce="scan", flatten="scatter", reuse_factor=3),
    "stream": Options(reduce="stream", pixels_per_cycle=4, io="stream", conv="pairs", flatten="lookup"),
}


def small_model(path):
    """Two channels, every kind of stage; names that are keywords, weights of two bits.

    Verilator 5.006 would take the sign of tables of one bit for these weights, but for an option in the Makefile.
    """
    builder = ModelBuilder(2, 5, 5, seed=1).image().reduce(4, threshold=0.25).conv("logic", 2, bias_on="nonzero")
    builder.relu("act1").activation("act1").flatten().dense("wire", 3, fmt=FixedPoint(2, 1)).relu("act2")
    return builder.activation("act2").dense("output", 2).save(path)


def images(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0.5, 1.5, (count, 2, 5, 5)) * (rng.random((count, 1, 5, 5)) < rng.random((count, 1, 1, 1)))


@pytest.fixture(scope="module", params=DESIGNS)
def project(request, tmp_path_factory):
    """A compiled project."""
    folder = tmp_path_factory.mktemp(request.param)
    model = small_model(folder / "net.onnx")
    project = hls.translate(model, folder / "net", backend="rtl", options=DESIGNS[request.param])
    assert isinstance(project, hls.RtlProject)
    project.compile()
    return project


@pytest.mark.verilator
def test_predict_gives_exact_values(project):
    x = images(300)
    expected = reference.run(read_model(project.directory.parent / "net.onnx").model, x).real
    found = project.predict(x)
    assert found.dtype == np.float64
    assert_array_equal(found, expected)
    assert len(np.unique(found)) > 50
    assert_array_equal(project.predict(x[:0]), np.zeros((0, 2)))


@pytest.mark.verilator
@pytest.mark.parametrize("options", [("--stalls",), ("--reset", "--seed", "7"), ("--stalls", "--reset", "--seed", "9")])
def test_pauses_resets_and_random_registers(project, options):
    raw = project.graph.input.type.quantize(images(200, seed=3)).raw
    assert_array_equal(project.predict_raw(raw, options), project.predict_raw(raw))


def assert_stages(project, found, x):
    """What the simulation saw of single stages adds up, and the estimate says the same."""
    estimated = json.loads((project.directory / "report.json").read_text())["estimate"]["stages"]
    assert [stage.name for stage in found.stages] == [stage["name"] for stage in estimated]
    assert [stage.latency_cycles for stage in found.stages] == [stage["latency_cycles"] for stage in estimated]
    assert all(stage.latency_cycles_least == stage.latency_cycles for stage in found.stages)
    assert sum(stage.latency_cycles for stage in found.stages) == found.latency_cycles
    clocks = np.array(found.timeline)
    assert clocks.shape == (min(found.events, 6), len(estimated) + 1)
    assert clocks[0, 0] == 0
    assert (np.diff(clocks, axis=1) >= [[stage.latency_cycles for stage in found.stages]]).all()
    assert (np.diff(clocks[:, -1]) <= found.interval_cycles).all()


@pytest.mark.verilator
def test_measure(project):
    for x, events in ((None, 32), (images(3), 3), (images(600), 500), (images(1), 1)):
        found = project.measure(x)
        assert found.events == events
        assert set(found.mismatches) == {"back to back", "stalls", "resets", "stalls and resets"}
        assert not any(found.mismatches.values())
        assert 0 < found.tail_cycles <= found.latency_cycles
        assert 0 < found.latency_cycles_least <= found.latency_cycles < 100
        assert (found.interval_cycles == 0) == (events == 1)
        assert found.interval_cycles <= found.latency_cycles
        assert_stages(project, found, x)
    with pytest.raises(SparsePixError, match="one image or more"):
        project.measure(images(0))


def test_two_builds_at_once_do_not_meet(tmp_path):
    """A stand-in for Verilator that writes slowly: until it has ended, nobody else finds its file."""
    folder, slow, writing = tmp_path / "net", tmp_path / "slow", tmp_path / "writing"
    hls.translate(small_model(tmp_path / "net.onnx"), folder, backend="rtl")
    slow.write_text(
        '#!/bin/sh\nwhile [ "$1" != --Mdir ]; do shift; done\nexec >"$2/sim"\n'
        f"echo '#!/bin/sh'; chmod +x $2/sim; touch '{writing}'; sleep 2; echo echo simulated"
    )
    slow.chmod(0o755)
    command = ["make", "--no-print-directory", "sim", f"VERILATOR={slow}"]  # the tests may run in a make
    first = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not writing.exists():
        time.sleep(0.01)
    second = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    for output, errors in (first.communicate(), (second.stdout, second.stderr)):
        assert (output.splitlines()[-1], errors) == ("simulated", "")
    assert [path.name for path in (folder / "build").iterdir()] == ["sim"]


@pytest.mark.verilator
def test_simulate_counts_mismatches_on_a_moved_project(project, tmp_path):
    """The project needs nothing else: the copy has another place, and the testbench finds a wrong number in it."""
    assert project.simulate() == CsimResult(events=32, mismatches=0)
    moved = tmp_path / "elsewhere with a space"
    shutil.copytree(project.directory, moved)
    copy = hls.RtlProject(moved, project.graph, project.part, project.modules)
    copy.compile()  # up to date
    data = moved / "tb/data/outputs.dat"
    lines = data.read_text().splitlines()
    lines[4] = " ".join(str(int(raw) + 1) for raw in lines[4].split())
    data.write_text("\n".join(lines) + "\n")
    assert copy.simulate() == CsimResult(events=32, mismatches=2)
    done = subprocess.run(["make", "sim"], cwd=moved, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    data.write_text("\n".join([*lines, "1"]) + "\n")
    with pytest.raises(SparsePixError, match="expected lines of 2 integers"):
        copy.simulate()


@pytest.mark.verilator
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 5, 5)), "pass x\\[None\\]"),
        (np.zeros((4, 1, 8, 9)), "expected images of shape \\[B\\]\\[2\\]\\[5\\]\\[5\\]"),
        (np.full((1, 2, 5, 5), "1"), "dtype <U1"),
        (np.full((1, 2, 5, 5), np.nan), "NaN"),
        (np.full((1, 2, 5, 5), -np.inf), "infinity"),
    ],
)
def test_predict_refuses(project, x, message):
    for action in (project.predict, project.measure):
        with pytest.raises(SparsePixError, match=message):
            action(x)


@pytest.mark.verilator
def test_a_source_that_verilator_refuses_is_quoted(project, tmp_path):
    shutil.copytree(project.directory, tmp_path / "net")
    (tmp_path / "net/rtl/net.sv").write_text("module net (broken_on_purpose;\n")
    with pytest.raises(SparsePixError, match=r"build/sim .* failed(.|\n)*net\.sv"):
        hls.RtlProject(tmp_path / "net", project.graph, project.part, project.modules).compile()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A project that is not compiled."""
    folder = tmp_path_factory.mktemp("written")
    return hls.translate(small_model(folder / "net.onnx"), folder / "net", backend="rtl", options=DESIGNS["scan"])


def test_before_compile(written):
    for action in (lambda: written.predict(images(1)), written.measure, written.simulate):
        with pytest.raises(SparsePixError, match=r"call compile\(\) first"):
            action()


@pytest.mark.parametrize(
    ("present", "action", "message"),
    [
        ((), "compile", "--simulate.*needs verilator.*apt install verilator"),
        (("verilator",), "compile", "apt install make"),
        (("verilator", "make"), "compile", r"apt install g\+\+"),
        ((), "synthesize", "--synthesize.*needs yosys.*pip install pyosys.*apt install yosys"),
    ],
)
def test_missing_tools(written, tmp_path, monkeypatch, present, action, message):
    for tool in present:
        (tmp_path / tool).symlink_to(shutil.which("true"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setitem(sys.modules, "pyosys", None)
    with pytest.raises(SparsePixError, match=message):
        getattr(written, action)()


@pytest.mark.yosys
def test_synthesize(tmp_path):
    model = ModelBuilder(1, 3, 3).image().reduce(2).flatten().dense("dense1", 2).save(tmp_path / "net.onnx")
    project = hls.translate(model, tmp_path / "net", backend="rtl")
    found = project.synthesize()
    assert found.family == "xcup"
    assert list(found.modules) == list(project.modules) == ["net_stage_reduce", "net_stage_layers", "net_ports"]
    for area in found.modules.values():
        assert 20 < area.lut < 1000
        assert 20 < area.ff < 1000
        assert area.dsp == area.bram == 0
        assert 1 < area.path.levels < 15
        assert area.path.end
    assert found.total("lut") == sum(area.lut for area in found.modules.values())
    module, path = found.deepest
    assert path == found.modules[module].path
    assert path.levels == max(area.path.levels for area in found.modules.values())


@pytest.mark.yosys
def test_a_source_that_yosys_refuses_is_quoted(written, tmp_path):
    shutil.copytree(written.directory, tmp_path / "net")
    (tmp_path / f"net/rtl/{written.modules[0]}.sv").write_text("module broken_on_purpose (;\n")
    broken = hls.RtlProject(tmp_path / "net", written.graph, written.part, written.modules[:1])
    with pytest.raises(SparsePixError, match=rf"Yosys refuses the module {written.modules[0]}\n(.|\n)*\.sv:1"):
        broken.synthesize()


def test_luts_of_memories():
    cells = Counter({"LUT2": 3, "LUT6": 4, "RAM32M": 2, "RAM64X1D_1": 1, "SRL16E": 5, "FDRE": 6, "FDSE_1": 1})
    cells |= {"RAMB36E2": 2, "RAMB18E2": 1, "DSP48E2": 3, "CARRY4": 8, "MUXF7": 9, "INV": 2}
    area = area_of(cells, LongestPath(1.0, ""))
    assert (area.lut, area.ff, area.dsp, area.bram) == (3 + 4 + 8 + 2 + 5, 7, 3, 5)


def test_family_of_the_part(tmp_path, written):
    model = written.directory.parent / "net.onnx"
    assert [part.name for part in PARTS if yosys_family(part) is None and part.fabric == "amd"] == ["xcvc1902"]
    for part, family, words in (
        ("xcu55c", "xcup", "for Alveo U55C as xcup."),
        ("xcku040", "xcu", "for Kintex UltraScale as xcu."),
        ("xc7z020", "xc7", "for Zynq-7000 as xc7."),
        ("xcvc1902", "xcup", "found Versal AI Core: use another --part"),
        ("xcvu19p-fsva3824-2-e", "xcup", "found a part that is not in the table: use another --part"),
    ):
        project = hls.translate(model, tmp_path / part, part=part, backend="rtl", options=DESIGNS["scan"])
        script = (project.directory / "synth.ys").read_text()
        assert f"-family {family} -top net" in script
        assert words in script
        assert "@" not in script


@pytest.mark.yosys
def test_synthesis_of_an_unknown_family(written):
    versal = next(part for part in PARTS if part.name == "xcvc1902")
    project = hls.RtlProject(written.directory, written.graph, versal, written.modules)
    with pytest.raises(SparsePixError, match=r"xcvc1902.*found Versal AI Core: use another --part"):
        project.synthesize()


def test_modules_have_names_of_their_own(tmp_path):
    """Whatever the file and the layers are called: as modules that every project has, or as stages of ours."""
    layers = ["conv1", "control", "layers_logic", "pairs", "reduce_arrival"]
    for name, layer in zip(("activity", "loop", "net", "image", "reduce"), layers, strict=True):
        builder = ModelBuilder(1, 4, 4).image().reduce(4).conv(layer).relu("act1").activation("act1")
        model = builder.flatten().dense(f"{layer}_own", 2).save(tmp_path / f"{name}.onnx")
        options = Options(conv="gather", reuse_factor=2)
        project = hls.translate(model, tmp_path / f"{name}_rtl", backend="rtl", options=options)
        text = "\n".join(path.read_text() for path in (project.directory / "rtl").glob("*.sv"))
        modules = re.findall(r"^module (\w+)", text, re.MULTILINE)
        assert len(modules) == len(set(modules)), name


@pytest.mark.verilator
@pytest.mark.parametrize("reduce", ["scan", "stream"])
@pytest.mark.parametrize("options", [{"conv": "gather", "flatten": "scatter"}, {"reuse_factor": 3, "io": "stream"}])
def test_lint(tmp_path, reduce, options):
    model = small_model(tmp_path / "reg.onnx")
    options = Options(reduce=reduce, pixels_per_cycle=3 if "stream" in (reduce, options.get("io")) else None, **options)
    project = hls.translate(model, tmp_path / "p", backend="rtl", options=options)
    done = subprocess.run(["make", "-s", "lint"], cwd=project.directory, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
