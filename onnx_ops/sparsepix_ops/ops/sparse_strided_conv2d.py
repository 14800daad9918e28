"""SparseStridedConv2d: convolution onto a coarser grid, whose cells are those that hold an active pixel.

Pixels of one cell of ``strides`` merge into the first of their slots, as those of a pool do; a partial last cell is a
cell here. The window lies around the cell's first place, as that of a dense convolution with half a kernel of
padding does, and every active pixel in it takes part, whatever its cell.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedRange
from sparsepix_ops.op import DOMAIN, Attribute, Attributes, Op, Value
from sparsepix_ops.ops.pooling import cells_body
from sparsepix_ops.ops.sparse_conv2d import (
    TERMS_BODY,
    WEIGHT_BODY,
    aligned,
    check_weight,
    convolution_bound,
    window_sums,
)

BODY = (
    cells_body("strides", round_up=True)
    + WEIGHT_BODY
    + """
    centre = Mul (cell, kernel)
    output_active = Squeeze (first_3d, axis2)
"""
    + TERMS_BODY
    + """
    output_features = Where (first_3d, biased, zero_like)
    output_coords = Identity (pooled_coords)
"""
)


def check_strides(strides: Sequence[int]) -> None:
    """Raise SparsePixError unless both strides are 1 or more."""
    if any(s < 1 for s in strides):
        raise SparsePixError(f"strides must be 1 or more, found {tuple(strides)}")


def grid_of(spatial_shape: Sequence[int], strides: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of the cells that cover an image."""
    rows, columns = (-(-size // step) for size, step in zip(spatial_shape, strides, strict=True))
    return rows, columns


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """Inputs as those of SparseConv2d -> features [B, N, Cout], coords [B, N, 2]."""
    features, coords, weight, bias = inputs
    output = np.zeros((*features.shape[:2], weight.shape[0]), dtype=features.dtype)
    output_at = np.full_like(coords, -1)
    for b in range(features.shape[0]):
        slots = np.flatnonzero(coords[b, :, 0] >= 0)
        cells, first = np.unique(coords[b, slots] // attributes["strides"], axis=0, return_index=True)
        centres = cells * attributes["strides"]
        sums = window_sums(features[b, slots], coords[b, slots], centres, weight, attributes["group"])
        output[b, slots[first]] = sums + bias
        output_at[b, slots[first]] = cells
    return [output, output_at]


def _reference(inputs: Sequence[Any], attributes: Attributes) -> list[Any]:
    raw, exponent = aligned(inputs)
    output, output_at = _compute(raw, attributes)
    return [FixedArray(output, exponent), output_at]


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    check_strides(attributes["strides"])
    features = values[0]
    grid = grid_of(attributes["spatial_shape"], attributes["strides"])
    coords = Value((*features.shape[:2], 2), FixedRange(0, -1, max(grid) - 1), coords=True)
    return [convolution_bound(values, attributes["group"]), coords]


OP = Op(
    name="SparseStridedConv2d",
    domain=DOMAIN,
    inputs=("features", "coords", "weight", "bias"),
    outputs=("output_features", "output_coords"),
    attributes={"strides": Attribute(kind="ints"), "spatial_shape": Attribute(kind="ints"), "group": Attribute(1)},
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
    check=check_weight,
    weights=("weight", "bias"),
    pixels="output_coords",
    grid=lambda grid, attributes: grid_of(grid, attributes["strides"]),
)
