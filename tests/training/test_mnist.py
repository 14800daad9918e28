"""MNIST itself: a short training loses nothing in 8 bits, and every output on the test images is exact."""

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.testing import assert_array_equal

import sparsepix as sp
import sparsepix_hls
from needs import MNIST
from sparsepix.datasets import Dataset, Split
from sparsepix.training import accuracy, fit, predict

pytestmark = [pytest.mark.mnist, pytest.mark.slow]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return sp.datasets.load("mnist", MNIST, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def trained(data):
    """Models of 8, 16 and 4 bits and in float, after eight epochs on a fifth of the images."""
    part = Split(data.train.images[:10_000], data.train.labels[:10_000])
    small = Dataset(data.name, data.classes, part, data.validation, data.test)
    models = {}
    for bits in (None, 16, 8, 4):
        torch.manual_seed(0)
        models[bits] = sp.models.mnist(20, bits, batch_norm=True)
        fit(models[bits], small, 8, monitor="loss")
    return models


def test_narrow_models_are_as_good_as_float(data, trained):
    found = {bits: accuracy(predict(m, data.test.images), data.test.labels) for bits, m in trained.items()}
    assert found[None] > 0.9
    assert found[16] > found[None] - 0.01
    assert found[8] > found[None] - 0.01
    assert found[4] > found[None] - 0.05


@pytest.mark.gxx
@pytest.mark.parametrize("bits", [8, 16])
def test_all_test_images_are_exact(data, trained, bits, tmp_path):
    model, images = trained[bits], data.test.images
    sp.export_onnx(model, tmp_path / "model.onnx", model.input_shape)
    expected = predict(model.double(), images)  # sums of 16 bits are longer than a float32
    assert_array_equal(ort.InferenceSession(tmp_path / "model.onnx").run(None, {"image": images})[0], expected)
    project = sparsepix_hls.translate(tmp_path / "model.onnx", tmp_path / "firmware")
    project.compile()
    assert_array_equal(project.predict(images), expected)
    assert len(np.unique(expected.argmax(1))) == 10
