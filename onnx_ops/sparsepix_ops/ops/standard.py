"""The standard ONNX ops that a model may use on one value: Relu, LeakyRelu, Gemm, MatMul, Cast, Identity.

For those on several see ``joins``.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedRange
from sparsepix_ops.op import Attribute, Attributes, Kind, Op, Value
from sparsepix_ops.ops import leaky_relu
from sparsepix_ops.ops.sparse_conv2d import linear_bound


def _relu(inputs: Sequence[np.ndarray], _: Attributes) -> list[np.ndarray]:
    return [np.maximum(inputs[0], 0)]


def _relu_reference(inputs: Sequence[FixedArray], _: Attributes) -> list[FixedArray]:
    return [FixedArray(np.maximum(inputs[0].raw, 0), inputs[0].exponent)]


def _relu_bound(values: Sequence[Value], _: Attributes) -> list[Value]:
    (x,) = values
    if x.range is None:
        return [Value(x.shape)]
    positive = FixedRange(x.range.exponent, max(x.range.low, 0), max(x.range.high, 0))
    return [replace(Value.exact(x.shape, positive), groups=x.groups)]


def _same(inputs: Sequence[Any], _: Attributes) -> list[Any]:
    return [inputs[0]]


def _same_bound(values: Sequence[Value], _: Attributes) -> list[Value]:
    return [values[0]]


def _gemm(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """X [B, in] @ weight, plus bias [out] if there is one."""
    x, weight, *bias = inputs
    result = x @ (weight.T if attributes.get("transB") else weight)
    return [result + bias[0] if bias else result]


def _gemm_reference(inputs: Sequence[Any], attributes: Attributes) -> list[FixedArray]:
    x, weight, *bias = inputs
    exponent = min([x.exponent + weight.exponent, *(b.exponent for b in bias)])
    spread = x.exponent + weight.exponent - exponent
    raw = _gemm([x.raw << spread, weight.raw, *(b.at(exponent).raw for b in bias)], attributes)
    return [FixedArray(raw[0], exponent)]


def _gemm_bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    x, weight, *rest = values
    if attributes.get("transA") or attributes.get("alpha", 1.0) != 1 or attributes.get("beta", 1.0) != 1:
        raise SparsePixError("only transA = 0, alpha = 1, beta = 1 are supported")
    if len(weight.shape) != 2 or len(x.shape) != 2:
        raise SparsePixError(f"its input and weight must have 2 axes, found shapes {x.shape} and {weight.shape}")
    out_features, in_features = weight.shape if attributes.get("transB") else weight.shape[::-1]
    if x.shape[1] != in_features:
        raise SparsePixError(f"its weight is made for {in_features} features, found an input of {x.shape[1]}")
    if rest and rest[0].shape not in ((), (1,), (out_features,), (1, out_features)):
        raise SparsePixError(f"its bias must have shape ({out_features},), found {rest[0].shape}")
    shape = (x.shape[0], out_features)
    if x.range is None or weight.constant is None or any(v.constant is None for v in rest):
        return [Value(shape)]
    by_output = weight.constant.raw if attributes.get("transB") else weight.constant.raw.T
    bias = (
        FixedArray(np.broadcast_to(rest[0].constant.raw.reshape(-1), (out_features,)), rest[0].constant.exponent)
        if rest
        else None
    )
    by_output = FixedArray(by_output, weight.constant.exponent)
    in_range = Value(x.shape, x.range.with_zero())
    groups, most = x.groups or (in_features, in_features)
    return [linear_bound(shape, in_range, by_output, bias, groups, most)]


_GEMM_ATTRIBUTES = {
    "transA": Attribute(0),
    "transB": Attribute(0),
    "alpha": Attribute(1.0, "float"),
    "beta": Attribute(1.0, "float"),
}
OPS = (
    Op(
        "Relu", "", ("x",), ("output",), {}, _relu, _relu_reference, _relu_bound,
        kind=Kind.RECTIFIER, role="relu", pixels="x",
        stands_in=dict.fromkeys(("Elu", "Gelu", "Tanh"), "use SparseReLU"),
    ),
    replace(leaky_relu.OP, domain="", body=""),
    Op("Identity", "", ("x",), ("output",), {}, _same, _same, _same_bound, kind=Kind.COPY, pixels="x"),
    Op("Cast", "", ("x",), ("output",), {}, _same, _same, _same_bound, kind=Kind.CAST, pixels="x"),
    Op("MatMul", "", ("x", "weight"), ("output",), {}, _gemm, _gemm_reference, _gemm_bound, weights=("weight",)),
    Op(
        "Gemm", "", ("x", "weight", "bias"), ("output",), _GEMM_ATTRIBUTES, _gemm, _gemm_reference, _gemm_bound,
        weights=("weight", "bias"), optional=1,
    ),
)  # fmt: skip
