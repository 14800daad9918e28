"""Sparse layers against dense layers times a mask, in value and in gradient.

All data are small integers in float64, so that every sum is exact in any order and results are
compared for equality.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import dense
import sparsepix.pixels.sparse_pixels
from sparse_layers import MASKS, assert_empty_slots_are_zero, compare, integer_conv, integers, random_pixels, same
from sparsepix.nn.activations import (
    QuantIdentity,
    QuantLeakyReLU,
    QuantReLU,
    SparseIdentity,
    SparseLeakyReLU,
    SparseReLU,
)
from sparsepix.nn.quant_conv2d import QuantConv2d
from sparsepix.nn.quant_linear import QuantLinear
from sparsepix.nn.sparse_avg_pool2d import SparseAvgPool2d
from sparsepix.nn.sparse_conv2d import SparseConv2d
from sparsepix.nn.sparse_flatten import SparseFlatten
from sparsepix.nn.sparse_input_reduce import SparseInputReduce
from sparsepix.nn.sparse_max_pool2d import SparseMaxPool2d
from sparsepix.pixels.sparse_pixels import SparsePixels
from sparsepix_ops.fixed_point import FixedPoint


def check_conv(mask, channels, filters, kernel, bias, bias_on, rng, groups=1):
    image, mask, pixels = random_pixels(mask, channels, rng)
    layer = integer_conv(SparseConv2d(channels, filters, kernel, bias=bias, bias_on=bias_on, groups=groups), rng)
    result = layer(pixels)
    assert result.coords is pixels.coords
    assert_empty_slots_are_zero(result)
    expected = dense.conv_and_mask(image * mask, mask, layer.weight, layer.bias, bias_on, groups)
    compare(image, result.to_dense(), expected, list(layer.parameters()), rng)


def check_strided_conv(mask, channels, filters, kernel, stride, bias, rng, groups=1):
    image, mask, pixels = random_pixels(mask, channels, rng)
    layer = integer_conv(SparseConv2d(channels, filters, kernel, bias=bias, groups=groups, stride=stride), rng)
    result = layer(pixels)
    if layer.stride != (1, 1):
        check_merged_slots(pixels, result, layer.stride, round_up=True)
    expected = dense.strided_conv(image * mask, mask, layer.weight, layer.bias, layer.stride, groups)
    compare(image, result.to_dense(), expected, list(layer.parameters()), rng)
    with torch.no_grad():
        same(layer(pixels).features, result.features)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("stride", [2, 3, (1, 2), (4, 1), 20])
@pytest.mark.parametrize("kernel", [1, 3, (7, 5)])
def test_strided_conv(name, kernel, stride):
    rng = np.random.default_rng(11)
    for channels, filters, groups, bias in ((1, 2, 1, True), (3, 2, 1, False), (2, 4, 2, True)):
        check_strided_conv(MASKS[name], channels, filters, kernel, stride, bias, rng, groups)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("bias_on", ["active", "nonzero"])
@pytest.mark.parametrize("kernel", [1, 3, (1, 5), (7, 3)])
def test_conv(name, kernel, bias_on):
    rng = np.random.default_rng(1)
    for channels, filters, bias in ((1, 1, True), (2, 3, True), (3, 2, False)):
        check_conv(MASKS[name], channels, filters, kernel, bias, bias_on, rng)
    for channels, filters, groups, bias in ((2, 2, 2, True), (4, 6, 2, False), (3, 6, 3, True)):
        check_conv(MASKS[name], channels, filters, kernel, bias, bias_on, rng, groups)


def check_avg_pool(mask, channels, kernel, bits, rng):
    image, mask, pixels = random_pixels(mask, channels, rng)
    result = SparseAvgPool2d(kernel, reciprocal_bits=bits)(pixels)
    check_merged_slots(pixels, result, kernel)
    expected = dense.avg_pool(image * mask, kernel, bits)
    if bits is None:  # a true division rounds, and not everywhere in the same place
        torch.testing.assert_close(result.to_dense(), expected, rtol=1e-15, atol=0)
    else:
        compare(image, result.to_dense(), expected, [], rng)


def check_max_pool(mask, channels, kernel, over, rng):
    image, mask, pixels = random_pixels(mask, channels, rng)
    result = SparseMaxPool2d(kernel, over)(pixels)
    check_merged_slots(pixels, result, kernel)
    compare(image, result.to_dense(), dense.max_pool(image * mask, mask, kernel, over), [], rng)


def check_merged_slots(before, after, kernel, round_up=False):
    """Each cell is in the first of its slots, with every other slot empty."""
    assert_empty_slots_are_zero(after)
    shape = zip(before.spatial_shape, kernel, strict=True)
    height, width = (-(-size // window) if round_up else size // window for size, window in shape)
    assert after.spatial_shape == (height, width)
    for old, new in zip(before.coords.tolist(), after.coords.tolist(), strict=True):
        cells = [(row // kernel[0], column // kernel[1]) if row >= 0 else None for row, column in old]
        for slot, cell in enumerate(cells):
            inside = cell is not None and cell[0] < height and cell[1] < width
            assert new[slot] == (list(cell) if inside and cells.index(cell) == slot else [-1, -1])


def kernels_within(mask):
    return [
        k for k in [(1, 1), (2, 2), (2, 3), (3, 1), (1, 4), mask.shape] if k[0] <= len(mask) and k[1] <= len(mask[0])
    ]


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("bits", [16, 4, None])
def test_avg_pool(name, bits):
    rng = np.random.default_rng(2)
    for kernel, channels in itertools.product(kernels_within(MASKS[name]), (1, 3)):
        check_avg_pool(MASKS[name], channels, kernel, bits, rng)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("over", ["active", "cell"])
def test_max_pool(name, over):
    rng = np.random.default_rng(3)
    for kernel, channels in itertools.product(kernels_within(MASKS[name]), (1, 3)):
        check_max_pool(MASKS[name], channels, kernel, over, rng)


def test_a_negative_maximum_survives_over_the_active_pixels_only():
    pixels = SparsePixels(torch.tensor([[[-3.0], [-2.0]]]), torch.tensor([[[0, 0], [1, 1]]]), (2, 2))
    assert SparseMaxPool2d(2)(pixels).features.tolist() == [[[-2.0], [0.0]]]
    assert SparseMaxPool2d(2, over="cell")(pixels).features.tolist() == [[[0.0], [0.0]]]
    # A pixel of value 0 is a pixel: it wins over a negative one.
    zero = pixels.replace(torch.tensor([[[0.0], [-2.0]]]))
    assert SparseMaxPool2d(2)(zero).active.tolist() == [[True, False]]


@pytest.mark.parametrize("name", MASKS)
def test_flatten_and_to_dense(name):
    rng = np.random.default_rng(4)
    image, mask, pixels = random_pixels(MASKS[name], 2, rng)
    compare(image, pixels.to_dense(), image * mask, [], rng)
    compare(image, SparseFlatten()(pixels), dense.flatten(image * mask), [], rng)
    filled = torch.zeros_like(image)
    for b, slot in itertools.product(range(image.shape[0]), range(pixels.coords.shape[1])):
        row, column = pixels.coords[b, slot]
        if row >= 0:
            filled[b, :, row, column] = pixels.features[b, slot].detach()
    same(pixels.to_dense(), filled)


def reduce_images():
    """Images [1, C, H, W] that are hard to reduce, with the slots to reduce them to."""
    rng = np.random.default_rng(5)
    yield "empty", torch.zeros(2, 2, 4, 5).double(), 3
    full = integers(rng, 2, 2, 4, 5, low=1)
    yield "as many slots as pixels", full, 20
    yield "more active than slots", full, 7
    yield "one slot", full, 1
    yield "all values alike", torch.ones(2, 3, 5, 4).double(), 6
    exact = torch.zeros(2, 1, 5, 6).double()
    exact[:, :, [0, 0, 2, 4, 4], [0, 5, 3, 0, 5]] = integers(rng, 2, 1, 5, low=1)
    yield "exactly as many as slots", exact, 5
    yield "one too many", exact, 4
    yield "ties, zeros and negative values", integers(rng, 4, 3, 7, 6, low=-2, high=3), 9
    yield "one row", integers(rng, 3, 1, 1, 12), 4
    yield "one column", integers(rng, 3, 1, 12, 1), 4


@pytest.mark.parametrize("activity", ["first", "any", "sum"])
@pytest.mark.parametrize("selection", ["raster", "magnitude"])
@pytest.mark.parametrize("threshold", [0.0, 1.0, -2.5])
def test_input_reduce(threshold, selection, activity):
    for name, image, slots in reduce_images():
        check_reduce(image.requires_grad_(), slots, threshold, activity, selection, name)


def check_reduce(image, slots, threshold, activity, selection, name=""):
    """The same pixels as the oracle's, in row-major order, empty slots at the end."""
    rng = np.random.default_rng(6)
    pixels = SparseInputReduce(slots, threshold, activity, selection)(image)
    mask = dense.select_mask(image, slots, threshold, activity, selection)
    compare(image, pixels.to_dense(), image * mask, [], rng)
    assert_empty_slots_are_zero(pixels)
    for b, coords in enumerate(pixels.coords.tolist()):
        kept = [list(place) for place in np.argwhere(mask[b, 0].numpy())]
        assert coords == kept + [[-1, -1]] * (slots - len(kept)), name


