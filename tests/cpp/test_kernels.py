"""Every C++ kernel against a plain integer oracle, bit for bit.

All graphs go into one translation unit, so that the compiler runs once; those whose scan takes two pixels a clock into
another. They are compiled as a synthesis tool reads them (SPARSEPIX_SYNTHESIS), padded multiplexers and plain weight
arrays included.
"""

import ctypes
import subprocess

import numpy as np
import pytest

from firmware_graphs import design_of, oracle, run_library
from kernel_cases import CASES
from sparsepix_hls.cpp.writer import write_project
from sparsepix_hls.project import toolchain

pytestmark = pytest.mark.gxx
TWO = [name for name in CASES if name.endswith(("_features", "_coords")) or name.startswith("conv_")]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("kernels"), CASES)


@pytest.fixture(scope="module")
def library_of_two(tmp_path_factory):
    return build(tmp_path_factory.mktemp("two"), TWO, scan_pixels=2, conv="auto")


def build(root, names, **options):
    """A library of some cases."""
    for name in names:
        graph, images = CASES[name]
        directory = root / graph.name
        directory.mkdir()
        outputs = np.zeros((1, *graph.output.shape), np.int64)
        write_project(design_of(graph, **options), directory, "xcvu9p-flga2104-2L-e", 5.0, images[:1], outputs)
    source, target = root / "all.cpp", root / "all.so"
    source.write_text("".join(f'#include "{name}/tb/{name}_bridge.cpp"\n' for name in names))
    flags = [flag for flag in toolchain.FLAGS if flag not in ("-iquotefirmware", "-isystem", "ap_types")]
    command = [
        *toolchain.find_compiler(),
        "-O0",
        "-DSPARSEPIX_SYNTHESIS",
        "-DAP_INT_MAX_W=4096",
        "-Wall",
        "-Wextra",
        "-Werror",
        *flags,
    ]
    command += ["-isystem", str(next(iter(root.glob("*/ap_types"))))]
    command += [f"-I{name}/firmware" for name in names]
    done = subprocess.run(
        [*command, "-fPIC", "-shared", "-o", str(target), str(source)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:4000]
    return ctypes.CDLL(str(target))


def check(library, name):
    """A case in a library, against the oracle; returns what is expected."""
    graph, images = CASES[name]
    expected = oracle(graph, images)
    np.testing.assert_array_equal(run_library(library, name, images, expected), expected)
    return expected


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_kernel_equals_oracle(library, name):
    expected = check(library, name)
    # More bits dropped than there are leave 0, but the open ap_fixed headers used to abort there.
    if name not in ("nothing_features", "nothing_coords", "softmax_one", "act_more_dropped_than_there_is"):
        assert len(np.unique(expected)) > 1, "the case tests nothing"


@pytest.mark.slow
@pytest.mark.parametrize("name", TWO)
def test_two_pixels_a_clock_equal_the_oracle(library_of_two, name):
    check(library_of_two, name)
