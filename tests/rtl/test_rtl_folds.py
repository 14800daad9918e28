"""Reuse beyond one item a round: the outputs of a pixel, or of an input, shared out among rounds; bit for bit."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import sparsepix as sp
from rtl_networks import differences
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.report import read_report
from sparsepix_ops import reference
from sparsepix_ops.fixed_points import FixedPoints

pytestmark = [pytest.mark.slow, pytest.mark.verilator]

IMAGE, WEIGHT, BIAS = sp.FixedPoint(4, 2), sp.FixedPoint(5, 2), sp.FixedPoint(4, 1)
ACTIVATION = sp.FixedPoint(5, 2, signed=False)
# Formats of channels, one of them without bits: two rounds of a pixel need different ones.
FORMATS = [ACTIVATION, replace(ACTIVATION, width=3), None, replace(ACTIVATION, width=4, integer=3), ACTIVATION]


def conv(channels, filters, **options):
    return sp.SparseConv2d(channels, filters, 3, weight_format=WEIGHT, bias_format=BIAS, **options)


def linear(features, outs):
    return sp.QuantLinear(features, outs, weight_format=WEIGHT, bias_format=BIAS)


def grouped():
    """5 slots: filters in groups of two, one for each channel with a stride, 5 of all channels; two dense layers."""
    return nn.Sequential(
        sp.QuantIdentity(IMAGE), sp.SparseInputReduce(5, activity="any"),
        conv(2, 4, groups=2, bias_on="nonzero"), sp.SparseReLU(FixedPoints(tuple(FORMATS[:4]))),
        conv(4, 4, groups=4, stride=(2, 1)), sp.SparseLeakyReLU(0.25), sp.SparseIdentity(ACTIVATION),
        conv(4, 5, bias_on="active"), sp.SparseReLU(FixedPoints(tuple(FORMATS))),
        sp.SparseFlatten(), linear(5 * 3 * 7, 5), sp.QuantReLU(ACTIVATION), linear(5, 3),
    )  # fmt: skip


def strided():
    """A strided convolution of three filters, then one filter that reads three channels, and one result."""
    return nn.Sequential(
        sp.QuantIdentity(IMAGE), sp.SparseInputReduce(6, activity="sum", selection="magnitude"),
        conv(2, 3, stride=2), sp.SparseReLU(ACTIVATION), conv(3, 1), sp.SparseReLU(ACTIVATION),
        sp.SparseFlatten(), linear(6, 4), sp.QuantReLU(ACTIVATION), linear(4, 1),
    )  # fmt: skip


CASES = [
    # As many rounds as there are outputs of all items.
    (grouped, Options(reuse_factor=1000, conv="pairs", flatten="lookup")),
    (grouped, Options(reuse_factor=1000, conv="gather", flatten="scatter")),
    # Two folds of 4 filters, or of 5, of 3 and 2; 10 rounds of 4 inputs are two folds of 3 outputs, of 2 and 1.
    (grouped, Options(reuse_factor=10, conv="pairs", flatten="lookup", reduce="stream")),
    (grouped, Options(reuse_factor=10, conv="gather", flatten="lookup", io="stream")),
    (strided, Options(reuse_factor=13, reduce="stream", conv="pairs", flatten="lookup")),
    (strided, Options(reuse_factor=18, reduce="stream", conv="gather", flatten="lookup")),
]


@pytest.mark.parametrize(("make", "options"), CASES)
def test_a_part_of_the_outputs_a_round(make, options, tmp_path):
    shape = (2, 6, 7) if make is grouped else (2, 6, 4)
    torch.manual_seed(0)
    model = make().eval()
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -1.5, 1.5)
    path = tmp_path / "net.onnx"
    exported = sp.export_onnx(model, path, shape)
    rng = np.random.default_rng(0)
    images = rng.integers(IMAGE.raw_min, IMAGE.raw_max + 1, (40, *shape)) * IMAGE.scale
    images[::2] *= rng.random(images[::2].shape) < 0.2
    images[0] = 0
    expected = reference.run(exported, images).real
    assert len(np.unique(expected, axis=0)) > 20
    found, measured, project = differences(path, images, expected, options, tmp_path / "rtl")
    assert not any(found.values()), found
    report = read_report(project.directory)
    assert {measured.interval_cycles, report["estimate"]["total"]["interval_cycles"]} == {
        max(layer.get("reuse_factor", 1) for layer in report["layers"])
    }
    assert measured.latency_cycles == report["estimate"]["total"]["latency_cycles"]
    assert sum(layer.get("folds", 1) > 1 for layer in report["layers"]) >= 3
    done = subprocess.run(["make", "-s", "lint"], cwd=project.directory, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
