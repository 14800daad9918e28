"""Hooks, parametrized weights, wrapped modules and modules that are not ours, in an export."""

from functools import partial

import brevitas.nn as qnn
import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.utils import parametrizations, prune

import sparsepix as sp
from random_networks import hard_images

FORMAT = sp.FixedPoint(8, 3)
SHAPE = (1, 5, 6)


class Tail(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense, self.act = sp.QuantLinear(60, 4, weight_format=FORMAT), sp.QuantReLU(FORMAT)

    def forward(self, x, scale=None):
        return self.act(self.dense(x))


def small(middle=None):
    torch.manual_seed(2)
    return nn.Sequential(
        sp.QuantIdentity(FORMAT), sp.SparseInputReduce(5), sp.SparseConv2d(1, 2, 3, weight_format=FORMAT),
        sp.SparseReLU(FORMAT), sp.SparseFlatten(), *([] if middle is None else [middle]), Tail(),
    )  # fmt: skip


def nodes(exported):
    return [(node.name, node.op_type) for node in exported.graph.node]


def exported_and_equal(model, path):
    exported = sp.export_onnx(model, path, SHAPE)
    images = hard_images(np.random.default_rng(5), SHAPE)
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(images)).numpy()
    assert_array_equal(ort.InferenceSession(path).run(None, {"image": images})[0], expected)
    return exported


def observers(seen):
    """Hooks of every kind that compute something and keep it, and how to register them."""

    def on_output(module, inputs, output):
        tensor = output.features if isinstance(output, sp.SparsePixels) else output
        seen.append((tensor.mean() * 2 + 1).item())

    def on_input(module, inputs):
        tensor = inputs[0].features if isinstance(inputs[0], sp.SparsePixels) else inputs[0]
        seen.append(tensor.detach().abs().max().numpy())

    def with_keywords(module, args, kwargs, output=None):
        seen.append(len(args) + len(kwargs))

    return [
        lambda m: m.register_forward_hook(on_output),
        lambda m: m.register_forward_hook(on_output, prepend=True),
        lambda m: m.register_forward_hook(with_keywords, with_kwargs=True, always_call=True),
        lambda m: m.register_forward_hook(partial(lambda name, *_: seen.append(name), "name")),
        lambda m: m.register_forward_pre_hook(on_input),
        lambda m: m.register_forward_pre_hook(with_keywords, with_kwargs=True),
        lambda m: m.register_full_backward_hook(lambda *_: seen.append("backward")),
        lambda m: m.register_full_backward_pre_hook(lambda *_: seen.append("backward")),
    ]


def test_hooks_that_look_neither_break_nor_enter_an_export(tmp_path):
    model, seen = small(), []
    plain = sp.export_onnx(model, tmp_path / "model.onnx", SHAPE)
    for register in observers(seen):
        for module in model.modules():
            register(module)
    hooks = [[dict(d) for d in (m._forward_hooks, m._forward_pre_hooks, m._backward_hooks)] for m in model.modules()]
    exported = sp.export_onnx(model, tmp_path / "model.onnx", SHAPE)
    assert exported.SerializeToString() == plain.SerializeToString()
    assert [
        [dict(d) for d in (m._forward_hooks, m._forward_pre_hooks, m._backward_hooks)] for m in model.modules()
    ] == hooks
    assert all(isinstance(value, float | int | str | np.ndarray) for value in seen)
    seen.clear()
    model(torch.zeros(1, *SHAPE)).sum().backward()
    assert "backward" in seen
    assert len(seen) > 8 * 6


def test_hooks_on_all_modules(tmp_path):
    model, seen = small(), []
    plain = sp.export_onnx(model, tmp_path / "model.onnx", SHAPE)
    handle = torch_module.register_module_forward_hook(lambda m, inputs, output: seen.append(str(output)))
    try:
        exported = sp.export_onnx(model, tmp_path / "model.onnx", SHAPE)
    finally:
        handle.remove()
    assert exported.SerializeToString() == plain.SerializeToString()
    handle = torch_module.register_module_forward_hook(
        lambda m, inputs, output: output * 2 if isinstance(m, Tail) else None
    )
    try:
        with pytest.raises(sp.SparsePixError, match=r"a hook on all modules .* changes what they give"):
            sp.export_onnx(model, tmp_path / "model.onnx", SHAPE)
    finally:
        handle.remove()


def doubled(module, inputs, output):
    return output.replace(output.features * 2) if isinstance(output, sp.SparsePixels) else output * 2


