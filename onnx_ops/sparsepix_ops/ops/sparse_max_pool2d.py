"""SparseMaxPool2d: maximum over pooling cells."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.fixed_point import FixedArray
from sparsepix_ops.op import DOMAIN, Attribute, Attributes, Op, Value
from sparsepix_ops.ops.pooling import CELLS_BODY, OVER_BODY, TARGETS_BODY, cells_of, check, grid_of, pooled_coords

BODY = (
    CELLS_BODY
    + TARGETS_BODY
    + """
    lowest_float = Constant <value_float = -3.4028234663852886e38> ()
    lowest = CastLike (lowest_float, features)
    candidates = Where (inside_3d, features, lowest)
    no_candidate = Expand (lowest, features_shape)
    largest = ScatterElements <axis = 1, reduction = "max"> (no_candidate, target_3d, candidates)
    area = ReduceProd <keepdims = 0> (kernel)
    area_like = CastLike (area, features)
    inside_like = CastLike (inside, features)
    no_pixels = Expand (zero_like, slots_shape)
    pixels_of_slot = ScatterElements <axis = 1, reduction = "add"> (no_pixels, target, inside_like)
    pixels_in_cell = Unsqueeze (pixels_of_slot, axis2)
    full = Equal (pixels_in_cell, area_like)
"""
    + OVER_BODY
    + """
    pooled_features = Where (first_3d, maximum, zero_like)
"""
)


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """Features [B, N, C], coords [B, N, 2] -> the same shapes."""
    features, coords = inputs
    kh, kw = attributes["kernel_shape"]
    pooled, pooled_at = np.zeros_like(features), np.full_like(coords, -1)
    for b in range(features.shape[0]):
        cell, number = cells_of(coords[b], attributes)
        # Side by side the slots of one cell, in their order.
        slots = np.argsort(number, kind="stable")
        slots = slots[number[slots] >= 0]
        _, start, count = np.unique(number[slots], return_index=True, return_counts=True)
        if not len(slots):
            continue
        largest = np.maximum.reduceat(features[b, slots], start)
        if attributes["over"] == "cell":
            largest = np.where((count < kh * kw)[:, None], np.maximum(largest, 0), largest)
        pooled[b, slots[start]] = largest
        pooled_at[b, slots[start]] = cell[slots[start]]
    return [pooled, pooled_at]


def _reference(inputs: Sequence[Any], attributes: Attributes) -> list[Any]:
    features, coords = inputs
    pooled, pooled_at = _compute([features.raw, coords], attributes)
    return [FixedArray(pooled, features.exponent), pooled_at]


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    features, _ = values
    coords = pooled_coords(features, attributes)
    if features.range is None:
        return [Value(features.shape), coords]
    return [Value(features.shape, features.range.with_zero(), features.format), coords]


OP = Op(
    name="SparseMaxPool2d",
    domain=DOMAIN,
    inputs=("features", "coords"),
    outputs=("pooled_features", "pooled_coords"),
    attributes={
        "kernel_shape": Attribute(kind="ints"),
        "spatial_shape": Attribute(kind="ints"),
        "over": Attribute("active", "string", ("active", "cell")),
    },
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
    check=check,
    pixels="pooled_coords",
    grid=grid_of,
    stands_in={"MaxPool": "use SparseMaxPool2d"},
)
