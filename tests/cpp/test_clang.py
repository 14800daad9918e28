"""Another compiler reads the firmware: clang, whose ancestor is inside Vitis HLS."""

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
}


@pytest.mark.gxx
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("selection", ["raster", "magnitude"])
def test_no_warning(tmp_path, design, selection):
    """The native build as simulation reads it, in C++14; the kernels as synthesis reads them, on types of LLVM."""
    if selection == "magnitude" and design != "scan":
        pytest.skip("only a scan lists the largest pixels")
    builder = ModelBuilder(2, 7, 9, seed=2).image().reduce(5, threshold=0.25, selection=selection).conv("conv1", 2)
    builder.relu("relu1").activation("act1").pool().flatten().dense("dense1", 3)
    project = hls.translate(builder.save(tmp_path / "net.onnx"), tmp_path / "net", options=DESIGNS[design])
    builds = [["-std=c++14", "-Inative_types"], ["-std=c++17", "-D__SYNTHESIS__", f"-I{TYPES}"]]
    for number, flags in enumerate(builds):
        some = [*find_clang(), *WARNINGS, *flags, "-iquotefirmware", "-Isimulation", "-c", "firmware/net.cpp"]
        done = subprocess.run(
            [*some, "-o", tmp_path / f"{number}.o"], cwd=project.directory, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[:3000]
