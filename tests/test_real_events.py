"""The 100 real events and four trained weight sets that the authors of SparsePixels published."""

import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.testing import assert_array_equal

import sparsepix as sp
import sparsepix_hls
from sparsepix_ops import integer

EVENTS = Path(
    os.environ.get("SPARSEPIX_EVENTS", Path(__file__).resolve().parents[2] / "shared/data/neutrino_events.npz")
)
SIZES = {"t": 8, "s": 12, "m": 16, "l": 20}

pytestmark = pytest.mark.skipif(
    not EVENTS.is_file(),
    reason=f"needs the published events: set SPARSEPIX_EVENTS to neutrino_events.npz (looked at {EVENTS})",
)


@pytest.fixture(scope="module")
def events():
    with np.load(EVENTS) as file:
        return dict(file)


def trained(events, size, **options):
    model = sp.models.neutrino(max_pixels=SIZES[size], bias_on="nonzero", **options)
    suffix = f"_{size}"
    sp.compat.load_keras(
        model,
        {k.removesuffix(suffix): v for k, v in events.items() if k.endswith(suffix) and not k.startswith("prediction")},
    )
    return model.double().eval()


def images_of(events):
    return np.ascontiguousarray(events["images"].transpose(0, 3, 1, 2))


@pytest.mark.parametrize("size", SIZES)
def test_torch_reproduces_the_published_predictions(events, size):
    """Without roundings that the published training did not have; every decision at 0.5 is the same."""
    model = trained(events, size, input_format=None, pool_format=None, reciprocal_bits=None, head=True)
    with torch.no_grad():
        found = model(torch.from_numpy(images_of(events)).double())[:, 0].numpy()
    published = events[f"prediction_{size}"]
    error = np.abs(found - published)
    if size == "m":  # event 29 sits on an exact rounding tie of the division by 49
        assert error[29] < 3e-3
        error[29] = 0
    assert error.max() < 2e-6
    assert_array_equal(found > 0.5, published > 0.5)


@pytest.mark.parametrize("size", SIZES)
def test_the_preset_as_it_is_flips_no_decision(events, size, tmp_path):
    """Also with the default formats of input and pool, which the published training did not have."""
    exported = sp.export_onnx(trained(events, size), tmp_path / "model.onnx")
    assert exported.graph.node[0].op_type == "Quant"  # exact in float32
    logits = integer.run(exported, images_of(events)).real[:, 0]
    assert_array_equal(logits > 0, events[f"prediction_{size}"] > 0.5)


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
    in_integers = integer.run(exported, images).real
    project = sparsepix_hls.translate(
        tmp_path / "model.onnx", output_dir=tmp_path / "firmware", part="xcu250-figd2104-2L-e"
    )
    project.compile()
    in_firmware = project.predict(images)
    assert_array_equal(in_torch, in_integers)
    assert_array_equal(in_onnx, in_integers)
    assert_array_equal(in_firmware, in_integers)
    assert_array_equal(in_firmware[:, 0] > 0, events[f"prediction_{size}"] > 0.5)
