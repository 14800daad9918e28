"""Model files: damage is found, what is saved reads back as the same model, and foreign files say what they are."""

import gzip
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from functools import partial

import h5py
import numpy as np
import onnx
import pytest
import torch
from torch import nn

import sparsepix as sp
from fuzz_models import TRAINING, models, nested, saved, training
from output_checks import refusal
from small_training import same_state, toy, toy_model
from sparsepix.models.architecture import Architecture, Layer
from sparsepix.models.torch_files import dump, read_file
from sparsepix.training import fit


def read(call, *arguments):
    """What a call gives and None, or None and why it refuses."""
    try:
        return call(*arguments), None
    except sp.SparsePixError as error:
        return None, str(error)


def flipped(data, byte, bit):
    damaged = bytearray(data)
    damaged[byte] ^= 1 << bit
    return bytes(damaged)


# --- damage ---


def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path):
    path, rng = tmp_path / "model.pt", np.random.default_rng(0)
    model, data, _ = models()[1]
    loaded = 0
    for _ in range(300):
        path.write_bytes(flipped(data, rng.integers(len(data)), rng.integers(8)))
        again, message = read(sp.load, path)
        if message is None:
            loaded += 1
            assert same_state(again.state_dict(), model.state_dict())
            assert again.architecture == model.architecture
        else:
            assert str(path) in message
    assert 0 < loaded < 200


def test_every_flip_in_the_headers_of_a_file_without_a_digest(tmp_path):
    path, state = tmp_path / "state.pt", {"a": torch.arange(4.0)}
    data = saved(state)
    directory = zipfile.ZipFile(io.BytesIO(data)).start_dir
    for byte in range(directory, len(data)):
        path.write_bytes(flipped(data, byte, byte % 8))
        again, message = read(read_file, path)
        assert str(path) in message if message else same_state(again, state)
    # A record that the zip calls a folder, of which torch reads nothing: the attribute lies 8 bytes before the name.
    place = data.rindex(b"archive/data/0") - 8
    path.write_bytes(flipped(data, place, 4))
    assert "archive/data/0 in it is not what its checksum says" in refusal(read_file, path)


def test_checksums_are_written_even_where_a_program_has_turned_them_off(tmp_path):
    path, state = tmp_path / "model.pt", {"a": torch.arange(4.0)}
    torch.serialization.set_crc32_options(False)
    try:
        sp.save(models()[0][0], path)
        foreign = saved(state)
    finally:
        torch.serialization.set_crc32_options(True)
    assert zipfile.ZipFile(path).testzip() is None
    assert same_state(sp.load(path).state_dict(), models()[0][0].state_dict())
    path.write_bytes(foreign)
    assert "set_crc32_options(False)" in refusal(read_file, path)


def test_other_content_with_right_checksums_is_damage(tmp_path):
    path = tmp_path / "model.pt"
    _, data, content = models()[0]
    content = content | {"state_dict": {k: v.clone() for k, v in content["state_dict"].items()}}
    content["state_dict"]["conv1.weight"][0, 0, 0, 0] += 1
    torch.save(content, path)
    assert f"{path}: the file is damaged: its content is not what was written" in refusal(sp.load, path)
    del content["digest"]  # as older versions wrote it
    torch.save(content, path)
    assert sp.load(path).architecture == models()[0][0].architecture
    for size in (0, 3, 4, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        assert str(path) in refusal(sp.load, path)


def test_damaged_checkpoints_change_nothing(tmp_path):
    path, rng = tmp_path / "checkpoint.pt", np.random.default_rng(0)
    end, data, _ = training()
    for _ in range(60):
        path.write_bytes(flipped(data, rng.integers(len(data)), rng.integers(8)))
        model = toy_model()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        _, message = read(partial(fit, model, toy(), **TRAINING, checkpoint=path))
        assert message is None or str(path) in message
        assert same_state(model.state_dict(), end if message is None else before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(epoch=7), "epoch: expected a whole number 0 ... 3, found 7"),
        (lambda c: c.update(epoch="1"), "expected a number of at least 0 as epoch"),
        (lambda c: c["optimizer"]["state"].update({9: {}}), "the numbers of 4 parameters, found 9"),
        (lambda c: c["optimizer"]["param_groups"][0].update(lr="x"), r"param_groups\[0\].lr: expected a finite number"),
        (
            lambda c: c["optimizer"]["param_groups"][0].update(lr=10**400),
            "expected a finite number, found an int of 1329",
        ),
        (lambda c: c["optimizer"]["param_groups"][0].update(amsgrad=True), "amsgrad: expected False, found True"),
        # With the state of another parameter fused Adam writes past its end, and the process dies.
        (
            lambda c: c["optimizer"]["param_groups"][0].update(params=[0, 0]),
            r"params: expected \[0, 1\], found \[0, 0\]",
        ),
        (
            lambda c: c["optimizer"]["param_groups"][1].update(params=[3, 2]),
            r"params: expected \[2, 3\], found \[3, 2\]",
        ),
        (lambda c: c["schedule"].update(last_epoch=40), "last_epoch: expected 3, the steps that were taken, found 40"),
        (lambda c: c["history"].update(train_loss=[]), "history.train_loss: expected 1 numbers, one an epoch"),
        (lambda c: c["best"].pop("5.bias"), "best: expected .*5.bias"),
        (lambda c: c.update(settings=3), "settings: expected a dict"),
        (lambda c: c.pop("sums"), "not complete: .*sums"),
    ],
)
def test_checkpoints_that_do_not_fit_together(tmp_path, change, message):
    _, _, content = training()
    content = torch.load(io.BytesIO(saved(content)))
    del content["digest"]
    change(content)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(dump(content))
    with pytest.raises(sp.SparsePixError, match=rf"checkpoint\.pt: (?s:.*){message}"):
        fit(toy_model(), toy(), **TRAINING, checkpoint=path)


