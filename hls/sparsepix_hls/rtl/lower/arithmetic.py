"""Integer arithmetic on variables of da4ml's tracer: what the layers are written in.

Every variable holds a raw integer; its exponent is known to whoever uses it, as in the integer reference. A variable
knows the range of its values, so each adder gets the width that its values need.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
from da4ml.trace import FixedVariable, FixedVariableArray, HWConfig

from sparsepix_ops.fixed_point import FixedPoint

HARDWARE = HWConfig(1, -1, -1)
Number = FixedVariable | int


def variable(low: int, high: int) -> FixedVariable:
    """A new input that holds the integers low ... high."""
    return FixedVariable(low, high, 1, hwconf=HARDWARE)


def constant(value: int) -> FixedVariable:
    """A constant."""
    return FixedVariable.from_const(value, HARDWARE)


def known(value: Number) -> int | None:
    """The value of a constant, None for a variable."""
    if isinstance(value, FixedVariable):
        return int(value.low) if value.low == value.high else None
    return int(value)


def as_variable(value: Number) -> FixedVariable:
    """A number as the tracer wants it."""
    return value if isinstance(value, FixedVariable) else constant(value)


def table(address: Number, values: Sequence[int]) -> Number:
    """``values[address]``, looked up; the address is an unsigned integer that never points beyond the last value."""
    here = known(address)
    if here is not None:
        return int(values[here])
    assert isinstance(address, FixedVariable)
    # The range of the address may reach further, up to what its bits hold.
    padded = [*values, *[values[-1]] * (int(address.high) + 1 - len(values))]
    used = np.array(padded[int(address.low) : int(address.high) + 1], dtype=np.float64)
    return int(used[0]) if (used == used[0]).all() else address.lookup(used)


def select(key: Number, yes: Number, no: Number) -> Number:
    """``key ? yes : no`` for a key of one bit."""
    here = known(key)
    if here is not None:
        return yes if here else no
    assert isinstance(key, FixedVariable)
    first, second = as_variable(yes), as_variable(no)
    return first if first.low == first.high == second.low == second.high else key.msb_mux(first, second)


def both(first: Number, second: Number) -> Number:
    """Logical and of two bits."""
    for one, other in ((first, second), (second, first)):
        if known(one) is not None:
            return other if known(one) else 0
    return as_variable(first) & as_variable(second)


def either(first: Number, second: Number) -> Number:
    """Logical or of two bits, or bitwise or of two unsigned integers that share no bit."""
    for one, other in ((first, second), (second, first)):
        if known(one) == 0:
            return other
    return as_variable(first) | as_variable(second)


def inverse(bit: Number) -> Number:
    """Logical not of a bit."""
    return 1 - int(bit) if known(bit) is not None else ~as_variable(bit)


def equal(first: Number, second: Number) -> Number:
    """Whether two unsigned integers are equal, one bit."""
    values = known(first), known(second)
    if None not in values:
        return int(values[0] == values[1])
    a, b = as_variable(first), as_variable(second)
    if a.high < b.low or b.high < a.low:
        return 0
    different = a ^ b
    return ~(different.unary_bit_op("any"))


def negative(value: Number) -> Number:
    """Whether a number is below 0, one bit."""
    here = known(value)
    if here is not None:
        return int(here < 0)
    assert isinstance(value, FixedVariable)
    if value.low >= 0:
        return 0
    return 1 if value.high < 0 else value.is_negative()


def tree(join: Callable[[Number, Number], Number], values: Sequence[Number], empty: Number = 0) -> Number:
    """Values joined in a balanced tree."""
    row = list(values)
    while len(row) > 1:
        row = [reduce(join, row[i : i + 2]) for i in range(0, len(row), 2)]
    return row[0] if row else empty


def total(values: Sequence[Number]) -> Number:
    """Sum of numbers, in a balanced tree; constants are added at the end."""
    fixed = sum(int(known(v) or 0) for v in values if known(v) is not None)
    summed = tree(lambda a, b: a + b, [v for v in values if known(v) is None])
    return summed + fixed if fixed else summed


def any_of(bits: Sequence[Number]) -> Number:
    """Logical or of bits."""
    return tree(either, bits)


def largest(first: Number, second: Number) -> Number:
    """The larger of two numbers."""
    a, b = as_variable(first), as_variable(second)
    if a.low >= b.high:
        return a
    if b.low >= a.high:
        return b
    return select(negative(a - b), b, a)


def quantize(value: Number, exponent: int, target: FixedPoint, relu: bool = False) -> Number:
    """Optional ReLU, then rounding and clipping of ``value * 2**exponent`` to a format: its raw integer.

    Half to even is one adder: half a unit less the smallest step is added, and one step more where the result
    would be odd. Half up adds half a unit.
    """
    here = known(value)
    if here is not None:
        here = max(here, 0) if relu else here
        return int(target.quantize(np.ldexp(np.float64(here), exponent)).raw)
    assert isinstance(value, FixedVariable)
    below_zero = negative(value) if relu else 0
    dropped = target.exponent - exponent
    if dropped > 0:
        if target.rounding == "ROUND":
            odd = value.quantize(0, dropped + 1, -dropped) * 2.0**-dropped
            value = value + odd + (2 ** (dropped - 1) - 1)
        elif target.rounding == "HALF_UP":
            value = value + 2 ** (dropped - 1)
        signed, integer, _ = value.kif
        value = value.quantize(signed, max(integer, dropped), -dropped)
    return select(below_zero, 0, _fit(value, dropped, target, relu) * 2.0**-dropped)


def _fit(value: FixedVariable, dropped: int, target: FixedPoint, relu: bool) -> FixedVariable:
    """A multiple of 2**dropped, clipped or wrapped to the format's range times 2**dropped.

    It stays in the units that came in: da4ml's own emulator takes a wrong scale for bits of a shifted variable.

    Args:
        value: the variable.
        dropped: places between its unit and the format's; negative where the format is finer.
        target: the format.
        relu: negative values do not matter, somebody else clears them.
    """
    unit = 2.0**dropped
    if value.low >= target.raw_min * unit and value.high <= target.raw_max * unit:
        return value
    if value.low == value.high:
        raw = target.quantize(np.ldexp(np.float64(value.low), target.exponent - dropped)).raw
        return constant(0) + float(raw) * unit
    bits = target.width - int(target.signed)
    top = bits + dropped  # place of the first bit that has no room
    if target.overflow == "WRAP":
        wrapped = as_variable(0)
        if not target.signed and value.low < 0:  # da4ml has no bits beyond the sign: count up from 0
            value = value + 2.0 ** max(top, value.kif[1])
        if bits + int(target.signed) + min(dropped, 0) > 0:
            wrapped = value.quantize(target.signed, top, -max(dropped, 0))
        return wrapped
    if target.overflow == "SAT_SYM" and target.signed:
        return _without_lowest(_fit(value, dropped, replace(target, overflow="SAT"), relu), dropped, target)
    _, integer, fraction = value.kif
    lowest = max(top, -fraction, 0)
    low = value.quantize(0, top, -max(dropped, 0)) if top > max(dropped, 0) else as_variable(0)
    over, under = value.high > target.raw_max * unit, value.low < target.raw_min * unit and not relu
    result: Number = low
    if over:
        beyond = value.quantize(0, integer, -lowest).unary_bit_op("any") if integer > lowest else constant(0)
        result = select(beyond, constant(0) + target.raw_max * unit, low)
    if relu or value.low >= 0:
        return as_variable(result)
    if not target.signed:
        return as_variable(select(negative(value), 0, result))
    # Below zero the low bits count from the smallest value of the format up.
    floor = constant(0) + target.raw_min * unit
    signed = value.quantize(1, top, -max(dropped, 0)) if top + 1 > max(dropped, 0) else as_variable(floor)
    if under:
        missing: Number = 1
        if lowest == top and integer > lowest:
            missing = (~value.quantize(0, integer, -lowest)).unary_bit_op("any")
        elif lowest == top:
            missing = 0
        signed = as_variable(select(missing, floor, signed))
    return as_variable(select(negative(value), signed, result))


def _without_lowest(value: FixedVariable, dropped: int, target: FixedPoint) -> FixedVariable:
    """A value that fits, with the smallest number of two's complement replaced by the next one."""
    if value.low >= target.raw_min * 2.0**dropped:
        return value
    top = target.width - 1 + dropped
    low = value.quantize(0, top, -max(dropped, 0)) if top > max(dropped, 0) else None
    rest = inverse(low.unary_bit_op("any")) if low is not None else 1
    return as_variable(select(both(negative(value), rest), constant(0) + target.raw_min * 2.0**dropped, value))


