"""Numbers as users give them: ints, floats, numpy scalars, and what only looks like one."""

import math
from numbers import Real
from typing import Any


def whole(value: Any) -> int | None:
    """A whole number as an int, from a numpy scalar or a float too; None for anything else."""
    real = finite(value)
    if real is None or real != math.floor(real):
        return None
    return int(value)


def finite(value: Any) -> float | None:
    """A finite number as a float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        real = float(value)
    except OverflowError:  # an int beyond any float
        return None
    return real if math.isfinite(real) else None


def real_number(name: str, value: Any, problems: list[str], low: float, high: float | None = None) -> Any:
    """The number as a float if it is above ``low`` (0: or equal to it where ``high`` is given) and below ``high``.

    Args:
        name: of what it is, for the message.
        value: that was given.
        problems: gets a message for anything else.
        low: see above.
        high: see above.

    Returns:
        The float, or the value as it is where it is wrong.
    """
    real = finite(value)
    if real is None or (real <= low if high is None else not low <= real < high):
        limits = f"above {low:g}" if high is None else f"from {low:g} to less than {high:g}"
        problems.append(f"{name}: expected a number {limits}, found {value!r:.80}")
        return value
    return real


def whole_number(name: str, value: Any, problems: list[str], low: int, high: int = 2**31 - 1) -> Any:
    """The number as an int if it is whole and ``low`` ... ``high``; else adds a problem and returns it as it is.

    Args:
        name: of what it is, for the message.
        value: that was given.
        problems: gets the message.
        low: the smallest.
        high: the largest.
    """
    number = whole(value)
    if number is None or not low <= number <= high:
        limits = f"of at least {low}" if high == 2**31 - 1 and (number is None or number < low) else f"{low} ... {high}"
        problems.append(f"{name}: expected a whole number {limits}, found {value!r:.80}")
        return value
    return number
