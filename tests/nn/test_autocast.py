"""Inside torch.autocast the layers compute in full precision, forward and backward."""

import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
from small_stacks import FORMAT, NAMES, some_images, stacks

HALVES = [torch.bfloat16, torch.float16]


def one_step(model, images, autocast, backward_inside):
    """Output, gradients and statistics of a pass."""
    model.zero_grad()
    images = images.clone().requires_grad_()
    with autocast:
        output = model(images)
        loss = output.square().sum()
        if backward_inside:
            loss.backward()
    if not backward_inside:
        loss.backward()
    assert output.dtype == torch.float32
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    return [output, images.grad, *gradients, *(b.clone() for b in model.buffers())]


def equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one.detach().numpy(), other.detach().numpy())


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_layers_are_exact_inside_autocast(name, training, half):
    images = some_images(6)
    for backward_inside in (False, True):
        plain, cast = stacks()[name].train(training), stacks()[name].train(training)
        off, on = torch.autocast("cpu", enabled=False), torch.autocast("cpu", half)
        expected = one_step(plain, images, off, backward_inside)
        equal(one_step(cast, images, on, backward_inside), expected)


@pytest.mark.parametrize("options", [{}, {"bits": 16, "head": True}, {"sparse": False}, {"bits": None}])
def test_presets_are_exact_inside_autocast(options):
    torch.manual_seed(0)
    model = sp.models.digits(**options)
    images = some_images(4, model.input_shape)
    expected = one_step(model, images, torch.autocast("cpu", enabled=False), True)
    equal(one_step(model, images, torch.autocast("cpu", torch.bfloat16), True), expected)


def test_compiled_layers_are_exact_inside_autocast():
    torch._dynamo.reset()
    model = stacks()["convolution"]
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    images = some_images(4)
    expected = model(images)
    with torch.autocast("cpu", torch.bfloat16):
        assert_array_equal(compiled(images).detach().numpy(), expected.detach().numpy())


def test_a_double_model_stays_double_inside_autocast():
    model = stacks()["convolution"].double()
    images = some_images(4).double()
    expected = model(images)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(images)
    assert found.dtype == torch.float64
    assert_array_equal(found.detach().numpy(), expected.detach().numpy())


@pytest.mark.parametrize("half", HALVES)
def test_what_layers_of_torch_have_narrowed_goes_on_in_float32(half):
    """A quantizer of 8 bits would round in bfloat16, which holds 8."""
    layers = [
        (sp.QuantReLU(FORMAT), torch.rand(3, 4)),
        (sp.QuantLinear(4, 2, weight_format=FORMAT), torch.rand(3, 4)),
        (sp.QuantConv2d(1, 2, 3, weight_format=FORMAT), torch.rand(2, 1, 4, 4)),
        (nn.Sequential(sp.SparseInputReduce(3), sp.SparseFlatten()), torch.rand(2, 1, 4, 4)),
    ]
    for layer, x in layers:
        expected = layer(x.to(half).float())
        with torch.autocast("cpu", half):
            found = layer(x.to(half))
        assert found.dtype == torch.float32
        assert_array_equal(found.detach().numpy(), expected.detach().numpy())


@pytest.mark.parametrize("half", HALVES)
def test_half_precision_outside_of_autocast_is_refused(half):
    kind = str(half)
    image, vector = torch.zeros(1, 1, 4, 4, dtype=half), torch.zeros(1, 4, dtype=half)
    pixels = sp.SparseInputReduce(3)(image.float())
    cases = [
        (lambda: sp.SparseInputReduce(3)(image), "SparseInputReduce: expected an input of float32 or float64, found"),
        (lambda: sp.QuantConv2d(1, 1, 3)(image), "QuantConv2d: expected an input of"),
        (lambda: sp.QuantLinear(4, 1)(vector), "QuantLinear: expected an input of"),
        (lambda: sp.QuantReLU(FORMAT)(vector), "QuantReLU: expected an input of"),
        (lambda: pixels.replace(pixels.features.to(half)), "SparsePixels: expected features of"),
        (
            lambda: sp.SparsePixels(pixels.features.to(half), pixels.coords, (4, 4)),
            "SparsePixels: expected features of",
        ),
        (lambda: sp.QuantLinear(4, 1).to(half)(vector.float()), "QuantLinear: expected weights of.*model.float"),
        (lambda: sp.SparseConv2d(1, 1, 3).to(half)(pixels), "SparseConv2d: expected weights of.*model.float"),
        (lambda: sp.QuantConv2d(1, 1, 3).to(half)(image.float()), "QuantConv2d: expected weights of.*model.float"),
    ]
    for call, message in cases:
        with pytest.raises(sp.SparsePixError, match=message) as error:
            call()
        assert kind in str(error.value)
