"""Models of Keras, from files that sparsepixels and HGQ2 wrote, against what Keras predicted with them."""

import contextlib
import json
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.testing import assert_array_equal

import sparsepix as sp
import sparsepix_hls
from needs import KERAS, KERAS_PYTHON
from sparsepix.cli.import_keras import main
from sparsepix.compat import from_keras, load_keras
from sparsepix.models.hgq import HgqQuantizer
from sparsepix.models.input_format import try_input_formats
from sparsepix_hls.design.options import Options
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.fixed_points import FixedPoints

SHIPPED = pytest.mark.keras_files
MODELS = ("uniform", "learned")
MADE, APART = 15, 1e-6  # models that Keras makes here, and how far its single precision may be from ours


def events(path):
    """Images [E, C, H, W] and what Keras predicted."""
    with np.load(path) as content:
        return content["images"].transpose(0, 3, 1, 2), content["predictions"]


@torch.no_grad()
def run(model, images, dtype=torch.float64):
    return model.to(dtype).eval()(torch.from_numpy(images).to(dtype)).numpy()


def without_head(model):
    """Its logits, which are exact: probabilities are computed in floating point."""
    body = sp.SparseCNN(replace(model.architecture, head=None))
    body.load_state_dict(model.state_dict())
    return body


@SHIPPED
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("weights_alone", [False, True])
def test_predictions_of_keras(name, weights_alone):
    archive = KERAS / f"{name}.keras"
    model = from_keras(KERAS / f"{name}.weights.h5", like=archive) if weights_alone else from_keras(archive)
    images, expected = events(KERAS / f"{name}_io.npz")
    found = run(model, images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert_array_equal(found.argmax(1), expected.argmax(1))


@SHIPPED
def test_looking_for_a_format_leaves_the_model_as_it_is():
    model = from_keras(KERAS / "learned.keras").train()
    images, _ = events(KERAS / "learned_io.npz")
    assert try_input_formats(model, images[:20])[-1].keeps
    assert model.training
    assert model.conv1.weight.dtype == torch.float32


@SHIPPED
def test_what_is_carried():
    model = from_keras(KERAS / "learned.keras")
    assert (model.architecture.max_pixels, model.architecture.threshold) == (35, 0.0)
    assert model.quant1.quantizer.format == FixedPoint(6, 1, False, "HALF_UP", "WRAP")
    vector = model.quant2.quantizer.format
    assert isinstance(vector, FixedPoints)
    assert len(vector.elements) == 147
    assert None in vector.elements
    assert (vector.rounding, vector.overflow) == ("HALF_UP", "WRAP")


@SHIPPED
@pytest.mark.gxx
@pytest.mark.parametrize("name", MODELS)
def test_the_command_the_file_and_the_firmware(name, tmp_path, capsys):
    """The chosen format of the image changes no decision; everything after it is exact."""
    path, io = tmp_path / "model.pt", KERAS / f"{name}_io.npz"
    assert main([str(KERAS / f"{name}.keras"), "-o", str(path), "--images", str(io)]) == 0
    assert "next: sparsepix-export" in capsys.readouterr().out
    images, predicted = events(io)
    model = without_head(sp.load(path))
    expected = run(model, images)
    assert_array_equal(expected.argmax(1), predicted.argmax(1))
    sp.export_onnx(model.float(), tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx")
    assert_array_equal(session.run(None, {"image": images})[0], expected)
    project = sparsepix_hls.translate(tmp_path / "model.onnx", tmp_path / "firmware")
    project.compile()
    assert_array_equal(project.predict(images), expected)
    # Formats of many places are quantized side by side.
    rows = json.loads((project.directory / "report.json").read_text())["estimate"]["rows"]
    assert max(row["latency_cycles"] for row in rows if row["op"] == "Activation") <= 1


@SHIPPED
@pytest.mark.slow
@pytest.mark.verilator
def test_formats_for_each_element_as_rtl(tmp_path):
    images, _ = events(KERAS / "learned_io.npz")
    model = from_keras(KERAS / "learned.keras", FixedPoint(8, 1, signed=False))
    sp.export_onnx(model, tmp_path / "model.onnx")
    options = Options(reuse_factor=8)
    project = sparsepix_hls.translate(tmp_path / "model.onnx", tmp_path / "rtl", backend="rtl", options=options)
    project.compile()
    assert_array_equal(project.predict(images[:40]), run(model, images[:40]))


@SHIPPED
def test_weights_alone_fill_a_model_of_the_same_layers():
    images, expected = events(KERAS / "uniform_io.npz")
    layers = (sp.Layer("conv", 5, 3), sp.Layer("avg_pool", 4), sp.Layer("dense", 16), sp.Layer("dense", 10))
    shared = {"threshold": float(np.float32(0.1)), "bias_on": "nonzero", "head": "softmax"}
    weights = KERAS / "uniform.weights.h5"
    for format in (None, sp.CalibratedFixedPoint(8), FixedPoint(8, 2)):
        a = sp.Architecture("mine", (1, 28, 28), layers, 20, weight_format=format, **shared)
        model = sp.SparseCNN(a)
        load_keras(model, weights)
        np.testing.assert_allclose(run(model, images), expected, rtol=0, atol=1e-6)
    model = sp.SparseCNN(sp.Architecture("mine", (1, 28, 28), layers, 20, weight_format=FixedPoint(8, 1), **shared))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(SparsePixError) as error:
        load_keras(model, weights)
    assert [p.split(":")[0] for p in error.value.problems] == ["conv1_kernel", "dense1_kernel", "dense2_kernel"]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(SparsePixError, match=r"dense1: it quantizes values too.*\n.*dense2"):
        load_keras(model, KERAS / "learned.weights.h5")


def changed(path, change, target):
    """A copy of an archive whose description is changed."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                described = json.loads(content)
                change({layer["config"]["name"]: layer for layer in described["config"]["layers"]}, described)
                content = json.dumps(described).encode()
            new.writestr(name, content)
    return target


def edit(name, **values):
    return lambda layers, _: layers[name]["config"].update(values)


@SHIPPED
@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (lambda layers, _: layers["flatten"].update(class_name="GlobalPooling"), ["flatten: the layer GlobalPooling"]),
        (lambda layers, _: layers["dense1"].update(module=None), ["dense1: the layer QDense (None) is not carried"]),
        (
            lambda _, described: described["config"].update(output_layers=[["dense1", 0, 0], ["dense2", 0, 0]]),
            ["the model: expected one output, the last layer, found [['dense1', 0, 0], ['dense2', 0, 0]]"],
        ),
        (
            lambda _, described: (
                described["config"]["layers"].pop(),
                described["config"].update(output_layers=["dense1", 0, 0]),
            ),
            ["dense2: the weights hold this layer, the description does not"],
        ),
        (edit("relu1", dtype="mixed_bfloat16"), ["relu1: expected dtype='float32', found 'mixed_bfloat16'"]),
        (edit("input_reduce", n=0), ["input_reduce: expected a budget of one pixel or more", "conv1: expected an Inp"]),
        (edit("dense2", activation="softmax", enable_oq=True, oq_conf=None), ["dense2: its bits are not in the file"]),
        (
            lambda layers, _: layers["dense1"]["config"]["kq_conf"]["config"].update(overflow_mode="WRAP"),
            ["dense1: the weights: the description says kbi with overflow_mode='WRAP', the weights hold kbi (3 "],
        ),
        (
            lambda layers, _: layers["dense2"]["config"].pop("units"),
            ["dense2: expected the settings and variables of a"],
        ),
        (edit("relu1", max_value=6.0), ["relu1: expected a plain ReLU"]),
        (edit("dense1", activation="tanh"), ["dense1: the activation 'tanh' is not carried"]),
        (
            lambda layers, _: layers["pool1"]["config"]["pool_config"].update(strides=[2, 2]),
            ["pool1: expected strides"],
        ),
        (
            lambda layers, _: [
                layers["conv1"]["config"]["conv_config"].update(padding="valid", strides=[2, 2]),
                layers["dense2"]["config"]["kq_conf"]["config"].update(q_type="float"),
            ],
            ["conv1: expected padding='same'", "dense2: the weights: a quantizer of the kind 'float'"],
        ),
        (
            lambda layers, _: layers["dense1"]["config"]["iq_conf"]["config"].update(overflow_mode="WRAP_SM"),
            ["dense1: a quantizer with round_mode='RND', overflow_mode='WRAP_SM'"],
        ),
        (
            lambda layers, _: layers["dense2"]["inbound_nodes"].extend(layers["dense1"]["inbound_nodes"]),
            ["dense2: expected a chain of layers, this one reads dense1, flatten"],
        ),
        (lambda _, described: described.update(class_name="MyModel"), ["the model: expected a functional or seq"]),
    ],
)
def test_everything_that_is_not_carried_is_listed(change, messages, tmp_path):
    path = changed(KERAS / "learned.keras", change, tmp_path / "model.keras")
    with pytest.raises(SparsePixError) as error:
        from_keras(path)
    assert len(error.value.problems) == len(messages), error.value.problems
    for problem, message in zip(error.value.problems, messages, strict=True):
        assert problem.startswith(message)
    assert main([str(path), "-o", str(tmp_path / "out.pt")]) == 2
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.keras"]


@SHIPPED
def test_descriptions_of_any_content(tmp_path):
    """Every place of a description replaced by something else: a model, or an error of ours."""
    rng = np.random.default_rng(1)
    with zipfile.ZipFile(KERAS / "learned.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    described = json.loads(parts["config.json"])
    places = [place for place in walk(described) if place and not {"compile_config", "build_config"} & set(place)]
    for place in rng.permutation(len(places))[:80]:
        changed = json.loads(parts["config.json"])
        inner = changed
        for step in places[place][:-1]:
            inner = inner[step]
        inner[places[place][-1]] = [None, "x", -1, [], {}, 2.5, True, [1, 2, 3]][rng.integers(8)]
        with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
            for name, content in (parts | {"config.json": json.dumps(changed).encode()}).items():
                archive.writestr(name, content)
        with contextlib.suppress(SparsePixError):
            from_keras(tmp_path / "model.keras")


def walk(value, place=()):
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in inner:
        yield from walk(part, (*place, step))


@SHIPPED
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04cut", b"\x93NUMPY", b"no images"])
def test_images_that_are_none(content, tmp_path, capsys):
    path = tmp_path / "images.npz"
    path.write_bytes(content)
    arguments = [str(KERAS / "uniform.keras"), "-o", str(tmp_path / "model.pt"), "--images", str(path)]
    assert main(arguments) == 2
    assert "images.npz: expected images" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["images.npz"]


@SHIPPED
def test_damaged_archives(tmp_path, capsys):
    whole = (KERAS / "learned.keras").read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "model.keras"
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] ^= 1 << rng.integers(0, 8)
        path.write_bytes(damaged[: int(rng.integers(1, len(whole)))] if rng.random() < 0.3 else damaged)
        with contextlib.suppress(SparsePixError):  # some damage is in parts that are not read
            from_keras(path)


def test_a_format_for_each_pixel_is_refused():
    bits = np.ones((1, 4, 4, 2), np.float32)
    per_pixel = np.arange(32, dtype=np.float32).reshape(1, 4, 4, 2) % 3 + 1
    with pytest.raises(SparsePixError, match=r"\(1, 4, 4, 2\), a format for each pixel"):
        _ = HgqQuantizer(bits, bits, per_pixel, "RND", "WRAP", False).format
    assert HgqQuantizer(bits, bits, bits * 3, "RND", "WRAP", False).format == FixedPoint(5, 2, True, "HALF_UP", "WRAP")


@pytest.mark.parametrize("arguments", [["nowhere.keras"], ["nowhere.h5", "--like", "nowhere.keras"]])
def test_no_such_file(arguments, capsys):
    assert main(arguments) == 2
    assert "there is no such file" in capsys.readouterr().err


@pytest.mark.keras
@pytest.mark.slow
def test_files_that_keras_makes_now(tmp_path):
    """Max pools, two convolutions, built-in activations, learned budgets; every quantizer, as the libraries compute."""
    tool = Path(__file__).parents[1] / "tools" / "keras_models.py"
    subprocess.run([KERAS_PYTHON, str(tool), str(tmp_path)], check=True)
    paths = sorted(tmp_path.glob("*.keras"))
    assert len(paths) == MADE
    for path in paths:
        images, expected = events(path.with_suffix(".npz"))
        model = from_keras(path)
        again = from_keras(path.with_suffix(".weights.h5"), like=path)
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
        found = run(model, images)
        # Without a format of the image a sum is 0 in one precision and not in the other, and the bias goes with it.
        single = run(model, images, torch.float32)
        wrong = (np.abs(found - expected).max(1) > APART) & (np.abs(single - expected).max(1) > APART)
        assert not wrong.any(), path.name
        if not model.architecture.sparse:
            continue
        fixed = from_keras(path, FixedPoint(10, 1, signed=False), FixedPoint(10, 4))
        onnx_path = path.with_suffix(".onnx")
        sp.export_onnx(fixed, onnx_path)
        body = without_head(fixed)
        if shutil.which("g++"):
            project = sparsepix_hls.translate(onnx_path, path.with_suffix(""))
            project.compile()
            assert_array_equal(project.predict(images), run(body, images), path.name)
