"""Pixels that go one by one through the layers: simulated hardware against the integer reference, bit for bit."""

import json
import subprocess

import pytest

import sparsepix_hls as hls
from onnx_models import IMAGE, ModelBuilder
from random_networks import differing
from sparsepix_hls.design.options import LayerOptions, Options
from sparsepix_hls.flow.backends import backend_design, find_backend
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.ir.stream_graph import stream_parts, waiting_places
from sparsepix_hls.layers.input_reduce import input_reduce
from sparsepix_hls.project.parts import find_part
from sparsepix_ops import reference
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.op import DOMAIN
from stream_models import BEATS, MODELS, images_of, residual


@pytest.mark.verilator
@pytest.mark.parametrize("name", MODELS)
def test_stream_equals_reference(name, tmp_path):
    path = MODELS[name]().save(tmp_path / "net.onnx")
    options = Options(conv="stream", io="stream", pixels_per_cycle=BEATS[name], dense="multiply", reuse_factor=3)
    project = hls.translate(path, tmp_path / "net", options=options, backend="rtl")
    done = subprocess.run(["make", "-s", "lint"], cwd=project.directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    project.compile()
    model = read_model(path)
    images = images_of(model.graph)
    expected = reference.run(model.model, images).real
    assert differing(project.predict(images), expected) == 0
    measured = project.measure(images[:80])
    assert not any(measured.mismatches.values())
    estimate = json.loads((tmp_path / "net/report.json").read_text())["estimate"]["total"]
    # Full rows between rows of few pixels hold a convolution back, once for each pixel at most.
    most = input_reduce(model.graph).max_pixels * sum("Conv" in type(layer).__name__ for layer in model.graph.layers)
    assert measured.latency_cycles <= estimate["latency_cycles"] + most


def estimate_of(model, tmp_path, **options):
    """Estimated cost of a model as a stream."""
    graph = read_model(model.save(tmp_path / "net.onnx")).graph
    backend = find_backend("rtl")
    design, _ = backend_design(graph, Options(conv="stream", io="stream", **options), 5.0, backend)
    return backend.lower(design, 5.0, find_part("xcvu9p")).estimate().total


def test_area_does_not_grow_with_the_list(tmp_path):
    """Two convolutions on 64 x 64 pixels: the table of issue 17 has 260,759 LUTs by pairs for 100 pixels."""

    def model(pixels):
        b = ModelBuilder(1, 64, 64).image().reduce(pixels).conv("conv1", 4).activation("act1").conv("conv2", 4)
        return b.activation("act2").pool("pool", (8, 8), "max").flatten().dense("dense1", 8)

    few, many = (estimate_of(model(pixels), tmp_path) for pixels in (100, 800))
    assert many.lut <= 1.2 * few.lut
    assert few.lut < 12_000
    assert 0 < few.bram <= 60


def refused(model, tmp_path, **options):
    """Why a model cannot be a stream."""
    graph = read_model(model.save(tmp_path / "net.onnx")).graph
    with pytest.raises(SparsePixError) as caught:
        backend_design(graph, Options(**({"conv": "stream", "io": "stream"} | options)), 5.0, find_backend("rtl"))
    return str(caught.value)


def small():
    return ModelBuilder(1, 6, 5).image(IMAGE).reduce(5).conv("conv1").conv("conv2")


def test_what_is_no_stream(tmp_path):
    flat = small().flatten()
    assert "use io 'stream'" in refused(flat, tmp_path, io="parallel")
    assert "leave it out" in refused(flat, tmp_path, reduce="scan")
    mixed = {"conv1": LayerOptions("pairs"), "conv2": LayerOptions(reuse_factor=2)}
    found = refused(flat, tmp_path, layers=mixed)
    assert "conv1: all sparse layers are one stream" in found
    assert "conv2: reuse_factor: a stream computes one pixel a clock" in found
    largest = ModelBuilder(1, 6, 5).image().reduce(5, selection="magnitude").conv("conv1").flatten()
    assert "train with selection 'raster'" in refused(largest, tmp_path)
    wide = ModelBuilder(1, 6, 5).image().reduce(5).strided_conv("conv1", 2, (1, 1), (2, 2)).flatten()
    assert "conv1: a SparseStridedConv2d cannot be part of a stream" in refused(wide, tmp_path)
    cells = small()
    lists, shapes = [cells.value, cells.coords, cells.coords], {"kernel_shape": (1, 1), "spatial_shape": (6, 5)}
    cells.value = cells.node("SparseUnpool2d", lists, ["up.features"], domain=DOMAIN, **shapes)
    assert "up: a SparseUnpool2d cannot be part of a stream" in refused(cells.flatten(), tmp_path)


def test_a_list_as_result_is_no_stream(tmp_path):
    assert "conv2_features: a stream of pixels ends in a vector" in refused(small(), tmp_path)


@pytest.mark.verilator
def test_one_pixel_skips_two_windows(tmp_path):
    """N = 1: the queue of the skip holds the pixel and the end, and layers of the other way hold more events."""
    path = residual(1).save(tmp_path / "net.onnx")
    project = hls.translate(path, tmp_path / "net", options=Options(conv="stream", io="stream"), backend="rtl")
    model = read_model(path)
    images = images_of(model.graph, 80)
    project.compile()
    assert differing(project.predict(images), reference.run(model.model, images).real) == 0
    assert not any(project.measure(images).mismatches.values())


def test_where_lists_meet(tmp_path):
    """The longer way holds more than an event; what is there before the other never waits for it."""
    graph = read_model(residual().save(tmp_path / "net.onnx")).graph
    parts = stream_parts((graph.layers[0], *graph.on_lists))
    held = {part.result.name: 15 for part in parts}
    pixels = {tensor.name: 20 for part in parts for tensor in part.reads}
    assert waiting_places(parts, pixels, held) == {("act1_features", 2): 21, ("reduce_features", 3): 45}
