"""Numbers as users give them: ints and floats, those of numpy, arrays and tensors without axes."""

import math
import operator
from typing import Any

import numpy as np


def whole_number(value: Any) -> int | None:
    """An int, for what is a whole number: 8, 8.0, a scalar of numpy, an array or tensor without axes.

    Returns:
        None for anything else: other floats, NaN, bools, strings, arrays with axes.
    """
    if type(value) is int:
        return value
    if not _is_number(value):
        return None
    try:
        return operator.index(value)
    except TypeError:
        number = float(value)
    return int(number) if math.isfinite(number) and number == int(number) else None


def real_number(value: Any) -> float | None:
    """A finite float, for what is a real number (see ``whole_number``); None for anything else."""
    if not _is_number(value):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def truth(value: Any) -> bool | None:
    """A bool, for a bool, one of numpy, or 0 or 1; None for anything else."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    whole = whole_number(value)
    return bool(whole) if whole in (0, 1) else None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool | np.bool_ | str | bytes | complex | np.complexfloating):
        return False
    if getattr(value, "shape", ()) != () or "bool" in str(getattr(value, "dtype", "")):
        return False
    try:
        float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return isinstance(value, int)
    return True
