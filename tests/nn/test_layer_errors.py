"""Wrong arguments and inputs of layers are refused with a message that says what to do."""

import math

import pytest
import torch

from sparsepix.nn.activations import QuantLeakyReLU, SparseLeakyReLU
from sparsepix.nn.joins import add, concat
from sparsepix.nn.quant_conv2d import QuantConv2d
from sparsepix.nn.quant_linear import QuantLinear
from sparsepix.nn.sparse_avg_pool2d import SparseAvgPool2d
from sparsepix.nn.sparse_conv2d import SparseConv2d
from sparsepix.nn.sparse_global_avg_pool2d import SparseGlobalAvgPool2d
from sparsepix.nn.sparse_global_max_pool2d import SparseGlobalMaxPool2d
from sparsepix.nn.sparse_input_reduce import SparseInputReduce
from sparsepix.nn.sparse_max_pool2d import SparseMaxPool2d
from sparsepix.pixels.sparse_pixels import SparsePixels
from sparsepix_ops.errors import SparsePixError

IMAGE = torch.zeros(1, 1, 4, 5)


def pixels():
    return SparseInputReduce(2)(IMAGE)


def two_widths():
    """Features of 1 and of 3 channels on the same pixels."""
    narrow = pixels()
    return narrow, narrow.replace(torch.zeros(1, 2, 3))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SparseConv2d(1, 1, 4), r"SparseConv2d: kernel_size must be odd.*found 4; take \(5, 5\)"),
        (lambda: SparseConv2d(1, 1, (3, 2)), r"SparseConv2d: kernel_size must be odd"),
        (lambda: QuantConv2d(1, 1, 2), "QuantConv2d: kernel_size must be odd"),
        (lambda: SparseConv2d(1, 1, 3.5), "SparseConv2d: kernel_size must be an int"),
        (lambda: SparseConv2d(1, 1, (3, 3, 3)), "SparseConv2d: kernel_size must be an int >= 1 or a pair"),
        (lambda: SparseConv2d(0, 1, 3), "SparseConv2d: in_channels must be an int >= 1, found 0"),
        (lambda: SparseConv2d(4, 6, 3, groups=4), "SparseConv2d: groups must .*divide.*found groups = 4, in"),
        (lambda: SparseConv2d(1, 1, 3, groups=0), "SparseConv2d: groups must be an int >= 1, found 0"),
        (lambda: SparseConv2d(1, 1, 3, stride=0), "SparseConv2d: stride must be an int >= 1 or a pair"),
        (lambda: SparseConv2d(1, 1, 3, stride=2, bias_on="nonzero"), "bias_on='nonzero' needs stride 1, found 2"),
        (lambda: SparseConv2d(1, 1, 3, bias_on="all"), "SparseConv2d: bias_on must be one of .*found 'all'"),
        (lambda: SparseMaxPool2d(2, over="all"), "SparseMaxPool2d: over must be one of"),
        (lambda: SparseMaxPool2d(0), "SparseMaxPool2d: kernel_size must be an int >= 1"),
        (lambda: SparseAvgPool2d(2, reciprocal_bits=99), "SparseAvgPool2d: reciprocal_bits must be 2 ... 24"),
        (lambda: SparseLeakyReLU(0.01), r"SparseLeakyReLU: negative_slope must be .*nearest is 0.0078125 \(2\*\*-7\)"),
        (lambda: QuantLeakyReLU(1.0), "QuantLeakyReLU: negative_slope .*found 1.0; the nearest is 0.5"),
        (lambda: QuantLeakyReLU(-0.5), "found -0.5; the nearest is 1.52587890625e-05"),
        (lambda: QuantLeakyReLU(math.nan), "found nan"),
        (lambda: SparseGlobalAvgPool2d(1), "SparseGlobalAvgPool2d: reciprocal_bits must be 2 ... 24, found 1"),
        (lambda: SparseGlobalAvgPool2d(2.5), "SparseGlobalAvgPool2d: reciprocal_bits must be an int"),
        (lambda: SparseGlobalMaxPool2d("all"), "SparseGlobalMaxPool2d: over must be one of"),
        (lambda: SparseInputReduce(0), "SparseInputReduce: max_pixels must be an int >= 1, found 0"),
        (lambda: SparseInputReduce(1, math.nan), "SparseInputReduce: threshold must be finite"),
        (lambda: SparseInputReduce(1, 1e39), "SparseInputReduce: threshold must be finite"),
        (lambda: SparseInputReduce(1, activity="all"), "SparseInputReduce: activity must be one of"),
        (lambda: SparseInputReduce(1, selection="best"), "SparseInputReduce: selection must be one of"),
        (lambda: SparseInputReduce(21)(IMAGE), "SparseInputReduce: max_pixels must not exceed the 20 pixels.*21"),
        (lambda: SparseInputReduce(2)(IMAGE[0]), r"SparseInputReduce: expected a batch of images.*found \(1, 4, 5\)"),
        (lambda: SparseInputReduce(2)(IMAGE.int()), "SparseInputReduce: expected float32 or float64.*int32"),
        (lambda: SparseInputReduce(2)(IMAGE.numpy()), "SparseInputReduce: expected a batch .*found ndarray"),
        (lambda: QuantConv2d(1, 1, 3)(IMAGE[0]), "QuantConv2d: expected a batch of images"),
        (lambda: SparseConv2d(3, 1, 3)(SparseInputReduce(2)(IMAGE)), "SparseConv2d: expected .* 3 channels, found 1"),
        (lambda: QuantConv2d(3, 1, 3)(IMAGE), "QuantConv2d: expected an input of 3 channels, found 1"),
        (lambda: QuantLinear(3, 1)(torch.zeros(1, 4)), "QuantLinear: expected an input of 3 channels, found 4"),
        (lambda: SparseAvgPool2d(5)(SparseInputReduce(2)(IMAGE)), r"SparseAvgPool2d: the window \(5, 5\)"),
        (lambda: SparseMaxPool2d(5)(SparseInputReduce(2)(IMAGE)), r"SparseMaxPool2d: the window \(5, 5\)"),
        (lambda: SparsePixels(IMAGE, torch.zeros(1, 2, 2).long(), (4, 5)), "SparsePixels: features"),
        (lambda: SparsePixels(IMAGE[0], torch.zeros(1, 5, 2).long(), (4, 5)), r"found \(1, 5, 2\)"),
        (lambda: SparsePixels(IMAGE[0], torch.zeros(1, 4, 2), (4, 5)), "SparsePixels: coords must be integers"),
        (lambda: SparsePixels(IMAGE[0], torch.zeros(1, 4, 2).long(), (4, 0)), "SparsePixels: spatial_shape"),
        (lambda: pixels() + pixels(), r"add: expected operands on the same list of pixels.*\(4, 5\)"),
        (lambda: pixels() + SparseMaxPool2d(2)(pixels()), r"add: .*the same list.*\(4, 5\) and \(2, 2\)"),
        (lambda: add(pixels(), IMAGE), "add: expected SparsePixels, found Tensor"),
        (lambda: concat([pixels(), pixels()]), r"concat: expected operands on the same list of pixels"),
        (lambda: concat([]), "concat: expected one operand or more"),
        (lambda: add(*two_widths()), "add: expected operands of the same channels, found 1 and 3"),
    ],
)  # fmt: skip
def test_wrong_use_is_refused(build, message):
    with pytest.raises(SparsePixError, match=message):
        build()