def doubled_in_place(module, inputs, output):
    (output.features if isinstance(output, sp.SparsePixels) else output).mul_(2)


def doubled_through_data(module, inputs, output):
    (output.features if isinstance(output, sp.SparsePixels) else output).data.mul_(2)


CHANGING = {
    "output": lambda m: m.register_forward_hook(doubled),
    "output in place": lambda m: m.register_forward_hook(doubled_in_place),
    "output through data": lambda m: m.register_forward_hook(doubled_through_data),
    "input": lambda m: m.register_forward_pre_hook(lambda module, inputs: doubled(module, None, inputs[0])),
    "inputs": lambda m: m.register_forward_pre_hook(lambda module, inputs: (doubled(module, None, inputs[0]),)),
    "input in place": lambda m: m.register_forward_pre_hook(lambda module, i: doubled_in_place(module, None, i[0])),
}


@pytest.mark.parametrize("register", CHANGING.values(), ids=CHANGING)
@pytest.mark.parametrize("index", [3, 5])
def test_hooks_that_change_something_are_refused(register, index, tmp_path):
    model = small()
    register(model[index])
    with pytest.raises(sp.SparsePixError, match=f"{index}: its forward hook changes what goes in or comes out"):
        sp.export_onnx(model, tmp_path / "model.onnx", SHAPE)
    assert list(tmp_path.iterdir()) == []


def test_hooks_that_return_what_they_were_given(tmp_path):
    model = small()
    model[3].register_forward_hook(lambda module, inputs, output: output)
    model[5].register_forward_pre_hook(lambda module, inputs: inputs)
    model[5].dense.register_forward_pre_hook(lambda module, inputs: inputs[0])
    model[5].register_forward_pre_hook(lambda module, args, kwargs: (args, kwargs), with_kwargs=True)
    exported_and_equal(model, tmp_path / "model.onnx")


def test_a_hook_that_fails_names_itself(tmp_path):
    def failing(module, inputs, output):
        raise KeyError("no")

    model = small()
    model[3].register_forward_hook(failing)
    with pytest.raises(sp.SparsePixError, match=r"does not run on an image .*KeyError"):
        sp.export_onnx(model, tmp_path / "model.onnx", SHAPE)


def clamped(module, inputs):
    module.weight.data.clamp_(-0.25, 0.25)


class Halved(nn.Module):
    def forward(self, weight):
        return weight / 2


WEIGHTS = {
    "weight norm": lambda layer: parametrizations.weight_norm(layer),
    "old weight norm": lambda layer: nn.utils.weight_norm(layer),
    "spectral norm": lambda layer: parametrizations.spectral_norm(layer),
    "own": lambda layer: nn.utils.parametrize.register_parametrization(layer, "weight", Halved()),
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    "pruned at random": lambda layer: prune.random_unstructured(layer, "weight", 0.5),
    "clamped by a hook": lambda layer: layer.register_forward_pre_hook(clamped),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("wrap", WEIGHTS.values(), ids=WEIGHTS)
def test_weights_that_are_computed(wrap, tmp_path):
    """After a training step too, from which an old weight norm keeps the tensor that it has computed."""
    model = small()
    wrap(model[2])
    wrap(model[5].dense)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.rand(4, *SHAPE)).square().sum().backward()
        optimizer.step()
    exported_and_equal(model, tmp_path / "model.onnx")


WRAPPED = {
    "compiled": lambda m: torch.compile(m, backend="eager"),
    "compiled in place": lambda m: m.compile(backend="eager") or m,
    "data parallel": lambda m: nn.DataParallel(m),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrapped_modules_are_exported_as_themselves(wrap, tmp_path):
    plain = sp.export_onnx(small(), tmp_path / "model.onnx", SHAPE)
    model = small()
    model[5] = wrap(model[5])
    assert nodes(sp.export_onnx(wrap(model), tmp_path / "model.onnx", SHAPE)) == nodes(plain)


class Listed(nn.Module):
    """Modules that are referred to in other ways than as children, one of them with a dropout."""

    def __init__(self):
        super().__init__()
        self.inner = small(nn.Dropout(0.5))
        self.steps = [(module,) for module in self.inner]
        self.last = self.inner[6].forward

    def forward(self, x):
        for (step,) in self.steps[:-1]:
            x = step(x)
        return self.last(x)


def test_modules_in_lists_and_methods_are_evaluated_too(tmp_path):
    model = Listed().train()
    exported = exported_and_equal(model, tmp_path / "model.onnx")
    assert "inner.6.dense/Gemm" in [name for name, _ in nodes(exported)]


def lazy():
    return small(nn.LazyLinear(60))


def on_meta():
    return small().to("meta")


def sparse_weight():
    model = small()
    model[5].dense.weight = nn.Parameter(model[5].dense.weight.detach().to_sparse())
    return model


def quantized_buffer():
    model = small()
    model[5].register_buffer("table", torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.quint8))
    return model


