"""A batch of no images: in torch, in ONNX Runtime, in the integer reference, and what is counted on it."""

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from numpy.testing import assert_array_equal

import sparsepix as sp
from random_networks import SETTINGS, exported_if_narrow, networks
from small_stacks import NAMES, SHAPE, some_images, stacks
from sparsepix.training import predict
from sparsepix_ops import reference


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_every_layer(name, training):
    model = stacks()[name].train(training)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    image = torch.zeros(0, *SHAPE, requires_grad=True)
    output = model(image)
    assert output.shape == (0, *model(some_images(2)).shape[1:])
    model.load_state_dict(state)
    output = model(image)
    output.sum().backward()
    assert image.grad.shape == image.shape
    for parameter in model.parameters():
        assert parameter.grad is None or not parameter.grad.any()
    for key, value in model.state_dict().items():
        assert_array_equal(value.numpy(), state[key].numpy())


@pytest.mark.parametrize("name", ["neutrino", "jet", "mnist", "digits", "muon"])
@pytest.mark.parametrize("options", [{}, {"bits": 16, "head": True, "batch_norm": True, "selection": "magnitude"}])
def test_presets(name, options, tmp_path):
    model = getattr(sp.models, name)(**options)
    images = np.zeros((0, *model.input_shape), dtype=np.float32)
    expected = (0, model(some_images(1, model.input_shape)).shape[1])
    assert predict(model, images).shape == expected
    exported = sp.export_onnx(model, tmp_path / "model.onnx")
    assert ort.InferenceSession(tmp_path / "model.onnx").run(None, {"image": images})[0].shape == expected
    assert reference.run(exported, images).shape == expected


@settings(max_examples=15, **SETTINGS)
@given(network=networks())
def test_random_networks(network, tmp_path_factory):
    model, shape = network
    path = tmp_path_factory.mktemp("none") / "model.onnx"
    exported = exported_if_narrow(model, path, shape)
    images = np.zeros((0, *shape), dtype=np.float32)
    found = model(torch.from_numpy(images).to(next(model.parameters(), torch.zeros(0)).dtype))
    expected = [tuple(x.shape) for x in ([found] if isinstance(found, torch.Tensor) else found.values())]
    assert [x.shape for x in ort.InferenceSession(path).run(None, {"image": images})] == expected
    values = reference.run_all(exported, images)
    assert [values[output.name].shape for output in exported.graph.output] == expected


def test_penalties_count_nothing():
    model = sp.models.digits(learn_bits=True, learn_max_pixels=True, learn_threshold=True).train()
    model(torch.zeros(0, *model.input_shape))
    found = sp.penalties(model)
    assert found["masked_intensity"] == 0
    assert found["budget"] == 1
    # The second dense layer multiplies whatever the image holds.
    dense = [row for row in sp.ebops(model).layers if row.name != "dense2"]
    assert [row.products for row in dense] == [0, 0]
    sum(found.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_ebops_of_no_images_are_refused():
    with pytest.raises(sp.SparsePixError, match="ebops: expected one image or more"):
        sp.ebops(sp.models.digits(), np.zeros((0, 1, 48, 48), np.float32))
