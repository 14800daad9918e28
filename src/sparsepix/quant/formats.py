"""Formats whose binary point is not given: set from data, or learned."""

from dataclasses import dataclass, fields, replace
from typing import Literal

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import AP_ROUNDING, FixedArray, FixedPoint, Rounding
from sparsepix_ops.fixed_points import FixedPoints
from sparsepix_ops.whole import truth, whole_number

MIN_WIDTH, MAX_WIDTH = 2, 16
MAX_FIXED_WIDTH = 24  # of a fixed format: what a float32 holds
# Beyond it a scale or its reciprocal comes near the ends of float32, where scaling is no longer exact.
MAX_INTEGER = 64


Per = Literal["tensor", "channel", "element", "weight"]


@dataclass(frozen=True)
class _AdaptingFixedPoint:
    """What formats whose binary point is not given have in common."""

    width: int
    signed: bool = True
    rounding: Rounding = "ROUND"
    initial_integer: int = 1

    def __post_init__(self) -> None:
        """Hold fields as ints and bools, whatever kind of number they were given as."""
        problems = []
        for kind, convert, what in ((int, whole_number, "a whole number of bits"), (bool, truth, "True or False")):
            for name in (field.name for field in fields(self) if field.type is kind):
                given = getattr(self, name)
                value = convert(given)
                if value is None:
                    problems.append(f"{type(self).__name__}: {name} must be {what}, found {given!r}")
                object.__setattr__(self, name, value)
        if problems:
            raise SparsePixError(problems)

    @property
    def initial(self) -> FixedPoint:
        """The format before calibration and training."""
        return FixedPoint(self.width, self.initial_integer, self.signed, self.rounding)


@dataclass(frozen=True)
class CalibratedFixedPoint(_AdaptingFixedPoint):
    """A format of a given width whose binary point ``sparsepix.calibrate`` sets from data; it stays where it is then.

    ``training.fit`` calibrates by itself. In a loop of your own do it before the first step, or better after some
    epochs within ``sparsepix.unquantized(model)``.

    Args:
        width: bits in all, 2 ... 16.
        signed: two's complement if true.
        rounding: 'ROUND' (half to even) or 'FLOOR'.
        initial_integer: bits left of the binary point until then, the sign bit included.

    Raises:
        SparsePixError: numbers that are not whole (8.0 is one).
    """


@dataclass(frozen=True)
class LearnedFixedPoint(_AdaptingFixedPoint):
    """A format whose position of the binary point (a power-of-two scale) is learned, and on request its width.

    A smaller width drops the lowest bits: the range stays. Scale and width may be those of a whole tensor, or of each
    place of it, as in HGQ (arXiv 2405.00645); places without bits are 0. Weights of several formats are exported as the
    numbers that they are, on one grid.

    Args:
        width: bits in all, 2 ... 16; where a learned width starts, and the largest that it can become.
        signed: two's complement if true.
        rounding: 'ROUND' (half to even) or 'FLOOR'.
        initial_integer: bits left of the binary point to start from, the sign bit included.
        learn_width: learn the width too, from ``min_width`` to ``width``.
        min_width: the smallest learned width; 0 or more with formats for each place, where 0 leaves nothing of it.
        per: what has a format of its own: the 'tensor'; each 'channel' of features, of weights each output channel;
            each 'element' of a vector; each 'weight' (a width each, the range is that of the tensor).

    Raises:
        SparsePixError: numbers that are not whole (8.0 is one).
    """

    learn_width: bool = False
    min_width: int = MIN_WIDTH
    per: Per = "tensor"


Format = FixedPoint | FixedPoints | CalibratedFixedPoint | LearnedFixedPoint | None


def start_of(format: FixedPoint | CalibratedFixedPoint | LearnedFixedPoint) -> FixedPoint:
    """The format before calibration and training; a fixed one as it is."""
    return format if isinstance(format, FixedPoint) else format.initial


def is_plain(format: Format) -> bool:
    """Whether QONNX's ``Quant`` says all of a format: one for the whole tensor, saturating, not rounding half up."""
    if isinstance(format, FixedPoint):
        return format.overflow == "SAT" and format.rounding != "HALF_UP"
    return not isinstance(format, FixedPoints)


