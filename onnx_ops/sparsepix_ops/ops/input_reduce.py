"""InputReduce: an image becomes the list of its active pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedRange
from sparsepix_ops.op import DOMAIN, Attribute, Attributes, Kind, Op, Value

# The shape of the planes is given in full: -1 is ambiguous for no images (see sparse_flatten).
BODY = """
    max_pixels_scalar = Constant <value_int: int = @max_pixels> ()
    axis0 = Constant <value_ints = [0]> ()
    axis1 = Constant <value_ints = [1]> ()
    last = Constant <value_ints = [-1]> ()
    max_pixels_1d = Unsqueeze (max_pixels_scalar, axis0)
    height = Shape <start = 2, end = 3> (image)
    width = Shape <start = 3, end = 4> (image)
    cells = Mul (height, width)
    cells_scalar = Squeeze (cells, axis0)
    zero_scalar = Constant <value_int = 0> ()
    one_scalar = Constant <value_int = 1> ()
    last_of_three = Constant <value_ints = [0, 0, 1]> ()
    planes_shape = Mul (last_of_three, cells)
    planes = Reshape (image, planes_shape)

    first = Gather <axis = 1> (planes, zero_scalar)
    largest = ReduceMax <keepdims = 0> (planes, axis1)
    total = ReduceSum <keepdims = 0> (planes, axis1)
    activity_string = Constant <value_string: string = @activity> ()
    first_string = Constant <value_string = "first"> ()
    any_string = Constant <value_string = "any"> ()
    by_first = Equal (activity_string, first_string)
    by_any = Equal (activity_string, any_string)
    any_or_sum = Where (by_any, largest, total)
    score = Where (by_first, first, any_or_sum)
    threshold_float = Constant <value_float: float = @threshold> ()
    threshold_like = CastLike (threshold_float, image)
    active = Greater (score, threshold_like)

    selection_string = Constant <value_string: string = @selection> ()
    raster_string = Constant <value_string = "raster"> ()
    by_raster = Equal (selection_string, raster_string)
    index = Range (zero_scalar, cells_scalar, one_scalar)
    from_end = Sub (cells, index)
    raster_key = CastLike (from_end, image)
    key = Where (by_raster, raster_key, score)
    lowest_float = Constant <value_float = -3.4028234663852886e38> ()
    lowest = CastLike (lowest_float, image)
    active_key = Where (active, key, lowest)
    best_key, best_index = TopK <axis = -1, largest = 1, sorted = 1> (active_key, max_pixels_1d)
    taken = Greater (best_key, lowest)
    taken_index = Where (taken, best_index, cells)
    slot_index, slot_order = TopK <axis = -1, largest = 0, sorted = 1> (taken_index, max_pixels_1d)
    filled = Less (slot_index, cells)
    filled_3d = Unsqueeze (filled, last)
    safe_index = Where (filled, slot_index, zero_scalar)

    pixels = Transpose <perm = [0, 2, 1]> (planes)
    gather_index = Unsqueeze (safe_index, last)
    kept = GatherND <batch_dims = 1> (pixels, gather_index)
    zero_float = Constant <value_float = 0.0> ()
    zero_like = CastLike (zero_float, image)
    features = Where (filled_3d, kept, zero_like)
    row = Div (gather_index, width)
    column = Mod (gather_index, width)
    position = Concat <axis = -1> (row, column)
    coords = Where (filled_3d, position, last)
"""


def check_max_pixels(max_pixels: int, height: int, width: int) -> None:
    """Raise SparsePixError unless 1 <= max_pixels <= height * width."""
    if not 1 <= max_pixels <= height * width:
        raise SparsePixError(
            f"max_pixels must be 1 ... {height * width} for an image of {height}x{width}, found {max_pixels}"
        )


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """[B, C, H, W] -> features [B, N, C], coords [B, N, 2]."""
    (image,) = inputs
    batch, channels, height, width = image.shape
    n = attributes["max_pixels"]
    planes = image.reshape(batch, channels, height * width)
    activity = attributes["activity"]
    score = {"first": lambda: planes[:, 0], "any": lambda: planes.max(axis=1), "sum": lambda: planes.sum(axis=1)}[
        activity
    ]()
    features = np.zeros((batch, n, channels), dtype=image.dtype)
    coords = np.full((batch, n, 2), -1, dtype=np.int64)
    for b in range(batch):
        index = np.flatnonzero(score[b] > attributes["threshold"])
        if attributes["selection"] == "magnitude":
            # A stable sort of the negated score leaves equal scores in raster order.
            index = np.sort(index[np.argsort(-score[b, index], kind="stable")[:n]])
        index = index[:n]
        features[b, : len(index)] = planes[b, :, index]
        coords[b, : len(index)] = np.stack([index // width, index % width], axis=1)
    return [features, coords]


def _reference(inputs: Sequence[FixedArray], attributes: Attributes) -> list[Any]:
    (image,) = inputs
    on_grid = dict(attributes, threshold=threshold_raw(attributes["threshold"], image.exponent))
    features, coords = _compute([image.raw], on_grid)
    return [FixedArray(features, image.exponent), coords]


def threshold_raw(threshold: float, exponent: int) -> int:
    """The integer t for which ``raw > t`` is the same as ``raw * 2**exponent > threshold``."""
    return int(np.floor(np.ldexp(np.float64(threshold), -exponent)))


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    (image,) = values
    if len(image.shape) != 4:
        raise SparsePixError(f"its image must have 4 axes (B, C, H, W), found shape {image.shape}")
    batch, channels, height, width = image.shape
    if None in (channels, height, width):
        found = ", ".join("?" if d is None else str(d) for d in image.shape)
        raise SparsePixError(
            f"the channels, height and width of its image must be fixed, found ({found}): "
            "leave only the batch axis dynamic when exporting"
        )
    check_max_pixels(attributes["max_pixels"], height, width)
    if not np.isfinite(attributes["threshold"]):
        raise SparsePixError(f"its threshold must be a finite number, found {attributes['threshold']}")
    shape = (batch, attributes["max_pixels"], channels)
    coords = Value((*shape[:2], 2), FixedRange(0, -1, max(height, width) - 1), coords=True)
    if image.range is None:
        return [Value(shape), coords]
    in_list = image.range.with_zero()
    partial = in_list.largest * (channels if attributes["activity"] == "sum" else 1)
    fmt = image.format if image.format and in_list == image.range else in_list.format()
    return [Value(shape, in_list, fmt, None, partial), coords]


OP = Op(
    name="InputReduce",
    domain=DOMAIN,
    inputs=("image",),
    outputs=("features", "coords"),
    attributes={
        "max_pixels": Attribute(),
        "threshold": Attribute(0.0, "float"),
        "activity": Attribute("first", "string", ("first", "any", "sum")),
        "selection": Attribute("raster", "string", ("raster", "magnitude")),
    },
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
    kind=Kind.INPUT,
    pixels="coords",
    grid=lambda image, _: image,
)
