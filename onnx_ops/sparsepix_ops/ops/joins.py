"""Add and Concat: joining values of the image, features on the same pixels or vectors; Add also of a bias."""

from collections.abc import Sequence

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedRange
from sparsepix_ops.op import Attribute, Attributes, Kind, Op, Value


def _add(inputs: Sequence[np.ndarray], _: Attributes) -> list[np.ndarray]:
    """Elementwise sum of arrays of one shape, or with a bias [features]."""
    return [inputs[0] + inputs[1]]


def _add_reference(inputs: Sequence[FixedArray], _: Attributes) -> list[FixedArray]:
    exponent = min(v.exponent for v in inputs)
    return [FixedArray(inputs[0].at(exponent).raw + inputs[1].at(exponent).raw, exponent)]


def _add_bound(values: Sequence[Value], _: Attributes) -> list[Value]:
    if any(v.constant is not None or v.real is not None for v in values):
        return [_biased(*values)]
    x, y = values
    if x.shape != y.shape or len(x.shape) not in (2, 3):
        raise SparsePixError(
            f"it adds two values of the image, which must be features or vectors of one shape, found {x.shape} and "
            f"{y.shape}"
        )
    if x.range is None or y.range is None:
        return [Value(x.shape)]
    exponent = min(x.range.exponent, y.range.exponent)
    a, b = x.range.at(exponent), y.range.at(exponent)
    # Floating point may add up the terms of both operands in one sum.
    partial = sum(max(v.partial, v.range.largest) << (v.range.exponent - exponent) for v in (x, y))
    return [Value.exact(x.shape, FixedRange(exponent, a.low + b.low, a.high + b.high), partial)]


def _biased(*values: Value) -> Value:
    x, bias = values if values[0].constant is None else values[::-1]
    if bias.constant is None or len(x.shape) != 2 or bias.shape not in ((x.shape[1],), (1, x.shape[1])):
        raise SparsePixError(
            "a constant may only be added as the bias after a MatMul: it must have shape (out_features,)"
        )
    if x.range is None:
        return Value(x.shape)
    exponent = min(x.range.exponent, bias.constant.exponent)
    a, b = x.range.at(exponent), bias.constant.range.at(exponent)
    total = FixedRange(exponent, a.low + b.low, a.high + b.high).hull(a)
    partial = (x.partial << (x.range.exponent - exponent)) + b.largest
    return Value.exact(x.shape, total, partial)


ADD = Op(
    "Add", "", ("x", "bias"), ("output",), {}, _add, _add_reference, _add_bound,
    kind=Kind.JOIN, weights=("bias",), pixels="x",
)  # fmt: skip


def _concat(inputs: Sequence[np.ndarray], _: Attributes) -> list[np.ndarray]:
    """Arrays [..., C1], [..., C2] ... side by side: [..., C1 + C2 ...]."""
    return [np.concatenate(inputs, axis=-1)]


def _concat_reference(inputs: Sequence[FixedArray], _: Attributes) -> list[FixedArray]:
    exponent = min(v.exponent for v in inputs)
    return [FixedArray(np.concatenate([v.at(exponent).raw for v in inputs], axis=-1), exponent)]


def _concat_bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    first = values[0].shape
    if any(v.constant is not None or v.real is not None for v in values):
        raise SparsePixError("it joins values of the image only, found a constant")
    if len(first) not in (2, 3) or any(v.shape[:-1] != first[:-1] or len(v.shape) != len(first) for v in values):
        raise SparsePixError(
            f"it joins features on the same pixels, or vectors, found shapes {', '.join(str(v.shape) for v in values)}"
        )
    if attributes["axis"] not in (-1, len(first) - 1):
        raise SparsePixError(f"its axis must be the last one, that of the channels, found {attributes['axis']}")
    shape = (*first[:-1], sum(v.shape[-1] for v in values))
    if any(v.range is None for v in values):
        return [Value(shape)]
    total = values[0].range
    for value in values[1:]:
        total = total.hull(value.range)
    return [Value.exact(shape, total)]


CONCAT = Op(
    "Concat", "", ("x",), ("output",), {"axis": Attribute()}, _concat, _concat_reference, _concat_bound,
    variadic=True, kind=Kind.JOIN, pixels="x",
)  # fmt: skip
OPS = (ADD, CONCAT)
