"""The native build: its number type against the open ap_fixed headers, and the kernels with it against the oracle."""

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from firmware_graphs import Builder, accumulator, design_of, oracle, run_library, sparse_images
from kernel_cases import CASES
from sparsepix_hls.cpp.project import Project
from sparsepix_hls.cpp.writer import write_project
from sparsepix_hls.project import toolchain
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint

pytestmark = pytest.mark.gxx

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "hls/sparsepix_hls/kernels/include/native_types"
U8, S8 = FixedPoint(8, 2, signed=False), FixedPoint(8, 3)
MODES = [
    f"native::{q}, native::{o}"
    for q in ("AP_TRN", "AP_RND_CONV", "AP_RND")
    for o in ("AP_WRAP", "AP_SAT", "AP_SAT_SYM")
]


def build(source, target, *flags):
    command = [*toolchain.find_compiler(), "-O0", f"-std={toolchain.STANDARD}", *flags, "-o", str(target), str(source)]
    return subprocess.run(command, cwd=target.parent, capture_output=True, text=True, check=False)


def random_formats(seed=4, conversions=45, operations=15):
    """Calls that check pairs of formats of up to 63 bits, as C++."""
    rng = np.random.default_rng(seed)

    def both(width, integer, modes=""):
        signed = str(bool(rng.integers(2))).lower()
        arguments = f"<{width}, {integer}, {signed}{modes and f', {modes}'}>"
        return f"native::Number{arguments}", f"Vendor{arguments}::type"

    lines = []
    for i in range(conversions):
        source = both(width := int(rng.integers(7, 64)), integer := int(rng.integers(-10, 40)))
        to = int(rng.integers(2, 64))
        fraction = min(width - integer + int(rng.integers(3 - width, 20)), 60)  # between coarser and finer
        target = both(to, to - fraction, MODES[i % 9])
        lines.append(f"convert_large<{source[0]}, {target[0]}, {source[1]}, {target[1]}>();")
    for _ in range(operations):
        width, fraction = int(rng.integers(7, 40)), int(rng.integers(0, 30))
        other = int(rng.integers(7, 63 - width))
        left, right = both(width, width - fraction), both(other, other - fraction - int(rng.integers(-9, 10)))
        lines.append(f"operate_large<{left[0]}, {right[0]}, {left[1]}, {right[1]}>();")
    return "\n".join(lines) + "\n"


