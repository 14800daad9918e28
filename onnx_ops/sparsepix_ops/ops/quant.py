"""Quantizers: rounding and clipping to fixed-point formats.

Quant is QONNX's (domain ``qonnx.custom_op.general``); here are its body, for runtimes
that do not know it, and its meaning in fixed point. Of its rounding modes only ROUND and FLOOR
exist in the hardware types, and of its scales only powers of two.

FixedPointQuant is ours, for what Quant cannot say: a format for each channel of features or each element of a vector,
wrapping, clipping to a symmetric range, and ties that are rounded up: the quantizers of HGQ2, and ``AP_WRAP``,
``AP_SAT_SYM`` and ``AP_RND`` (AMD UG1399). The scale and the smallest and largest raw value have one number, or one for
each place of the last axis.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import AP_OVERFLOW, AP_ROUNDING, FixedArray, FixedPoint
from sparsepix_ops.fixed_points import FixedPoints
from sparsepix_ops.op import DOMAIN, QUANT_DOMAIN, Attribute, Attributes, Kind, Op, Value

BODY = """
    scaled = Div (x, scale)
    shifted = Add (scaled, zeropt)
    rounding_string = Constant <value_string: string = @rounding_mode> ()
    floor_string = Constant <value_string = "FLOOR"> ()
    by_floor = Equal (rounding_string, floor_string)
    floored = Floor (shifted)
    nearest = Round (shifted)
    rounded = Where (by_floor, floored, nearest)
    one_float = Constant <value_float = 1.0> ()
    two_float = Constant <value_float = 2.0> ()
    one = CastLike (one_float, x)
    two = CastLike (two_float, x)
    signed_int = Constant <value_int: int = @signed> ()
    narrow_int = Constant <value_int: int = @narrow> ()
    is_signed = CastLike (signed_int, x)
    is_narrow = CastLike (narrow_int, x)
    bits_like = CastLike (bitwidth, x)
    magnitude_bits = Sub (bits_like, is_signed)
    span = Pow (two, magnitude_bits)
    is_unsigned = Sub (one, is_signed)
    lost_at_top = Mul (is_narrow, is_unsigned)
    top = Sub (span, one)
    largest = Sub (top, lost_at_top)
    bottom = Sub (is_narrow, span)
    smallest = Mul (bottom, is_signed)
    not_above = Min (rounded, largest)
    clipped = Max (not_above, smallest)
    centred = Sub (clipped, zeropt)
    y = Mul (centred, scale)
