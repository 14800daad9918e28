"""What the ops that merge pixels share: which slots merge, and where the merged pixel lies."""

from collections.abc import Sequence

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedRange
from sparsepix_ops.op import Attributes, Grid, Value

# Defines 'first_of_cell' [B, N] (the slot that the pixels of a cell merge into), 'inside' [B, N] (the pixel is of a
# cell) and 'inside_3d' [B, N, 1], 'first_3d' [B, N, 1] (a cell merges into it), 'cell' [B, N, 2], 'slot' [N], 'axis2',
# 'last', 'zero' and 'zero_like' for the body of an op that merges pixels. It compares no pairs of slots: memory grows
# with N and the number of cells. ScatterElements and not ScatterND: onnxruntime shares out the latter to threads, which
# would reduce into one place at once. Numbers of places are sums and not made of two Gathers, row and column: some of
# these in a model, and onnxruntime 1.20 joins them into nodes of one name, which it refuses then.
_CELLS_BODY = """
    axis2 = Constant <value_ints = [2]> ()
    last = Constant <value_ints = [-1]> ()
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    kernel = Constant <value_ints: ints = @kernel_shape> ()
    spatial = Constant <value_ints: ints = @spatial_shape> ()
    grid = Div (spatial, kernel)
    cell = Div (coords, kernel)
    is_pixel = GreaterOrEqual (coords, zero)
    is_whole = Less (cell, grid)
    in_grid = And (is_pixel, is_whole)
    in_grid_int = Cast <to = 7> (in_grid)
    inside_int = ReduceMin <keepdims = 0> (in_grid_int, last)
    inside = Cast <to = 9> (inside_int)
    one_1d = Constant <value_ints = [1]> ()
    grid_width = Gather <axis = 0> (grid, one_1d)
    cell_steps = Concat <axis = 0> (grid_width, one_1d)
    steps_to_cell = Mul (cell, cell_steps)
    cell_number = ReduceSum <keepdims = 0> (steps_to_cell, last)
    grid_axis = Constant <value_ints = [0]> ()
    cells = ReduceProd (grid, grid_axis)
    cell_index = Where (inside, cell_number, cells)
    cells_and_none = Add (cells, one)
    events = Shape <start = 0, end = 1> (coords)
    slots_1d = Shape <start = 1, end = 2> (coords)
    slots = Squeeze (slots_1d)
    slot = Range (zero, slots, one)
    cells_shape = Concat <axis = 0> (events, cells_and_none)
    slots_shape = Concat <axis = 0> (events, slots_1d)
    slot_2d = Expand (slot, slots_shape)
    no_slot = ConstantOfShape <value = int64[1] {9223372036854775807}> (cells_shape)
    first_slot = ScatterElements <axis = 1, reduction = "min"> (no_slot, cell_index, slot_2d)
    first_of_cell = GatherElements <axis = 1> (first_slot, cell_index)
    is_first = Equal (first_of_cell, slot)
    inside_3d = Unsqueeze (inside, axis2)
    is_first_3d = Unsqueeze (is_first, axis2)
    first_3d = And (is_first_3d, inside_3d)
    zero_float = Constant <value_float = 0.0> ()
    zero_like = CastLike (zero_float, features)
    pooled_coords = Where (first_3d, cell, last)
"""

# Defines 'target' [B, N] (the slot that a slot merges into, itself if it is of no cell) and 'target_3d' [B, N, C], the
# same for each channel.
TARGETS_BODY = """
    features_shape = Shape (features)
    target = Where (inside, first_of_cell, slot)
    target_of_slot = Unsqueeze (target, axis2)
    target_3d = Expand (target_of_slot, features_shape)
"""

# Defines 'maximum' by the attribute 'over', from 'largest' of the active pixels, 'full' (there is no inactive one) and
# 'zero_like'.
OVER_BODY = """
    over_string = Constant <value_string: string = @over> ()
    active_string = Constant <value_string = "active"> ()
    over_active = Equal (over_string, active_string)
    only_active = Or (over_active, full)
    not_negative = Max (largest, zero_like)
    maximum = Where (only_active, largest, not_negative)
"""


def cells_body(cell_shape: str, round_up: bool) -> str:
    """The beginning of the body of an op that merges the pixels of a cell.

    Args:
        cell_shape: the attribute that holds the shape of a cell.
        round_up: whether a partial last cell is one, or is dropped.
    """
    text = _CELLS_BODY.replace("@kernel_shape", f"@{cell_shape}")
    if not round_up:
        return text
    up = """
    last_in_cell = Sub (kernel, one)
    covered = Add (spatial, last_in_cell)
    grid = Div (covered, kernel)"""
    return text.replace("\n    grid = Div (spatial, kernel)", up)


CELLS_BODY = cells_body("kernel_shape", round_up=False)


def check_window(kernel_shape: tuple[int, int], spatial_shape: tuple[int, int]) -> None:
    """Raise SparsePixError unless the window is at least 1x1 and fits into the image."""
    if any(k < 1 or k > s for k, s in zip(kernel_shape, spatial_shape, strict=True)):
        raise SparsePixError(
            f"kernel_size must be at least 1 and fit into the image of {spatial_shape[0]}x{spatial_shape[1]}, "
            f"found {tuple(kernel_shape)}"
        )


def check(_: Sequence[Value], attributes: Attributes) -> None:
    """Raise SparsePixError for a pool whose window is wrong."""
    check_window(attributes["kernel_shape"], attributes["spatial_shape"])


def grid_of(spatial_shape: Sequence[int], attributes: Attributes) -> Grid:
    """Rows and columns of the whole windows that lie in an image."""
    rows, columns = (size // window for size, window in zip(spatial_shape, attributes["kernel_shape"], strict=True))
    return rows, columns


def cells_of(coords: np.ndarray, attributes: Attributes) -> tuple[np.ndarray, np.ndarray]:
    """For coords [N, 2] of one event: the cell [N, 2] of each slot, and its number [N] (-1 outside)."""
    kernel, spatial = np.array(attributes["kernel_shape"]), np.array(attributes["spatial_shape"])
    grid = spatial // kernel
    cell = coords // kernel
    inside = (coords[:, 0] >= 0) & (cell < grid).all(axis=1)
    return cell, np.where(inside, cell[:, 0] * grid[1] + cell[:, 1], -1)


def pooled_coords(features: Value, attributes: Attributes) -> Value:
    """What is known of the coords after a pool."""
    check_window(attributes["kernel_shape"], attributes["spatial_shape"])
    grid = grid_of(attributes["spatial_shape"], attributes)
    return Value((*features.shape[:2], 2), FixedRange(0, -1, max(grid) - 1), coords=True)
