"""Small networks that hold every layer together, for tests of how layers run."""

import torch
from torch import nn

import sparsepix as sp

SHAPE = (1, 6, 7)
FORMAT = sp.FixedPoint(8, 3)
LEARNED = sp.LearnedFixedPoint(8, initial_integer=3, learn_width=True)


class Joined(nn.Module):
    """A skip connection and branches side by side."""

    def __init__(self):
        super().__init__()
        self.conv = sp.SparseConv2d(1, 1, 3, weight_format=FORMAT)
        self.average, self.maximum = sp.SparseGlobalAvgPool2d(8, FORMAT), sp.SparseGlobalMaxPool2d()

    def forward(self, pixels):
        pixels = sp.concat([pixels, self.conv(pixels) + pixels])
        return torch.cat([self.average(pixels), self.maximum(pixels)], dim=1)


def stacks():
    """By what they are there for: networks of images [B, 1, 6, 7]."""
    torch.manual_seed(0)
    return {
        "convolution": nn.Sequential(
            sp.QuantIdentity(FORMAT), sp.SparseInputReduce(5), sp.SparseConv2d(1, 2, 3, weight_format=FORMAT),
            sp.SparseReLU(FORMAT), sp.SparseAvgPool2d(2, 8, FORMAT), sp.SparseFlatten(),
            sp.QuantLinear(18, 3, weight_format=FORMAT), nn.Softmax(dim=1),
        ),
        "batch norm": nn.Sequential(
            sp.SparseInputReduce(5, activity="sum", selection="magnitude"),
            sp.SparseConv2d(1, 2, 3, weight_format=FORMAT, batch_norm=True), sp.SparseFlatten(),
            sp.QuantLinear(84, 3, weight_format=FORMAT, batch_norm=True), sp.QuantReLU(FORMAT),
        ),
        "learned formats": nn.Sequential(
            sp.QuantIdentity(FORMAT), sp.SparseInputReduce(5, activity="any"),
            sp.SparseConv2d(1, 2, 3, bias_on="nonzero", weight_format=LEARNED), sp.SparseReLU(LEARNED),
            sp.SparseFlatten(), sp.QuantLinear(84, 3, weight_format=LEARNED), sp.QuantLeakyReLU(0.5, LEARNED),
        ),
        "groups and strides": nn.Sequential(
            sp.SparseInputReduce(5), sp.SparseConv2d(1, 4, 3, weight_format=FORMAT, stride=(2, 1)),
            sp.SparseConv2d(4, 4, 3, groups=4, weight_format=FORMAT), sp.SparseBatchNorm2d(4),
            sp.SparseLeakyReLU(0.25), sp.SparseMaxPool2d((1, 2), "cell"), sp.SparseIdentity(FORMAT),
            sp.SparseGlobalMaxPool2d("cell"), sp.QuantIdentity(FORMAT),
        ),
        "learned selection": nn.Sequential(
            sp.SparseInputReduce(5, learn_max_pixels=True, learn_threshold=True),
            sp.SparseConv2d(1, 2, 3), sp.SparseMaxPool2d(2), sp.SparseFlatten(), sp.QuantLinear(18, 2),
        ),
        "joined": nn.Sequential(sp.QuantIdentity(FORMAT), sp.SparseInputReduce(6), Joined()),
        "dense": nn.Sequential(
            sp.QuantConv2d(1, 2, 3, weight_format=FORMAT, batch_norm=True), sp.QuantReLU(FORMAT), nn.AvgPool2d(2),
            nn.Flatten(), sp.QuantLinear(18, 3, weight_format=FORMAT),
        ),
    }  # fmt: skip


NAMES = list(stacks())


def some_images(count, shape=SHAPE, seed=1):
    """Images [count, *shape] with a third of their pixels."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(count, *shape, generator=generator)
    return pixels * (torch.rand(count, *shape, generator=generator) < 0.3)
