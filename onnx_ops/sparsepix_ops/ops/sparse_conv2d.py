"""SparseConv2d: convolution whose output pixels are its input pixels (a submanifold convolution)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedRange
from sparsepix_ops.op import DOMAIN, Attribute, Attributes, Op, Value

# Each of these texts uses what the ones before it define.
_CONSTANTS = """
    last = Constant <value_ints = [-1]> ()
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    zero_float = Constant <value_float = 0.0> ()
    zero_like = CastLike (zero_float, features)
"""
# Defines 'active' [B, N], and 'tap_weight' [taps * in, out]: the weights of a window, position by position. Those of a
# group are in a matrix with zeros where the other groups are.
WEIGHT_BODY = """
    axis0 = Constant <value_ints = [0]> ()
    axis1 = Constant <value_ints = [1]> ()
    window = Shape <start = 2, end = 4> (weight)
    out_channels = Shape <start = 0, end = 1> (weight)
    taps = ReduceProd (window, axis0)

    group_scalar = Constant <value_int: int = @group> ()
    groups = Unsqueeze (group_scalar, axis0)
    group_in = Shape <start = 1, end = 2> (weight)
    group_out = Div (out_channels, groups)
    in_channels = Mul (group_in, groups)
    repeats = Concat <axis = 0> (axis1, groups, axis1, axis1)
    repeated = Tile (weight, repeats)
    in_count = Squeeze (in_channels, axis0)
    out_count = Squeeze (out_channels, axis0)
    in_index = Range (zero, in_count, one)
    out_index = Range (zero, out_count, one)
    in_group = Div (in_index, group_in)
    out_group = Div (out_index, group_out)
    out_group_2d = Unsqueeze (out_group, axis1)
    same_group = Equal (out_group_2d, in_group)
    window_axes = Constant <value_ints = [2, 3]> ()
    same_group_4d = Unsqueeze (same_group, window_axes)
    full_weight = Where (same_group_4d, repeated, zero_like)

    weight_by_tap = Transpose <perm = [2, 3, 1, 0]> (full_weight)
    terms = Mul (taps, in_channels)
    matrix_shape = Concat <axis = 0> (terms, out_channels)
    tap_weight = Reshape (weight_by_tap, matrix_shape)
    row = Gather <axis = 2> (coords, zero)
    active = GreaterOrEqual (row, zero)
"""
# Defines 'biased' [B, N, out] and 'total', the same without the bias, of the windows around 'centre' [B, N, 2]; what it
# says of slots that are not 'output_active' [B, N] means nothing.
# 'index' is an image of slot numbers, from 1 on, and 0 where no pixel is. As far as a window reaches, blank rows are
# above and below it and blank columns to the left of each row; they are to the right of the row before too. It ends
# with the last row and column that have a pixel in any event, and a place for empty slots. Memory and time grow with
# the image and with N, not with N * N. The maximum is of an event more, since that of no events is refused.
TERMS_BODY = """
    two = Constant <value_int = 2> ()
    reach = Div (window, two)
    one_event = Constant <value = int64[6] {0, 0, 0, 1, 0, 0}> ()
    more_coords = Pad (coords, one_event)
    events_and_slots = Constant <value_ints = [0, 1]> ()
    last_place = ReduceMax <keepdims = 0> (more_coords, events_and_slots)
    extent = Add (last_place, one)
    reached = Add (extent, reach)
    reached_rows, pitch = Split <axis = 0, num_outputs = 2> (reached)
    steps = Concat <axis = 0> (pitch, axis1)
    blank_cells = Mul (reach, steps)
    blank = ReduceSum (blank_cells, axis0)
    row_cells = Mul (reached_rows, pitch)
    index_cells = Add (row_cells, blank)
    index_cells_and_none = Add (index_cells, one)

    steps_to_pixel = Mul (coords, steps)
    corner = ReduceSum <keepdims = 0> (steps_to_pixel, last)
    middle = Add (corner, blank)
    place = Where (active, middle, index_cells)
    pixels_1d = Shape <start = 1, end = 2> (coords)
    pixels = Squeeze (pixels_1d)
    pixels_and_one = Add (pixels, one)
    numbers = Range (one, pixels_and_one, one)
    number = Where (active, numbers, zero)
    index_events = Shape <start = 0, end = 1> (coords)
    index_shape = Concat <axis = 0> (index_events, index_cells_and_none)
    blank_index = ConstantOfShape <value = int64[1] {0}> (index_shape)
    index = ScatterElements <axis = 1> (blank_index, place, number)

    steps_to_centre = Mul (centre, steps)
    centre_corner = ReduceSum <keepdims = 0> (steps_to_centre, last)
    output_corner = Where (output_active, centre_corner, zero)
    taps_scalar = Squeeze (taps)
    tap = Range (zero, taps_scalar, one)
    window_columns = Gather <axis = 0> (window, one)
    tap_row = Div (tap, window_columns)
    tap_column = Mod (tap, window_columns)
    tap_row_start = Mul (tap_row, pitch)
    tap_place = Add (tap_row_start, tap_column)
    output_corner_3d = Unsqueeze (output_corner, last)
    read_place = Add (output_corner_3d, tap_place)
    read_place_4d = Unsqueeze (read_place, last)
    read_slot = GatherND <batch_dims = 1> (index, read_place_4d)
    read_slot_4d = Unsqueeze (read_slot, last)
    empty_slot = Constant <value = int64[6] {0, 1, 0, 0, 0, 0}> ()
    more_features = Pad (features, empty_slot)
    windows = GatherND <batch_dims = 1> (more_features, read_slot_4d)
    same_axes = Constant <value_ints = [0, 0]> ()
    windows_shape = Concat <axis = 0> (same_axes, terms)
    windows_3d = Reshape (windows, windows_shape)
    total = MatMul (windows_3d, tap_weight)
    biased = Add (total, bias)
