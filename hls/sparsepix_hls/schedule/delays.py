"""How long operations take on an xcu250, and what they cost, as Vitis HLS counts them.

The delays are those of the schedules that Vitis HLS itself wrote for other designs on the same part (version 2022.1,
the ``verbose.sched.rpt`` of a public project), lines through the points of each kind; a product in LUTs is in none of
them, and choices and writes at an index were set so that the published searches come out right. That a comparison and
the two choices of the published search tree take 1.013, 1.028 and 1.084 ns at 8, 10 and 16 bits (a third of the clock
that their reports give) agrees with the other delays to 0.02 ns. The LUTs are read off the tables of expressions in the
reports of the published layers, where every operator of a width costs the same.
"""

import math

SELECT_NS = 0.21
LOGIC_NS = 0.12  # and, or, xor
DSP_NS = 2.15
_LUT_PRODUCT_BITS = 10  # factors of more bits are multiplied in DSP slices
WRITE_NS = 1.30  # a word of an array that is written at an index: the comparison of a decoder, and a multiplexer
ROM_NS = 0.69  # a constant out of a memory, after the clock that takes the address
WRITE_LUT = 28  # its multiplexers; Vitis HLS counts nothing for the decoder


def adder_ns(bits: int) -> float:
    """A sum or a difference."""
    return {0: 0.0, 1: 0.28, 2: 0.43, 3: 0.57}.get(bits, max(0.70, 0.655 + 0.007 * bits))


def compare_ns(bits: int) -> float:
    """Whether two words are equal, or which one is less; one bit is a wire."""
    return {0: 0.0, 1: 0.0, 2: 0.34, 3: 0.49}.get(bits, max(0.58, 0.51 + 0.0105 * bits))


def any_ns(bits: int) -> float:
    """Whether one of so many bits is set. Where a number saturates Vitis HLS tests bits, and compares nothing."""
    return LOGIC_NS * max(bits - 1, 0).bit_length()


def in_lut(bits: int) -> bool:
    """Whether a product whose wider factor has so many bits is made of LUTs."""
    return bits <= _LUT_PRODUCT_BITS


def product_ns(bits: int) -> float:
    """A product, by the bits of its wider factor."""
    return 1.2 + 0.045 * bits if in_lut(bits) else DSP_NS


def shift_ns(bits: int) -> float:
    """A shift by a number that is not constant: a multiplexer of two levels a LUT."""
    return SELECT_NS * math.ceil(math.log2(max(bits, 2)) / 2)


def index_ns(values: int) -> float:
    """One of so many values by an index."""
    return 0.25 + 0.18 * math.log2(max(values, 2))


def ways_ns(values: int) -> float:
    """One of so many values by the way that led here; two ways are a choice."""
    return SELECT_NS if values < 3 else 0.25 + 0.14 * math.log2(max(values, 2))


def arithmetic_lut(bits: int) -> int:
    """LUTs of a sum, a difference or a comparison."""
    return bits + 7 if bits > 1 else 2


def logic_lut(bits: int) -> int:
    """LUTs of and, or, xor or a choice of two."""
    return bits if bits > 1 else 2


def product_lut(bits: int) -> int:
    """LUTs of a product, by the bits of its wider factor; a DSP slice has a few as well."""
    return round(0.62 * bits**2) if in_lut(bits) else 5


def ways_lut(values: int, bits: int) -> int:
    """LUTs of one of so many values by the way that led here: a choice and its condition each."""
    return (values - 1) * (bits + 4)


def index_lut(values: int) -> int:
    """LUTs of one of so many values by an index, of whatever width."""
    return 5 * values
