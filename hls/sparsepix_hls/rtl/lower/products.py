"""The product of two numbers in LUTs: what ``product.sv`` takes for it.

One factor is split into digits of -2 ... 2 (Booth, radix 4). Each digit selects a row, which is one LUT a bit
together with the adder that takes it, so that a product needs about half as many LUTs as bit pairs.
"""

from collections.abc import Sequence

Kif = tuple[int, int, int]  # signed, integer and fractional bits, as da4ml has them


def in_digits(kifs: Sequence[Kif]) -> int:
    """Which of two factors is split into digits: the one that takes fewer LUTs."""
    first, second = kifs
    return int(_luts(first, second) <= _luts(second, first))


def product_luts(kifs: Sequence[Kif]) -> int:
    """LUTs of the product of two factors."""
    first, second = kifs
    return min(_luts(first, second), _luts(second, first))


def product_levels(kifs: Sequence[Kif]) -> float:
    """Levels of LUTs of the product of two factors, as ``netlist`` counts them, rounded."""
    digits = _digits(kifs[in_digits(kifs)])
    chains = min(digits, 2) + (max(digits - 2, 0) + 2) // 3
    return 0.8 + chains * (1.9 + 0.004 * (sum(kifs[0]) + sum(kifs[1])))


def _digits(factor: Kif) -> int:
    """Digits of the bits of a factor but the lowest, which is a row of its own."""
    return max((sum(factor) + (not factor[0])) // 2, 1)


def _luts(first: Kif, second: Kif) -> int:
    """LUTs with the digits of the second factor."""
    digits, row = _digits(second), sum(first) + 1 + (not first[0])
    grouped = [min(digits - begin, 3) for begin in range(2, digits, 3)]
    return sum(first) + digits * row + sum(row + 2 * count - 1 for count in grouped if count > 1)
