"""Numbers of users and files, checked all at once, and how they are shown in messages."""

import math
import reprlib
from collections.abc import Mapping
from typing import Any

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.whole import real_number, whole_number

# Lists in a file may hold each other, and so a few bytes hold any number of parts.
_PARTS = 100_000


def shown(value: Any) -> str:
    """Some value of a user or of a file in a message: short, however large or deep it is."""
    shape = getattr(value, "shape", None)
    if isinstance(value, int) and value.bit_length() > 200:  # Python turns no int of 4,300 digits into text
        return f"an int of {value.bit_length()} bits"
    return reprlib.repr(value) if shape is None or shape == () else f"a {type(value).__name__} {tuple(shape)}"


def require_plain(content: Any, what: str) -> None:
    """Refuse data that are more than numbers, text, lists and dicts.

    Args:
        content: of a file.
        what: it is, for the message.

    Raises:
        SparsePixError: it holds something else, a number that is not finite, or far too much.
    """
    waiting, count = [content], 0
    while waiting:
        value = waiting.pop()
        count += 1
        if count > _PARTS:
            raise SparsePixError(f"{what}: expected a few numbers, found more than {_PARTS:,}")
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
        elif not (value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))):
            raise SparsePixError(f"{what}: expected numbers, text, lists and dicts, found {shown(value)}")


def checked_real(name: str, value: Any, problems: list[str], low: float, high: float | None = None) -> Any:
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
    real = real_number(value)
    if real is None or (real <= low if high is None else not low <= real < high):
        limits = f"above {low:g}" if high is None else f"from {low:g} to less than {high:g}"
        problems.append(f"{name}: expected a number {limits}, found {shown(value)}")
        return value
    return real


def checked_whole(name: str, value: Any, problems: list[str], low: int, high: int = 2**31 - 1) -> Any:
    """The number as an int if it is whole and ``low`` ... ``high``; else adds a problem and returns it as it is.

    Args:
        name: of what it is, for the message.
        value: that was given.
        problems: gets the message.
        low: the smallest.
        high: the largest.
    """
    number = whole_number(value)
    if number is None or not low <= number <= high:
        limits = f"of at least {low}" if high == 2**31 - 1 and (number is None or number < low) else f"{low} ... {high}"
        problems.append(f"{name}: expected a whole number {limits}, found {shown(value)}")
        return value
    return number
