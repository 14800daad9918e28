"""Models of many pixels: nothing grows with their pairs, and files whose ops compared all pairs mean the same."""

from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
import onnxruntime as ort
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
from sparsepix_hls.frontend.reader import read_model
from sparsepix_ops import reference
from sparsepix_ops.op import DOMAIN

WEIGHTS, FEATURES = sp.FixedPoint(6, 1), sp.FixedPoint(6, 2, signed=False)


class UNet(nn.Module):
    """Every op that once compared all pairs of slots."""

    def __init__(self, max_pixels):
        super().__init__()
        self.quantizer = sp.QuantIdentity(sp.FixedPoint(6, 1, signed=False))
        self.reduce = sp.SparseInputReduce(max_pixels, 0.0)
        self.conv = sp.SparseConv2d(1, 3, (3, 5), weight_format=WEIGHTS)
        self.relu = sp.SparseReLU(FEATURES)
        self.down = sp.SparseConv2d(3, 3, 3, stride=2, groups=3, weight_format=WEIGHTS)
        self.down_relu = sp.SparseReLU(FEATURES)
        self.up = sp.SparseUnpool2d(2)
        self.largest = sp.SparseMaxPool2d((4, 8), over="cell")
        self.mean = sp.SparseAvgPool2d((8, 8), reciprocal_bits=8, format=FEATURES)
        self.flatten = sp.SparseFlatten()

    def forward(self, image):
        fine = self.relu(self.conv(self.reduce(self.quantizer(image))))
        joined = fine + self.up(self.down_relu(self.down(fine)), fine)
        return self.flatten(self.mean(self.largest(joined)))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A function (max_pixels, height, width, density) -> file, images of which some keep all slots, and results."""

    def make(max_pixels, height, width, density):
        rng = np.random.default_rng(max_pixels)
        torch.manual_seed(0)
        model = UNet(max_pixels).eval()
        path = tmp_path_factory.mktemp("model") / "net.onnx"
        sp.export_onnx(model, path, (1, height, width))
        images = rng.random((3, 1, height, width), dtype=np.float32)
        images *= rng.random(images.shape) < density * np.array([0.3, 1, 2]).reshape(3, 1, 1, 1)
        with torch.no_grad():
            return path, images, model(torch.from_numpy(images)).numpy()

    return make


def test_nothing_grows_with_the_pairs(exported):
    """1,000 pixels of 256 x 512: no value inside of the ops has as many elements as there are pairs."""
    pixels, height, width = 1000, 256, 512
    path, images, expected = exported(pixels, height, width, pixels / (height * width))
    assert expected.any()
    file = onnx.load(path)
    assert_array_equal(reference.run(file, images).real, expected)
    plain = onnx.inliner.inline_local_functions(file)
    results = [output.name for output in plain.graph.output]
    plain.graph.output.extend(onnx.ValueInfoProto(name=name) for node in plain.graph.node for name in node.output)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(plain.SerializeToString(), options)
    names = list(dict.fromkeys(output.name for output in session.get_outputs()))
    one = images[2:]
    values = dict(zip(names, session.run(names, {session.get_inputs()[0].name: one}), strict=True))
    assert_array_equal(values[results[0]], expected[2:])
    assert len(values) > 300
    sizes = {name: value.size for name, value in values.items()}
    largest = max(sizes, key=sizes.get)
    assert height * width <= sizes[largest] < pixels * pixels / 4, largest


def test_bodies_that_compared_all_pairs(exported):
    """Files of earlier versions: read as they are, and ONNX Runtime computes the same by their bodies."""
    path, images, expected = exported(40, 40, 64, 0.02)
    model = onnx.load(path)
    texts = (Path(__file__).parent / "earlier_bodies.txt").read_text().split("\n\n")
    earlier = {function.name: function for function in map(onnx.parser.parse_function, texts)}
    replaced = [function for function in model.functions if function.domain == DOMAIN and function.name in earlier]
    assert len(replaced) == len(earlier) == 6
    for function in replaced:
        assert function != earlier[function.name]
        function.CopyFrom(earlier[function.name])
    onnx.save(model, path)
    assert read_model(path).graph.outputs
    session = ort.InferenceSession(path)
    assert_array_equal(session.run(None, {session.get_inputs()[0].name: images})[0], expected)
