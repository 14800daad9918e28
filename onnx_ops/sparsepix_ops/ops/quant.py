"""Quant of QONNX: rounding and clipping to a fixed-point format.

The op is QONNX's (domain ``qonnx.custom_op.general``); here are its body, for runtimes
that do not know it, and its meaning in fixed point. Of its rounding modes only ROUND and FLOOR
exist in the hardware types, and of its scales only powers of two.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedPoint
from sparsepix_ops.op import QUANT_DOMAIN, Attribute, Attributes, Kind, Op, Value

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