def test_nested_tensors_are_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    for change in ({"optimizer": {"state": {0: {"exp_avg": nested()}}, "param_groups": []}}, {"model": nested()}):
        content = {name: value for name, value in training()[2].items() if name != "digest"} | change
        with pytest.raises(sp.SparsePixError, match="expected plain tensors, found a nested tensor"):
            dump(content)
        path.write_bytes(saved(content))
        message = refusal(partial(fit, toy_model(), toy(), **TRAINING, checkpoint=path))
        assert "expected plain tensors, found a nested tensor" in message


@pytest.mark.parametrize(
    "lay",
    [
        lambda t: t.t().contiguous().t(),  # as the state of a model in another memory format
        lambda t: torch.stack([t, t], dim=-1)[..., 0],
        lambda t: torch.cat([t, t])[-1:, -1:].expand(t.shape),
    ],
)
def test_the_state_of_the_optimizer_may_lie_in_memory_as_it_likes(tmp_path, lay):
    path, found = tmp_path / "checkpoint.pt", []
    for own in (False, True):
        content = torch.load(io.BytesIO(training()[1]))
        del content["digest"]
        state = content["optimizer"]["state"][1]  # of the weights of the last layer
        for name in ("exp_avg", "exp_avg_sq"):
            state[name] = lay(state[name])
            assert not state[name].is_contiguous()
            state[name] = state[name].contiguous() if own else state[name]
        path.write_bytes(dump(content))
        model = toy_model()
        history = fit(model, toy(), **TRAINING, checkpoint=path)
        assert history.best_epoch == 2  # the weights are those of an epoch after the checkpoint
        found.append(model.state_dict())
    assert same_state(*found)


def test_a_full_disk_leaves_the_old_file(tmp_path):
    code = (
        "import resource, signal, sys, sparsepix as sp\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "model = sp.models.digits()\n"
        "sp.save(model, 'model.pt'); before = open('model.pt', 'rb').read()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "try: sp.save(model, 'model.pt')\n"
        "except sp.SparsePixError as error: print(error)\n"
        "assert open('model.pt', 'rb').read() == before\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("model.pt: ")
    assert "File too large" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


# --- what other files are ---


def other_files():
    model = nn.Linear(2, 2)
    yield "script.pt", lambda path: torch.jit.save(torch.jit.script(model), path), "TorchScript"
    yield "keras.h5", lambda path: h5py.File(path, "w").close(), "sparsepix.compat.load_keras"
    yield "array.npy", lambda path: np.save(path, np.zeros(3)), "an array of numpy"
    yield "arrays.npz", lambda path: np.savez(path, a=np.zeros(3)), r"arrays of numpy \(.npz\)"
    yield "packed.pt", lambda path: path.write_bytes(gzip.compress(b"x")), "packed with gzip"
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    tensors = struct.pack("<Q", len(header)) + header + bytes(4)
    yield "a.safetensors", lambda path: path.write_bytes(tensors), r"safetensors.torch.load_file"
    graph = onnx.helper.make_graph([], "g", [], [])
    yield "m.onnx", lambda path: onnx.save(onnx.helper.make_model(graph), path), "ONNX file; sparsepix-hls takes"
    yield "junk.pt", lambda path: path.write_bytes(b"\x01\x02\x03\x04"), "something that torch cannot read: it begins"
    yield "empty.pt", lambda path: path.write_bytes(b""), "an empty file"
    yield "p.pt", lambda path: path.write_bytes(pickle.dumps([1])), "torch cannot read"
    yield "scalar.pt", lambda path: torch.save({"a": np.float64(3)}, path), r"objects of numpy \(numpy"
    yield (
        "whole.pt",
        lambda path: torch.save(model, path),
        r"a pickled module or object \(torch.nn.modules.lin",
    )
    yield "folder", lambda path: path.mkdir(), "expected a file, found a folder"
    yield "pipe", lambda path: os.mkfifo(path), "a device or a pipe"
    yield (
        "checkpoint.pt",
        lambda path: path.write_bytes(training()[1]),
        "checkpoint of a training; the same sp",
    )
    newer = {"format": "sparsepix-model-2", "version": "9.0.0"}
    yield "newer.pt", lambda path: torch.save(newer, path), r"sparsepix-model-2, which a newer version wrote \(9.0.0"


@pytest.mark.parametrize(("name", "write", "message"), [pytest.param(*case, id=case[0]) for case in other_files()])
def test_other_files_say_what_they_are(tmp_path, name, write, message):
    path = tmp_path / name
    write(path)
    with pytest.raises(sp.SparsePixError, match=message) as error:
        sp.load(path)
    assert str(path) in str(error.value)


def deep_pickle(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"]" * 10000 + b"a" * 9999 + b".")
        archive.writestr("archive/version", "3\n")


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(100 << 20))