def test_the_oracle_of_the_selection():
    image = torch.tensor([[2.0, 0.0, 3.0], [3.0, -1.0, 2.0]]).view(1, 1, 2, 3)
    assert dense.select_mask(image, 2).flatten().tolist() == [True, False, True, False, False, False]
    largest = dense.select_mask(image, 3, selection="magnitude").flatten().tolist()
    assert largest == [True, False, True, True, False, False]
    assert dense.select_mask(image, 6, threshold=2.0).flatten().tolist() == [False, False, True, True, False, False]


def test_the_threshold_is_the_nearest_float32():
    layer = SparseInputReduce(1, threshold=0.1)
    assert layer.threshold == float(np.float32(0.1)) != 0.1
    for dtype in (torch.float32, torch.float64):
        at = torch.full((1, 1, 1, 1), layer.threshold, dtype=dtype)
        assert not layer(at).active.any()
        assert layer(torch.nextafter(at, torch.full_like(at, 1.0))).active.all()


def test_infinity_beside_an_empty_slot_leaves_it_empty():
    image = torch.zeros(1, 2, 2, 2)
    image[0, 1, 1, 1] = math.inf
    pixels = SparseInputReduce(4)(image)
    assert not pixels.features.any()


@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_any_layer_on_any_image(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32), "seed"))
    height, width = data.draw(st.integers(1, 9), "height"), data.draw(st.integers(1, 9), "width")
    mask = rng.random((height, width)) < data.draw(st.sampled_from([0.1, 0.4, 0.9]), "density")
    channels = data.draw(st.integers(1, 3), "channels")
    kernel = data.draw(st.tuples(st.sampled_from([1, 3, 5, 9]), st.sampled_from([1, 3, 5, 9])), "kernel")
    window = data.draw(st.tuples(st.integers(1, height), st.integers(1, width)), "window")
    bias_on = data.draw(st.sampled_from(["active", "nonzero"]), "bias_on")
    groups = data.draw(st.integers(1, 3), "groups")
    filters = groups * data.draw(st.integers(1, 3), "filters")
    check_conv(mask, groups * channels, filters, kernel, rng.random() < 0.8, bias_on, rng, groups)
    stride = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)), "stride")
    check_strided_conv(mask, groups * channels, filters, kernel, stride, rng.random() < 0.8, rng, groups)
    check_avg_pool(mask, channels, window, data.draw(st.integers(2, 24), "bits"), rng)
    check_max_pool(mask, channels, window, data.draw(st.sampled_from(["active", "cell"]), "over"), rng)
    image = integers(rng, 2, channels, height, width, low=-2, high=4).requires_grad_()
    slots = data.draw(st.integers(1, height * width), "slots")
    activity = data.draw(st.sampled_from(["first", "any", "sum"]), "activity")
    selection = data.draw(st.sampled_from(["raster", "magnitude"]), "selection")
    check_reduce(image, slots, data.draw(st.sampled_from([0.0, 1.0]), "threshold"), activity, selection)


