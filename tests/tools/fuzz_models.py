"""Broken model files and checkpoints, for ``fuzz.py``: what is read is exactly what was written, or it is refused."""

import contextlib
import copy
import io
import math
import tempfile
import warnings
import zipfile
from functools import cache
from pathlib import Path

import torch

import sparsepix as sp
from fuzz import Case
from small_training import same_state, toy, toy_model
from sparsepix.cli.export import main
from sparsepix.models.architecture import Architecture, Layer
from sparsepix.models.sparse_cnn import SparseCNN
from sparsepix.models.torch_files import dump, tensor_problem
from sparsepix.training import fit
from sparsepix_ops.errors import SparsePixError

TRAINING = {"epochs": 3, "batch_size": 16, "learning_rate": 5e-3, "monitor": "loss"}  # the last epoch is the best


def build():
    """The factory that the export of a state_dict names."""
    torch.manual_seed(0)
    fine = sp.FixedPoint(8, 3)
    return torch.nn.Sequential(
        sp.QuantIdentity(sp.FixedPoint(8, 1)),
        sp.SparseInputReduce(5),
        sp.SparseConv2d(1, 2, 3, weight_format=fine),
        sp.SparseReLU(sp.FixedPoint(8, 3, signed=False)),
        sp.SparseFlatten(),
        sp.QuantLinear(72, 2, weight_format=fine),
    )


@cache
def models():
    """Small models of several kinds, with their files."""
    torch.manual_seed(1)
    layers = (Layer("conv", 3, 2), Layer("avg_pool", 2), Layer("dense", 4), Layer("dense", 2))
    weight, activation = sp.FixedPoint(8, 3), sp.FixedPoint(8, 3, signed=False)
    learned = sp.LearnedFixedPoint(8, initial_integer=2, learn_width=True)
    fixed = {"weight_format": weight, "activation_format": activation, "input_format": sp.FixedPoint(8, 1)}
    fixed |= {"pool_format": activation, "reciprocal_bits": 11}
    made = (
        Architecture("plain", (1, 8, 8), layers, 6, **fixed),
        Architecture("learned", (1, 8, 8), layers, 6, **fixed | {"weight_format": learned}, learn_max_pixels=True),
        Architecture("normed", (2, 6, 8), layers, 6, **fixed, batch_norm=True, head="softmax", activity="any"),
        Architecture("dense", (1, 8, 8), layers, 6, **fixed, sparse=False),
    )
    found = []
    for architecture in made:
        model = SparseCNN(architecture)
        content = {"format": "sparsepix-model-1", "version": sp.__version__, "architecture": architecture.to_dict()}
        content |= {"state_dict": model.state_dict(), "frozen": []}
        data = dump(content)
        found.append((model, data, torch.load(io.BytesIO(data))))
    return found


@cache
def training():
    """A checkpoint in the middle of a training, and the weights that the training ends with."""
    epochs = []

    def stop(step, _):
        if epochs and step == 2:  # after the checkpoint of the first step
            raise KeyboardInterrupt

    whole = toy_model()
    fit(whole, toy(), **TRAINING)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "checkpoint.pt")
        with contextlib.suppress(KeyboardInterrupt):
            fit(
                toy_model(),
                toy(),
                **TRAINING,
                checkpoint=file,
                save_every=0.0,
                on_epoch=lambda epoch, _: epochs.append(epoch),
                on_step=stop,
            )
        data = file.read_bytes()
    return whole.state_dict(), data, torch.load(io.BytesIO(data))


