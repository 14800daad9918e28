"""What a forward does with torch's own functions: the file computes the same, or the export is refused."""

import operator
import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn
from torch.nn import functional as F

import sparsepix as sp
from forward_models import FEATURES, FORMAT, SHAPE, built, exported_and_equal


def names(exported):
    return [node.op_type for node in exported.graph.node]


def in_place(method, *args):
    """Change a copy, an alias, and the value itself, and return all three."""

    def run(_, x):
        copy, alias = x.clone(), x.view(x.size(0), -1)
        getattr(alias, method)(*args)
        return torch.cat([x, copy, alias], dim=1)

    return run


# Calls that leave a vector as it is.
SAME = {
    "view": lambda _, x: x.view(x.size(0), -1),
    "view of other": lambda _, x: x.view_as(x.clone()),
    "view, batch open": lambda _, x: x.view(-1, FEATURES),
    "reshape": lambda _, x: x.reshape(x.shape[0], -1),
    "torch.reshape": lambda _, x: torch.reshape(x, (-1, FEATURES)),
    "flatten": lambda _, x: x.flatten(1),
    "torch.flatten": lambda _, x: torch.flatten(x, start_dim=1),
    "nn.Flatten": lambda _, x: nn.Flatten()(x),
    "squeeze": lambda _, x: x.squeeze(1),
    "expand": lambda _, x: x.expand(-1, FEATURES),
    "permute": lambda _, x: x.permute(0, 1),
    "transpose": lambda _, x: x.transpose(1, 1),
    "contiguous": lambda _, x: x.contiguous(),
    "float": lambda _, x: x.float(),
    "to": lambda m, x: x.to(m.dense.weight.dtype).to("cpu").to(m.dense.weight),
    "type": lambda _, x: x.type(torch.float32).type_as(x),
    "double": lambda _, x: x.double().to(torch.float64),
    "detach": lambda _, x: x.detach(),
    "data": lambda _, x: x.data,
    "clone": lambda _, x: x.clone(),
    "cpu": lambda _, x: x.cpu(),
    "identity": lambda _, x: nn.Identity()(x),
    "dropout": lambda m, x: F.dropout(x, 0.5, m.training),
    "dropout by keyword": lambda m, x: F.dropout(x, p=0.5, training=m.training, inplace=True),
    "torch.dropout": lambda m, x: torch.dropout(x, 0.5, m.training),
    "alpha dropout": lambda m, x: F.alpha_dropout(F.feature_alpha_dropout(x), 0.5, m.training),
    "nn.Dropout": lambda _, x: nn.Dropout(0.5).eval()(x),
    "nn.AlphaDropout": lambda _, x: nn.AlphaDropout(0.5).eval()(x),
    "plus 0": lambda _, x: 0 + (x + 0) - 0,
    "times 1": lambda _, x: 1 * (x * 1.0) / 1,
    "looked at": lambda _, x: x if len(x.shape) == 2 and x.dim() == 2 and x.is_floating_point() and str(x) else None,
    "twice": lambda _, x: (x, x.view(x.size(0), -1)),
}


@pytest.mark.parametrize("call", SAME.values(), ids=SAME)
def test_what_changes_nothing_is_exported(call, tmp_path):
    exported = exported_and_equal(built(on_vector=call), tmp_path / "model.onnx")
    assert set(names(exported)) <= {
        "Cast", "Quant", "InputReduce", "SparseConv2d", "Relu", "SparseFlatten", "Gemm", "Identity"
    }  # fmt: skip


# Calls that have an op: also where a value is changed in place that has other names.
RECORDED = {
    "relu of alias": in_place("relu_"),
    "sum of alias": lambda _, x: torch.cat([x, x.clone(), x.detach().add_(x)], dim=1),
    "in place through data": lambda _, x: (x.data.relu_(), x)[1],
    "in place through detach": lambda _, x: (F.relu(x.detach(), inplace=True), x)[1],
    "in place through a copy": lambda _, x: (x.clone().relu_(), x)[1],
    "in place through a wider copy": lambda _, x: (x.double().relu_(), x)[1],
    "in place in dropout": lambda m, x: (F.dropout(x, 0.5, m.training).relu_(), x)[1],
    "nn.ReLU in place": lambda _, x: (nn.ReLU(inplace=True)(x), x)[1],
    "sum": lambda _, x: x + x,
    "doubled in place": lambda _, x: operator.iadd(x, x),
    "bias": lambda m, x: x + sp.Quantizer(FORMAT)(m.constant),
    "bias of a row": lambda m, x: x + sp.Quantizer(FORMAT)(m.constant[None]),
    "matmul": lambda m, x: x @ sp.Quantizer(FORMAT)(m.constant.outer(m.constant)),
    "linear": lambda m, x: F.linear(x, sp.Quantizer(FORMAT)(m.constant.outer(m.constant))),
    "leaky_relu": lambda _, x: F.leaky_relu(x, 0.5),
    "concat": lambda _, x: torch.concat([x, F.relu(x)], -1),
    "constants computed": lambda m, x: F.linear(x, sp.Quantizer(FORMAT)(m.constant.exp().outer(m.constant.sin()))),
}  # fmt: skip


