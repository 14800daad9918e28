"""SparseAvgPool2d: average over pooling cells, divided by the whole area of a cell."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedRange
from sparsepix_ops.op import DOMAIN, Attribute, Attributes, Op, Value
from sparsepix_ops.ops.pooling import CELLS_BODY, TARGETS_BODY, cells_of, check, grid_of, pooled_coords

MAX_RECIPROCAL_BITS = 24  # the attribute of the op is a float32

BODY = (
    CELLS_BODY
    + TARGETS_BODY
    + """
    terms = Where (inside_3d, features, zero_like)
    no_terms = Expand (zero_like, features_shape)
    total = ScatterElements <axis = 1, reduction = "add"> (no_terms, target_3d, terms)
    reciprocal_float = Constant <value_float: float = @reciprocal> ()
    reciprocal_like = CastLike (reciprocal_float, features)
    average = Mul (total, reciprocal_like)
    pooled_features = Where (first_3d, average, zero_like)
"""
)


def reciprocal(area: int, bits: int) -> FixedArray:
    """1 / area, rounded (half to even) to ``bits`` significant bits: a scalar [].

    Raises:
        SparsePixError: bits outside 2 ... 24.
    """
    return FixedArray.from_real(np.float64(real_reciprocal(area, bits)))


def real_reciprocal(area: int, bits: int) -> float:
    """The same as a float, in plain Python, which torch.compile follows.

    Raises:
        SparsePixError: bits outside 2 ... 24.
    """
    if not 2 <= bits <= MAX_RECIPROCAL_BITS:
        raise SparsePixError(f"reciprocal_bits must be 2 ... {MAX_RECIPROCAL_BITS}, found {bits}")
    shift = bits - 1 + (area - 1).bit_length()
    quotient, rest = divmod(1 << shift, area)
    if 2 * rest > area or (2 * rest == area and quotient & 1):
        quotient += 1
    return quotient / (1 << shift)


def unquantized(attributes: Attributes) -> str:
    """Why averages need a quantizer; '' where the division only moves the binary point."""
    if np.frexp(attributes["reciprocal"])[0] == 0.5:
        return ""
    return (
        "the pooled average has no quantizer, so each of its products would go on at full width; give the pool a "
        "format (pool_format)"
    )


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """Features [B, N, C], coords [B, N, 2] -> the same shapes."""
    features, coords = inputs
    pooled, pooled_at = np.zeros_like(features), np.full_like(coords, -1)
    for b in range(features.shape[0]):
        cell, number = cells_of(coords[b], attributes)
        slots = np.flatnonzero(number >= 0)
        _, start, of_slot = np.unique(number[slots], return_index=True, return_inverse=True)
        first = slots[start]
        np.add.at(pooled[b], first[of_slot], features[b, slots] * attributes["reciprocal"])
        pooled_at[b, first] = cell[first]
    return [pooled, pooled_at]


def _reference(inputs: Sequence[Any], attributes: Attributes) -> list[Any]:
    features, coords = inputs
    factor = FixedArray.from_real(np.float64(attributes["reciprocal"]))
    pooled, pooled_at = _compute([features.raw, coords], dict(attributes, reciprocal=factor.raw))
    return [FixedArray(pooled, features.exponent + factor.exponent), pooled_at]


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    features, _ = values
    coords = pooled_coords(features, attributes)
    if features.range is None:
        return [Value(features.shape), coords]
    if not attributes["reciprocal"] > 0:
        raise SparsePixError(f"its reciprocal must be positive, found {attributes['reciprocal']}")
    kh, kw = attributes["kernel_shape"]
    factor = FixedArray.from_real(np.float64(attributes["reciprocal"]))
    most = min(kh * kw, features.shape[1]) * int(factor.raw)
    in_range = features.range.with_zero()
    total = FixedRange(in_range.exponent + factor.exponent, in_range.low * most, in_range.high * most)
    return [Value.exact(features.shape, total), coords]


OP = Op(
    name="SparseAvgPool2d",
    domain=DOMAIN,
    inputs=("features", "coords"),
    outputs=("pooled_features", "pooled_coords"),
    attributes={
        "kernel_shape": Attribute(kind="ints"),
        "spatial_shape": Attribute(kind="ints"),
        "reciprocal": Attribute(kind="float"),
    },
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
    check=check,
    role="average",
    pixels="pooled_coords",
    grid=grid_of,
    unquantized=unquantized,
    stands_in={"AveragePool": "use SparseAvgPool2d"},
)
