"""Integers wider than the 1,024 bits that an ap_int has unless told: beats of a stream, flags of a large image."""

import subprocess

import numpy as np
import onnx
import pytest
from numpy.testing import assert_array_equal

import sparsepix_hls as hls
from onnx_models import ModelBuilder
from output_checks import refusal
from random_networks import hard_images
from sparsepix_hls.flow.backends import find_backend
from sparsepix_hls.flow.fits import chosen_options
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.project.parts import find_part
from sparsepix_ops import reference
from sparsepix_ops.fixed_point import FixedPoint

WIDE_STREAM = hls.Options(io="stream", reduce="stream", pixels_per_cycle=128)


def wide_model(path, width):
    image = FixedPoint(12, 1, signed=False)
    builder = ModelBuilder(1, 3, width).image(image).reduce(5).conv().relu().activation()
    return builder.pool(kernel=(3, width // 4)).flatten().dense("dense1", 2).save(path)


@pytest.mark.gxx
@pytest.mark.parametrize(
    ("width", "options"),
    [
        (128, WIDE_STREAM),
        (1024, hls.Options()),
        (1028, hls.Options()),
    ],
    ids=["a row of 128 pixels of 12 bits", "1,024 columns", "1,028 columns"],
)
@pytest.mark.parametrize("backend", ["native", "ap_fixed"])
def test_wide_integers(tmp_path, width, options, backend):
    path = wide_model(tmp_path / "net.onnx", width)
    images = hard_images(np.random.default_rng(3), (1, 3, width))
    project = hls.translate(path, tmp_path / "project", options=options, testbench_inputs=images)
    assert "#define AP_INT_MAX_W 2048" in (project.directory / "firmware/data_types.h").read_text()
    if backend == "ap_fixed":
        subprocess.run(["make", "-s", "-C", project.directory, "csim"], check=True)
    else:
        project.compile()
        expected = reference.run(onnx.load(path), images).real
        assert_array_equal(project.predict(images), expected)


@pytest.mark.gxx
def test_a_wide_row_as_synthesis_reads_it(tmp_path, as_synthesis):
    """A beat of 128 pixels of 12 bits through the kernels that the vendor's tool reads."""
    path = wide_model(tmp_path / "net.onnx", 128)
    images = hard_images(np.random.default_rng(3), (1, 3, 128))
    project = hls.translate(path, tmp_path / "project", options=WIDE_STREAM)
    project.compile("ap_fixed")
    assert_array_equal(project.predict(images), reference.run(onnx.load(path), images).real)


def test_wider_than_any_tool_takes(tmp_path):
    path = wide_model(tmp_path / "net.onnx", 5000)
    message = refusal(hls.translate, path, tmp_path / "project")
    assert "an ap_uint of 5,002 bits: Vitis HLS takes at most 4,096" in message
    assert not (tmp_path / "project").exists()


def test_the_port_of_a_stream_that_is_chosen(tmp_path):
    """As many pixels a beat as a port may be wide."""
    graph, part = read_model(wide_model(tmp_path / "net.onnx", 600)).graph, find_part("xcvu9p")
    options, _ = chosen_options(graph, hls.Options(target_interval=100_000), 5.0, find_backend("hls"), part)
    assert (options.conv, options.pixels_per_cycle) == ("stream", 4096 // 12)


def test_what_is_narrow_needs_no_definition(tmp_path):
    path = wide_model(tmp_path / "net.onnx", 128)
    project = hls.translate(path, tmp_path / "project")
    assert "AP_INT_MAX_W" not in (project.directory / "firmware/data_types.h").read_text()