def has_places(format: Format) -> bool:
    """Whether a format differs within a tensor."""
    return isinstance(format, FixedPoints) or (isinstance(format, LearnedFixedPoint) and format.per != "tensor")


def exact_format(values: FixedArray) -> FixedPoint:
    """The narrowest format of a quantizer that holds constants exactly."""
    found = values.range.with_zero().format()
    width = max(found.width, MIN_WIDTH)
    return FixedPoint(width, found.exponent + width, found.signed)


def bias_format_of(weight_format: Format) -> Format:
    """The format of a bias that has none of its own: that of the weights, at its full width.

    A bias is added and not multiplied, so narrowing it would save nothing.
    """
    if isinstance(weight_format, LearnedFixedPoint):
        least = max(weight_format.min_width, MIN_WIDTH)  # that of a whole tensor
        return replace(weight_format, learn_width=False, per="tensor", min_width=least)
    return weight_format


def check_format(format: Format, owner: str) -> None:
    """Check that a format is one that a quantizer can carry.

    Raises:
        SparsePixError: see ``Quantizer``.
    """
    if format is None:
        return
    if not isinstance(format, FixedPoint | FixedPoints | CalibratedFixedPoint | LearnedFixedPoint):
        raise SparsePixError(
            f"{owner}: a format must be FixedPoint, FixedPoints, CalibratedFixedPoint, LearnedFixedPoint or None, "
            f"found {format!r}; write FixedPoint(8, 3) or FixedPoint.parse('ap_fixed<8, 3>')"
        )
    if isinstance(format, FixedPoints):
        if owner.endswith((" weight", " bias")):
            raise SparsePixError(
                f"{owner}: expected one format, found {format}; weights that need fewer bits cost less in it anyway"
            )
        for element in format.elements:
            if element is not None:
                _check_fixed(element, owner, 1)
        try:
            _ = format.hull
        except SparsePixError:
            raise SparsePixError(
                f"{owner}: expected formats that lie closer together: one that holds all of them has too many bits"
            ) from None
        return
    if not isinstance(format.rounding, str) or format.rounding not in AP_ROUNDING:
        raise SparsePixError(f"{owner}: rounding must be one of {list(AP_ROUNDING)}, found {format.rounding!r}")
    if isinstance(format, FixedPoint):
        _check_fixed(format, owner, MIN_WIDTH if is_plain(format) else 1)
        return
    if format.rounding == "HALF_UP":
        raise SparsePixError(f"{owner}: rounding 'HALF_UP' is for fixed formats; take 'ROUND'")
    if not MIN_WIDTH <= format.width <= MAX_WIDTH:
        raise SparsePixError(f"{owner}: width must be {MIN_WIDTH} ... {MAX_WIDTH} bits, found {format.width}")
    if isinstance(format, LearnedFixedPoint):
        _check_learned(format, owner)
    _check_integer(format.initial_integer, owner)


def _check_learned(format: LearnedFixedPoint, owner: str) -> None:
    weights = owner.endswith((" weight", " bias", "weight_format", "bias_format"))
    choices = ("tensor", "channel", "weight") if weights else ("tensor", "channel", "element")
    if not isinstance(format.per, str) or format.per not in choices:
        raise SparsePixError(f"{owner}: per must be one of {', '.join(choices)}, found {format.per!r}")
    least = MIN_WIDTH if format.per == "tensor" else 0
    if not least <= format.min_width <= format.width:
        raise SparsePixError(
            f"{owner}: min_width must be {least} ... width = {format.width} bits, found {format.min_width}"
        )


def _check_fixed(format: FixedPoint, owner: str, least: int) -> None:
    if not least <= format.width <= MAX_FIXED_WIDTH:
        raise SparsePixError(f"{owner}: width must be {least} ... {MAX_FIXED_WIDTH} bits, found {format.width}")
    _check_integer(format.integer, owner)


def _check_integer(integer: int, owner: str) -> None:
    if abs(integer) > MAX_INTEGER:
        raise SparsePixError(f"{owner}: the integer bits must be -{MAX_INTEGER} ... {MAX_INTEGER}, found {integer}")