@pytest.mark.parametrize("call", RECORDED.values(), ids=RECORDED)
def test_recorded_functions_compute_the_same(call, tmp_path):
    exported_and_equal(built(on_vector=call), tmp_path / "model.onnx")


def by_calls(model, x):
    model.calls += 1
    return F.relu(x) if model.calls % 2 else x


def kept_secret(model, x):
    try:
        return x + float(x.mean())
    except sp.SparsePixError:
        return x


def in_script(model, x):
    return torch.jit.script(lambda_free)(x)


def lambda_free(x: torch.Tensor) -> torch.Tensor:
    return x * 2.0


class Negated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return -x

    @staticmethod
    def backward(ctx, grad):
        return -grad


def set_first(model, x):
    x[:, 0] = 0
    return x


def set_data(model, x):
    x.data = torch.zeros(x.shape)
    return x


def copied_into(model, x):
    out = torch.zeros(x.shape)
    out.copy_(x)
    return out


def out_argument(model, x):
    out = torch.empty(x.shape)
    torch.add(x, x, out=out)
    return out


def into_itself(model, x):
    torch.relu(x.clone(), out=x) if False else torch.add(x, x, out=x)
    return x


def endless(model, x):
    return endless(model, x)


def swapped_weight(model, x):
    weight = sp.Quantizer(FORMAT)(model.constant.outer(model.constant))
    weight.data.mul_(0.5)
    return F.linear(x, weight)


def scaled_alias_of_images(model, x):
    return x.mul_(2)


