"""Options of a training, checked against what ``RunOptions`` declares; loads no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from sparsepix.cost.penalty_names import PENALTIES
from sparsepix.training.run_options import RunOptions
from sparsepix.util.numbers_given import checked_real, checked_whole, shown
from sparsepix_ops.system.options import Option, options_of
from sparsepix_ops.whole import real_number, truth, whole_number

_LARGEST = 2**31 - 1


def checked_options(given: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Options as plain numbers, text and tuples; what is wrong is returned as it is.

    Args:
        given: some of the fields of ``RunOptions``.
        problems: gets a message for each that is out of range or unknown.
    """
    declared = {one.name: one for one in options_of(RunOptions)}
    return {name: _checked(declared[name], value, problems) for name, value in given.items()}


def checked_fit_options(given: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """The options of ``fit`` (see ``checked_options``); its seed is torch's, of 64 bits.

    Args:
        given: the options, ``FIT_OPTIONS``.
        problems: see ``checked_options``.
    """
    found = checked_options({name: value for name, value in given.items() if name != "seed"}, problems)
    return found | {"seed": checked_whole("seed", given["seed"], problems, -(2**63), 2**64 - 1)}


def _checked(one: Option, value: Any, problems: list[str]) -> Any:
    if value is None and one.optional:
        return None
    if one.name == "bits":
        return _checked_bits(value, problems)
    if one.kind is Mapping:
        return _checked_penalties(value, problems)
    if one.several:
        return tuple(_checked_single(one, part, problems) for part in _several(one.name, value, problems))
    return _checked_single(one, value, problems)


def _checked_single(one: Option, value: Any, problems: list[str]) -> Any:
    if one.kind is bool:
        if (found := truth(value)) is None:
            problems.append(f"{one.name}: expected True or False, found {shown(value)}")
        return found
    if one.kind is int:
        return checked_whole(one.name, value, problems, one.low, _LARGEST if one.high is None else one.high)
    if one.kind is float:
        return checked_real(one.name, value, problems, one.low, one.high)
    if one.choices:
        _check_choice(one.name, value, one.choices, problems)
        return value
    return str(value)


def _checked_bits(value: Any, problems: list[str]) -> int | None:
    bits = whole_number(value)
    if bits is None or not 2 <= bits <= 16:
        problems.append(f"bits must be 2 ... 16 or float, found {shown(value)}")
    return bits


def _checked_penalties(given: Any, problems: list[str]) -> Any:
    if not isinstance(given, Mapping):
        problems.append(f"penalties: expected a weight by name, found {shown(given)}")
        return given
    for name, weight in given.items():
        _check_choice("penalties", name, PENALTIES, problems)
        if (number := real_number(weight)) is None or number < 0:
            problems.append(f"penalties: {name}: expected a weight of at least 0, found {shown(weight)}")
    return {name: real_number(weight) for name, weight in given.items()}


def _check_choice(name: str, value: Any, choices: Sequence[str], problems: list[str]) -> None:
    if not isinstance(value, str) or value not in choices:
        problems.append(f"{name}: expected one of {', '.join(choices)}, found {shown(value)}")


def _several(name: str, value: Any, problems: list[str]) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        problems.append(f"{name}: expected several in a tuple, found {shown(value)}")
        return ()
    return tuple(value)
