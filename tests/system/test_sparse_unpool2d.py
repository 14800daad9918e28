"""SparseUnpool2d in every implementation: torch, ONNX Runtime, integers, both builds of the C++, RTL."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import sparsepix as sp
from random_networks import exported_and_checked
from sparsepix.pixels.sparse_pixels import SparsePixels
from sparsepix_hls import LayerOptions, Options, translate
from sparsepix_hls.cli.main import main
from sparsepix_ops import FixedArray, reference
from sparsepix_ops.ops.sparse_unpool2d import OP

IMAGE, WEIGHT, SUM = sp.FixedPoint(6, 2), sp.FixedPoint(5, 1), sp.FixedPoint(7, 3)
SHAPE, SLOTS = (2, 7, 10), 6


def unpooled(coarse, coords, fine, kernel):
    """The plain definition: features [B, N, C] of the cell of each fine pixel."""
    found = np.zeros((*fine.shape[:2], coarse.shape[2]), coarse.dtype)
    for event, slot in np.argwhere(fine[:, :, 0] >= 0):
        cell = fine[event, slot] // kernel
        for other in np.flatnonzero((coords[event] == cell).all(axis=1)):
            found[event, slot] = coarse[event, other]
    return found


def some_pixels(rng, batch, slots, channels, shape, filled):
    """Sparse pixels in any order, some slots empty; features of both signs."""
    coords = np.full((batch, slots, 2), -1)
    for event in range(batch):
        count = min(int(rng.binomial(slots, filled)), shape[0] * shape[1])
        places = rng.choice(shape[0] * shape[1], count, replace=False)
        coords[event, np.sort(rng.choice(slots, count, replace=False))] = np.stack(np.unravel_index(places, shape), 1)
    features = rng.integers(-8, 8, (batch, slots, channels)) * (coords[:, :, :1] >= 0)
    return SparsePixels(torch.tensor(features / 4.0), torch.tensor(coords), shape)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    slots=st.integers(1, 12),
    channels=st.integers(1, 3),
    filled=st.sampled_from([0.0, 0.3, 1.0]),
    strided=st.booleans(),
)
def test_torch_body_and_reference_equal_the_definition(seed, shape, kernel, slots, channels, filled, strided):
    kernel = tuple(min(k, s) for k, s in zip(kernel, shape, strict=True))
    pixels = some_pixels(np.random.default_rng(seed), 3, slots, channels, shape, filled)
    if strided:
        grid = tuple(-(-s // k) for s, k in zip(shape, kernel, strict=True))
        coarse = some_pixels(np.random.default_rng(seed + 1), 3, slots, channels, grid, filled)
    else:
        coarse = sp.SparseMaxPool2d(kernel)(pixels)
    found = sp.SparseUnpool2d(kernel)(coarse, pixels)
    assert found.coords is pixels.coords
    arrays = coarse.features.numpy(), coarse.coords.numpy(), pixels.coords.numpy()
    expected = unpooled(*arrays, kernel)
    np.testing.assert_array_equal(found.features.numpy(), expected)
    attributes = {"kernel_shape": kernel, "spatial_shape": shape}
    (raw,) = OP.reference([FixedArray((arrays[0] * 4).astype(np.int64), -2), *arrays[1:]], attributes)
    np.testing.assert_array_equal(raw.real, expected)
    names = [onnx.helper.make_tensor_value_info(n, t, None) for n, t in zip(OP.inputs, (1, 7, 7), strict=True)]
    node = onnx.helper.make_node(OP.name, OP.inputs, OP.outputs, domain=OP.domain, **attributes)
    output = onnx.helper.make_tensor_value_info(OP.outputs[0], 1, None)
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid(OP.domain, 1)]
    graph = onnx.helper.make_graph([node], "unpool", names, [output])
    model = onnx.helper.make_model(graph, opset_imports=opsets, functions=[OP.function()], ir_version=10)
    feed = dict(zip(OP.inputs, (arrays[0].astype(np.float32), *arrays[1:]), strict=True))
    np.testing.assert_array_equal(ort.InferenceSession(model.SerializeToString()).run(None, feed)[0], expected)


def test_gradient():
    pixels = some_pixels(np.random.default_rng(2), 2, 6, 2, (5, 6), 0.8)
    unpool = sp.SparseUnpool2d((2, 3))
    coarse = sp.SparseAvgPool2d((2, 3), reciprocal_bits=None)(pixels)

    def function(features):
        return unpool(coarse.replace(features), pixels).features

    assert torch.autograd.gradcheck(function, coarse.features.clone().requires_grad_())


class UNet(nn.Module):
    """Down by a pool and by a stride, up again, with skips; every cell of both ways back is used."""

    input_shape = SHAPE

    def __init__(self):
        super().__init__()
        self.image, self.reduce = sp.QuantIdentity(IMAGE), sp.SparseInputReduce(SLOTS, activity="any")
        self.conv1, self.act1 = sp.SparseConv2d(2, 2, 3, weight_format=WEIGHT), sp.SparseIdentity(SUM)
        self.pool, self.down = sp.SparseMaxPool2d((2, 3)), sp.SparseConv2d(2, 3, 3, stride=2, weight_format=WEIGHT)
        self.act2, self.up2 = sp.SparseLeakyReLU(0.25, SUM), sp.SparseUnpool2d(2)
        self.conv3, self.act3 = sp.SparseConv2d(5, 2, 3, weight_format=WEIGHT), sp.SparseIdentity(SUM)
        self.up3, self.conv4 = sp.SparseUnpool2d((2, 3)), sp.SparseConv2d(2, 2, 1, weight_format=WEIGHT)
        self.act4 = sp.SparseReLU(sp.FixedPoint(6, 2, signed=False))
        self.flatten, self.last = sp.SparseFlatten(), sp.QuantLinear(140, 3, weight_format=WEIGHT)

    def forward(self, image):
        fine = self.act1(self.conv1(self.reduce(self.image(image))))
        middle = self.pool(fine)
        coarse = self.act2(self.down(middle))
        middle = self.act3(self.conv3(sp.concat([middle, self.up2(coarse, middle)])))
        fine = self.act4(self.conv4(self.up3(middle, fine) + fine))
        return self.last(self.flatten(fine))


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    """The file, images, and the exact results."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("unet") / "unet.onnx"
    images, results = exported_and_checked(UNet(), SHAPE, 5, path)
    assert np.abs(results).max() > 0
    return path, images, results


