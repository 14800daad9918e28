"""SparseFlatten: the list of pixels becomes a dense vector, row, column, channel."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.fixed_point import FixedArray
from sparsepix_ops.op import DOMAIN, Attribute, Attributes, Op, Value

# Shapes are given in full: -1 is ambiguous for no images. (A Concat that ends in a computed size is not enough, since
# onnxruntime's ReshapeFusion makes -1 of it.)
BODY = """
    axis0 = Constant <value_ints = [0]> ()
    last = Constant <value_ints = [-1]> ()
    zero = Constant <value_int = 0> ()
    spatial = Constant <value_ints: ints = @spatial_shape> ()
    cells = ReduceProd <keepdims = 0> (spatial)
    axis1 = Constant <value_ints = [1]> ()
    width = Gather <axis = 0> (spatial, axis1)
    steps = Concat <axis = 0> (width, axis1)
    row = Gather <axis = 2> (coords, zero)
    active = GreaterOrEqual (row, zero)
    steps_to_cell = Mul (coords, steps)
    cell_number = ReduceSum <keepdims = 0> (steps_to_cell, last)
    cell_index = Where (active, cell_number, zero)
    cell_of_slot = Unsqueeze (cell_index, last)
    features_shape = Shape (features)
    cell_3d = Expand (cell_of_slot, features_shape)
    active_3d = Unsqueeze (active, last)
    zero_float = Constant <value_float = 0.0> ()
    zero_like = CastLike (zero_float, features)
    added = Where (active_3d, features, zero_like)
    events = Shape <start = 0, end = 1> (features)
    cells_1d = Unsqueeze (cells, axis0)
    channels = Shape <start = 2, end = 3> (features)
    dense_shape = Concat <axis = 0> (events, cells_1d, channels)
    blank = Expand (zero_like, dense_shape)
    dense = ScatterElements <axis = 1, reduction = "add"> (blank, cell_3d, added)
    flat_size = Mul (cells, channels)
    last_of_two = Constant <value_ints = [0, 1]> ()
    flat_shape = Mul (last_of_two, flat_size)
    output = Reshape (dense, flat_shape)
"""


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """Features [B, N, C], coords [B, N, 2] -> [B, H * W * C]."""
    features, coords = inputs
    height, width = attributes["spatial_shape"]
    dense = np.zeros((features.shape[0], height, width, features.shape[2]), dtype=features.dtype)
    event, slot = np.nonzero(coords[:, :, 0] >= 0)
    row, column = coords[event, slot].T
    dense[event, row, column] = features[event, slot]
    return [dense.reshape(features.shape[0], height * width * features.shape[2])]


def _reference(inputs: Sequence[Any], attributes: Attributes) -> list[FixedArray]:
    features, coords = inputs
    return [FixedArray(_compute([features.raw, coords], attributes)[0], features.exponent)]


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    features, _ = values
    height, width = attributes["spatial_shape"]
    shape = (features.shape[0], height * width * features.shape[2])
    if features.range is None:
        return [Value(shape)]
    # A list of N pixels fills at most N places of the grid, and the sums after it use that.
    groups = (height * width, min(features.shape[1], height * width))
    return [Value(shape, features.range.with_zero(), features.format, groups=groups)]


OP = Op(
    name="SparseFlatten",
    domain=DOMAIN,
    inputs=("features", "coords"),
    outputs=("output",),
    attributes={"spatial_shape": Attribute(kind="ints")},
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
    stands_in=dict.fromkeys(("Flatten", "Reshape"), "use SparseFlatten"),
)
