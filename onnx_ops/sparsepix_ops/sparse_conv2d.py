"""SparseConv2d: convolution whose output pixels are its input pixels (a submanifold convolution)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedRange
from sparsepix_ops.op import DOMAIN, Attribute, Attributes, Op, Value

BODY = """
    axis0 = Constant <value_ints = [0]> ()
    axis1 = Constant <value_ints = [1]> ()
    axis2 = Constant <value_ints = [2]> ()
    last = Constant <value_ints = [-1]> ()
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    two = Constant <value_int = 2> ()
    kernel = Shape <start = 2, end = 4> (weight)
    out_channels = Shape <start = 0, end = 1> (weight)
    in_channels = Shape <start = 1, end = 2> (weight)
    taps = ReduceProd (kernel, axis0)
    taps_and_none = Add (taps, axis1)

    weight_by_tap = Transpose <perm = [1, 2, 3, 0]> (weight)
    tap_shape = Concat <axis = 0> (in_channels, taps, out_channels)
    tap_weight = Reshape (weight_by_tap, tap_shape)
    none_shape = Concat <axis = 0> (in_channels, axis1, out_channels)
    zero_float = Constant <value_float = 0.0> ()
    zero_like = CastLike (zero_float, features)
    none_weight = Expand (zero_like, none_shape)
    all_weight = Concat <axis = 1> (tap_weight, none_weight)
    flat_shape = Constant <value_ints = [0, -1]> ()
    flat_weight = Reshape (all_weight, flat_shape)
    products = MatMul (features, flat_weight)
    same_axes = Constant <value_ints = [0, 0]> ()
    product_shape = Concat <axis = 0> (same_axes, taps_and_none, out_channels)
    by_tap = Reshape (products, product_shape)

    half = Div (kernel, two)
    at_output = Unsqueeze (coords, axis1)
    at_input = Unsqueeze (coords, axis2)
    distance = Sub (at_input, at_output)
    offset = Add (distance, half)
    not_before = GreaterOrEqual (offset, zero)
    not_behind = Less (offset, kernel)
    in_range = And (not_before, not_behind)
    in_range_int = Cast <to = 7> (in_range)
    in_window_int = ReduceMin <keepdims = 0> (in_range_int, last)
    in_window = Cast <to = 9> (in_window_int)
    row = Gather <axis = 2> (coords, zero)
    active = GreaterOrEqual (row, zero)
    output_active = Unsqueeze (active, axis1)
    input_active = Unsqueeze (active, axis2)
    both_active = And (output_active, input_active)
    is_term = And (in_window, both_active)
    offset_row = Gather <axis = 3> (offset, zero)
    offset_column = Gather <axis = 3> (offset, one)
    kernel_width = Gather <axis = 0> (kernel, one)
    row_start = Mul (offset_row, kernel_width)
    tap = Add (row_start, offset_column)
    position = Where (is_term, tap, taps)
    position_index = Unsqueeze (position, last)
    terms = GatherND <batch_dims = 2> (by_tap, position_index)
    total = ReduceSum <keepdims = 0> (terms, axis1)

    biased = Add (total, bias)
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


def check_kernel(kernel_size: Sequence[int]) -> None:
    """Raise SparsePixError unless both sides of the kernel are odd."""
    if any(k < 1 or k % 2 == 0 for k in kernel_size):
        raise SparsePixError(
            f"kernel_size must be odd in both directions, so that the window has a centre; found {tuple(kernel_size)}"
        )


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """Features [B, N, Cin], coords [B, N, 2], weight [Cout, Cin, kh, kw], bias [Cout] -> [B, N, Cout]."""
    features, coords, weight, bias = inputs
    kh, kw = weight.shape[2:]
    output = np.zeros((*features.shape[:2], weight.shape[0]), dtype=features.dtype)
    for b in range(features.shape[0]):
        slots = np.flatnonzero(coords[b, :, 0] >= 0)
        where = coords[b, slots]
        offset = where[None, :] - where[:, None] + (kh // 2, kw // 2)
        outputs, terms = np.nonzero(((offset >= 0) & (offset < (kh, kw))).all(axis=-1))
        taps = weight[:, :, offset[outputs, terms, 0], offset[outputs, terms, 1]]
        products = np.einsum("oip,pi->po", taps, features[b, slots[terms]])
        total = np.zeros((len(slots), weight.shape[0]), dtype=features.dtype)
        np.add.at(total, outputs, products)
        gets_bias = (total != 0) | (attributes["bias_on"] == "active")
        output[b, slots] = total + gets_bias * bias
    return [output]


def _reference(inputs: Sequence[Any], attributes: Attributes) -> list[FixedArray]:
    features, coords, weight, bias = inputs
    exponent = min(features.exponent + weight.exponent, bias.exponent)
    spread = features.exponent + weight.exponent - exponent
    raw = _compute([features.raw << spread, coords, weight.raw, bias.at(exponent).raw], attributes)
    return [FixedArray(raw[0], exponent)]


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
    # Without the bias too: the sum stands alone before the bias joins it.
    biased = FixedRange(
        exponent, min((int(lo) << shift) + int(b) for lo, b in zip(low, added, strict=True)),
        max((int(hi) << shift) + int(b) for hi, b in zip(high, added, strict=True)),
    )  # fmt: skip
    partials = [(int(p) << shift) + abs(int(b)) for p, b in zip(partial, added, strict=True)]
    return Value.exact(shape, total.hull(biased).with_zero(), max(partials))


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    features, _, weight, bias = values
    if len(weight.shape) != 4:
        raise SparsePixError(f"its weight must have 4 axes (out, in, height, width), found shape {weight.shape}")
    out_channels, in_channels, *kernel = weight.shape
    check_kernel(kernel)
    if features.shape[-1] != in_channels:
        raise SparsePixError(
            f"its weight is made for in_channels = {in_channels}, found features with {features.shape[-1]}"
        )
    if bias.shape != (out_channels,):
        raise SparsePixError(f"its bias must have shape ({out_channels},), found {bias.shape}")
    shape = (*features.shape[:2], out_channels)
    if features.range is None or weight.constant is None or bias.constant is None:
        return [Value(shape)]
    taps = kernel[0] * kernel[1]
    by_tap = weight.constant.raw.transpose(0, 2, 3, 1).reshape(out_channels, -1)
    by_tap = FixedArray(by_tap, weight.constant.exponent)
    return [linear_bound(shape, features, by_tap, bias.constant, taps, min(taps, features.shape[1]))]


OP = Op(
    name="SparseConv2d",
    domain=DOMAIN,
    inputs=("features", "coords", "weight", "bias"),
    outputs=("output",),
    attributes={"bias_on": Attribute("active", "string", ("active", "nonzero"))},
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
)