"""
BODY = (
    _CONSTANTS
    + WEIGHT_BODY
    + """
    centre = Identity (coords)
    output_active = Identity (active)
"""
    + TERMS_BODY
    + """
    bias_on_string = Constant <value_string: string = @bias_on> ()
    active_string = Constant <value_string = "active"> ()
    on_active = Equal (bias_on_string, active_string)
    is_zero = Equal (total, zero_like)
    is_nonzero = Not (is_zero)
    gets_bias = Or (on_active, is_nonzero)
    with_bias = Where (gets_bias, biased, total)
    active_3d = Unsqueeze (active, last)
    output = Where (active_3d, with_bias, zero_like)
"""
)


def check_kernel(kernel_size: Sequence[int]) -> None:
    """Raise SparsePixError unless both sides of the kernel are odd."""
    if any(k < 1 or k % 2 == 0 for k in kernel_size):
        raise SparsePixError(
            f"kernel_size must be odd in both directions, so that the window has a centre; found {tuple(kernel_size)}"
        )


def check_groups(group: int, in_channels: int, out_channels: int) -> None:
    """Raise SparsePixError unless the channels can be shared out to so many groups."""
    if group < 1 or in_channels % group or out_channels % group:
        raise SparsePixError(
            f"groups must be 1 or more and divide in_channels and out_channels, found groups = {group}, "
            f"in_channels = {in_channels}, out_channels = {out_channels}"
        )


def window_sums(
    features: np.ndarray, coords: np.ndarray, centres: np.ndarray, weight: np.ndarray, group: int
) -> np.ndarray:
    """Sums of one event without the bias: pixels [P, Cin] at [P, 2], windows around [Q, 2] -> [Q, Cout]."""
    out_channels, of_group, *window = weight.shape
    if not len(coords):
        return np.zeros((len(centres), out_channels), dtype=features.dtype)
    # An image of pixel numbers, with as many blank rows and columns around it as a window reaches; the last pixel is 0.
    height, width = coords.max(axis=0) + window
    index = np.full((height, width), len(coords))
    index[coords[:, 0] + window[0] // 2, coords[:, 1] + window[1] // 2] = np.arange(len(coords))
    rows, columns = (centres[:, axis, None] + np.arange(size) for axis, size in enumerate(window))
    found = index[rows[:, :, None], columns[:, None, :]].reshape(len(centres), -1)
    features = np.concatenate([features, np.zeros_like(features[:1])]).reshape(-1, group, of_group)
    by_group = features[found].transpose(2, 0, 1, 3).reshape(group, len(centres), -1)
    taps = weight.reshape(group, out_channels // group, of_group, -1).transpose(0, 3, 2, 1)
    sums = by_group @ taps.reshape(group, by_group.shape[2], out_channels // group)
    return sums.transpose(1, 0, 2).reshape(len(centres), out_channels)


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """Features [B, N, Cin], coords [B, N, 2], weight [Cout, Cin / group, kh, kw], bias [Cout] -> [B, N, Cout]."""
    features, coords, weight, bias = inputs
    output = np.zeros((*features.shape[:2], weight.shape[0]), dtype=features.dtype)
    for b in range(features.shape[0]):
        slots = np.flatnonzero(coords[b, :, 0] >= 0)
        where = coords[b, slots]
        total = window_sums(features[b, slots], where, where, weight, attributes["group"])
        gets_bias = (total != 0) | (attributes["bias_on"] == "active")
        output[b, slots] = total + gets_bias * bias
    return [output]


def aligned(inputs: Sequence[Any]) -> tuple[list[np.ndarray], int]:
    """Raw inputs of a convolution, sums and bias in units of the same power of two; and its exponent."""
    features, coords, weight, bias = inputs
    exponent = min(features.exponent + weight.exponent, bias.exponent)
    spread = features.exponent + weight.exponent - exponent
    return [features.raw << spread, coords, weight.raw, bias.at(exponent).raw], exponent


def _reference(inputs: Sequence[Any], attributes: Attributes) -> list[FixedArray]:
    raw, exponent = aligned(inputs)
    return [FixedArray(_compute(raw, attributes)[0], exponent)]


def terms_range(low: np.ndarray, high: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Range of the sum of at most ``most`` of the terms [outputs, terms], each within [low, high]."""
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    return np.sort(low, axis=1)[:, :most].sum(axis=1), np.sort(high, axis=1)[:, ::-1][:, :most].sum(axis=1)


