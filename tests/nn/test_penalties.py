"""Penalties and EBOPS against plain counting."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn
from torch.nn import functional as F

import sparsepix as sp
from random_networks import hard_images

WEIGHTS = sp.FixedPoint(5, 2)
ACTIVATIONS = sp.FixedPoint(7, 2, signed=False)
IMAGE = sp.FixedPoint(6, 2)
LEARNED = sp.LearnedFixedPoint(8, initial_integer=3, learn_width=True)


class OwnModule(nn.Module):
    """Nested, with functional calls in between, two pools, a vector that is quantized again."""

    def __init__(self, weight_format=WEIGHTS, image_format=IMAGE, **options):
        super().__init__()
        self.image = sp.QuantIdentity(image_format)
        self.reduce = sp.SparseInputReduce(9, 0.25, **options)
        self.block = nn.Sequential(sp.SparseConv2d(2, 3, (3, 5), weight_format=weight_format), sp.SparseReLU())
        self.requant = sp.SparseIdentity(ACTIVATIONS)
        self.pool = sp.SparseMaxPool2d((2, 3))
        self.conv = sp.SparseConv2d(3, 2, 3, weight_format=weight_format)
        self.average = sp.SparseAvgPool2d((2, 1), format=sp.FixedPoint(9, 3))
        self.flatten = sp.SparseFlatten()
        self.dense = sp.QuantLinear(1 * 4 * 2, 4, weight_format=weight_format)
        self.activation = sp.QuantIdentity(ACTIVATIONS)
        self.last = sp.QuantLinear(4, 3, weight_format=weight_format)

    def forward(self, x):
        pixels = self.conv(self.pool(self.requant(self.block(self.reduce(self.image(x))))))
        x = F.dropout(self.flatten(self.average(pixels)), training=self.training) + 0.0
        return self.last(self.activation(F.relu(self.dense(x))))


@pytest.fixture
def images():
    return torch.from_numpy(hard_images(np.random.default_rng(0), (2, 5, 12)))


def pairs(coords, kernel):
    """Pairs of pixels (a pixel with itself too) of which one lies in the window around the other, mean of an image."""
    count = 0
    for image in coords.tolist():
        kept = [(row, column) for row, column in image if row >= 0]
        for row, column in kept:
            for other_row, other_column in kept:
                inside = abs(row - other_row) <= kernel[0] // 2 and abs(column - other_column) <= kernel[1] // 2
                count += inside
    return count / len(coords)


@pytest.mark.parametrize("training", [True, False])
def test_products_are_those_of_kept_pixels(images, training):
    torch.manual_seed(0)
    model = OwnModule().train(training)
    with torch.no_grad():
        first = model.reduce(model.image(images))
        second = model.pool(first)
        third = model.average(second)
    expected = {
        "block.0": (pairs(first.coords, (3, 5)) * 2 * 3, 5, 6),
        "conv": (pairs(second.coords, (3, 3)) * 3 * 2, 5, 7),
        "dense": (float(third.active.sum()) / len(images) * 2 * 4, 5, 9),
        "last": (4 * 3, 5, 7),
    }
    model(images)
    found = sp.ebops(model)
    assert [row.name for row in found.layers] == list(expected)
    for row in found.layers:
        products, weight_bits, activation_bits = expected[row.name]
        assert row.products == pytest.approx(products, rel=1e-6)
        assert (row.weight_bits, row.activation_bits) == (weight_bits, activation_bits)
        assert row.ebops == pytest.approx(products * weight_bits * activation_bits, rel=1e-6)
    assert float(found.total) == pytest.approx(sum(row.ebops for row in found.layers), rel=1e-6)
    assert found.table().row_count == 5
    # On given images, which leave the last forward alone.
    other = sp.ebops(model, images[:2].numpy())
    assert other.layers[0].products == pytest.approx(pairs(first.coords[:2], (3, 5)) * 2 * 3, rel=1e-6)
    assert sp.ebops(model).layers == found.layers


def test_standard_cnn_counts_the_whole_image():
    model = sp.models.digits(sparse=False)
    found = {row.name: row for row in sp.ebops(model, torch.zeros(1, 1, 48, 48)).layers}
    taps = F.conv2d(torch.ones(1, 1, 48, 48), torch.ones(1, 1, 7, 7), padding=3).sum()
    assert found["conv1"].products == 3 * taps
    assert found["dense1"].products == 16 * 16 * 3 * 24
    assert found["dense1"].activation_bits == 8
    odd = nn.Sequential(sp.QuantIdentity(IMAGE), sp.QuantConv2d(1, 1, (5, 9), weight_format=WEIGHTS))
    taps = F.conv2d(torch.ones(1, 1, 3, 4), torch.ones(1, 1, 5, 9), padding=(2, 4)).sum()
    assert sp.ebops(odd, torch.zeros(2, 1, 3, 4)).layers[0].products == taps


def test_empty_images_cost_nothing_sparse():
    found = sp.ebops(OwnModule(), torch.zeros(2, 2, 5, 12))
    assert [row.ebops for row in found.layers[:3]] == [0, 0, 0]
    assert found.total == 12 * 5 * 7


def test_ebops_have_a_gradient_to_every_width_and_to_the_selection(images):
    torch.manual_seed(0)
    model = OwnModule(LEARNED, learn_max_pixels=True, learn_threshold=True)
    with torch.no_grad():
        model.reduce.learned_max_pixels.share.fill_(0.7)
        for name, value in (("block.0", 0.75), ("conv", 0.5), ("dense", 0.3), ("last", 0.9)):
            model.get_submodule(name).weight_quantizer.learned.msb_clamp_bit_width_impl.share.fill_(value)
    model(images)
    found = sp.ebops(model)
    found.total.backward()
    assert [row.weight_bits for row in found.layers] == [6, 4, 2, 7]
    for row in found.layers:
        quantizer = model.get_submodule(row.name).weight_quantizer
        assert quantizer.fixed_point.width == row.weight_bits
        gradient = float(quantizer.learned.msb_clamp_bit_width_impl.share.grad)
        assert gradient == pytest.approx(8 * row.products * row.activation_bits, rel=1e-6)
        bias = model.get_submodule(row.name).bias_quantizer
        assert bias.fixed_point.width == 8
    assert model.reduce.learned_max_pixels.share.grad > 0
    assert model.reduce.learned_threshold.value.grad < 0


def test_gradient_of_pairs_is_what_dropping_a_pixel_saves(images):
    """To first order: the pairs of a pixel with others twice, as (i, j) and (j, i)."""
    model = nn.Sequential(sp.SparseInputReduce(9, 0.25, learn_max_pixels=True), sp.SparseConv2d(2, 1, 3))
    pixels = model[0](images)
    model[1](pixels)
    (gradient,) = torch.autograd.grad(model[1].products(), pixels.presence)
    for image in (1, 5, 6):
        everything = pairs(pixels.coords[[image]], (3, 3))
        for slot in range(9):
            without = pixels.coords[[image]].clone()
            without[0, slot] = -1
            saved = everything - pairs(without, (3, 3))
            # The pixel's pair with itself is in the gradient twice.
            expected = saved + 1 if pixels.active[image, slot] else 0
            assert gradient[image, slot] == pytest.approx(2 * expected / len(images))


def test_only_the_last_pixel_of_a_cell_takes_the_cell_along():
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, [0, 1, 3], [0, 1, 3]] = 1.0  # two in the first cell, one in the last
    pixels = sp.SparseInputReduce(4, learn_max_pixels=True)(image)
    for pool in (sp.SparseMaxPool2d(2), sp.SparseAvgPool2d(2)):
        pooled = pool(pixels)
        assert_array_equal(pooled.presence.detach().numpy(), pooled.active.float().numpy())
        (gradient,) = torch.autograd.grad(pooled.presence.sum(), pixels.presence, retain_graph=True)
        assert gradient.tolist() == [[0, 0, 1, 0]]
        assert pool(pixels.replace(pixels.features * 2)).presence is not None
    # A partial last window goes nowhere.
    image[0, 0, 3, 3], image[0, 0, 3, 0] = 0.0, 1.0
    pooled = sp.SparseMaxPool2d((3, 2))(sp.SparseInputReduce(4, learn_max_pixels=True)(image))
    assert_array_equal(pooled.presence.detach().numpy(), pooled.active.float().numpy())
    assert sp.SparseMaxPool2d(2)(sp.SparseInputReduce(4)(image)).presence is None


@pytest.mark.parametrize("selection", ["raster", "magnitude"])
def test_masked_intensity_is_what_the_list_leaves_out(images, selection):
    model = nn.Sequential(sp.SparseInputReduce(5, 0.3, selection=selection, learn_threshold=True))
    kept = model(images).to_dense()
    everything, kept = (x.detach().abs().sum((1, 2, 3)).numpy() for x in (images, kept))
    shares = 1 - np.divide(kept, everything, out=np.ones_like(kept), where=everything > 0)
    assert 0 < shares.min() + shares.max() < 2
    assert float(sp.penalties(model)["masked_intensity"].detach()) == pytest.approx(shares.mean(), abs=1e-6)


def test_names_are_those_that_apply(images):
    plain = OwnModule()
    plain(images)
    assert set(sp.penalties(plain)) == {"ebops"}
    floating = sp.models.digits(bits=None)
    assert sp.penalties(floating) == {}
    model = sp.models.digits(10, learn_max_pixels=True, learn_threshold=True, learn_bits=True)
    compiled = torch.compile(model, backend="eager")
    compiled(torch.rand(4, 1, 48, 48))
    found = sp.penalties(compiled)
    assert set(found) == {"budget", "masked_intensity", "ebops"}
    for value in found.values():
        assert value.shape == ()
        assert value.dtype == torch.float32
        assert value.requires_grad
    assert set(sp.penalties(compiled, ["budget"])) == {"budget"}
    assert set(sp.penalties(compiled, ["masked_intensity", "ebops"])) == {"masked_intensity", "ebops"}
    with pytest.raises(sp.SparsePixError, match="expected names of budget, masked_intensity, ebops, found bits"):
        sp.penalties(compiled, ["budget", "bits"])
    model.double()(torch.rand(4, 1, 48, 48).double())
    assert {value.dtype for value in sp.penalties(model).values()} == {torch.float64}


def test_penalties_shrink_budget_and_widths():
    torch.manual_seed(0)
    model = sp.models.digits(20, learn_max_pixels=True, learn_bits=True)
    images = torch.from_numpy(sp.datasets.digits().train.images[:32])
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    before = None
    for _ in range(30):
        optimizer.zero_grad()
        model(images)
        found = sp.penalties(model)
        before = before or {name: float(value.detach()) for name, value in found.items()}
        (found["budget"] + 1e-5 * found["ebops"]).backward()
        optimizer.step()
    model(images)
    after = sp.penalties(model)
    assert model.reduce.max_pixels < 14
    assert after["budget"] < 0.7 * before["budget"]
    assert after["ebops"] < 0.3 * before["ebops"]
    for layer in (model.conv1, model.dense1, model.dense2):
        assert 2 <= layer.weight_quantizer.fixed_point.width < 8


def test_what_cannot_be_counted_is_refused(images):
    with pytest.raises(sp.SparsePixError, match="not run in training mode"):
        sp.penalties(sp.models.digits(learn_max_pixels=True))
    with pytest.raises(sp.SparsePixError, match="conv1 has seen no images yet"):
        sp.ebops(sp.models.digits())
    with pytest.raises(sp.SparsePixError, match="shape of the image is not known"):
        sp.ebops(OwnModule())
    with pytest.raises(sp.SparsePixError) as error:
        sp.ebops(OwnModule(weight_format=None, image_format=None), images)
    for part in ("block.0: its weights", "block.0: its input", "conv: its weights", "last: its weights"):
        assert part in str(error.value)
    with pytest.raises(sp.SparsePixError, match="no convolution and no dense layer"):
        sp.ebops(nn.Sequential(sp.QuantIdentity(LEARNED)), images)
