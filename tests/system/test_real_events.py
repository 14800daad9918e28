"""The 100 real events and four trained weight sets that the authors of SparsePixels published."""

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.testing import assert_array_equal

import sparsepix as sp
import sparsepix_hls
from design_space import build, covering
from needs import EVENTS
from published_events import SIZES, images_of, published_model, read_events, trained
from sparsepix_ops import reference

pytestmark = pytest.mark.events
CLOSE, CLOSE_ON_A_TIE = 2e-6, 3e-3  # to a published probability


@pytest.fixture(scope="module")
def events():
    return read_events(EVENTS)


def predictions(events, size):
    """Probabilities [E] of torch without our roundings, and the published ones."""
    model = trained(events, size, input_format=None, pool_format=None, reciprocal_bits=None, head=True)
    with torch.no_grad():
        found = model(torch.from_numpy(images_of(events)).double())[:, 0].numpy()
    return found, events[f"prediction_{size}"]


@pytest.mark.parametrize("size", SIZES)
def test_torch_reproduces_the_published_predictions(events, size):
    """Without roundings that the published training did not have; every decision at 0.5 is the same."""
    found, published = predictions(events, size)
    error = np.abs(found - published)
    if size == "m":  # event 29 sits on an exact rounding tie of the division by 49
        assert error[29] < CLOSE_ON_A_TIE
        error[29] = 0
    assert error.max() < CLOSE
    assert_array_equal(found > 0.5, published > 0.5)


@pytest.mark.parametrize("size", SIZES)
def test_the_preset_as_it_is_flips_no_decision(events, size, tmp_path):
    """Also with the default formats of input and pool, which the published training did not have."""
    exported = sp.export_onnx(trained(events, size), tmp_path / "model.onnx")
    assert exported.graph.node[0].op_type == "Quant"  # exact in float32
    logits = reference.run(exported, images_of(events)).real[:, 0]
    assert_array_equal(logits > 0, events[f"prediction_{size}"] > 0.5)


@pytest.mark.gxx
@pytest.mark.parametrize("size", SIZES)
def test_torch_onnx_integers_and_firmware_agree_on_every_bit(events, size, tmp_path):
    """With a 16-bit input the published weights go all the way; no decision changes either."""
    input_format = sp.FixedPoint(16, 1, signed=False)
    model = trained(events, size, input_format=input_format)
    images = images_of(events)
    exported = sp.export_onnx(model, tmp_path / "model.onnx")
    with torch.no_grad():
        in_torch = model(torch.from_numpy(images).double()).numpy()
    in_onnx = ort.InferenceSession(tmp_path / "model.onnx").run(None, {"image": images})[0]
    in_integers = reference.run(exported, images).real
    project = sparsepix_hls.translate(
        tmp_path / "model.onnx", output_dir=tmp_path / "firmware", part="xcu250-figd2104-2L-e"
    )
    project.compile()
    in_firmware = project.predict(images)
    assert_array_equal(in_torch, in_integers)
    assert_array_equal(in_onnx, in_integers)
    assert_array_equal(in_firmware, in_integers)
    assert_array_equal(in_firmware[:, 0] > 0, events[f"prediction_{size}"] > 0.5)


@pytest.mark.gxx
@pytest.mark.parametrize(("number", "values"), enumerate(covering()))
def test_every_pair_of_choices_gives_the_same_bits(number, values, tmp_path):
    """The four sizes take turns."""
    path, images, expected = published_model(EVENTS, tmp_path, list(SIZES)[number % len(SIZES)])
    project = build(path, tmp_path / "firmware", values, pixels_per_cycle=17)
    for backend in ("native", "ap_fixed"):
        project.compile(backend)
        assert_array_equal(project.predict(images), expected)
