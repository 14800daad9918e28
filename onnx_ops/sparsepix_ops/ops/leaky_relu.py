"""LeakyRelu with a power of two as its slope.

onnxruntime has the standard op in float32 only, so models carry this one, whose body computes in float64 too.
"""

import math
from collections.abc import Sequence

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import MAX_RAW_BITS, FixedArray, FixedRange
from sparsepix_ops.op import DOMAIN, Attribute, Attributes, Kind, Op, Value
from sparsepix_ops.whole import real_number

MAX_SLOPE_SHIFT = 16  # the smallest slope is 2**-16

BODY = """
    slope_float = Constant <value_float: float = @alpha> ()
    slope = CastLike (slope_float, x)
    scaled = Mul (x, slope)
    zero_float = Constant <value_float = 0.0> ()
    zero_like = CastLike (zero_float, x)
    negative = Less (x, zero_like)
    output = Where (negative, scaled, x)
"""


def slope_shift(negative_slope: float) -> int:
    """The places that a leaky ReLU of slope 2**-k shifts negative values by: k.

    Raises:
        SparsePixError: it is no such power of two.
    """
    slope = real_number(negative_slope)
    usable = slope is not None and slope > 0
    nearest = min(max(-round(math.log2(slope)), 1), MAX_SLOPE_SHIFT) if usable else MAX_SLOPE_SHIFT
    if slope != 2.0**-nearest:
        raise SparsePixError(
            f"negative_slope must be a power of two, 2**-{MAX_SLOPE_SHIFT} ... 2**-1, found {negative_slope!r}; the "
            f"nearest is {2.0**-nearest} (2**-{nearest})"
        )
    return nearest


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    return [np.where(inputs[0] < 0, inputs[0] * attributes["alpha"], inputs[0])]


def _reference(inputs: Sequence[FixedArray], attributes: Attributes) -> list[FixedArray]:
    (x,), shift = inputs, slope_shift(attributes["alpha"])
    return [FixedArray(np.where(x.raw < 0, x.raw, x.raw << shift), x.exponent - shift)]


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    (x,), shift = values, slope_shift(attributes["alpha"])
    if x.range is None:
        return [Value(x.shape)]
    bits = x.range.largest.bit_length() + 1 + shift
    if bits > MAX_RAW_BITS:
        raise SparsePixError(
            f"its result needs {bits} bits, more than {MAX_RAW_BITS}; quantize its input to fewer bits"
        )
    low, high = (value if value < 0 else value << shift for value in (x.range.low, x.range.high))
    result = FixedRange(x.range.exponent - shift, low, high)
    # A float needs no more bits than before: its value is scaled, or left as it is.
    return [Value(x.shape, result, result.format(), None, x.range.largest, groups=x.groups)]


OP = Op(
    name="LeakyRelu",
    domain=DOMAIN,
    inputs=("x",),
    outputs=("output",),
    attributes={"alpha": Attribute(0.01, "float")},
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
    kind=Kind.RECTIFIER,
    role="relu",
    pixels="x",
    stands_in={"PRelu": "use SparseLeakyReLU"},
)
