"""Our models in hls4ml: its results are ours bit for bit, its layers follow ours."""

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import sparsepix as sp
import sparsepix_hls as hls
from needs import HLS4ML_PYTHON
from onnx_models import ModelBuilder
from output_checks import refusal
from random_networks import SETTINGS, by_name, exported_and_checked, hard_images, networks
from sparsepix_hls.hls4ml import convert

TOOL = Path(__file__).parents[1] / "tools" / "hls4ml_results.py"
# Kernels that differ in what hls4ml's project must hold: generated adders, one pipeline, rounds, looked-up weights.
DESIGNS = (
    {"reduce": "tree", "dense": "adders"},
    {"reduce": "stream", "pixels_per_cycle": 3, "conv": "gather", "reuse_factor": 2},
    {"flatten": "lookup", "conv": "pairs"},
)
PRESETS, IMAGES, NETWORKS = ("neutrino", "mnist"), 1000, 6


def results(folder, jobs):
    """What hls4ml computes, for each job by name."""
    for number, job in enumerate(jobs):
        job["result"] = str(folder / f"result{number}.npz")
    (folder / "jobs.json").write_text(json.dumps(jobs))
    subprocess.run([HLS4ML_PYTHON, str(TOOL), str(folder)], check=True)
    return [dict(np.load(job["result"])) for job in jobs]


def ours(path, folder, images):
    """Our own firmware's results."""
    project = hls.translate(path, folder)
    project.compile()
    found = project.predict(images)
    parts = list(found.values()) if isinstance(found, dict) else [found]
    return np.concatenate([part.reshape(len(images), -1) for part in parts], axis=1)


def save_images(path, images):
    np.save(path, images)
    return str(path)


@pytest.mark.hls4ml
@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_presets(tmp_path, name):
    """Images: the hard cases, and up to 2 % active pixels."""
    torch.manual_seed(0)
    model = getattr(sp.models, name)()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_().mul_(2)  # as they are drawn, the last ReLU of most seeds lets nothing through
    sp.export_onnx(model, tmp_path / "net.onnx", model.input_shape)
    rng = np.random.default_rng(1)
    hard = hard_images(rng, model.input_shape)
    more = IMAGES - len(hard)
    active = rng.random((more, *model.input_shape)) < rng.random((more, 1, 1, 1)) * 0.02
    images = np.concatenate([hard, np.where(active, rng.normal(size=active.shape), 0)]).astype(np.float32)
    job = {"model": str(tmp_path / "net.onnx"), "images": save_images(tmp_path / "images.npy", images.astype(float))}
    (found,) = results(tmp_path, [job])
    expected = ours(tmp_path / "net.onnx", tmp_path / "ours", images)
    assert len(np.unique(expected, axis=0)) > 100
    assert_array_equal(found["double"], expected)
    assert_array_equal(found["single"], expected)
    assert {"SparsePixInputReduce", "SparsePixConv2d", "SparsePixAvgPool2d", "SparsePixDense"} <= set(found["kinds"])


@pytest.mark.hls4ml
@pytest.mark.slow
def test_designs_and_layers_of_hls4ml(tmp_path):
    """Every kind of stage, both backends, a layer of hls4ml's own behind ours, a saved graph."""
    shape = (2, 7, 9)
    builder = ModelBuilder(*shape).image().reduce(5).conv().relu().activation().pool(kind="max")
    net = builder.flatten().dense("dense1", 4).save(tmp_path / "net.onnx")
    images = save_images(tmp_path / "images.npy", hard_images(np.random.default_rng(2), shape))
    taken = onnx.load(net)  # names that mean something else in hls4ml
    new = {"image": "input", "conv1.features": "model_default", "dense1.output": "result"}
    for node in taken.graph.node:
        node.name = node.name.replace("conv1", "input")
        for values in (node.input, node.output):
            values[:] = [new.get(name, name) for name in values]
    for value in (*taken.graph.input, *taken.graph.output):
        value.name = new.get(value.name, value.name)
    onnx.save(taken, tmp_path / "nnet.onnx")
    job = {"model": str(net), "images": images}
    jobs = [job | {"options": options} for options in DESIGNS]
    jobs += [
        job | {"backend": "Vivado"},
        job | {"model": str(tmp_path / "nnet.onnx")},
        job | {"then": "saved"},
        job | {"then": "relu"},
        job | {"then": "between"},
    ]
    *same, relu, between = results(tmp_path, jobs)
    expected = ours(net, tmp_path / "ours", np.load(images))
    assert (expected < 0).any()
    assert (expected > 0).any()
    for options, found in zip([*DESIGNS, "Vivado", "names", "saved"], same, strict=True):
        assert_array_equal(found["double"], expected, str(options))
    assert_array_equal(relu["double"], np.maximum(expected, 0))
    assert relu["kinds"][-1] == "Activation"
    assert "computed together" in str(between["message"])
    assert "none between them" in str(between["message"])


@pytest.mark.hls4ml
@pytest.mark.slow
@settings(max_examples=NETWORKS, derandomize=True, **SETTINGS)
@given(networks(), st.integers(0, 2**32 - 1))
def test_random_networks(tmp_path_factory, drawn, seed):
    """Several results among them, formats for each element, joins of branches."""
    model, input_shape = drawn
    folder = tmp_path_factory.mktemp("hls4ml")
    images, expected = exported_and_checked(model.eval(), input_shape, seed, folder / "net.onnx")
    if any(part.ndim > 2 for part in by_name(expected).values()):
        reject()  # a list of pixels is no result in hls4ml
    (found,) = results(folder, [{"model": str(folder / "net.onnx"), "images": save_images(folder / "x.npy", images)}])
    parts = [part.reshape(len(images), -1) for part in by_name(expected).values()]
    assert_array_equal(found["double"], np.concatenate(parts, axis=1))


@pytest.mark.skipif(find_spec("hls4ml") is not None, reason="hls4ml is here")
def test_without_hls4ml(tmp_path):
    assert "pip install 'sparsepix[hls4ml]'" in refusal(convert, tmp_path / "net.onnx")


def test_other_backends():
    assert "expected one of 'Vitis', 'Vivado', found 'Quartus'" in refusal(convert, "net.onnx", "Quartus")


@pytest.mark.parametrize(
    ("end", "options", "expected"),
    [
        (None, None, "hls4ml's results are vectors"),
        ("flatten", hls.Options(io="stream", reduce="stream"), "io: expected 'parallel', found 'stream'"),
    ],
)
def test_what_hls4ml_cannot_take(tmp_path, monkeypatch, end, options, expected):
    monkeypatch.setattr("sparsepix_hls.hls4ml.conversion.check_hls4ml", lambda: None)
    builder = ModelBuilder(1, 7, 9).image().reduce(5).conv().relu().activation()
    path = (builder.flatten() if end else builder).save(tmp_path / "net.onnx")
    message = refusal(lambda: convert(path, output_dir=tmp_path / "graph", options=options))
    assert expected in message
    assert "model net" in message
    assert not (tmp_path / "graph").exists()