"""


def _limits(bitwidth: float, attributes: Attributes) -> tuple[float, float]:
    span = 2.0 ** (bitwidth - attributes["signed"])
    if attributes["signed"]:
        return -span + attributes["narrow"], span - 1
    return 0.0, span - 1 - attributes["narrow"]


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """Quantize floats [...] as QONNX does."""
    x, scale, zeropt, bitwidth = inputs
    rounded = {"ROUND": np.round, "FLOOR": np.floor}[attributes["rounding_mode"]](x / scale + zeropt)
    low, high = _limits(float(bitwidth), attributes)
    return [((np.clip(rounded, low, high) - zeropt) * scale).astype(x.dtype)]


def format_of(values: Sequence[Value], attributes: Attributes) -> FixedPoint:
    """The fixed-point format that a Quant node with these inputs rounds and clips to.

    Raises:
        SparsePixError: its scale is no power of two, it has a zero point, a scale per channel, or
            a width that is no constant integer.
    """
    constants = {}
    for name, value in zip(("scale", "zeropt", "bitwidth"), values[1:], strict=True):
        if value.constant is None:
            raise SparsePixError(f"its {name} must be constant")
        if value.constant.raw.size != 1:
            raise SparsePixError(
                f"its {name} must be one number for the whole tensor, found {value.constant.raw.size}: "
                "use per-tensor quantization"
            )
        constants[name] = float(value.constant.real.reshape(()))
    scale, bitwidth = constants["scale"], constants["bitwidth"]
    mantissa, exponent = np.frexp(scale)
    if mantissa != 0.5:
        raise SparsePixError(
            f"its scale must be a power of two, found {scale!r}: train with a fixed-point quantizer "
            "(restrict_scaling_type POWER_OF_TWO)"
        )
    if constants["zeropt"] != 0:
        raise SparsePixError(f"its zero point must be 0, found {constants['zeropt']}: use symmetric quantization")
    if bitwidth != int(bitwidth):
        raise SparsePixError(f"its bit width must be an integer, found {bitwidth}")
    return FixedPoint(
        width=int(bitwidth),
        integer=int(bitwidth) + int(exponent) - 1,
        signed=bool(attributes["signed"]),
        rounding=attributes["rounding_mode"],
    )


def _reference(inputs: Sequence[Any], attributes: Attributes) -> list[FixedArray]:
    x, *parameters = inputs
    fmt = format_of([Value(), *(Value(constant=p) for p in parameters)], attributes)
    quantized = fmt.requantize(x) if isinstance(x, FixedArray) else fmt.quantize(x)
    low, high = (int(v) for v in _limits(fmt.width, attributes))
    return [FixedArray(np.clip(quantized.raw, low, high), quantized.exponent)]


def _check(values: Sequence[Value], attributes: Attributes) -> None:
    if len(values) == 4 and all(v.constant is not None for v in values[1:]):
        format_of(values, attributes)


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    shape = values[0].shape
    if len(values) != 4:
        raise SparsePixError(f"it must have 4 inputs (x, scale, zeropt, bitwidth), found {len(values)}")
    if any(v.constant is None for v in values[1:]):
        return [Value(shape)]
    fmt = format_of(values, attributes)
    content = values[0].constant if values[0].constant is not None else values[0].real
    if content is not None:
        parameters = [v.constant for v in values[1:]]
        (constant,) = _reference([content, *parameters], attributes)
        return [Value(shape, constant.range, fmt, constant)]
    if attributes["narrow"]:
        raise SparsePixError("a narrow range is for weights only: ap_fixed saturates to its whole range (narrow=0)")
    return [Value(shape, fmt.range, fmt, groups=values[0].groups)]


OP = Op(
    name="Quant",
    domain=QUANT_DOMAIN,
    inputs=("x", "scale", "zeropt", "bitwidth"),
    outputs=("y",),
    attributes={
        "signed": Attribute(1, choices=(0, 1)),
        "narrow": Attribute(0, choices=(0, 1)),
        "rounding_mode": Attribute("ROUND", "string", ("ROUND", "FLOOR")),
    },
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
    check=_check,
    kind=Kind.QUANTIZER,
    pixels="x",
)

FIXED_POINT_BODY = """
    scaled = Div (x, scale)
    floored = Floor (scaled)
    half_float = Constant <value_float = 0.5> ()
    half = CastLike (half_float, x)
    one_float = Constant <value_float = 1.0> ()
    one = CastLike (one_float, x)
    rounding_string = Constant <value_string: string = @rounding_mode> ()
    floor_string = Constant <value_string = "FLOOR"> ()
    half_up_string = Constant <value_string = "HALF_UP"> ()
    by_floor = Equal (rounding_string, floor_string)
    by_half_up = Equal (rounding_string, half_up_string)
    nearest = Round (scaled)
    rest = Sub (scaled, floored)
    ends_up = GreaterOrEqual (rest, half)
    step = CastLike (ends_up, x)
    up = Add (floored, step)
    to_nearest = Where (by_half_up, up, nearest)
    rounded = Where (by_floor, floored, to_nearest)
    overflow_string = Constant <value_string: string = @overflow> ()
    wrap_string = Constant <value_string = "WRAP"> ()
    wraps = Equal (overflow_string, wrap_string)
    not_above = Min (rounded, high)
    clipped = Max (not_above, low)
    largest_step = Sub (high, low)
    span = Add (largest_step, one)
    turns = Div (rounded, span)
    whole_turns = Floor (turns)
    turned = Mul (whole_turns, span)
    remainder = Sub (rounded, turned)
    below_zero = Sub (remainder, span)
    too_high = Greater (remainder, high)
    wrapped = Where (too_high, below_zero, remainder)
    raw = Where (wraps, wrapped, clipped)
    y = Mul (raw, scale)
"""


def parameters(formats: FixedPoint | FixedPoints) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scale, smallest and largest raw value of a node with this format, each [] or [places], float64."""
    if isinstance(formats, FixedPoint):
        return tuple(np.float64(v) for v in (formats.scale, formats.raw_min, formats.raw_max))
    return np.ldexp(1.0, formats.exponents), *(ends.astype(np.float64) for ends in formats.limits)


