"""What values an operation can have, from which its width follows: LLVM keeps the types of the C++, which widen."""

import re
from dataclasses import dataclass

_MASK = re.compile(r", (\d+)$")  # the second operand, if it is a constant


@dataclass(frozen=True)
class Range:
    """Values from ``low`` to ``high``, multiples of ``2 ** zeros``."""

    low: int
    high: int
    zeros: int = 0

    @property
    def bits(self) -> int:
        """Bits that tell one value from another: not those that are always zero, nor the copies of the sign."""
        low, high = self.low >> self.zeros, self.high >> self.zeros
        if low >= 0:
            return high.bit_length()
        return max((-low - 1).bit_length(), high.bit_length()) + 1

    def union(self, other: "Range") -> "Range":
        """Values of either."""
        return Range(min(self.low, other.low), max(self.high, other.high), min(self.zeros, other.zeros))


def everything(bits: int) -> Range:
    """All values of so many bits."""
    return Range(0, (1 << bits) - 1)


def constant(value: int) -> Range:
    """One value."""
    return Range(value, value, (value & -value).bit_length() - 1 if value else 4096)


def result(opcode: str, bits: int, ranges: list[Range], text: str) -> Range:
    """The range of an operation.

    Args:
        opcode: of LLVM.
        bits: of its type.
        ranges: of its operands, constants included; of a phi or a choice those of the values.
        text: the instruction.
    """
    found = _result(opcode, ranges, text)
    if found is None:
        return everything(bits)
    # Numbers wrap around: the same bits mean a number, and that number plus any multiple of 2 ** bits.
    whole, half = 1 << bits, 1 << max(bits - 1, 0)
    for wraps in {found.high // whole, found.low // whole}:
        low, high = found.low - wraps * whole, found.high - wraps * whole
        if (low >= 0 and high < whole) or (low >= -half and high < half):
            return Range(low, high, found.zeros)
    return Range(0, whole - 1, min(found.zeros, bits))


def _result(opcode: str, ranges: list[Range], text: str) -> Range | None:
    a = ranges[0] if ranges else None
    b = ranges[1] if len(ranges) > 1 else None
    match opcode:
        case "add":
            return Range(a.low + b.low, a.high + b.high, min(a.zeros, b.zeros))
        case "sub":
            return Range(a.low - b.high, a.high - b.low, min(a.zeros, b.zeros))
        case "mul":
            corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
            return Range(min(corners), max(corners), min(a.zeros + b.zeros, 4096))
        case "shl" if b.low == b.high:
            return Range(a.low << b.low, a.high << b.low, a.zeros + b.low)
        case "ashr" | "lshr" if b.low == b.high and (a.low >= 0 or opcode == "ashr"):
            return Range(a.low >> b.low, a.high >> b.low, max(a.zeros - b.low, 0))
        case "and" if a.low >= 0 or b.low >= 0:
            highs = [x.high for x in (a, b) if x.low >= 0]
            return Range(0, min(highs), max(a.zeros, b.zeros))
        case "or" | "xor" if a.low >= 0 and b.low >= 0:
            return Range(0, (1 << max(a.high.bit_length(), b.high.bit_length())) - 1, min(a.zeros, b.zeros))
        case "and" | "or" | "xor":
            half = 1 << (Range(min(a.low, b.low), max(a.high, b.high)).bits - 1)
            return Range(-half, half - 1, min(a.zeros, b.zeros))
        case "sdiv" | "udiv" if b.low == b.high > 0 and (a.low >= 0 or opcode == "sdiv"):
            return Range(-(-a.low // b.low) if a.low < 0 else a.low // b.low, a.high // b.low)
        case "urem" | "srem" if b.low == b.high > 0 and a.low >= 0:
            return Range(0, min(a.high, b.low - 1))
        case "zext" if a.low >= 0:
            return a
        case "sext":
            half = 1 << (_from(text) - 1)
            return a if a.high < half else Range(-half, half - 1, a.zeros)
        case "trunc":
            return a
        case "select":
            return b.union(ranges[2])
        case "phi" | "choice":
            union = a
            for other in ranges[1:]:
                union = union.union(other)
            return union
        case "smin" | "umin" | "smax" | "umax" if a.low >= 0 and b.low >= 0:
            pick = min if "min" in opcode else max
            return Range(pick(a.low, b.low), pick(a.high, b.high), min(a.zeros, b.zeros))
    return None


def demanded(opcode: str, bits: int, demand: int, text: str) -> int | None:
    """How many low bits an operation needs of its operands.

    Args:
        opcode: of LLVM.
        bits: of its type.
        demand: how many low bits of its result are used.
        text: the instruction.

    Returns:
        None if it needs them all.
    """
    match opcode:
        case "and" if m := _MASK.search(text):
            return min(demand, int(m[1]).bit_length())
        case "shl" if m := _MASK.search(text):
            return max(demand - int(m[1]), 0)
        case "trunc" | "zext" | "sext" | "add" | "sub" | "mul" | "select" | "phi" | "and" | "or" | "xor":
            return min(demand, bits)
    return None


def _from(text: str) -> int:
    """Bits of what a conversion reads."""
    return int(re.search(r"ext (?:nneg )?i(\d+)", text)[1])