@pytest.mark.slow
def test_numbers_and_flags(tmp_path):
    """All values of small formats, random values of large ones: the same values and types as the open headers give."""
    (tmp_path / "random_formats.h").write_text(random_formats())
    headers = ("-isystem", str(toolchain.ap_types_directory()), "-iquote", str(NATIVE), f"-I{tmp_path}")
    target = tmp_path / "native_types"
    done = build(
        Path(__file__).with_name("native_types.cpp"), target, *headers, "-Wall", "-Wextra", "-Wno-unknown-pragmas"
    )
    assert done.returncode == 0, done.stderr[:4000]
    done = subprocess.run([str(target)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(re.match(r"\d+", done.stdout)[0]) > 100_000


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("ap_fixed<64, 8> x;", "at most 63 bits"),
        ("auto x = ap_fixed<40, 8>(1) * ap_fixed<24, 8>(1);", "at most 63 bits"),
        ("int x = ap_fixed<8, 4>(1);", "cannot convert"),
        ("ap_int<62> x = 1; x += ap_int<62>(1);", None),
    ],
)
def test_compiler_refuses(tmp_path, statement, message):
    source = tmp_path / "main.cpp"
    source.write_text(f"#include <ap_fixed.h>\nint main() {{ {statement} (void)x; }}\n")
    done = build(source, tmp_path / "main", f"-I{NATIVE}")
    assert (done.returncode == 0) == (message is None)
    assert message is None or message in done.stderr


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """All graphs of the kernel tests in one native library."""
    root = tmp_path_factory.mktemp("native")
    for graph, images in CASES.values():
        (root / graph.name).mkdir()
        outputs = np.zeros((1, *graph.output.shape), np.int64)
        write_project(design_of(graph), root / graph.name, "xcvu9p-flga2104-2L-e", 5.0, images[:1], outputs)
    (root / "all.cpp").write_text("".join(f'#include "{name}/tb/{name}_bridge.cpp"\n' for name in CASES))
    flags = ["-O1", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-unused-label", f"-I{NATIVE}"]
    flags += [f"-I{name}/firmware" for name in CASES]
    done = build(root / "all.cpp", root / "all.so", *flags, "-fPIC", "-shared")
    assert done.returncode == 0, done.stderr[:4000]
    return ctypes.CDLL(str(root / "all.so"))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_native_kernel_equals_oracle(library, name):
    """The oracle is what test_kernels.py compares the ap_fixed build with, on the same images."""
    graph, images = CASES[name]
    expected = oracle(graph, images)
    np.testing.assert_array_equal(run_library(library, name, images, expected), expected)


def project_of(graph, directory):
    images = sparse_images(np.random.default_rng(3), 12, graph.input.shape, graph.input.type)
    directory.mkdir()
    write_project(design_of(graph), directory, "xcvu9p-flga2104-2L-e", 5.0, images, oracle(graph, images))
    return Project(directory, graph)


def test_backends_side_by_side(tmp_path):
    """Two objects on one project, each with its build; the input is quantized alike, ties and overflow included."""
    # Both roundings and overflows, at the input and after a convolution; one of them on images wider than a word.
    for number, rounding, overflow in (
        (0, "ROUND", "SAT"),
        (1, "FLOOR", "WRAP"),
        (3, "ROUND", "WRAP"),
    ):
        type_ = FixedPoint(8, 3, number % 2 == 0, rounding, overflow)
        builder = Builder(f"side{number}", (1, 5, 70 if number == 0 else 6), type_).reduce(6)
        builder.conv(2, (3, 3), S8, accumulator(24, -12), S8).act(type_).flatten()
        graph = builder.dense(3, S8, accumulator(26, -12), S8).graph()
        native = project_of(graph, tmp_path / graph.name)
        ap_fixed = Project(native.directory, graph)
        ap_fixed.compile("ap_fixed")
        native.compile()
        rng = np.random.default_rng(number)
        x = rng.normal(0, 4, (40, *graph.input.shape)) * (rng.random((40, *graph.input.shape)) < 0.2)
        x[::2] = np.round(x[::2] * 64) / 64  # ties
        x[3], x[4, 0, 0] = 5e4, -1e-300
        for values in (x, x.astype(np.float32), x.astype(np.float16), np.round(x).astype(np.int64)):
            found = native.predict(values)
            np.testing.assert_array_equal(found, ap_fixed.predict(values))
            assert len(np.unique(found)) > 10


def test_unknown_backend(tmp_path):
    graph = Builder("mini", (1, 2, 2), U8).reduce(1).flatten().graph()
    with pytest.raises(SparsePixError, match=r"'native', 'ap_fixed', found 'verilator'"):
        project_of(graph, tmp_path / "mini").compile("verilator")


def test_too_wide_is_explained(tmp_path):
    wide = FixedPoint(32, 8)
    builder = Builder("wide", (1, 3, 3), wide).reduce(2).conv(1, (1, 1), FixedPoint(31, 4), accumulator(62, -51))
    graph = builder.flatten().dense(1, FixedPoint(4, 4), accumulator(62, -51)).graph()
    directory = tmp_path / "wide"
    directory.mkdir()
    zeros = np.zeros((1, 1, 3, 3), np.int64), np.zeros((1, 1), np.int64)
    write_project(design_of(graph), directory, "xcvu9p-flga2104-2L-e", 5.0, *zeros)
    project = Project(directory, graph)
    with pytest.raises(
        SparsePixError, match=r"more than the 63 bits of the native build: use compile\(backend='ap_fixed'\)"
    ):
        project.compile()
    project.compile("ap_fixed")  # what is compiled last counts
    np.testing.assert_array_equal(project.predict(np.zeros((1, 1, 3, 3))), np.zeros((1, 1)))