def selected(keys: list[Number], values: np.ndarray) -> Number:
    """The value whose key is 1, or 0; at most one is."""
    return total([select(key, value, 0) for key, value in zip(keys, values, strict=True) if known(key) != 0])


def matrix(vector: np.ndarray, weights: np.ndarray) -> list[Number]:
    """``vector @ weights``, a graph of adders."""
    used = [i for i, value in enumerate(vector) if known(value) != 0 and weights[i].any()]
    if not used:
        return [0] * weights.shape[1]
    array = FixedVariableArray(
        np.array([as_variable(vector[i]) for i in used], dtype=object), {"search_all_decompose_dc": False}
    )
    return list((array @ weights[used].astype(np.float64))._vars.ravel())


def by_coordinate(coordinate: Number, extent: int, value: Callable[[int], int], empty: int = 0) -> Number:
    """A function of a coordinate -1 ... extent - 1, looked up; ``empty`` is its value at -1."""
    variable = as_variable(coordinate)
    values = [empty if c < 0 else value(min(c, extent - 1)) for c in range(int(variable.low), int(variable.high) + 1)]
    if known(coordinate) is not None or len(set(values)) == 1:
        return values[0]
    return variable.lookup(np.array(values, dtype=np.float64))


def aligned(value: Number, exponent: int, to: int) -> Number:
    """``value * 2**exponent`` in units of ``2**to``, which is as fine or finer."""
    assert to <= exponent, f"2**{exponent} in units of 2**{to}"
    return value * 2 ** (exponent - to)


def aligned_all(values: np.ndarray, exponent: int, to: int) -> np.ndarray:
    """``aligned`` for each element of an array [...]."""
    result = np.empty(values.shape, dtype=object)
    for index, value in np.ndenumerate(values):
        result[index] = aligned(value, exponent, to)
    return result
