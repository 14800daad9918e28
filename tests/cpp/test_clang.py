"""Other compilers read the firmware: clang, an ancestor of which is inside Vitis HLS, in a new and an old version."""

import shutil
import subprocess

import pytest

import sparsepix_hls as hls
from onnx_models import ModelBuilder
from sparsepix_hls.schedule.source import TYPES, find_clang

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label"]
DESIGNS = {
    "scan": hls.Options(reduce="scan", conv="overlap", flatten="lookup"),
    "stream": hls.Options(reduce="stream", io="stream", pixels_per_cycle=4, conv="gather", reuse_factor=2),
    "tree": hls.Options(reduce="tree", dense="adders"),
    "chain": hls.Options(conv="stream", io="stream", pixels_per_cycle=5),
}
OLD = shutil.which("clang++-13")  # Debian's oldest


def project_of(tmp_path, design, selection):
    if selection == "magnitude" and design != "scan":
        pytest.skip("only a scan lists the largest pixels")
    builder = ModelBuilder(2, 7, 9, seed=2).image().reduce(5, threshold=0.25, selection=selection).conv("conv1", 2)
    builder.relu("relu1").activation("act1").pool().flatten().dense("dense1", 3)
    return hls.translate(builder.save(tmp_path / "net.onnx"), tmp_path / "net", options=DESIGNS[design])


def compile_quietly(project, compiler, flags, output):
    command = [*compiler, *WARNINGS, *flags, "-iquotefirmware", "-c", "firmware/net.cpp", "-o", str(output)]
    done = subprocess.run(command, cwd=project.directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]


@pytest.mark.gxx
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("selection", ["raster", "magnitude"])
def test_no_warning(tmp_path, design, selection):
    """The native build as simulation reads it, in C++14; the kernels as synthesis reads them, on types of LLVM."""
    project = project_of(tmp_path, design, selection)
    builds = [["-std=c++14", "-Inative_types"], ["-std=c++17", "-D__SYNTHESIS__", f"-I{TYPES}"]]
    for number, flags in enumerate(builds):
        compile_quietly(project, find_clang(), [*flags, "-Isimulation"], tmp_path / f"{number}.o")


@pytest.mark.gxx
@pytest.mark.skipif(OLD is None, reason="clang++-13 is missing; on Debian: sudo apt-get install clang-13")
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("synthesis", [False, True])
def test_no_warning_of_an_old_version(tmp_path, design, synthesis):
    """As simulation and as synthesis read the kernels, on the vendor's kind of types and on native ones."""
    project = project_of(tmp_path, design, "raster")
    types = ["-isystem", "ap_types", "-Isimulation"]
    variants = [types, ["-Inative_types", "-Isimulation"]] if not synthesis else [[*types, "-DSPARSEPIX_SYNTHESIS"]]
    for number, flags in enumerate(variants):
        compile_quietly(project, [OLD], ["-std=c++14", *flags], tmp_path / f"{number}.o")