@cache
def nested():
    """A tensor that has no shape."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch may change them
        return torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])


def odd_values(rng):
    """Something that does not belong there."""
    deep = []
    for _ in range(200):
        deep = [deep]
    values = [
        None, True, False, -1, 0, 1, 7, 8.0, 8.5, 10**9, 10**18, 10**30, 10**5000, math.nan, math.inf, -math.inf, 1e300,
        "", "x", "ap_fixed<99, 3>", "ap_fixed<8, 3>", "ap_fixed<8, -70>", "conv", "x" * 300, [], {}, [1, 2],
        [0, 0, 0], [1, 10**9, 10**9], {"learned": {}}, {"learned": {"width": "8"}}, {"learned": {"width": 10**9}},
        {"a": 1}, deep, (1, 8, 8), torch.zeros(()), torch.zeros(0), torch.zeros(2, 3), torch.full((2,), math.nan),
        torch.ones(3, dtype=torch.complex64), torch.zeros(1).expand(10**6, 10**6), torch.zeros(3, 3).to_sparse(),
        torch.zeros(2, device="meta"), torch.zeros(2, dtype=torch.bool), torch.zeros(2, dtype=torch.float16),
        torch.zeros(2, dtype=torch.int64), nested(), [{"kind": "conv", "size": 10**9, "out_channels": 10**9}],
        [{"kind": "dense", "size": 10**12}], [{"kind": "dense", "size": 2, "out_channels": -1}], ["dense"],
    ]  # fmt: skip
    return values[rng.integers(len(values))]


def nodes(content, path=()):
    """Every place in nested data: (container, key)."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(items):
        yield content, key
        yield from nodes(value, (*path, key))


def odd_tensor(rng, tensor):
    """A tensor that is not quite the same."""
    changes = [
        lambda t: t.double(),
        lambda t: t.half(),
        lambda t: t.long(),
        lambda t: t[..., None],
        lambda t: t.reshape(-1),
        lambda t: t.reshape(-1)[:-1],
        lambda t: t * math.nan,
        lambda t: t + 1e38 * 10,
        lambda t: t.reshape(-1)[:1].expand(t.shape) if t.dim() and t.numel() else t,
        lambda t: t.t() if t.dim() == 2 else t.flip(0) if t.dim() else t,
        lambda t: t.mT.contiguous().mT if t.dim() > 1 else t,  # the same, in another place each
        lambda t: torch.cat([t.reshape(-1)] * 2)[::2].reshape(t.shape) if t.numel() else t,
        lambda t: torch.cat([t.reshape(-1)] * 2)[-1:].expand(t.shape) if t.numel() else t,
        lambda t: t.to("meta"),
        lambda t: torch.nn.Parameter(t) if t.is_floating_point() else t,
        lambda t: t.tolist(),
        lambda t: t.to(torch.complex64),
        lambda t: t.to_sparse() if t.dim() else t,
        lambda t: t * 1e30,
    ]
    change = changes[rng.integers(len(changes))]
    with contextlib.suppress(
        RuntimeError, TypeError
    ):  # one that is odd already (on 'meta', sparse) takes no other change
        return change(tensor)
    return tensor


def _copied(value):
    try:
        return copy.deepcopy(value)
    except NotImplementedError:  # torch copies no nested tensors
        return value


def change_structure(rng, content):
    """Change one place or two of nested data; returns what was done."""
    done = []
    for _ in range(rng.integers(1, 3)):
        places = list(nodes(content))
        if not places:
            break
        container, key = places[rng.integers(len(places))]
        kind = rng.integers(6)
        value = container[key]
        if kind == 0:
            del container[key]
        elif kind == 1 and isinstance(container, dict):
            container[str(key) + "x"] = container.pop(key)
        elif kind == 2 and isinstance(container, list):
            container.insert(int(key), _copied(value))
        elif kind == 3 and isinstance(value, torch.Tensor) and not tensor_problem(value):
            container[key] = odd_tensor(rng, value)
        elif kind == 4 and isinstance(value, int | float):
            container[key] = value * [-1, 0, 0.5, 2, 1e6, 1e-6][rng.integers(6)]
        else:
            container[key] = odd_values(rng)
        done.append(f"{('delete', 'rename', 'insert', 'tensor', 'scale', 'replace')[kind]} {key}")
    return ", ".join(done)


def change_bytes(rng, data):
    """Damage a file; returns what was done, and the file."""
    damaged, at = bytearray(data), int(rng.integers(len(data)))
    kind = rng.integers(8)
    if kind <= 3:
        damaged[at] ^= 1 << rng.integers(8)
        return f"flip a bit of byte {at}", bytes(damaged)
    if kind == 4:
        return f"cut at {at}", data[:at]
    if kind == 5:
        size = int(rng.integers(1, 100))
        return f"{size} bytes of junk at {at}", data[:at] + rng.bytes(size) + data[at + size :]
    if kind == 6:
        return f"insert at {at}", data[:at] + rng.bytes(int(rng.integers(1, 100))) + data[at:]
    return "junk", rng.bytes(int(rng.integers(0, 200)))


