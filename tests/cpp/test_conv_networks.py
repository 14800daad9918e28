"""One network of batch norms, leaky ReLUs, grouped and strided convolutions: every design gives the same bits."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
from design_space import build
from random_networks import exported_and_checked
from rtl_networks import differences
from sparsepix_hls.design.options import LayerOptions, Options
from sparsepix_hls.design.select import make_design
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.layers.sparse_conv2d import SparseConv2d
from sparsepix_hls.layers.sparse_strided_conv2d import SparseStridedConv2d
from sparsepix_ops import SparsePixError

WEIGHTS, SIGNED = sp.FixedPoint(6, 2), sp.FixedPoint(8, 3)
SHAPE = (2, 7, 8)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The file, images and expected results."""
    torch.manual_seed(3)
    model = nn.Sequential(
        sp.QuantIdentity(sp.FixedPoint(6, 2)), sp.SparseInputReduce(9, activity="any"),
        sp.SparseConv2d(2, 4, 3, weight_format=WEIGHTS, batch_norm=True, groups=2), sp.SparseLeakyReLU(0.25, SIGNED),
        sp.SparseConv2d(4, 4, 3, weight_format=WEIGHTS, batch_norm=True, groups=4, stride=2),
        sp.SparseLeakyReLU(0.125, SIGNED),
        sp.SparseConv2d(4, 2, (1, 3), weight_format=WEIGHTS, stride=(1, 2)), sp.SparseLeakyReLU(0.5),
        sp.SparseIdentity(SIGNED), sp.SparseFlatten(),
        sp.QuantLinear(4 * 2 * 2, 4, weight_format=WEIGHTS, batch_norm=True), sp.QuantLeakyReLU(0.5, SIGNED),
        sp.QuantLinear(4, 2, weight_format=WEIGHTS),
    )  # fmt: skip
    for _ in range(20):
        model(2 * torch.randn(32, *SHAPE) * (torch.rand(32, 1, *SHAPE[1:]) < 0.3))
    path = tmp_path_factory.mktemp("network") / "net.onnx"
    images, expected = exported_and_checked(model.eval(), SHAPE, 1, path)
    assert len(np.unique(expected)) > 20
    return path, images, expected


@pytest.mark.slow
@pytest.mark.gxx
@pytest.mark.parametrize(
    "values",
    [
        ("scan", "overlap", "lookup", "multiply", 2, "parallel"),
        ("stream", "gather", "scatter", "multiply", "N", "stream"),
        ("tree", "pairs", "scatter", "multiply", 1, "parallel"),
    ],
    ids=lambda values: values[1],
)
def test_firmware(network, values, tmp_path):
    path, images, expected = network
    project = build(path, tmp_path / "firmware", values, 5)
    for backend in ("native", "ap_fixed"):
        project.compile(backend)
        assert_array_equal(project.predict(images), expected)


@pytest.mark.slow
@pytest.mark.verilator
def test_rtl(network, tmp_path):
    path, images, expected = network
    options = Options(reduce="scan", conv="gather", reuse_factor=3)
    found, _, _ = differences(path, images, expected, options, tmp_path / "rtl")
    assert not any(found.values()), found


def test_groups_cost_their_products_only(network):
    graph = read_model(network[0]).graph
    design, _ = make_design(graph, Options(conv="pairs", reduce="tree"))
    convs = [layer for layer in graph.layers if isinstance(layer, SparseConv2d | SparseStridedConv2d)]
    products = [conv.cost(design.layers[conv.name], 5.0).multipliers for conv in convs]
    pairs = 9 * 9
    assert products == [pairs * 1 * 4, pairs * 1 * 4, pairs * 4 * 2]


def test_a_strided_convolution_is_not_overlapped(network):
    graph = read_model(network[0]).graph
    strided = next(layer.name for layer in graph.layers if isinstance(layer, SparseStridedConv2d))
    with pytest.raises(
        SparsePixError, match="implementation: expected one of pairs, gather, stream, auto, found 'overlap'"
    ):
        make_design(graph, Options(layers={strided: LayerOptions("overlap")}))
