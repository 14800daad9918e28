"""SparseUnpool2d: coarse features go back to the pixels that a pool or a strided convolution has merged."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.fixed_point import FixedArray
from sparsepix_ops.op import DOMAIN, Attribute, Attributes, Op, Value
from sparsepix_ops.ops.pooling import check_window

BODY = """
    axis0 = Constant <value_ints = [0]> ()
    axis1 = Constant <value_ints = [1]> ()
    last = Constant <value_ints = [-1]> ()
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    kernel = Constant <value_ints: ints = @kernel_shape> ()
    spatial = Constant <value_ints: ints = @spatial_shape> ()
    last_in_cell = Sub (kernel, one)
    covered = Add (spatial, last_in_cell)
    grid = Div (covered, kernel)
    cells = ReduceProd (grid, axis0)
    grid_width = Gather <axis = 0> (grid, axis1)
    steps = Concat <axis = 0> (grid_width, axis1)

    row = Gather <axis = 2> (coords, zero)
    active = GreaterOrEqual (row, zero)
    steps_to_cell = Mul (coords, steps)
    cell_number = ReduceSum <keepdims = 0> (steps_to_cell, last)
    cell_index = Where (active, cell_number, cells)
    slots_1d = Shape <start = 1, end = 2> (coords)
    slots = Squeeze (slots_1d)
    slots_and_one = Add (slots, one)
    numbers = Range (one, slots_and_one, one)
    number = Where (active, numbers, zero)
    cells_and_none = Add (cells, one)
    events = Shape <start = 0, end = 1> (coords)
    cells_shape = Concat <axis = 0> (events, cells_and_none)
    no_slot = ConstantOfShape <value = int64[1] {0}> (cells_shape)
    slot_of_cell = ScatterElements <axis = 1> (no_slot, cell_index, number)

    fine_row = Gather <axis = 2> (fine_coords, zero)
    fine_active = GreaterOrEqual (fine_row, zero)
    cell_of_pixel = Div (fine_coords, kernel)
    steps_to_fine_cell = Mul (cell_of_pixel, steps)
    fine_cell_number = ReduceSum <keepdims = 0> (steps_to_fine_cell, last)
    fine_cell = Where (fine_active, fine_cell_number, cells)
    slot = GatherElements <axis = 1> (slot_of_cell, fine_cell)
    slot_3d = Unsqueeze (slot, last)
    empty_slot = Constant <value = int64[6] {0, 1, 0, 0, 0, 0}> ()
    more_features = Pad (features, empty_slot)
    output_features = GatherND <batch_dims = 1> (more_features, slot_3d)
"""


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """Features [B, M, C], coords [B, M, 2], fine_coords [B, N, 2] -> [B, N, C]."""
    features, coords, fine = inputs
    # A pixel of 0 in front of each list stands for a cell without one.
    features = np.pad(features, ((0, 0), (1, 0), (0, 0)))
    rows, columns = (-(-s // k) for s, k in zip(attributes["spatial_shape"], attributes["kernel_shape"], strict=True))
    slot_of_cell = np.zeros((len(features), rows, columns), dtype=np.int64)
    event, slot = np.nonzero(coords[:, :, 0] >= 0)
    slot_of_cell[event, *coords[event, slot].T] = slot + 1
    output = np.zeros((*fine.shape[:2], features.shape[2]), dtype=features.dtype)
    event, slot = np.nonzero(fine[:, :, 0] >= 0)
    cell = fine[event, slot] // attributes["kernel_shape"]
    output[event, slot] = features[event, slot_of_cell[event, *cell.T]]
    return [output]


def _reference(inputs: Sequence[Any], attributes: Attributes) -> list[FixedArray]:
    features, coords, fine = inputs
    return [FixedArray(_compute([features.raw, coords, fine], attributes)[0], features.exponent)]


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    features, _, fine = values
    check_window(attributes["kernel_shape"], attributes["spatial_shape"])
    shape = (*fine.shape[:2], features.shape[2])
    if features.range is None:
        return [Value(shape)]
    return [Value(shape, features.range.with_zero(), features.format)]


OP = Op(
    name="SparseUnpool2d",
    domain=DOMAIN,
    inputs=("features", "coords", "fine_coords"),
    outputs=("output_features",),
    attributes={"kernel_shape": Attribute(kind="ints"), "spatial_shape": Attribute(kind="ints")},
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
    pixels="fine_coords",
    stands_in=dict.fromkeys(("ConvTranspose", "MaxUnpool", "Resize", "Upsample"), "use SparseUnpool2d"),
)