def linear_bound(shape: tuple, x: Value, weight: FixedArray, bias: FixedArray | None, groups: int, most: int) -> Value:
    """Range of ``bias + weight @ x`` where at most ``most`` of the ``groups`` groups of terms take part.

    Args:
        shape: of the result.
        x: the input; its range holds 0.
        weight: [outputs, terms]; the terms of one group lie side by side.
        bias: [outputs] or None.
        groups: number of groups of terms: kernel positions for a convolution, terms for a dense layer.
        most: how many groups can take part at once.

    Raises:
        SparsePixError: the sums need more than 62 bits.
    """
    reach = weight.range.largest.bit_length() + x.range.largest.bit_length() + weight.raw.shape[1].bit_length()
    if reach > 62:
        raise SparsePixError(f"its products need {reach} bits, more than 62; quantize its input or weights to fewer")
    ends = np.stack([weight.raw * x.range.low, weight.raw * x.range.high])
    grouped = (weight.raw.shape[0], groups, -1)
    low, high = terms_range(
        ends.min(axis=0).reshape(grouped).sum(axis=2), ends.max(axis=0).reshape(grouped).sum(axis=2), most
    )
    magnitude = np.abs(ends).max(axis=0).reshape(grouped).sum(axis=2)
    partial = np.sort(magnitude, axis=1)[:, ::-1][:, :most].sum(axis=1)
    exponent = x.range.exponent + weight.exponent
    total = FixedRange(exponent, int(low.min()), int(high.max()))
    if bias is None:
        return Value.exact(shape, total, int(partial.max()))
    exponent = min(exponent, bias.exponent)
    shift, added = total.exponent - exponent, bias.at(exponent).raw
    # Without the bias too: the sum is a value of its own before the bias is added.
    biased = FixedRange(
        exponent, min((int(lo) << shift) + int(b) for lo, b in zip(low, added, strict=True)),
        max((int(hi) << shift) + int(b) for hi, b in zip(high, added, strict=True)),
    )  # fmt: skip
    partials = [(int(p) << shift) + abs(int(b)) for p, b in zip(partial, added, strict=True)]
    return Value.exact(shape, total.hull(biased).with_zero(), max(partials))


def convolution_bound(values: Sequence[Value], group: int) -> Value:
    """What is known of the sums of a convolution, its bias included.

    Args:
        values: features, coords, weight, bias.
        group: number of groups of channels.

    Raises:
        SparsePixError: they do not fit together, or the sums need more than 62 bits.
    """
    features, _, weight, bias = values
    if len(weight.shape) != 4:
        raise SparsePixError(f"its weight must have 4 axes (out, in, height, width), found shape {weight.shape}")
    out_channels, in_group, *kernel = weight.shape
    check_kernel(kernel)
    check_groups(group, in_group * group, out_channels)
    if features.shape[-1] != in_group * group:
        raise SparsePixError(
            f"its weight is made for in_channels = {in_group * group}, found features with {features.shape[-1]}"
        )
    if bias.shape != (out_channels,):
        raise SparsePixError(f"its bias must have shape ({out_channels},), found {bias.shape}")
    shape = (*features.shape[:2], out_channels)
    if features.range is None or weight.constant is None or bias.constant is None:
        return Value(shape)
    taps = kernel[0] * kernel[1]
    by_tap = weight.constant.raw.transpose(0, 2, 3, 1).reshape(out_channels, -1)
    by_tap = FixedArray(by_tap, weight.constant.exponent)
    return linear_bound(shape, features, by_tap, bias.constant, taps, min(taps, features.shape[1]))


def check_weight(values: Sequence[Value], _: Attributes) -> None:
    """Raise SparsePixError for a convolution whose kernel is known and even."""
    if len(values) > 2 and len(values[2].shape) == 4:
        check_kernel(values[2].shape[2:])


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    return [convolution_bound(values, attributes["group"])]


OP = Op(
    name="SparseConv2d",
    domain=DOMAIN,
    inputs=("features", "coords", "weight", "bias"),
    outputs=("output",),
    attributes={"bias_on": Attribute("active", "string", ("active", "nonzero")), "group": Attribute(1)},
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
    check=check_weight,
    weights=("weight", "bias"),
    pixels="coords",
    stands_in={"Conv": "use SparseConv2d"},
)