@pytest.mark.parametrize(("write", "message"), [(deep_pickle, "no description"), (bomb, "to 104,857,600 bytes")])
def test_hostile_archives(tmp_path, write, message):
    write(tmp_path / "model.pt")
    with pytest.raises(sp.SparsePixError, match=message):
        sp.load(tmp_path / "model.pt")


# --- descriptions ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": [{"kind": "dense", "size": 10**12}]}, "65,000,000,000,000 weights take 242,143 GiB"),
        ({"input_shape": [1, 10**6, 10**6]}, "an image .* of 1,000,000,000,000 values take 3,725 GiB"),
        (
            {"layers": [{"kind": "dense", "size": 10**400}]},
            r"size must be an int below 2\*\*62, found an int of 1329 bits",
        ),
        ({"input_shape": [1, 8]}, r"input_shape must be \(channels, height, width\)"),
        ({"max_pixels": "6"}, "max_pixels must be an int >= 1, found '6'"),
        ({"sparse": "yes"}, "sparse must be True or False"),
        ({"threshold": None}, "threshold must be a finite number"),
        ({"weight_format": "ap_fixed<99, 3>"}, "99"),
        ({"weight_format": {"learned": {"width": "8"}}}, "width"),
        ({"activity": ["first"]}, "activity must be one of"),
        ({"layers": 3}, "not complete or not known"),
        ({"layers": [{"kind": "lstm", "size": 3}]}, "unknown kind 'lstm'"),
        ({"colour": 3}, "'colour' is no field"),
        ({"threshold": torch.zeros(2)}, r"expected numbers, text, lists and dicts, found a Tensor \(2,\)"),
    ],
)
def test_descriptions_that_cannot_be(tmp_path, change, message):
    content = models()[0][2]
    content = {**content, "architecture": content["architecture"] | change}
    del content["digest"]
    path = tmp_path / "model.pt"
    path.write_bytes(dump(content))
    with pytest.raises(sp.SparsePixError, match=rf"model\.pt:(?s:.*){message}"):
        sp.load(path)
    path.write_bytes(dump(content | {"version": "99.0"}))
    with pytest.raises(sp.SparsePixError, match=r"written by SparsePix 99\.0, this is .*: update it"):
        sp.load(path)


def test_a_description_of_more_than_the_file_holds_allocates_nothing(tmp_path):
    content = models()[0][2]
    layers = [{"kind": "dense", "size": 10**6, "out_channels": 0}, {"kind": "dense", "size": 2, "out_channels": 0}]
    content = {**content, "architecture": content["architecture"] | {"layers": layers}}
    del content["digest"]
    path = tmp_path / "model.pt"
    path.write_bytes(dump(content))
    assert "the description is of a model of 67,000,002 weights, the state_dict holds" in refusal(sp.load, path)


def test_whole_numbers_of_any_type_describe_the_same_model(tmp_path):
    layers = (Layer("conv", np.int64(3), 2.0), Layer("dense", 4))
    one = Architecture("x", (1, np.int32(8), 8.0), layers, np.int64(6), threshold=np.float32(0.5), sparse=np.True_)
    assert one == Architecture("x", (1, 8, 8), (Layer("conv", 3, 2), Layer("dense", 4)), 6, threshold=0.5)
    model = sp.SparseCNN(one)
    sp.save(model, tmp_path / "model.pt")
    assert sp.load(tmp_path / "model.pt").architecture == one
    message = refusal(lambda: Architecture("", (1, 8), layers, 2.5, threshold=True, head="tanh"))
    for part in ("name must", "input_shape must", "max_pixels must", "threshold must", "head must"):
        assert part in message
