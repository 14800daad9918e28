"""A model whose forward a test writes, and its export compared with torch."""

import numpy as np
import onnxruntime as ort
import torch
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
from random_networks import hard_images

FORMAT = sp.FixedPoint(6, 3)
SHAPE = (1, 5, 6)
FEATURES = 4


class Model(nn.Module):
    """``on_vector`` is applied to the vector [B, 4], ``on_pixels`` to features and pixels in front of it."""

    def __init__(self, on_vector=None, on_pixels=None, on_image=None):
        super().__init__()
        self.on_vector, self.on_pixels, self.on_image = on_vector, on_pixels, on_image
        self.image = sp.QuantIdentity(sp.FixedPoint(6, 3))
        self.reduce = sp.SparseInputReduce(5)
        self.conv = sp.SparseConv2d(1, 2, 3, weight_format=FORMAT)
        self.act = sp.SparseReLU(FORMAT)
        self.flatten = sp.SparseFlatten()
        self.dense = sp.QuantLinear(60, FEATURES, weight_format=FORMAT)
        self.requant = sp.QuantIdentity(FORMAT)
        self.constant = nn.Parameter(torch.arange(4.0))
        self.calls = 0

    def forward(self, x):
        if self.on_image is not None:
            x = self.on_image(self, x)
        pixels = self.act(self.conv(self.reduce(self.image(x))))
        if self.on_pixels is not None:
            pixels = self.on_pixels(self, pixels)
        x = self.requant(self.dense(self.flatten(pixels)))
        return x if self.on_vector is None else self.on_vector(self, x)


def built(**where):
    torch.manual_seed(3)
    model = Model(**where)
    with torch.no_grad():
        for parameter in (*model.conv.parameters(), *model.dense.parameters()):
            parameter.mul_(3)
    return model.eval()


def exported_and_equal(model, path):
    """Export; torch and ONNX Runtime give the same for several numbers of images."""
    exported = sp.export_onnx(model, path, SHAPE)
    images = hard_images(np.random.default_rng(5), SHAPE)
    session = ort.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    for count in (1, 2, 13, 24):
        with torch.no_grad():
            output = model(torch.from_numpy(images[:count]))
        expected = [output] if isinstance(output, torch.Tensor) else list(output)
        found = session.run(names, {"image": images[:count]})
        for one, other in zip(found, expected, strict=True):
            assert_array_equal(one, other.numpy())
    return exported
