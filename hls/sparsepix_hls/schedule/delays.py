"""How long operations take on UltraScale+ parts, as Vitis HLS counts them when it schedules.

The figures are rounded guesses from what the published designs show: in the tree that searches their first active pixel
a comparison of 10 bits and a selection take 1.03 ns together (three of them fill the 3.084 ns that every one of its
reports gives as the clock). They are not fitted to more than that; ``docs/schedule.md`` says what follows.
"""

import math

SELECT_NS = 0.28
LOGIC_NS = 0.28  # and, or, xor: one LUT with its wires


def adder_ns(bits: int) -> float:
    """A sum or a difference: a carry chain."""
    return 0.69 + 0.006 * bits


def equal_ns(bits: int) -> float:
    """Whether two words are equal; one bit is a wire."""
    return 0.0 if bits <= 1 else 0.5 + 0.09 * math.log2(bits)


def less_ns(bits: int) -> float:
    """Which of two words is less: a carry chain."""
    return 0.63 + 0.012 * bits


def product_ns(bits: int) -> float:
    """A product of so many bits."""
    return 1.5 + 0.03 * bits


def shift_ns(bits: int) -> float:
    """A shift by a number that is not constant: a multiplexer of two levels a LUT."""
    return SELECT_NS * math.ceil(math.log2(max(bits, 2)) / 2)


def choice_ns(values: int) -> float:
    """One of so many values by the way that led here."""
    return SELECT_NS * max(math.ceil(math.log2(max(values, 2))), 1)
