"""Fixed-point formats and exact fixed-point values.

A number is ``raw * 2**exponent`` with an integer ``raw``: nothing here ever rounds unless a
format is told to. The meaning of a format is that of ``ap_fixed<W, I, Q, O>`` (AMD UG1399,
'Arbitrary Precision Fixed-Point Data Types').
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.whole import truth, whole_number

Rounding = Literal["ROUND", "FLOOR", "HALF_UP"]
Overflow = Literal["SAT", "SAT_SYM", "WRAP"]

AP_ROUNDING = {"ROUND": "AP_RND_CONV", "FLOOR": "AP_TRN", "HALF_UP": "AP_RND"}
AP_OVERFLOW = {"SAT": "AP_SAT", "SAT_SYM": "AP_SAT_SYM", "WRAP": "AP_WRAP"}

MAX_INTEGER_BITS = 900  # beyond it float64 cannot hold a scale
MAX_RAW_BITS = 62  # an int64 raw value with room for one addition
_AP_TYPE = re.compile(r"\s*ap_(u?)fixed\s*<\s*(\d+)\s*,\s*(-?\d+)\s*(?:,\s*(\w+)\s*(?:,\s*(\w+)\s*)?)?>\s*")


@dataclass(frozen=True)
class FixedPoint:
    """A fixed-point format, as ``ap_fixed<width, integer, rounding, overflow>``.

    Args:
        width: bits in all, the sign bit included.
        integer: bits left of the binary point, the sign bit included; may be negative or
            larger than ``width``. The least significant bit is worth ``2**(integer - width)``.
        signed: two's complement if true (``ap_fixed``), else unsigned (``ap_ufixed``).
        rounding: 'ROUND' is to nearest, ties to even (``AP_RND_CONV``); 'HALF_UP' to nearest, ties towards plus
            infinity (``AP_RND``); 'FLOOR' is towards minus infinity (``AP_TRN``).
        overflow: 'SAT' clips to the nearest end of the range; so does 'SAT_SYM', whose range has no number more on the
            negative side; 'WRAP' keeps the low bits.

    Raises:
        SparsePixError: a width outside 1 ... 62, integer bits that are no whole number (8.0 is one) or beyond -900 ...
            900, or an unknown rounding or overflow mode.
    """

    width: int
    integer: int
    signed: bool = True
    rounding: Rounding = "ROUND"
    overflow: Overflow = "SAT"

    def __post_init__(self) -> None:
        width, integer, signed = whole_number(self.width), whole_number(self.integer), truth(self.signed)
        problems = []
        if width is None or not 1 <= width <= MAX_RAW_BITS:
            problems.append(
                f"FixedPoint: width must be a whole number of bits, 1 ... {MAX_RAW_BITS}, found {self.width!r}"
            )
        if integer is None or abs(integer) > MAX_INTEGER_BITS:
            problems.append(
                f"FixedPoint: integer must be a whole number of bits, -{MAX_INTEGER_BITS} ... {MAX_INTEGER_BITS}, "
                f"found {self.integer!r}"
            )
        if signed is None:
            problems.append(f"FixedPoint: signed must be True or False, found {self.signed!r}")
        for name, modes in (("rounding", AP_ROUNDING), ("overflow", AP_OVERFLOW)):
            mode = getattr(self, name)
            if not isinstance(mode, str) or mode not in modes:
                problems.append(f"FixedPoint: {name} must be one of {list(modes)}, found {mode!r}")
        if problems:
            raise SparsePixError(problems)
        # Plain ints: numbers of numpy and floats would go on into files and powers of two.
        for name, value in (("width", width), ("integer", integer), ("signed", signed)):
            object.__setattr__(self, name, value)

    @classmethod
    def parse(cls, text: str) -> "FixedPoint":
        """Read ``ap_fixed<8,3>`` or ``ap_ufixed<8, 2, AP_RND_CONV, AP_SAT>``.

        Modes left out are those of this library (ROUND, SAT), not those of the C++ type.
        """
        match = _AP_TYPE.fullmatch(text) if isinstance(text, str) else None
        rounding = {name: mode for mode, name in AP_ROUNDING.items()}
        overflow = {name: mode for mode, name in AP_OVERFLOW.items()}
        if match is None or (match[4] or "AP_RND_CONV") not in rounding or (match[5] or "AP_SAT") not in overflow:
            raise SparsePixError(f"expected a type like 'ap_fixed<8, 3>', found {text!r}")
        return cls(
            width=int(match[2]),
            integer=int(match[3]),
            signed=not match[1],
            rounding=rounding[match[4] or "AP_RND_CONV"],
            overflow=overflow[match[5] or "AP_SAT"],
        )

    def __str__(self) -> str:
        name = "ap_fixed" if self.signed else "ap_ufixed"
        modes = f"{AP_ROUNDING[self.rounding]}, {AP_OVERFLOW[self.overflow]}"
        return f"{name}<{self.width}, {self.integer}, {modes}>"

    @property
    def exponent(self) -> int:
        """The least significant bit is worth ``2**exponent``."""
        return self.integer - self.width

    @property
    def scale(self) -> float:
        """Value of the least significant bit."""
        return 2.0**self.exponent

    @property
    def raw_min(self) -> int:
        """Smallest raw value."""
        return int(self.overflow == "SAT_SYM") - (1 << (self.width - 1)) if self.signed else 0

    @property
    def raw_max(self) -> int:
        """Largest raw value."""
        return (1 << (self.width - int(self.signed))) - 1

    @property
    def range(self) -> "FixedRange":
        """All values that the format holds."""
        return FixedRange(self.exponent, self.raw_min, self.raw_max)

    def quantize(self, values: np.ndarray | float) -> "FixedArray":
        """Round and clip (or wrap) real values [...] to this format; exact for float64 input.

        Raises:
            SparsePixError: a value is NaN or infinite.
        """
        values = np.asarray(values, dtype=np.float64)
        if not np.isfinite(values).all():
            raise SparsePixError(f"cannot quantize to {self}: expected finite values, found NaN or infinity")
        scaled = np.ldexp(values, -self.exponent)
        rounded = np.round(scaled) if self.rounding == "ROUND" else np.floor(scaled)
        if self.rounding == "HALF_UP":
            rounded += scaled - rounded >= 0.5
        if self.overflow == "WRAP":
            # The remainder first, which is exact however large the value is.
            rounded = np.mod(rounded, 2.0**self.width)
            rounded = np.where(rounded > self.raw_max, rounded - 2.0**self.width, rounded)
        clipped = np.clip(rounded, self.raw_min, self.raw_max)
        return FixedArray(clipped.astype(np.int64), self.exponent)

    def requantize(self, value: "FixedArray") -> "FixedArray":
        """The same for an exact value, in integers alone."""
        raw, shift = value.raw, self.exponent - value.exponent
        if shift <= 0:
            # A left shift that overflowed would be beyond any format, so clip before it.
            limit = (1 << MAX_RAW_BITS) >> min(-shift, MAX_RAW_BITS)
            if self.overflow != "WRAP":
                raw = np.clip(raw, -limit, limit)
            raw = raw << min(-shift, MAX_RAW_BITS)
        elif shift > MAX_RAW_BITS:
            raw = np.where((raw < 0) & (self.rounding == "FLOOR"), -1, 0)  # less than half a unit, for the others
        else:
            floor = raw >> shift
            if self.rounding == "ROUND":
                rest, half = raw - (floor << shift), 1 << (shift - 1)
                floor = floor + ((rest > half) | ((rest == half) & ((floor & 1) == 1)))
            elif self.rounding == "HALF_UP":
                floor = floor + ((raw >> (shift - 1)) & 1)
            raw = floor
        if self.overflow == "WRAP":
            raw = ((raw - self.raw_min) & ((1 << self.width) - 1)) + self.raw_min
        return FixedArray(np.clip(raw, self.raw_min, self.raw_max).astype(np.int64), self.exponent)


@dataclass(frozen=True, eq=False)
class FixedArray:
    """An array of exact values ``raw * 2**exponent``; ``raw`` is int64 of any shape."""

    raw: np.ndarray
    exponent: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.raw.shape

    @cached_property
    def real(self) -> np.ndarray:
        """The values as float64, exact up to 53 significant bits (the range analysis ensures that)."""
        return np.ldexp(self.raw.astype(np.float64), self.exponent)

    @property
    def range(self) -> "FixedRange":
        """Smallest range that holds the values."""
        if self.raw.size == 0:
            return FixedRange(self.exponent, 0, 0)
        return FixedRange(self.exponent, int(self.raw.min()), int(self.raw.max()))

    def at(self, exponent: int) -> "FixedArray":
        """The same values with a finer or equal exponent.

        Raises:
            SparsePixError: they need more than 62 bits there.
        """
        shift = self.exponent - exponent
        if not self.raw.any():
            return FixedArray(self.raw, exponent)
        if self.range.largest.bit_length() + shift > MAX_RAW_BITS:
            raise SparsePixError(
                f"values with a last place of 2**{self.exponent} and of 2**{exponent} meet in one sum of more than "
                f"{MAX_RAW_BITS} bits; choose formats that lie closer together"
            )
        return FixedArray(self.raw << shift, exponent)

    @classmethod
    def from_real(cls, values: np.ndarray) -> "FixedArray":
        """The exact fixed-point form of finite floats [...].

        Raises:
            SparsePixError: the values need more than 62 bits on a common grid.
        """
        values = np.asarray(values, dtype=np.float64)
        if not np.isfinite(values).all():
            raise SparsePixError("expected finite values, found NaN or infinity")
        mantissa, exponent = np.frexp(values)
        raw = np.ldexp(mantissa, 53).astype(np.int64)
        if not raw.any():
            return cls(raw, 0)
        # Trailing zero bits of a mantissa do not count: its lowest set bit gives the exponent.
        lowest = np.log2((raw & -raw)[raw != 0]).astype(np.int64) + exponent[raw != 0] - 53
        common = int(lowest.min())
        if int(exponent[raw != 0].max()) - common > MAX_RAW_BITS:
            raise SparsePixError(f"the values are on no common fixed-point grid of {MAX_RAW_BITS} bits")
        return cls(np.ldexp(values, -common).astype(np.int64), common)


@dataclass(frozen=True)
class FixedRange:
    """All values ``raw * 2**exponent`` with ``low <= raw <= high``."""

    exponent: int
    low: int
    high: int

    @property
    def largest(self) -> int:
        """Largest magnitude, in units of the least significant bit."""
        return max(abs(self.low), abs(self.high))

    def at(self, exponent: int) -> "FixedRange":
        """The same range with a finer or equal exponent."""
        shift = self.exponent - exponent
        return FixedRange(exponent, self.low << shift, self.high << shift)

    def hull(self, other: "FixedRange") -> "FixedRange":
        """Smallest range that holds both."""
        exponent = min(self.exponent, other.exponent)
        a, b = self.at(exponent), other.at(exponent)
        return FixedRange(exponent, min(a.low, b.low), max(a.high, b.high))

    def with_zero(self) -> "FixedRange":
        """The range and 0, the value of an empty slot."""
        return FixedRange(self.exponent, min(self.low, 0), max(self.high, 0))

    def format(self) -> FixedPoint:
        """The narrowest format that holds the range exactly: nothing is ever rounded or clipped in it."""
        signed = self.low < 0
        magnitude = max(self.high, -self.low - 1) if signed else self.high
        width = max(magnitude.bit_length() + int(signed), 1)
        return FixedPoint(width, width + self.exponent, signed, rounding="FLOOR", overflow="WRAP")