def change_archive(rng, data):
    """Pack the zip again with one record changed, so that its checksums are right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = {info.filename: archive.read(info) for info in archive.infolist()}
    name = list(records)[rng.integers(len(records))]
    if rng.random() < 0.5:
        name = next(n for n in records if n.endswith("/data.pkl"))
    what, record = change_bytes(rng, records[name] or b"\0")
    kind = rng.integers(4)
    if kind == 0:
        del records[name]
        what = "left out"
    else:
        records[name] = record
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if kind == 1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for other, content in records.items():
            archive.writestr(other, content)
    return f"{name} of the archive: {what}", buffer.getvalue()


def saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def mutated(rng, data, content):
    """A damaged file: what was done, its bytes, and whether it may only be read as what it was."""
    kind = rng.integers(4)
    if kind == 0:
        return *change_bytes(rng, data), True
    if kind == 1:
        return *change_archive(rng, data), True
    content = copy.deepcopy(content)
    digest = content.pop("digest")
    what = change_structure(rng, content)
    if kind == 2:  # with the digest of the old content
        return f"{what}, old digest", saved(content | {"digest": digest}), True
    try:
        return f"{what}, new digest", dump(content), False
    except SparsePixError:  # tensors that the writer refuses
        return f"{what}, no digest", saved(content), False


def _write(data):
    return lambda folder: (folder / "model.pt").write_bytes(data)


def model_files(rng):
    """sp.load, and saving what it gave again."""
    model, data, content = models()[rng.integers(len(models()))]
    what, damaged, exact = mutated(rng, data, content)

    def use(folder):
        loaded = sp.load(folder / "model.pt")
        if exact:
            assert loaded.architecture == model.architecture
            assert same_state(loaded.state_dict(), model.state_dict())
        with torch.no_grad():
            loaded.eval()(torch.zeros(1, *loaded.input_shape, dtype=next(loaded.parameters()).dtype))
        sp.save(loaded, folder / "again.pt")
        assert same_state(sp.load(folder / "again.pt").state_dict(), loaded.state_dict())

    return Case(what, _write(damaged), use, ("again.pt",))


def exported_files(rng):
    """sparsepix-export of model files, and of state_dicts in what training scripts put around them."""
    if rng.random() < 0.5:
        _, data, content = models()[rng.integers(3)]
        what, damaged, _ = mutated(rng, data, content)
        arguments = []
    else:
        state = build().state_dict()
        around = [
            lambda s: s,
            lambda s: {"state_dict": s, "epoch": 3},
            lambda s: {"model": {f"module.{k}": v for k, v in s.items()}, "optimizer": {"state": {0: {"a": 1}}}},
            lambda s: {f"_orig_mod.module.{k}": v for k, v in s.items()},
            lambda s: {"model_state_dict": s, "ema": s},
        ]
        content = copy.deepcopy(dict(around[rng.integers(len(around))](state)))
        kind = rng.integers(3)
        if kind == 0:
            what, damaged = change_bytes(rng, saved(content))
        elif kind == 1:
            what, damaged = change_archive(rng, saved(content))
        else:
            what = change_structure(rng, content)
            damaged = saved(content)
        arguments = ["--model", "fuzz_models:build", "--input-shape", "1", "6", "6"]

    def use(folder):
        if main([str(folder / "model.pt"), "-o", str(folder / "model.onnx"), *arguments]):
            raise SparsePixError("refused")

    return Case(what, _write(damaged), use, ("model.onnx",))


def checkpoints(rng):
    """A training that goes on from a checkpoint."""
    end, data, content = training()
    what, damaged, exact = mutated(rng, data, content)

    def use(folder):
        model = toy_model()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        try:
            fit(model, toy(), **TRAINING, checkpoint=folder / "model.pt")
        except SparsePixError:
            if exact:
                assert same_state(model.state_dict(), before)
            raise
        if exact:
            assert same_state(model.state_dict(), end)

    return Case(what, _write(damaged), use, ())


FUZZERS = {"model_files": model_files, "exported_files": exported_files, "checkpoints": checkpoints}