@pytest.mark.parametrize("bias_on", ["active", "nonzero"])
@pytest.mark.parametrize("selection", ["raster", "magnitude"])
def test_two_convolutions_and_two_pools_in_a_row(selection, bias_on):
    """After the first pool slots are no longer in row-major order, and a ReLU has zeroed some pixels."""
    rng = np.random.default_rng(8)
    image = integers(rng, 4, 2, 13, 11, low=-3, high=4).requires_grad_()
    slots = 30
    conv1 = integer_conv(SparseConv2d(2, 3, (3, 5), bias_on=bias_on), rng)
    conv2 = integer_conv(SparseConv2d(3, 2, 3, bias_on=bias_on), rng)
    layers = [SparseInputReduce(slots, selection=selection), conv1, SparseReLU(), SparseMaxPool2d((2, 2))]
    layers += [conv2, SparseReLU(), SparseAvgPool2d((3, 2), reciprocal_bits=8), SparseFlatten()]
    mask = dense.select_mask(image, slots, selection=selection)
    x = F.relu(dense.conv_and_mask(image * mask, mask, conv1.weight, conv1.bias, bias_on))
    assert ((x == 0).all(1, keepdim=True) & mask).any()  # the hard case is there
    x, mask = dense.max_pool(x, mask, (2, 2)), dense.pooled_mask(mask, (2, 2))
    x = F.relu(dense.conv_and_mask(x, mask, conv2.weight, conv2.bias, bias_on))
    x = dense.flatten(dense.avg_pool(x, (3, 2), 8))
    compare(image, nn.Sequential(*layers)(image), x, [*conv1.parameters(), *conv2.parameters()], rng)


