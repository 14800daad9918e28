"""Options that are declared once, as fields of a dataclass: name, kind, default, choices, limits and help.

``option`` declares a field, ``options_of`` lists what was declared. From this list are made the arguments of a command
(``add_options``, and back: ``given_options``, ``from_arguments``), the reader of a file with options, and the checks of
values. Only the standard library is imported here: ``--help`` has to answer at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin

if TYPE_CHECKING:
    from argparse import Namespace, _ActionsContainer

_KEY = "option"
T = TypeVar("T")


@dataclass(frozen=True)
class Option:
    """What is known of one option.

    Args:
        name: of the field.
        kind: of one value: int, float, str, bool, ..., or Mapping.
        several: a tuple of values.
        optional: None is a value, too.
        default: MISSING if the user has to give it.
        help: a line for the user, with the default in it where that says something.
        choices: the values there are; empty: any.
        low: the least value, or None.
        high: the largest value, or None.
        flags: on the command line, as '--max-pixels'; empty: an argument without a flag.
        group: of the arguments that are shown together.
        metavar: how the value is called in the help.
        parse: makes a value from a word; None: ``kind`` does.
        repeated: the flag is given once for each value, not once for all.
    """

    name: str
    kind: Any
    several: bool
    optional: bool
    default: Any
    help: str
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    flags: tuple[str, ...]
    group: str
    metavar: str | None
    parse: Callable[[str], Any] | None
    repeated: bool


def option(
    default: Any = MISSING,
    help: str = "",
    *,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    flags: tuple[str, ...] | None = None,
    group: str = "",
    metavar: str | None = None,
    parse: Callable[[str], Any] | None = None,
    repeated: bool = False,
) -> Any:
    """A field of a dataclass that is an option; its annotation says what kind of values it has.

    Args:
        default: of the field; a dict is made anew for each object.
        help: see ``Option``; '%(default)s' is replaced by the default.
        choices: see ``Option``; those of a Literal are known.
        low: see ``Option``.
        high: see ``Option``.
        flags: see ``Option``; None: the name of the field, with hyphens.
        group: see ``Option``.
        metavar: see ``Option``.
        parse: see ``Option``; it raises ValueError or argparse.ArgumentTypeError.
        repeated: see ``Option``.
    """
    shown = help.replace("%(default)s", str(default))
    said = {
        "help": shown, "choices": choices, "low": low, "high": high, "flags": flags, "group": group,
        "metavar": metavar, "parse": parse, "repeated": repeated,
    }  # fmt: skip
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata={_KEY: said})
    return field(default=default, metadata={_KEY: said})


@cache
def options_of(declared: type) -> tuple[Option, ...]:
    """The options of a dataclass, in the order of its fields; fields that ``option`` has not made are left out."""
    found = []
    for part in fields(declared):
        if _KEY not in part.metadata:
            continue
        said = dict(part.metadata[_KEY])
        kind, several, optional, choices = _kind(part.type)
        said["choices"] = said["choices"] or choices
        said["flags"] = (f"--{part.name.replace('_', '-')}",) if said["flags"] is None else said["flags"]
        default = part.default if part.default_factory is MISSING else part.default_factory()
        found.append(Option(part.name, kind, several, optional, default, **said))
    return tuple(found)


def with_help(declared: type[T]) -> type[T]:
    """Add the options of a dataclass to its docstring, for ``help``."""
    words = {one.name: f" ({', '.join(one.choices)})" if one.choices else "" for one in options_of(declared)}
    lines = [f"        {one.name}{words[one.name]}: {one.help}" for one in options_of(declared)]
    declared.__doc__ = "\n".join([(declared.__doc__ or "").rstrip(), "", "    Options:", *lines])
    return declared


def _kind(annotation: Any) -> tuple[Any, bool, bool, tuple[str, ...]]:
    """What an annotation says: the type of one value, whether there are several, whether None is one; choices."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        (annotation,) = (part for part in arguments if part is not NoneType)
        kind, several, _, choices = _kind(annotation)
        return kind, several, True, choices
    if origin is Literal:
        return str, False, False, arguments
    if origin is tuple:  # tuple[int, ...]
        return arguments[0], True, False, ()
    return (origin or annotation), False, False, ()


def add_options(parser: "_ActionsContainer", declared: type, group: str = "") -> None:
    """Add the options of a dataclass to the arguments of a command, without defaults: see ``given_options``.

    Args:
        parser: an argparse parser, or a group of one.
        declared: the dataclass.
        group: which of its options.
    """
    for one in options_of(declared):
        if one.group == group:
            parser.add_argument(*(one.flags or (one.name,)), **_settings(one))


def _settings(one: Option) -> dict[str, Any]:
    """An option as keywords of ``add_argument``."""
    from argparse import SUPPRESS, BooleanOptionalAction

    settings: dict[str, Any] = {"help": one.help}
    if one.flags:
        settings |= {"dest": one.name, "default": SUPPRESS}
        if one.default is MISSING:
            settings["required"] = True
    if one.kind is bool:  # what is on gets a --no-... too
        return settings | {"action": BooleanOptionalAction if one.default is True else "store_true"}
    if one.repeated:
        settings["action"] = "append"
    elif one.several:
        settings["nargs"] = "+"
    convert = one.parse or one.kind
    named = {"type": None if convert is str else convert, "choices": one.choices or None, "metavar": one.metavar}
    return settings | {name: value for name, value in named.items() if value is not None}


def given_options(declared: type, arguments: "Namespace") -> dict[str, Any]:
    """The options of a dataclass that the user has given, by name.

    Args:
        declared: the dataclass.
        arguments: of a parser with its options (see ``add_options``).
    """
    found = {}
    for one in options_of(declared):
        if one.name in arguments:
            value = getattr(arguments, one.name)
            found[one.name] = dict(value) if one.kind is Mapping else tuple(value) if one.several else value
    return found


def from_arguments(declared: type[T], arguments: "Namespace", **others: Any) -> T:
    """A dataclass with the options that the user has given, and its own defaults.

    Args:
        declared: the dataclass.
        arguments: see ``given_options``.
        others: fields that are no options.
    """
    return declared(**given_options(declared, arguments), **others)


def as_words(options: Any) -> list[str]:
    """The arguments of a command that give these options, each as '--flag value'.

    Args:
        options: of a dataclass; its single values are words and numbers.
    """
    values = ((one, getattr(options, one.name)) for one in options_of(type(options)) if one.flags)
    return [f"{one.flags[-1]} {value}" for one, value in values if value is not None and value != one.default]