DESIGNS = {
    "default": Options(),
    "reused": Options(reuse_factor=4, conv="gather", flatten="lookup"),
    "one by one": Options(reuse_factor=SLOTS, conv="pairs", flatten="scatter"),
    "stream": Options(io="stream", reduce="stream", reuse_factor=2),
    "interval": Options(target_interval=20),
}


@pytest.mark.gxx
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("build", ["native", "ap_fixed"])
def test_firmware(unet, tmp_path, design, build):
    path, images, results = unet
    project = translate(path, tmp_path / "hls", options=DESIGNS[design])
    project.compile(build)
    np.testing.assert_array_equal(project.predict(images), results)


@pytest.mark.slow
@pytest.mark.verilator
@pytest.mark.parametrize("design", ["default", "reused", "stream"])
def test_rtl(unet, tmp_path, design):
    """Simulated, also with stalls and resets, against the testbench; and event by event."""
    path, images, results = unet
    project = translate(path, tmp_path / "rtl", options=DESIGNS[design], backend="rtl")
    project.compile()
    assert project.simulate().mismatches == 0
    np.testing.assert_array_equal(project.predict(images), results)


@pytest.mark.gxx
def test_reuse_of_the_layer_alone(unet, tmp_path):
    path, images, results = unet
    options = Options(layers={"up3": LayerOptions(reuse_factor=5)})
    project = translate(path, tmp_path / "hls", options=options)
    project.compile()
    np.testing.assert_array_equal(project.predict(images), results)


def test_file_says_what_it_is(unet):
    nodes = [node for node in onnx.load(unet[0]).graph.node if node.op_type == "SparseUnpool2d"]
    assert [node.name for node in nodes] == ["up2/SparseUnpool2d", "up3/SparseUnpool2d"]
    assert [list(node.output) for node in nodes] == [["up2.features"], ["up3.features"]]
    assert main([str(unet[0]), "--explore", "-o", str(unet[0].with_name("designs"))]) == 0
    assert reference.run(onnx.load(unet[0]), np.zeros((0, *SHAPE))).shape == (0, 3)


def test_wrong_pixels_are_refused(tmp_path):
    pixels = some_pixels(np.random.default_rng(0), 1, 4, 2, (6, 8), 1.0)
    coarse = sp.SparseMaxPool2d(2)(pixels)
    with pytest.raises(
        sp.SparsePixError, match=r"SparseUnpool2d: expected pixels of a grid of \(2, 4\).*found \(3, 4\)"
    ):
        sp.SparseUnpool2d((3, 2))(coarse, pixels)
    with pytest.raises(sp.SparsePixError, match="SparseUnpool2d: expected SparsePixels, found a tensor"):
        sp.SparseUnpool2d(2)(coarse, pixels.features)
    with pytest.raises(sp.SparsePixError, match="kernel_size must be an int >= 1"):
        sp.SparseUnpool2d(0)
    model = UNet()
    torch.manual_seed(0)
    exported = sp.export_onnx(model, tmp_path / "unet.onnx")
    node = next(node for node in exported.graph.node if node.name == "up3/SparseUnpool2d")
    node.attribute[1].ints[:] = [8, 10]
    onnx.save(exported, tmp_path / "wrong.onnx")
    with pytest.raises(sp.SparsePixError, match=r"up3/SparseUnpool2d.*spatial_shape is \(8, 10\).*grid of \(7, 10\)"):
        translate(tmp_path / "wrong.onnx", tmp_path / "out")