def _fixed_point(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """Quantize floats [..., places]."""
    x, scale, low, high = inputs
    scaled = x / scale
    rounded = np.round(scaled) if attributes["rounding_mode"] == "ROUND" else np.floor(scaled)
    if attributes["rounding_mode"] == "HALF_UP":
        rounded = rounded + (scaled - rounded >= 0.5)
    if attributes["overflow"] == "WRAP":
        span = high - low + 1
        rest = rounded - np.floor(rounded / span) * span  # exact however large the value is
        raw = np.where(rest > high, rest - span, rest)
    else:
        raw = np.clip(rounded, low, high)
    return [(raw * scale).astype(x.dtype)]


def formats_of(values: Sequence[Value], attributes: Attributes) -> FixedPoint | FixedPoints:
    """The format, or the formats along the last axis, that a node with these inputs rounds to.

    Raises:
        SparsePixError: parameters that are not constant, of several axes, or that make no format.
    """
    found = []
    for name, value in zip(("scale", "low", "high"), values[1:], strict=True):
        if value.constant is None:
            raise SparsePixError(f"its {name} must be constant, of powers of two (scale) or whole numbers (low, high)")
        content = value.constant.real
        if content.ndim > 1:
            raise SparsePixError(
                f"its {name} must be one number or one for each place, found the shape {content.shape}"
            )
        found.append(content.reshape(-1))
    sizes = {len(content) for content in found} - {1}
    if len(sizes) > 1:
        raise SparsePixError(f"its scale, low and high must have the same size, found {[len(c) for c in found]}")
    modes = (attributes["rounding_mode"], attributes["overflow"])
    elements = [_format(*row, *modes) for row in zip(*np.broadcast_arrays(*found), strict=True)]
    if not any(elements):
        raise SparsePixError("all its formats are without bits: its result is always 0")
    return elements[0] if not sizes else FixedPoints(tuple(elements))


def _format(scale: float, low: float, high: float, rounding: Any, overflow: Any) -> FixedPoint | None:
    mantissa, exponent = np.frexp(scale)
    if mantissa != 0.5:
        raise SparsePixError(f"its scale must be a power of two, found {float(scale)!r}")
    if low == high == 0:
        return None
    width = int(high).bit_length() + int(low < 0) if low <= 0 < high else 1 if (low, high) == (-1, 0) else 0
    if width:
        format = FixedPoint(width, width + int(exponent) - 1, bool(low < 0), rounding, overflow)
        if (format.raw_min, format.raw_max) == (low, high):
            return format
    raise SparsePixError(f"its ends {low:g} and {high:g} are those of no format with overflow {overflow}")


def _fixed_point_reference(inputs: Sequence[Any], attributes: Attributes) -> list[FixedArray]:
    x, *constants = inputs
    formats = formats_of([Value(), *(Value(constant=c) for c in constants)], attributes)
    if isinstance(formats, FixedPoints):
        return [formats.quantize(x)]
    return [formats.requantize(x) if isinstance(x, FixedArray) else formats.quantize(x)]


def _fixed_point_check(values: Sequence[Value], attributes: Attributes) -> None:
    if len(values) == 4 and all(v.constant is not None for v in values[1:]):
        formats_of(values, attributes)


def _fixed_point_bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    x = values[0]
    if len(values) != 4:
        raise SparsePixError(f"it must have 4 inputs (x, scale, low, high), found {len(values)}")
    if any(v.constant is None for v in values[1:]):
        return [Value(x.shape)]
    formats = formats_of(values, attributes)
    single = isinstance(formats, FixedPoint)
    if not single and x.shape and (x.shape[-1] != len(formats.elements) or len(x.shape) == 4):
        what = "an image has one format" if len(x.shape) == 4 else f"it comes with {x.shape[-1]} places"
        raise SparsePixError(f"it has {len(formats.elements)} formats, and {what}")
    hull = formats if single else formats.hull
    content = x.constant if x.constant is not None else x.real
    if content is not None:
        (constant,) = _fixed_point_reference([content, *(v.constant for v in values[1:])], attributes)
        return [Value(x.shape, constant.range, hull, constant)]
    return [Value(x.shape, formats.range, hull, groups=x.groups)]


FIXED_POINT = Op(
    name="FixedPointQuant",
    domain=DOMAIN,
    inputs=("x", "scale", "low", "high"),
    outputs=("y",),
    attributes={
        "rounding_mode": Attribute("ROUND", "string", tuple(AP_ROUNDING)),
        "overflow": Attribute("SAT", "string", tuple(AP_OVERFLOW)),
    },
    compute=_fixed_point,
    reference=_fixed_point_reference,
    bound=_fixed_point_bound,
    body=FIXED_POINT_BODY,
    check=_fixed_point_check,
    kind=Kind.QUANTIZER,
    pixels="x",
)
OPS = (OP, FIXED_POINT)
