"""The layers under torch.compile give what they give without it."""

import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from sparsepix.nn.activations import SparseLeakyReLU, SparseReLU
from sparsepix.nn.joins import concat
from sparsepix.nn.quant_linear import QuantLinear
from sparsepix.nn.sparse_avg_pool2d import SparseAvgPool2d
from sparsepix.nn.sparse_conv2d import SparseConv2d
from sparsepix.nn.sparse_flatten import SparseFlatten
from sparsepix.nn.sparse_global_avg_pool2d import SparseGlobalAvgPool2d
from sparsepix.nn.sparse_global_max_pool2d import SparseGlobalMaxPool2d
from sparsepix.nn.sparse_input_reduce import SparseInputReduce
from sparsepix.nn.sparse_max_pool2d import SparseMaxPool2d
from sparsepix.pixels.sparse_pixels import SparsePixels
from sparsepix_ops.fixed_point import FixedPoint


def same(found, expected):
    assert_array_equal(found.detach().numpy(), expected.detach().numpy())


def small_model(format):
    return nn.Sequential(
        SparseInputReduce(6, selection="magnitude"),
        Skip(format),
        SparseConv2d(2, 2, 3, weight_format=format),
        SparseReLU(format),
        SparseConv2d(2, 2, 3, bias_on="nonzero", weight_format=format),
        SparseMaxPool2d(2, over="cell"),
        SparseConv2d(2, 3, (1, 3), weight_format=format),
        SparseAvgPool2d((2, 1), format=format),
        SparseFlatten(),
        QuantLinear(36, 2, weight_format=format),
    )


@pytest.fixture(autouse=True)
def nothing_compiled_before():
    """Sizes that changed in other tests would be symbols here."""
    torch._dynamo.reset()


class GlobalPools(nn.Module):
    """Average and maximum over the image, side by side."""

    def __init__(self, format):
        super().__init__()
        self.average, self.maximum = SparseGlobalAvgPool2d(8, format), SparseGlobalMaxPool2d("cell")

    def forward(self, pixels):
        return torch.cat([self.average(pixels), self.maximum(pixels)], dim=1)


class Skip(nn.Module):
    """A convolution with a skip connection."""

    def __init__(self, format):
        super().__init__()
        self.conv, self.act = SparseConv2d(1, 1, 3, weight_format=format), SparseReLU(format)

    def forward(self, pixels):
        return concat([pixels, self.act(self.conv(pixels) + pixels)])


def small_images(dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(4, 1, 9, 13, generator=generator) * (torch.rand(4, 1, 9, 13, generator=generator) < 0.1)
    return (image * 4).round().to(dtype).div(4)


def run(f, model, image):
    """Output and gradients of one training pass."""
    model.zero_grad()
    x = image.clone().requires_grad_()
    y = f(x)
    y.sum().backward()
    return [y, x.grad, *[parameter.grad.clone() for parameter in model.parameters()]]


def test_compiled_global_pools():
    torch.manual_seed(1)
    format = FixedPoint(8, 3)
    model = nn.Sequential(SparseInputReduce(6), SparseConv2d(1, 2, 3, weight_format=format), GlobalPools(format))
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    image = small_images()
    for found, expected in zip(run(compiled, model, image), run(model, model, image), strict=True):
        same(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_models_give_the_same(dtype):
    torch.manual_seed(1)
    model = small_model(FixedPoint(8, 3)).to(dtype)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    image = small_images(dtype)
    eager, traced = run(model, model, image), run(compiled, model, image)
    assert traced[0].dtype == dtype
    for found, expected in zip(traced, eager, strict=True):
        same(found, expected)
    with torch.no_grad():
        same(compiled.eval()(image), eager[0])


@pytest.mark.slow
@pytest.mark.gxx
def test_the_inductor_gives_the_same():
    """It may add up in another order: outputs are exact in any order, gradients are rounded real numbers."""
    torch.manual_seed(1)
    format = FixedPoint(8, 3)
    model = nn.Sequential(
        SparseInputReduce(6), SparseConv2d(1, 2, 3, weight_format=format), SparseReLU(format), SparseFlatten()
    )
    image = small_images()
    eager, traced = run(model, model, image), run(torch.compile(model, fullgraph=True), model, image)
    same(traced[0], eager[0])
    for found, expected in zip(traced, eager, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("training", [True, False])
def test_grouped_strided_and_normalized_convolutions(training):
    torch.manual_seed(2)
    model = nn.Sequential(
        SparseInputReduce(6), SparseConv2d(1, 4, 3, batch_norm=True, weight_format=FixedPoint(8, 3)),
        SparseLeakyReLU(0.25), SparseConv2d(4, 2, 3, groups=2, stride=(2, 1)), SparseFlatten(),
    ).train(training)  # fmt: skip
    image = small_images()
    eager = run(model, model, image)
    traced = run(torch.compile(model, backend="aot_eager", fullgraph=True), model, image)
    for found, expected in zip(traced, eager, strict=True):
        torch.testing.assert_close(found, expected)


def test_pixels_go_into_and_out_of_a_compiled_module():
    pixels = SparseInputReduce(6)(small_images())
    layer = SparseConv2d(1, 2, 3)
    result = torch.compile(layer, backend="aot_eager", fullgraph=True)(pixels)
    assert isinstance(result, SparsePixels)
    assert result.spatial_shape == (9, 13)
    same(result.features, layer(pixels).features)


def test_global_average_of_images_of_several_sizes():
    """From the second size on torch.compile has symbols for height and width; the reciprocal needs numbers."""
    model = nn.Sequential(SparseInputReduce(4), SparseGlobalAvgPool2d(8, FixedPoint(8, 3)))
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    for side in (9, 11, 13):
        image = torch.rand(2, 1, side, side)
        assert_array_equal(compiled(image), model(image))