# Whatever a forward may do with a value of the image: none of these has firmware.
REFUSED = {
    "item": lambda _, x: x * x.sum().item(),
    "item of nothing": lambda _, x: x + 0 * x.max().item(),
    "if": lambda _, x: x if x.sum() > 0 else -x,
    "bool": lambda _, x: x if x.any() else -x,
    "float": lambda _, x: x + float(x[0, 0]),
    "int": lambda _, x: x[:, : int(x[0, 0])],
    "index": lambda _, x: [x][x[0, 0].long()],
    "tolist": lambda _, x: torch.tensor(x.tolist()),
    "numpy": lambda _, x: torch.from_numpy(x.numpy()),
    "numpy of detached": lambda _, x: torch.from_numpy(x.detach().cpu().numpy() * 2),
    "asarray": lambda _, x: torch.from_numpy(np.asarray(x) + 1),
    "array": lambda _, x: torch.tensor(np.array(x)),
    "np.maximum": lambda _, x: torch.as_tensor(np.maximum(x, 0)),
    "torch.tensor": lambda _, x: torch.tensor(x),
    "as_tensor of list": lambda _, x: torch.as_tensor([float(v) for v in x[0]]),
    "dlpack": lambda _, x: torch.from_dlpack(x),
    "to_dlpack": lambda _, x: torch.from_dlpack(torch.utils.dlpack.to_dlpack(x)),
    "storage": lambda _, x: torch.tensor(x.untyped_storage().tolist()),
    "data_ptr": lambda _, x: x + x.data_ptr() * 0,
    "deepcopy": lambda _, x: __import__("copy").deepcopy(x) * 2,
    "pickle": lambda _, x: __import__("pickle").loads(__import__("pickle").dumps(x)),
    "iterate": lambda _, x: torch.stack(list(x)),
    "unbind": lambda _, x: torch.stack(x.unbind(0)),
    "row": lambda _, x: x[0],
    "slice": lambda _, x: x[:, 1:],
    "mask": lambda _, x: x[x > 0],
    "set": set_first,
    "set data": set_data,
    "copy_": copied_into,
    "out": out_argument,
    "out of itself": into_itself,
    "where": lambda _, x: torch.where(x > 0, x, -x),
    "transpose": lambda _, x: x.t(),
    "mT": lambda _, x: x.mT.mT,
    "flat": lambda _, x: x.flatten(),
    "view of one image": lambda _, x: x.view(13, -1),
    "unsqueeze": lambda _, x: x.unsqueeze(1),
    "halves": lambda _, x: x.half().float(),
    "bfloat16": lambda _, x: x.bfloat16().float(),
    "int cast": lambda _, x: x.int().float(),
    "complex": lambda _, x: torch.view_as_real(x.to(torch.complex64)),
    "softmax over images": lambda _, x: F.softmax(x, dim=0),
    "softmax in half": lambda _, x: F.softmax(x, dim=1, dtype=torch.bfloat16),
    "log_softmax": lambda _, x: F.log_softmax(x, dim=1),
    "sigmoid in the middle": lambda _, x: torch.sigmoid(x) + x,
    "tanh": lambda _, x: torch.tanh(x),
    "gelu": lambda _, x: F.gelu(x),
    "clamp": lambda _, x: x.clamp(0, 1),
    "max": lambda _, x: torch.maximum(x, x.flip(1)),
    "cumsum": lambda _, x: x.cumsum(1),
    "sort": lambda _, x: x.sort(dim=1).values,
    "scaled": lambda _, x: x * 2,
    "squared": lambda _, x: x * x,
    "shifted": lambda _, x: x + 1,
    "minus": lambda _, x: x - x,
    "negated": lambda _, x: -x,
    "scaled in place": scaled_alias_of_images,
    "alpha": lambda _, x: torch.add(x, x, alpha=2),
    "mean": lambda _, x: x.mean(dim=0, keepdim=True),
    "bias a batch long": lambda m, x: x + torch.ones(x.shape[0], 1),
    "bias of the batch": lambda m, x: x + sp.Quantizer(FORMAT)(m.constant * x.shape[0] / 13),
    "bias wider": lambda m, x: x[:, :1] + m.constant,
    "unquantized": lambda m, x: F.linear(x, m.constant.outer(m.constant).sin()),
    "weight of the image": lambda _, x: F.linear(x, x[:FEATURES]),
    "image as weight": lambda m, x: m.constant.outer(m.constant) @ x.t(),
    "quantized, then changed": swapped_weight,
    "einsum": lambda m, x: torch.einsum("bf,f->bf", x, m.constant),
    "concat of images": lambda _, x: torch.cat([x, x], dim=0),
    "concat of a constant": lambda _, x: torch.cat([x, torch.zeros_like(x)], dim=1),
    "stack": lambda _, x: torch.stack([x, x], dim=1),
    "batch norm": lambda _, x: F.batch_norm(x, torch.zeros(4), torch.ones(4)),
    "layer norm": lambda _, x: F.layer_norm(x, (4,)),
    "conv1d": lambda m, x: F.conv1d(x[:, None], m.constant.view(1, 1, 4)),
    "dropout always": lambda _, x: F.dropout(x, 0.5),
    "noise": lambda _, x: x + torch.randn(FEATURES),
    "noise like": lambda _, x: torch.add(x, torch.rand_like(x)),
    "noise of a generator": lambda _, x: x + torch.zeros(4).normal_(),
    "noise of numpy": lambda _, x: x + sp.Quantizer(FORMAT)(torch.from_numpy(np.random.randn(4)).float()),
    "state": by_calls,
    "swallowed": kept_secret,
    "jit": in_script,
    "function": lambda _, x: Negated.apply(x),
    "compiled": lambda _, x: torch.compile(lambda_free, backend="eager")(x),
    "aten": lambda _, x: torch.ops.aten.mul.Scalar(x, 2),
    "vmap": lambda _, x: torch.vmap(lambda row: row * 2)(x),
    "thread": lambda _, x: __import__("concurrent.futures").futures.ThreadPoolExecutor(1).submit(torch.neg, x).result(),
    "lstm": lambda _, x: nn.LSTM(4, 4)(x)[0],
    "attention": lambda _, x: nn.MultiheadAttention(4, 1)(x, x, x)[0],
    "nothing": lambda _, x: None,
    "empty tuple": lambda _, x: (),
    "number": lambda _, x: 3.0,
    "constant": lambda m, x: m.constant,
    "zeros": lambda _, x: torch.zeros_like(x),
    "nested": lambda _, x: [[x]],
    "recursion": endless,
    "assertion": lambda _, x: (_ for _ in ()).throw(AssertionError("no")),
    "key error": lambda _, x: {}["logits"],
    "stop iteration": lambda _, x: next(iter(())),
    "memory": lambda _, x: torch.zeros(10**15) + x,
    "exit of a loop": lambda _, x: 1 // 0,
}  # fmt: skip


REASONS = (
    "Model: .* has no firmware|would not be the model|draws random numbers in evaluation|does not run on an image|"
    "the model must return|no quantizer|no numbers while a model is exported"
)


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_everything_else_is_refused(call, tmp_path):
    model = built(on_vector=call)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(sp.SparsePixError) as error:
        sp.export_onnx(model, tmp_path / "model.onnx", SHAPE)
    assert re.search(REASONS, str(error.value)), str(error.value)
    assert list(tmp_path.iterdir()) == []
    for name, value in model.state_dict().items():
        assert_array_equal(value.numpy(), before[name].numpy())
