"""How a pair of pixels is coded: the low bits of its row and column offset.

The weight of a code is looked up, and a code that is not in the window has the weight 0: so the bits alone do, without
a position to be computed. In row-major order no row lies above an earlier one's, and a bit less is enough.
Pairs with an empty slot need no code of their own: an empty slot's features are 0, and what would be added to it is
masked.
"""

from dataclasses import dataclass

import numpy as np

from sparsepix_hls.rtl.lower.arithmetic import Number, as_variable, both, either, inverse, known, negative, select


@dataclass(frozen=True)
class PairCode:
    """The codes of a kernel map.

    Args:
        kernel_size: rows and columns of the window, odd.
        raster_order: whether the list is in row-major order.
    """

    kernel_size: tuple[int, int]
    raster_order: bool

    @property
    def row_bits(self) -> int:
        """Bits of the row offset; unsigned in row-major order, else in two's complement."""
        return (self.kernel_size[0] // 2).bit_length() + int(not self.raster_order)

    @property
    def column_bits(self) -> int:
        """Bits of the column offset, in two's complement."""
        return (self.kernel_size[1] // 2).bit_length() + 1

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.row_bits + self.column_bits

    @property
    def outside(self) -> int:
        """The code of a pair that is not in the window: a column offset that no window has."""
        return 1 << (self.column_bits - 1)

    @property
    def center(self) -> int:
        """The code of a pixel and itself."""
        return 0

    def position(self, code: int) -> int | None:
        """Kernel position, row by row, of the later pixel in the window around the earlier one; None outside."""
        height, width = self.kernel_size
        row, column = code >> self.column_bits, code % (1 << self.column_bits)
        column -= (column >> (self.column_bits - 1)) << self.column_bits
        if not self.raster_order:
            row -= (row >> (self.row_bits - 1)) << self.row_bits
        row, column = row + height // 2, column + width // 2
        return row * width + column if 0 <= row < height and 0 <= column < width else None

    def weights(self, kernel: np.ndarray, turned: bool) -> list[int]:
        """The weight of each code, from a kernel [positions]; ``turned``: seen from the later pixel."""
        found = []
        for code in range(1 << self.bits):
            place = self.position(code)
            if place is not None and turned:
                place = len(kernel) - 1 - place
            found.append(0 if place is None else int(kernel[place]))
        return found


def pair_index(earlier: int, later: int) -> int:
    """Where a pair is in its map."""
    return later * (later - 1) // 2 + earlier


def code_of(code: PairCode, earlier: np.ndarray, later: np.ndarray) -> Number:
    """The code of a pair of pixels, each (row, column)."""
    row, column = (as_variable(b) - as_variable(a) for a, b in zip(earlier, later, strict=True))
    row_inside, row_low = _low_bits(row, code.row_bits, not code.raster_order)
    column_inside, column_low = _low_bits(column, code.column_bits, signed=True)
    offset = either(column_low, as_variable(row_low) * 2.0**code.column_bits)
    return select(both(row_inside, column_inside), offset, code.outside)


def _low_bits(offset: Number, bits: int, signed: bool) -> tuple[Number, Number]:
    """Whether so many bits hold an offset, and these bits as an unsigned integer."""
    variable = as_variable(offset)
    if known(offset) is not None:
        value = int(variable.low)
        low, high = (-(1 << bits >> 1), (1 << bits >> 1) - 1) if signed else (0, (1 << bits) - 1)
        return int(low <= value <= high), value % (1 << bits)
    keep, integer, _ = variable.kif
    held: Number = variable.quantize(0, bits, 0) if bits else 0
    if not keep:  # never below 0
        beyond = variable.quantize(0, integer, -bits).unary_bit_op("any") if integer > bits else 0
        return inverse(beyond), held
    first = bits - 1 if signed else bits
    if integer < first:
        # The sign alone reaches beyond the bits: repeat it there, or refuse it.
        filled = select(negative(variable), (1 << bits) - (1 << integer), 0)
        low = variable.quantize(0, integer, 0)
        return (1, either(low, filled)) if signed else (inverse(negative(variable)), low)
    upper = variable.quantize(0, integer + 1, -first)
    some = upper.unary_bit_op("any")
    if not signed:
        return inverse(some), held
    missing = (~upper).unary_bit_op("any")
    return inverse(both(some, missing)), held
