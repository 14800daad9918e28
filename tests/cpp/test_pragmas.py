"""Every '#pragma HLS' in the kernels and in generated code: known, spelt right, and in the right place."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import sparsepix as sp
import sparsepix_hls
from design_space import covering, options_of
from firmware_graphs import Builder, accumulator, design_of
from hls_pragmas import check
from sparsepix_hls.cpp.writer import write_project
from sparsepix_hls.design.schedule import plan
from sparsepix_hls.design.select import make_design
from sparsepix_hls.ir.tensors import Constant
from sparsepix_ops.fixed_point import FixedPoint

ROOT = Path(__file__).parents[2]
KERNELS = ROOT / "hls/sparsepix_hls/kernels/include"
CLANG_FORMAT = str(Path(sys.executable).parent / "clang-format")
U8, S8 = FixedPoint(8, 2, signed=False), FixedPoint(8, 3)
SIXTH = (43, FixedPoint(6, -2, signed=False))


def lines_with_pragmas(files):
    """Directives by a plain search, which knows nothing of C++."""
    found = [re.findall(r"^[ \t]*#[ \t]*pragma[ \t]+HLS[ \t]+(\w+)", text, re.MULTILINE) for text in files.values()]
    return Counter(name.upper() for names in found for name in names)


def sources(directory):
    """All C++ but the number types; of these, what is ours has macros that no parser reads, and no pragma."""
    paths = [path for path in directory.rglob("*") if path.suffix in {".h", ".cpp"} and "ap_types" not in path.parts]
    files = {path.relative_to(directory).as_posix(): path.read_text() for path in paths}
    numbers = {name: files.pop(name) for name in list(files) if re.search("(native|schedule)_types/", name)}
    assert lines_with_pragmas(numbers) == {}
    return files


# --- what must pass -------------------------------------------------------------------------------------------


def test_kernels():
    files = sources(KERNELS)
    report = check(files)
    assert report.problems == []
    assert report.pragmas == lines_with_pragmas(files)
    assert report.pragmas["UNROLL"] >= 60
    assert report.pragmas["INLINE"] >= 25
    assert report.pragmas["ARRAY_PARTITION"] >= 30
    assert report.pragmas["PIPELINE"] >= 1


def thresholds(builder, steps):
    raw = np.linspace(-500, 500, steps).astype(np.int64)
    return Constant(f"{builder.name}_steps", raw, FixedPoint(10, 4))


def shared_pairs():
    """Two kernel sizes on one list of pixels: one kernel map for each, one of them shared."""
    builder = Builder("shared", (2, 9, 8), U8).reduce(6, activity="any")
    for kernel, groups in (((3, 3), 1), ((3, 3), 2), ((5, 1), 1)):
        builder.conv(2, kernel, S8, accumulator(22, -11), S8, groups=groups).act(U8)
    return builder.flatten().dense(3, S8, accumulator(28, -11)).graph()


def two_pools():
    """Magnitude selection, convolutions before, between and after two kinds of pools, Softmax."""
    builder = Builder("pools", (1, 12, 12), U8).reduce(7, selection="magnitude", activity="sum")
    builder.conv(2, (3, 3), S8, accumulator(22, -11)).act(U8)
    builder.pool((2, 3), accumulator(26, -17, signed=False), SIXTH).act(U8)
    builder.conv(3, (3, 1), S8, accumulator(22, -11), S8, "nonzero").act(U8)
    builder.strided(2, (3, 3), (2, 1), S8, accumulator(22, -11), S8).act(U8)
    builder.pool((2, 2), U8, over="cell").conv(1, (1, 1), S8, accumulator(22, -11)).act(S8, False, 3)
    return builder.flatten().head("Softmax", thresholds(builder, 1024)).graph()


def only_reduction():
    return Builder("pixels", (1, 4, 4), U8).reduce(3).graph()


def sigmoid_of_pixels():
    builder = Builder("logits", (1, 2, 3), S8).reduce(4, threshold_raw=-300).flatten()
    return builder.head("Sigmoid", thresholds(builder, 1023)).graph()


GRAPHS = (shared_pairs, two_pools, only_reduction, sigmoid_of_pixels)
PRESETS = {
    "neutrino": (20, {}),
    "jet": (12, {"head": True, "selection": "magnitude"}),
    "mnist": (20, {"head": True}),
    "digits": (5, {"bias_on": "nonzero"}),
}


def check_project(directory, top):
    """Check a project as a whole: the top function, the copied kernels, the testbench."""
    files = sources(directory)
    report = check(files, top)
    assert report.problems == []
    assert report.pragmas == lines_with_pragmas(files)
    firmware = files[f"firmware/{top}.cpp"]
    assert report.pragmas["ARRAY_PARTITION"] > lines_with_pragmas(sources(KERNELS))["ARRAY_PARTITION"] + 2
    assert not any(lines_with_pragmas({n: t}) for n, t in files.items() if n.startswith("tb/"))
    return report, firmware


@pytest.mark.parametrize("make", GRAPHS, ids=lambda make: make.__name__)
def test_written_projects(make, tmp_path):
    graph = make()
    zeros = [np.zeros((1, *tensor.shape), np.int64) for tensor in (graph.input, graph.output)]
    write_project(design_of(graph), tmp_path, "xcvu9p-flga2104-2L-e", 5.0, *zeros)
    report, _ = check_project(tmp_path, graph.name)
    one_process = make is only_reduction
    assert report.regions == report.pragmas["DATAFLOW"] == (0 if one_process else 1)
    assert report.pragmas["INTERFACE"] == 2


@pytest.mark.parametrize("values", covering(), ids=lambda values: "-".join(map(str, values)))
def test_written_designs(values, tmp_path):
    """Every kind of stage: the dataflow region is canonical, and the code is formatted as ours."""
    graph = shared_pairs()
    design, _ = make_design(graph, options_of(values, 6, 5))
    zeros = [np.zeros((1, *tensor.shape), np.int64) for tensor in (graph.input, graph.output)]
    write_project(design, tmp_path, "xcvu9p-flga2104-2L-e", 5.0, *zeros)
    report, firmware = check_project(tmp_path, graph.name)
    stages = plan(design)
    assert report.regions == (len(stages) > 1)  # a tree and its layers in one pipeline are the top function itself
    assert report.pragmas["INTERFACE"] == (3 if design.io == "stream" else 2)
    assert firmware.count("rewind") >= sum(stage.rounds > 1 for stage in stages)
    files = [*tmp_path.glob("firmware/*.*"), *tmp_path.glob("firmware/weights/*.h"), *tmp_path.glob("tb/*.*")]
    command = [CLANG_FORMAT, f"--style=file:{ROOT / '.clang-format'}", "--dry-run", "-Werror"]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets")
    for name, (max_pixels, options) in PRESETS.items():
        sp.export_onnx(getattr(sp.models, name)(max_pixels, **options), folder / f"{name}.onnx")
        sparsepix_hls.translate(folder / f"{name}.onnx", output_dir=folder / name, keep_head=True)
    return folder


@pytest.mark.parametrize("name", PRESETS)
def test_translated_presets(name, presets):
    """The top function is a canonical dataflow region of two processes, and each port has one interface."""
    report, firmware = check_project(presets / name, name)
    assert report.regions == 1
    assert sum(lines_with_pragmas({name: firmware}).values()) >= 15
    assert report.pragmas["INTERFACE"] == 2
    assert report.pragmas["DATAFLOW"] == 1


# --- what must be reported: in a generated project ------------------------------------------------------------

SPOILED = [
    # file, what is there, what is written instead, reason
    ("jet.cpp", "HLS DATAFLOW\n", "HLS DATA_FLOW\n", "unknown directive 'DATA_FLOW'"),
    ("jet.cpp", "HLS PIPELINE II = 1", "HLS PIPELINE ii = 1", "PIPELINE has no option 'ii'"),
    ("jet.cpp", "mode = ap_none port = image", "mode = ap_none port = picture", "no parameter 'picture'"),
    ("jet.cpp", "variable = reduce_coords type", "variable = reduce_coord type", "variable 'reduce_coord' was"),
    ("jet.cpp", "INLINE off\n#pragma HLS PIPELINE", "INLINE\n#pragma HLS PIPELINE", "INLINE and PIPELINE exclude"),
    ("jet.cpp", "#pragma HLS DATAFLOW\n", "#pragma HLS PIPELINE II = 1\n", "this pipeline unrolls"),
    ("jet.cpp", "  jet_reduce(", "  image_copy = image;\n  jet_reduce(", "only declarations and calls may be"),
    ("jet.cpp", "  jet_layers(", "  jet_reduce(image, reduce_features, reduce_coords);\n  jet_layers(", "2 producers"),
    ("sparsepix/dense.h", "DENSE_INPUT:\n", "\n", "a loop with pragmas needs a label"),
    ("sparsepix/dense.h", "o < OUTPUTS", "o < input[0]", "needs constant bounds"),
    ("sparsepix/dense.h", "variable = weight type = complete dim = 0", "variable = weight", "without dim only"),
    ("sparsepix/dense.h", " : sums[o];\n", " : sums[o];\n#pragma HLS UNROLL\n", "before"),
    ("sparsepix/select.h", "variable = tree type = complete", "variable = values complete", "no option 'complete'"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "reason"), SPOILED, ids=range(len(SPOILED)))
def test_spoiled_projects(file, old, new, reason, presets):
    files = sources(presets / "jet")
    text = files[f"firmware/{file}"]
    assert old in text
    files[f"firmware/{file}"] = text.replace(old, new, 1)
    problems = check(files, "jet").problems
    assert problems
    assert all(problem.startswith("firmware/") for problem in problems)
    assert any(problem.startswith(f"firmware/{file}:") and reason in problem for problem in problems), problems


def test_each_pragma_of_the_kernels_is_looked_at():
    """Misspell each variable and move each pragma one line up: every such kernel is refused."""
    files = sources(KERNELS / "sparsepix")
    spoiled = 0
    for name, text in files.items():
        lines = text.splitlines()
        for i, line in enumerate(lines):
            wrong = []
            if "variable = " in line:
                wrong.append([*lines[:i], line.replace("variable = ", "variable = un"), *lines[i + 1 :]])
            elif line.startswith("#pragma HLS") and not lines[i - 1].startswith("#pragma"):
                wrong.append([*lines[: i - 1], line, lines[i - 1], *lines[i + 1 :]])
            for changed in wrong:
                spoiled += 1
                # Of the other files only the constants count.
                others = {other: files[other] for other in ("types.h", "kernel_map.h") if other != name}
                problems = check({name: "\n".join(changed), **others}).problems
                assert any(p.startswith(f"{name}:{i}:") or p.startswith(f"{name}:{i + 1}:") for p in problems), (
                    f"{name}:{i + 1}: {line} -> {problems}"
                )
    assert spoiled >= 120
