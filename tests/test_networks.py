"""Random whole networks: torch, ONNX Runtime, integer reference and C++ give the same numbers."""

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import sparsepix as sp
import sparsepix_hls
from random_networks import hard_images, networks
from sparsepix_ops import FixedArray, analyze, integer

# Without shrinking: a failing network is small as it is, and each step would be another export.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
SETTINGS = {"deadline": None, "phases": PHASES, "suppress_health_check": list(HealthCheck)}


def exported_and_checked(model, input_shape, seed, path):
    """Export; compare torch, ONNX Runtime and the integer reference; return images and result."""
    images = hard_images(np.random.default_rng(seed), input_shape)
    exported = sp.export_onnx(model, path, input_shape)
    with torch.no_grad():
        in_torch = model.double()(torch.from_numpy(images).double()).numpy()
    in_onnx = ort.InferenceSession(path).run(None, {"image": images})[0]
    values = integer.run_all(exported, images)
    in_integers = values["output"].real
    # The ranges that set the widths of the firmware hold every value that came up.
    for name, value in analyze(exported).values.items():
        if value.range is not None and isinstance(values[name], FixedArray):
            assert value.range.exponent == values[name].exponent
            assert value.range.hull(values[name].range) == value.range, name
    assert_array_equal(in_torch, in_integers)
    assert_array_equal(in_onnx, in_integers)
    if exported.graph.node[0].op_type != "Cast":
        with torch.no_grad():
            assert_array_equal(model.float()(torch.from_numpy(images)).numpy(), in_integers)
    return images, in_integers


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("wide", [False, True])
def test_torch_onnx_and_integers(part, wide):
    """In parts, so that several processes share them: 208 networks in all."""

    @settings(max_examples=26, **SETTINGS)
    @given(network=networks(wide=wide), seed=st.integers(0, 2**32 - 1))
    def check(network, seed):
        with tempfile.TemporaryDirectory() as folder:
            exported_and_checked(*network, seed, Path(folder) / "model.onnx")

    check()


@pytest.mark.parametrize("part", range(4))
def test_with_firmware(part):
    """28 networks in all, through the translator and g++."""

    @settings(max_examples=7, **SETTINGS)
    @given(network=networks(), seed=st.integers(0, 2**32 - 1))
    def check(network, seed):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            images, expected = exported_and_checked(*network, seed, path)
            project = sparsepix_hls.translate(path, output_dir=Path(folder) / "firmware", part="xcvu9p")
            project.compile()
            assert_array_equal(project.predict(images), expected)

    check()
