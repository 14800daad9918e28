"""SparseGlobalAvgPool2d: average over the whole image, divided by its whole area."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedRange
from sparsepix_ops.op import DOMAIN, Attribute, Attributes, Op, Value
from sparsepix_ops.ops.sparse_avg_pool2d import unquantized

# Empty slots hold zeros, so the result does not depend on the coordinates; they say which list of pixels it is.
BODY = """
    axis1 = Constant <value_ints = [1]> ()
    total = ReduceSum <keepdims = 0> (features, axis1)
    reciprocal_float = Constant <value_float: float = @reciprocal> ()
    reciprocal_like = CastLike (reciprocal_float, features)
    output = Mul (total, reciprocal_like)
"""


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """Features [B, N, C], coords [B, N, 2] -> [B, C]."""
    return [inputs[0].sum(axis=1) * attributes["reciprocal"]]


def _reference(inputs: Sequence[Any], attributes: Attributes) -> list[FixedArray]:
    features, coords = inputs
    factor = FixedArray.from_real(np.float64(attributes["reciprocal"]))
    (raw,) = _compute([features.raw, coords], {"reciprocal": factor.raw})
    return [FixedArray(raw, features.exponent + factor.exponent)]


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    features, _ = values
    batch, slots, channels = features.shape
    height, width = attributes["spatial_shape"]
    if features.range is None:
        return [Value((batch, channels))]
    if not attributes["reciprocal"] > 0:
        raise SparsePixError(f"its reciprocal must be positive, found {attributes['reciprocal']}")
    factor = FixedArray.from_real(np.float64(attributes["reciprocal"]))
    most = min(height * width, slots) * int(factor.raw)
    in_range = features.range.with_zero()
    total = FixedRange(in_range.exponent + factor.exponent, in_range.low * most, in_range.high * most)
    return [Value.exact((batch, channels), total)]


OP = Op(
    name="SparseGlobalAvgPool2d",
    domain=DOMAIN,
    inputs=("features", "coords"),
    outputs=("output",),
    attributes={"spatial_shape": Attribute(kind="ints"), "reciprocal": Attribute(kind="float")},
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
    role="average",
    unquantized=unquantized,
    stands_in={"GlobalAveragePool": "use SparseGlobalAvgPool2d"},
)
