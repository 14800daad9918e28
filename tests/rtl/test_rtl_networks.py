"""Whole random networks as simulated RTL; ``rtl_networks.py`` runs more of them, and the published events."""

import subprocess

import numpy as np
import pytest
import torch
from torch import nn

import sparsepix as sp
from all_combinations import random_model
from rtl_networks import DESIGNS, differences
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.report import read_report
from sparsepix_ops import reference

pytestmark = pytest.mark.slow

# Shape and format of the image, activity, slots, design: scans and streams, all scores, beats that do not fill the
# image; ties come in all of them, since there are few different values.
LARGEST = [
    ((1, 5, 7), sp.FixedPoint(3, 1, signed=False), "first", 6, Options(reduce="scan")),
    ((3, 3, 9), sp.FixedPoint(3, 2), "sum", 9, Options(reduce="scan", scan_pixels=2)),
    ((2, 6, 5), sp.FixedPoint(3, 1), "any", 4, Options(reduce="scan", io="stream", pixels_per_cycle=7)),
    ((1, 1, 9), sp.FixedPoint(2, 2), "first", 9, Options(reduce="scan")),
    (
        (1, 7, 9),
        sp.FixedPoint(3, 1, signed=False),
        "first",
        5,
        Options(reduce="stream", io="stream", pixels_per_cycle=1),
    ),
    ((3, 3, 9), sp.FixedPoint(3, 2), "sum", 9, Options(reduce="stream", pixels_per_cycle=4)),
    ((2, 6, 5), sp.FixedPoint(3, 1), "any", 4, Options(reduce="stream", io="stream", pixels_per_cycle=11)),
    ((2, 3, 4), sp.FixedPoint(4, 2), "first", 12, Options(reduce="stream", pixels_per_cycle=12)),
]
CHOSEN = (0, 3, 5, 8, 11)  # designs that cover both scans, the tree, rounds, folds, and both ports


def check_clocks(measured, project):
    """The estimate of the clocks is none: it follows from the structure."""
    estimated = read_report(project.directory)["estimate"]["total"]
    assert measured.latency_cycles == estimated["latency_cycles"]
    assert measured.interval_cycles == estimated["interval_cycles"]


@pytest.mark.verilator
@pytest.mark.parametrize("design", CHOSEN)
def test_network(design, tmp_path):
    path, images, expected = random_model(10 * design, tmp_path)
    found, measured, project = differences(path, images, expected, DESIGNS[design], tmp_path / "rtl")
    assert set(found) == {"predict", "back to back", "stalls", "resets", "stalls and resets"}
    assert not any(found.values()), found
    assert measured.latency_cycles == measured.latency_cycles_least >= measured.tail_cycles > 0
    check_clocks(measured, project)
    done = subprocess.run(["make", "-s", "lint"], cwd=project.directory, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.verilator
@pytest.mark.parametrize(("shape", "format", "activity", "slots", "options"), LARGEST)
def test_the_largest_pixels(shape, format, activity, slots, options, tmp_path):
    torch.manual_seed(0)
    channels, height, width = shape
    model = nn.Sequential(
        sp.QuantIdentity(format),
        sp.SparseInputReduce(slots, 0.0, activity, "magnitude"),
        sp.SparseConv2d(channels, 2, 3, weight_format=sp.FixedPoint(4, 2)),
        sp.SparseReLU(sp.FixedPoint(5, 2, signed=False)),
        sp.SparseFlatten(),
        sp.QuantLinear(2 * height * width, 3, weight_format=sp.FixedPoint(4, 1)),
    ).eval()
    path = tmp_path / "net.onnx"
    exported = sp.export_onnx(model, path, shape)
    rng = np.random.default_rng(0)
    images = rng.integers(format.raw_min, format.raw_max + 1, (40, *shape)) * format.scale
    images[::3] *= rng.random(images[::3].shape) < 0.3
    images[0], images[1], images[2] = 0, format.raw_max * format.scale, format.raw_min * format.scale
    found, measured, project = differences(
        path, images, reference.run(exported, images).real, options, tmp_path / "rtl"
    )
    assert not any(found.values()), found
    check_clocks(measured, project)
