"""Sums and concatenations of branches, and global pools, against the same on dense images: values and gradients."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import dense
from sparse_layers import MASKS, assert_empty_slots_are_zero, compare, integer_conv, random_pixels, same
from sparsepix.nn.activations import QuantIdentity
from sparsepix.nn.joins import add, concat
from sparsepix.nn.sparse_conv2d import SparseConv2d
from sparsepix.nn.sparse_global_avg_pool2d import SparseGlobalAvgPool2d
from sparsepix.nn.sparse_global_max_pool2d import SparseGlobalMaxPool2d
from sparsepix_ops.fixed_point import FixedPoint


@pytest.mark.parametrize("name", MASKS)
def test_sums_of_branches(name):
    rng = np.random.default_rng(11)
    image, mask, pixels = random_pixels(MASKS[name], 2, rng)
    conv = integer_conv(SparseConv2d(2, 2, 3), rng)
    result = conv(pixels) + pixels
    assert result.coords is pixels.coords
    assert_empty_slots_are_zero(result)
    expected = dense.conv_and_mask(image * mask, mask, conv.weight, conv.bias) + image * mask
    compare(image, result.to_dense(), expected, list(conv.parameters()), rng)
    same(add(pixels, pixels).features, 2 * pixels.features)


@pytest.mark.parametrize("name", MASKS)
def test_channels_of_branches_side_by_side(name):
    rng = np.random.default_rng(12)
    image, mask, pixels = random_pixels(MASKS[name], 2, rng)
    conv = integer_conv(SparseConv2d(2, 3, 3), rng)
    result = concat([pixels, conv(pixels), pixels])
    assert result.coords is pixels.coords
    assert_empty_slots_are_zero(result)
    beside = dense.conv_and_mask(image * mask, mask, conv.weight, conv.bias)
    expected = torch.cat([image * mask, beside, image * mask], dim=1)
    compare(image, result.to_dense(), expected, list(conv.parameters()), rng)
    same(concat([pixels]).features, pixels.features)


@pytest.mark.parametrize("name", MASKS)
def test_global_pools(name):
    rng = np.random.default_rng(13)
    image, mask, pixels = random_pixels(MASKS[name], 3, rng)
    window = MASKS[name].shape
    for bits in (16, 4):
        expected = dense.avg_pool(image * mask, window, bits).flatten(1)
        compare(image, SparseGlobalAvgPool2d(bits)(pixels), expected, [], rng)
    plain = F.adaptive_avg_pool2d(image * mask, 1).flatten(1)
    torch.testing.assert_close(SparseGlobalAvgPool2d(None)(pixels), plain, rtol=1e-14, atol=0)
    format = FixedPoint(4, 2)
    same(
        SparseGlobalAvgPool2d(16, format)(pixels),
        QuantIdentity(format)(dense.avg_pool(image * mask, window).flatten(1)),
    )
    for over in ("active", "cell"):
        expected = dense.max_pool(image * mask, mask, window, over).flatten(1)
        compare(image, SparseGlobalMaxPool2d(over)(pixels), expected, [], rng)
