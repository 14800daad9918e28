"""Writing, compiling and running a firmware project."""

import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from firmware_graphs import Builder, accumulator, design_of, oracle, sparse_images
from sparsepix_hls.cpp.project import Project
from sparsepix_hls.cpp.writer import write_project
from sparsepix_hls.project import toolchain
from sparsepix_hls.project.base import CsimResult
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint

pytestmark = pytest.mark.gxx

ROOT = Path(__file__).parents[2]
U8, S8 = FixedPoint(8, 2, signed=False), FixedPoint(8, 3)
CLANG_FORMAT = Path(sys.executable).with_name("clang-format")


def small_graph(seed=0):
    builder = Builder("tiny", (1, 9, 8), U8, seed).reduce(6)
    builder.conv(2, (3, 3), S8, accumulator(22, -11), S8).act(U8)
    builder.pool((3, 3), accumulator(22, -17, signed=False), (57, FixedPoint(6, -3, signed=False)))
    builder.act(U8).flatten().dense(3, S8, accumulator(24, -11), S8)
    return builder.graph()


def write(graph, directory):
    images = sparse_images(np.random.default_rng(3), 12, graph.input.shape, graph.input.type)
    directory.mkdir()
    write_project(design_of(graph), directory, "xcvu9p-flga2104-2L-e", 5.0, images, oracle(graph, images))
    return images


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A compiled project and the images of its testbench."""
    directory = tmp_path_factory.mktemp("project") / "tiny"
    graph = small_graph()
    images = write(graph, directory)
    project = Project(directory, graph)
    project.compile()
    return project, images


def test_predict_gives_exact_values(project):
    project, images = project
    expected = np.ldexp(oracle(project.graph, images).astype(float), project.graph.output.type.exponent)
    found = project.predict(np.ldexp(images.astype(np.float32), U8.exponent))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(project.predict(np.zeros((0, 1, 9, 8))), np.zeros((0, 3)))


def test_predict_quantizes_its_input(project):
    project, _ = project
    rng = np.random.default_rng(5)
    x = rng.normal(0, 2, (20, 1, 9, 8)) * (rng.random((20, 1, 9, 8)) < 0.15)
    raw = np.clip(np.round(x * 64), 0, 255).astype(np.int64)
    expected = np.ldexp(oracle(project.graph, raw).astype(float), project.graph.output.type.exponent)
    np.testing.assert_array_equal(project.predict(x), expected)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((1, 9, 8)), "pass x\\[None\\]"),
        (np.zeros((4, 1, 8, 9)), "expected images of shape \\[B\\]\\[1\\]\\[9\\]\\[8\\]"),
        (np.full((1, 1, 9, 8), "1"), "dtype <U1"),
        (np.zeros((1, 1, 9, 8), complex), "dtype complex128"),
        (np.zeros((1, 1, 9, 8), object), "dtype object"),
        (np.full((1, 1, 9, 8), np.nan), "NaN"),
        (np.full((1, 1, 9, 8), -np.inf), "infinity"),
    ],
)
def test_predict_refuses(project, x, message):
    with pytest.raises(SparsePixError, match=message):
        project[0].predict(x)


def test_predict_before_compile(project):
    with pytest.raises(SparsePixError, match=r"call compile\(\)"):
        Project(project[0].directory, project[0].graph).predict(np.zeros((1, 1, 9, 8)))


def test_recompile_loads_the_new_library(tmp_path):
    graph = Builder("mini", (1, 2, 2), U8).reduce(1).flatten().dense(2, S8, accumulator(24, -11), S8).graph()
    images = write(graph, tmp_path / "mini")
    project = Project(tmp_path / "mini", graph)
    project.compile()
    before = project.predict_raw(images)
    bias = next((project.directory / "firmware/weights").glob("*_bias.h"))
    head, values = bias.read_text().split("= {")
    bias.write_text(f"{head}= {{1, -2}};{values.split('};', 1)[1]}")
    np.testing.assert_array_equal(project.predict_raw(images), before)
    project.compile()
    change = np.array([1, -2]) * 2**11 - graph.layers[-1].bias.raw * 2**6
    np.testing.assert_array_equal(project.predict_raw(images), before + change)
    assert list((project.directory / "build").iterdir()) == []


def test_csim_counts_mismatches_on_a_moved_project(project, tmp_path):
    """The project needs nothing else: the copy has another place, and the testbench finds a wrong number in it."""
    project, images = project
    moved = tmp_path / "elsewhere with a space"
    shutil.copytree(project.directory, moved)
    copy = Project(moved, project.graph)
    assert copy.csim() == CsimResult(events=len(images), mismatches=0)
    data = moved / "tb/data/outputs.dat"
    lines = data.read_text().splitlines()
    first = [int(raw) for raw in lines[2].split()]
    lines[2] = " ".join(str(raw + 1) for raw in first)
    data.write_text("\n".join(lines) + "\n")
    assert copy.csim() == CsimResult(events=len(images), mismatches=3)
    done = subprocess.run(["make", "csim"], cwd=moved, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"expected {first[0] + 1}, found {first[0]}" in done.stderr
    testbench = [str(moved / "build/tiny_tb"), str(moved / "tb/data")]
    assert subprocess.run(testbench, capture_output=True, check=False).returncode == 1
    data.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(SparsePixError, match="fewer events"):
        copy.csim()


def test_two_builds_at_once_do_not_meet(project, tmp_path, monkeypatch):
    """A compiler that writes slowly: until it has ended, nobody else finds its file ('Text file busy')."""
    project, images = project
    assert project.csim().mismatches == 0
    built = project.directory / "build/tiny_tb"
    moved, slow, writing = tmp_path / "moved", tmp_path / "slow", tmp_path / "writing"
    shutil.copytree(project.directory, moved, ignore=shutil.ignore_patterns("build"))
    slow.write_text(
        "#!/bin/sh\nwhile [ $1 != -o ]; do shift; done\nexec >$2\n"
        f"cat '{built}'; chmod +x $2; touch '{writing}'; sleep 2"
    )
    slow.chmod(0o755)
    monkeypatch.setenv("CXX", str(slow))
    copy = Project(moved, project.graph)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(copy.csim)
        while not writing.exists():
            time.sleep(0.01)
        found = [copy.csim(), first.result()]
    assert found == [CsimResult(events=len(images), mismatches=0)] * 2
    assert [path.name for path in (moved / "build").iterdir()] == ["tiny_tb"]


def test_no_compiler(project, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CXX", raising=False)
    for action in (project[0].compile, project[0].csim):
        with pytest.raises(SparsePixError, match=r"needs g\+\+.*apt install g\+\+"):
            action()
    monkeypatch.setenv("CXX", "no-such-compiler -O3")
    with pytest.raises(SparsePixError, match="no-such-compiler"):
        project[0].compile()


def test_failing_compiler_is_quoted(project, tmp_path):
    shutil.copytree(project[0].directory, tmp_path / "tiny")
    (tmp_path / "tiny/firmware/tiny.h").write_text('#include "broken_on_purpose.h"\n')
    with pytest.raises(SparsePixError, match="broken_on_purpose"):
        Project(tmp_path / "tiny", project[0].graph).compile()
    with pytest.raises(SparsePixError, match="broken_on_purpose"):
        Project(tmp_path / "tiny", project[0].graph).csim()


def test_code_is_formatted(project):
    files = [*(ROOT / "hls/sparsepix_hls/kernels/include").glob("*/*.h")]
    files += [*project[0].directory.glob("firmware/*.*"), *project[0].directory.glob("tb/*.cpp")]
    assert len(files) > 15
    command = [CLANG_FORMAT, f"--style=file:{ROOT / '.clang-format'}", "--dry-run", "-Werror", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_processes_of_the_top_function(project):
    """Two processes, with pixels and their pairs between them; the dataflow region holds nothing but their calls."""
    project, _ = project
    source = (project.directory / "firmware/tiny.cpp").read_text()
    region = source.split("#pragma HLS DATAFLOW\n")[1]
    calls = [line.strip() for line in region.splitlines() if line.endswith(");")]
    pixels = "tiny_0_features, tiny_0_coords, tiny_0_coords_pairs_3x3"
    assert calls == [f"tiny_reduce(tiny_image, {pixels});", f"tiny_layers({pixels}, {project.graph.output.name});"]
    assert source.count("#pragma HLS DATAFLOW") == 1
    assert source.count("#pragma HLS PIPELINE") == 2
    for pragma in ("ap_none port = tiny_image", f"ap_vld port = {project.graph.output.name}"):
        assert f"#pragma HLS INTERFACE mode = {pragma}\n" in source


def test_nothing_is_left_open_in_the_templates(project):
    directory = project[0].directory
    for name in ("build.tcl", "Makefile", "tb/tiny_tb.cpp", "tb/tiny_bridge.cpp"):
        text = (directory / name).read_text()
        assert not [word for word in text.replace("$@", "").split() if word.count("@") > 1], name
    tcl = (directory / "build.tcl").read_text()
    assert "set part xcvu9p-flga2104-2L-e\nset clock_ns 5\n" in tcl
    assert all(f"{step}_design" in tcl for step in ("csim", "csynth", "cosim", "export"))
    assert "-I$root/ap_types" not in tcl
    assert [path.name for path in directory.iterdir() if path.name.startswith("ap_")] == ["ap_types"]


@pytest.mark.tclsh
def test_build_script_runs_the_steps(project, tmp_path):
    """Runs build.tcl with stand-ins for the commands of Vitis HLS, which only report that they were called."""
    commands = "open_project set_top add_files open_solution set_part create_clock set_clock_uncertainty"
    stubs = "".join(
        f"proc {name} args {{puts [list {name} {{*}}$args]}}\n"
        for name in (*commands.split(), "csim_design", "csynth_design", "cosim_design", "export_design")
    )
    (tmp_path / "run.tcl").write_text(f"{stubs}source {{{project[0].directory / 'build.tcl'}}}\n")
    for steps, expected in (("", "csim csynth"), ("cosim export", "csynth cosim export")):
        done = subprocess.run(["tclsh", str(tmp_path / "run.tcl"), *steps.split()], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = [line.split("_")[0] for line in done.stdout.splitlines() if "_design" in line.split()[0]]
        assert found == expected.split()
        assert "set_clock_uncertainty 27%\n" in done.stdout


@pytest.mark.tclsh
def test_build_script_in_a_folder_with_spaces(project, tmp_path):
    (tmp_path / "a b").mkdir()
    shutil.copy(project[0].directory / "build.tcl", tmp_path / "a b")
    done = subprocess.run(["tclsh", tmp_path / "a b" / "build.tcl"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"builds in no folder with spaces in its path: move the project, found {tmp_path / 'a b'}" in done.stderr


def test_writer_refuses(tmp_path):
    graph = small_graph()
    images = np.zeros((2, 1, 9, 8), np.int64)
    outputs = np.zeros((2, 3), np.int64)
    with pytest.raises(SparsePixError, match=r"testbench_inputs.*\[1\]\[9\]\[8\]"):
        write_project(design_of(graph), tmp_path, "part", 5.0, images[0], outputs)
    with pytest.raises(SparsePixError, match="testbench_outputs"):
        write_project(design_of(graph), tmp_path, "part", 5.0, images, outputs[:1])
    with pytest.raises(SparsePixError, match="'tiny_image' means two things"):
        write_project(design_of(replace(graph, name="tiny_image")), tmp_path, "part", 5.0, images, outputs)
    lost = replace(design_of(graph), graph=replace(graph, layers=(graph.layers[0], *graph.layers[2:])))
    with pytest.raises(SparsePixError, match="no earlier layer makes"):
        write_project(lost, tmp_path, "part", 5.0, images, outputs)
    inner = graph.layers[0].features
    early = replace(design_of(graph), graph=replace(graph, outputs=(inner,)))
    with pytest.raises(SparsePixError, match="only the last value"):
        write_project(early, tmp_path, "part", 5.0, images, np.zeros((2, *inner.shape), np.int64))
    assert list(tmp_path.iterdir()) == []


def test_headers_are_found_without_importing_their_package():
    code = "import sys; from sparsepix_hls.project.toolchain import ap_types_directory as find; find(); "
    code += "print('da4ml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert (toolchain.ap_types_directory() / "ap_int.h").is_file()