def complex_weight():
    model = small()
    model[5].factor = nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    return model


FOREIGN = {
    "brevitas linear": (lambda: small(qnn.QuantLinear(60, 60, bias=True)),
                        r"5: QuantLinear: its weight: expected a power.*\n.*5: QuantLinear: its bias has no quan"),
    "brevitas relu": (lambda: small(qnn.QuantReLU()), r"5: QuantReLU: its act_quant: expected one power-of-two scale"),
    "brevitas conv": (lambda: small(qnn.QuantConv2d(1, 1, 3)), r"5: QuantConv2d .*sparsepix\.SparseConv2d"),
    "brevitas lstm": (lambda: small(qnn.QuantLSTM(60, 60)), r"5: QuantLSTM is a layer of Brevitas.*the layers of"),
    "derived from brevitas": (lambda: small(type("Mine", (qnn.QuantReLU,), {})()), "5: QuantReLU is a layer of Brev"),
    "brevitas alone": (lambda: qnn.QuantLinear(60, 60, bias=True), "QuantLinear: its weight: expected a power"),
    "script": (lambda: small(torch.jit.script(nn.Tanh())), r"5: a module of torch\.jit cannot be recorded"),
    "traced": (lambda: torch.jit.trace(nn.Tanh(), torch.zeros(2)), r"a module of torch\.jit cannot be recorded"),
    "lazy": (lazy, r"5\.weight: .*has no weights yet; run the model on an image first"),
    "meta": (on_meta, r"2\.weight: it is on the device 'meta'"),
    "sparse layout": (sparse_weight, r"6?5?\.?dense\.weight: expected a dense tensor.*torch\.sparse_coo"),
    "quantized": (quantized_buffer, r"5\.table: expected a dense tensor of floats, found.*quint8"),
    "half": (lambda: small().half(), r"2\.weight: expected float32 or float64, found torch\.float16; use model\.float"),
    "bfloat16": (lambda: small().bfloat16(), r"2\.weight: expected float32 or float64, found torch\.bfloat16"),
    "complex": (complex_weight, r"5\.factor: expected float32 or float64, found torch\.complex64"),
    "lstm": (lambda: small(nn.LSTM(60, 60)), "5: .* on values of the image has no firmware"),
    "attention": (lambda: small(nn.MultiheadAttention(60, 1)), "5: .*MultiheadAttention.forward"),
    "tanh": (lambda: small(nn.Tanh()), "5: .*tanh.* has no firmware"),
    "dense batch norm": (lambda: small(nn.BatchNorm1d(60)), "5: .*batch_norm.* has no firmware"),
    "nothing": (nn.Sequential, "the model must return what it has computed, found the image itself"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("build", "message"), FOREIGN.values(), ids=FOREIGN)
def test_modules_that_cannot_be_recorded_are_named(build, message, tmp_path):
    with pytest.raises(sp.SparsePixError, match=message):
        sp.export_onnx(build(), tmp_path / "model.onnx", SHAPE)
    assert list(tmp_path.iterdir()) == []


def test_all_foreign_modules_at_once(tmp_path):
    model = nn.Sequential(qnn.QuantReLU(), torch.jit.script(nn.Tanh()), small().half())
    with pytest.raises(sp.SparsePixError) as error:
        sp.export_onnx(model, tmp_path / "model.onnx", SHAPE)
    for part in ("0: QuantReLU", "1: a module of torch.jit", "2.2.weight: expected", "2.5.dense.bias: expected"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    "shape", [(1, 5), "157", (1, 5, -6), (0, 5, 6), (1, 5.5, 6), (1, 5, None), 3, {1, 5, 6}, (True, 5, 6), ()]
)
def test_shapes_that_are_none(shape, tmp_path):
    with pytest.raises(sp.SparsePixError, match=r"export needs input_shape = \(channels, height, width\)"):
        sp.export_onnx(small(), tmp_path / "model.onnx", shape)


def test_what_is_no_module(tmp_path):
    for wrong in (None, "model", small().state_dict(), sp.QuantReLU, lambda x: x):
        with pytest.raises(sp.SparsePixError, match="export needs a module of torch, found"):
            sp.export_onnx(wrong, tmp_path / "model.onnx", SHAPE)