def test_activations_leave_empty_slots_empty():
    rng = np.random.default_rng(9)
    image, mask, pixels = random_pixels(MASKS["sparse"], 2, rng)
    format = FixedPoint(3, 2, signed=True)
    for layer, plain in (
        (SparseReLU(), QuantReLU()),
        (SparseReLU(format), QuantReLU(format)),
        (SparseIdentity(format), QuantIdentity(format)),
        (SparseLeakyReLU(0.25), nn.LeakyReLU(0.25)),
        (SparseLeakyReLU(0.5, format), QuantLeakyReLU(0.5, format)),
    ):
        result = layer(pixels)
        assert result.coords is pixels.coords
        assert_empty_slots_are_zero(result)
        compare(image, result.to_dense(), plain(image * mask), [], rng)


def test_weights_and_biases_are_quantized():
    rng = np.random.default_rng(10)
    weight_format, bias_format = FixedPoint(4, 2), FixedPoint(6, 3, rounding="FLOOR")
    image, mask, pixels = random_pixels(MASKS["border"], 2, rng)
    for layer in (SparseConv2d(2, 3, 3, weight_format=weight_format, bias_format=bias_format),
                  QuantConv2d(2, 3, 3, weight_format=weight_format, bias_format=bias_format)):  # fmt: skip
        layer.double()
        weight = torch.tensor(weight_format.quantize(layer.weight.detach().numpy()).real)
        bias = torch.tensor(bias_format.quantize(layer.bias.detach().numpy()).real)
        expected = dense.conv_and_mask(image * mask, mask, weight, bias)
        found = layer(pixels).to_dense() if isinstance(layer, SparseConv2d) else layer(image * mask) * mask
        same(found, expected)
    linear = QuantLinear(4, 2, weight_format=weight_format).double()
    assert linear.bias_quantizer.fixed_point == weight_format
    x = integers(rng, 5, 4)
    weight, bias = (torch.tensor(weight_format.quantize(p.detach().numpy()).real) for p in linear.parameters())
    same(linear(x), x @ weight.T + bias)


def test_parameters_are_laid_out_as_those_of_torch():
    for ours, theirs in (
        (SparseConv2d(2, 3, (3, 5)), nn.Conv2d(2, 3, (3, 5))),
        (SparseConv2d(4, 6, 3, groups=2), nn.Conv2d(4, 6, 3, groups=2)),
        (QuantConv2d(2, 3, (3, 5)), nn.Conv2d(2, 3, (3, 5))),
        (QuantLinear(4, 2), nn.Linear(4, 2)),
    ):
        theirs.load_state_dict(ours.state_dict())
    assert SparseConv2d(1, 1, 3, bias=False, weight_format=FixedPoint(8, 3)).bias is None


def test_convolutions_on_the_same_pixels_share_one_table(monkeypatch):
    built = []
    build = sparsepix.pixels.sparse_pixels.kernel_map

    def counting(coords, spatial_shape, kernel_size):
        built.append(kernel_size)
        return build(coords, spatial_shape, kernel_size)

    monkeypatch.setattr(sparsepix.pixels.sparse_pixels, "kernel_map", counting)
    model = nn.Sequential(
        SparseInputReduce(6), SparseConv2d(1, 2, 3), SparseReLU(), SparseConv2d(2, 2, 3), SparseConv2d(2, 1, 5),
        SparseAvgPool2d(2), SparseConv2d(1, 1, 3),
    )  # fmt: skip
    model((torch.rand(4, 1, 9, 13) < 0.1).float()).features.sum().backward()
    assert built == [(3, 3), (5, 5), (3, 3)]
