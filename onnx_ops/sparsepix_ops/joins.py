"""Add: a bias, or the sum of two values of the image: features on the same pixels, or vectors."""

from collections.abc import Sequence

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedRange
from sparsepix_ops.op import Attributes, Op, Value


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
    # Floating point may join the sums of both operands into one.
    partial = sum(max(v.partial, v.range.largest) << (v.range.exponent - exponent) for v in (x, y))
    return [Value.exact(x.shape, FixedRange(exponent, a.low + b.low, a.high + b.high), partial)]


def _biased(*values: Value) -> Value:
    x, bias = values if values[0].constant is None else values[::-1]
    if bias.constant is None or len(x.shape) != 2 or bias.shape not in ((x.shape[1],), (1, x.shape[1])):
        raise SparsePixError(
            "a constant may only be added as the bias behind a MatMul: it must have shape (out_features,)"
        )
    if x.range is None:
        return Value(x.shape)
    exponent = min(x.range.exponent, bias.constant.exponent)
    a, b = x.range.at(exponent), bias.constant.range.at(exponent)
    total = FixedRange(exponent, a.low + b.low, a.high + b.high).hull(a)
    partial = (x.partial << (x.range.exponent - exponent)) + b.largest
    return Value.exact(x.shape, total, partial)


ADD = Op("Add", "", ("x", "bias"), ("output",), {}, _add, _add_reference, _add_bound)
OPS = (ADD,)
