"""Pixels that go one by one through the layers, as C++: both builds against the integer reference, bit for bit."""

import numpy as np
import pytest

import sparsepix_hls as hls
from onnx_models import ModelBuilder
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.report import read_report
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.schedule.project import schedule_project
from sparsepix_ops import reference
from sparsepix_ops.errors import SparsePixError
from stream_models import BEATS, MODELS, images_of

STREAM = Options(conv="stream", io="stream")
BUILDS = {"strides": ("native", "ap_fixed"), "crossed": ("ap_fixed",)}


@pytest.mark.gxx
@pytest.mark.parametrize("name", MODELS)
def test_stream_equals_reference(name, tmp_path):
    path = MODELS[name]().save(tmp_path / "net.onnx")
    options = Options(conv="stream", io="stream", pixels_per_cycle=BEATS[name])
    project = hls.translate(path, tmp_path / "net", options=options)
    model = read_model(path)
    images = images_of(model.graph, 400)
    expected = reference.run(model.model, images).real
    for backend in BUILDS.get(name, ("native",)):
        project.compile(backend)
        # In any order, in any thread: what an event leaves in the memories is of no event after it.
        for threads in (1, 2):
            np.testing.assert_array_equal(project.predict(images, threads=threads), expected)
    if name != "crossed":
        assert project.csim().mismatches == 0


@pytest.mark.gxx
def test_global_pools(tmp_path):
    for kind in ("max", "avg"):
        b = ModelBuilder(1, 6, 7).image().reduce(9).conv("conv", 2)
        path = b.global_pool("pool", kind).dense("dense", 2).save(tmp_path / f"{kind}.onnx")
        project = hls.translate(path, tmp_path / kind, options=STREAM)
        project.compile()
        model = read_model(path)
        images = images_of(model.graph, 300)
        np.testing.assert_array_equal(project.predict(images), reference.run(model.model, images).real)


def test_no_schedule(tmp_path):
    path = MODELS["two_convs"]().save(tmp_path / "net.onnx")
    project = hls.translate(path, tmp_path / "net", options=STREAM)
    with pytest.raises(SparsePixError, match="has no schedule, for its loops end with the data"):
        schedule_project(project.directory, "net", 5.0)


def test_area_of_many_pixels(tmp_path):
    """The table of issue 17: 34,893,964 LUTs by pairs for 400 pixels of 256 x 256."""
    b = ModelBuilder(1, 256, 256).image().reduce(400).conv("conv1", 4).activation("act1").conv("conv2", 4)
    path = b.activation("act2").pool("pool", (32, 32), "max").flatten().dense("dense1", 8).save(tmp_path / "net.onnx")
    project = hls.translate(path, tmp_path / "net", options=STREAM)
    total = read_report(project.directory)["estimate"]["total"]
    assert total["lut"] < 60_000
    assert total["interval_cycles"] < 256 + 450
    assert 0 < total["bram"] <= 300
