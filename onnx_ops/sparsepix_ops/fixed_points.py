"""Formats that differ along the last axis of a tensor: one for each channel, or for each element of a vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedPoint, FixedRange


@dataclass(frozen=True)
class FixedPoints:
    """A format for each place of the last axis.

    Args:
        elements: the formats; None for a place without bits, whose values are all 0. They round and overflow alike.

    Raises:
        SparsePixError: no format among them, or different roundings or overflows.
    """

    elements: tuple[FixedPoint | None, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.elements, list | tuple):
            raise SparsePixError(f"FixedPoints: expected a tuple of formats, found {self.elements!r}")
        object.__setattr__(self, "elements", tuple(self.elements))
        if not all(e is None or isinstance(e, FixedPoint) for e in self.elements):
            raise SparsePixError(f"FixedPoints: expected formats, found {self.elements!r}")
        modes = {(e.rounding, e.overflow) for e in self.elements if e is not None}
        if len(modes) != 1:
            raise SparsePixError(
                f"FixedPoints: expected formats of one rounding and one overflow, found {modes or None}"
            )

    @classmethod
    def parse(cls, texts: Sequence[str | None]) -> "FixedPoints":
        """Read a list of ``FixedPoint.parse``; None or '' is no bits."""
        return cls(tuple(FixedPoint.parse(text) if text else None for text in texts))

    def __str__(self) -> str:
        widths = [e.width if e else 0 for e in self.elements]
        modes = str(self._one).partition(",")[2].partition(",")[2]
        return f"{len(self.elements)} formats of {min(widths)} ... {max(widths)} bits,{modes[:-1]}"

    @property
    def _one(self) -> FixedPoint:
        return next(e for e in self.elements if e is not None)

    @property
    def rounding(self) -> str:
        """Of all of them, see ``FixedPoint``."""
        return self._one.rounding

    @property
    def overflow(self) -> str:
        """Of all of them, see ``FixedPoint``."""
        return self._one.overflow

    @property
    def width(self) -> int:
        """Bits of the widest."""
        return max(e.width for e in self.elements if e is not None)

    @cached_property
    def exponents(self) -> np.ndarray:
        """Of the last places [places]; of a place without bits that of some other."""
        return np.array([(e or self._one).exponent for e in self.elements])

    @cached_property
    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest raw values, each [places]."""
        ends = [(e.raw_min, e.raw_max) if e else (0, 0) for e in self.elements]
        return np.array([low for low, _ in ends]), np.array([high for _, high in ends])

    @property
    def range(self) -> FixedRange:
        """Smallest range that holds all values of all of them."""
        found = self._one.range
        for element in self.elements:
            found = found.hull(element.range) if element else found
        return found

    @property
    def hull(self) -> FixedPoint:
        """The narrowest single format that holds all values of all of them."""
        return self.range.format()

    def quantize(self, values: np.ndarray | FixedArray) -> FixedArray:
        """Round and clip (or wrap) values [..., places]; exact for float64 and for exact values.

        Raises:
            SparsePixError: a value is NaN or infinite.
        """
        target = self.hull
        exact = isinstance(values, FixedArray)
        raw = np.zeros(values.shape, dtype=np.int64)
        for place, element in enumerate(self.elements):
            if element is not None:
                here = FixedArray(values.raw[..., place], values.exponent) if exact else values[..., place]
                found = element.requantize(here) if exact else element.quantize(here)
                raw[..., place] = found.raw << (element.exponent - target.exponent)
        return FixedArray(raw, target.exponent)
