"""SparseGlobalMaxPool2d: maximum over the whole image."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.fixed_point import FixedArray
from sparsepix_ops.op import DOMAIN, Attribute, Attributes, Op, Value
from sparsepix_ops.ops.pooling import OVER_BODY

BODY = (
    """
    axis1 = Constant <value_ints = [1]> ()
    last = Constant <value_ints = [-1]> ()
    zero = Constant <value_int = 0> ()
    row = Gather <axis = 2> (coords, zero)
    active = GreaterOrEqual (row, zero)
    active_3d = Unsqueeze (active, last)
    lowest_float = Constant <value_float = -3.4028234663852886e38> ()
    lowest = CastLike (lowest_float, features)
    candidates = Where (active_3d, features, lowest)
    largest = ReduceMax <keepdims = 0> (candidates, axis1)
    zero_float = Constant <value_float = 0.0> ()
    zero_like = CastLike (zero_float, features)
    active_like = CastLike (active, features)
    pixels = ReduceSum <keepdims = 1> (active_like, axis1)
    spatial = Constant <value_ints: ints = @spatial_shape> ()
    area = ReduceProd <keepdims = 0> (spatial)
    area_like = CastLike (area, features)
    full = Equal (pixels, area_like)
"""
    + OVER_BODY
    + """
    some = Greater (pixels, zero_like)
    output = Where (some, maximum, zero_like)
"""
)


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """Features [B, N, C], coords [B, N, 2] -> [B, C]; an image without active pixels gives 0."""
    features, coords = inputs
    height, width = attributes["spatial_shape"]
    pooled = np.zeros((features.shape[0], features.shape[2]), dtype=features.dtype)
    for b in range(features.shape[0]):
        slots = np.flatnonzero(coords[b, :, 0] >= 0)
        if len(slots):
            pooled[b] = features[b, slots].max(axis=0)
        if attributes["over"] == "cell" and len(slots) < height * width:
            pooled[b] = np.maximum(pooled[b], 0)
    return [pooled]


def _reference(inputs: Sequence[Any], attributes: Attributes) -> list[FixedArray]:
    features, coords = inputs
    return [FixedArray(_compute([features.raw, coords], attributes)[0], features.exponent)]


def _bound(values: Sequence[Value], _: Attributes) -> list[Value]:
    features, _coords = values
    shape = (features.shape[0], features.shape[2])
    if features.range is None:
        return [Value(shape)]
    return [Value(shape, features.range.with_zero(), features.format)]


OP = Op(
    name="SparseGlobalMaxPool2d",
    domain=DOMAIN,
    inputs=("features", "coords"),
    outputs=("output",),
    attributes={
        "spatial_shape": Attribute(kind="ints"),
        "over": Attribute("active", "string", ("active", "cell")),
    },
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
    stands_in={"GlobalMaxPool": "use SparseGlobalMaxPool2d"},
)
