"""Models that the user's own code makes: found by name and called; errors are reported with the place in that code."""

import importlib
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsepix_ops.errors import SparsePixError

if TYPE_CHECKING:
    from torch import nn

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
# A mistake in the user's code is in none of these.
_NOT_THEIRS = (
    str(Path(__file__).parents[1]),
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    "<frozen",
)


def name_problems(name: str) -> list[str]:
    """What is wrong with the name of a factory, before anything is imported."""
    path_like = re.search(r"[/\\]|\.py(:|$)", name)
    if _NAME.fullmatch(name) and not path_like:
        return []
    hint = ""
    if path_like:
        path, _, factory = name.partition(":")
        dotted = ".".join(part for part in re.split(r"[/\\]+", path.removesuffix(".py")) if part.strip("."))
        hint = f"; a module goes by its name, not by its path: {dotted}:{factory or 'factory'}"
    return [f"--model: expected package.module:factory, found {name!r}{hint}"]


def build(name: str) -> "nn.Module":
    """Call the function or class that 'package.module:factory' names; modules in the current folder are found too.

    Raises:
        SparsePixError: there is none of that name, it does not run, or it makes something else.
    """
    from torch import nn

    option = f"--model {name}"
    if problems := name_problems(name):
        raise SparsePixError(problems)
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = _import(module_name, option)
        for part in attribute.split("."):
            if not hasattr(found, part):
                raise SparsePixError(f"{option}: {module_name} has no attribute {part!r}")
            found = getattr(found, part)
        if not callable(found):
            raise SparsePixError(f"{option}: expected a function or class, found a {type(found).__name__}")
        with own_code(f"{option}: the function"):
            model = found()
    finally:
        if here in sys.path:  # the module may have changed the path
            sys.path.remove(here)
    if isinstance(model, type) and issubclass(model, nn.Module):
        raise SparsePixError(f"{option}: expected a torch module, it made the class {model.__name__}; call it there")
    if not isinstance(model, nn.Module):
        raise SparsePixError(f"{option}: expected a torch module, it made a {type(model).__name__}")
    return model


def _import(name: str, option: str) -> Any:
    with own_code(f"{option}: the module"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # one that the user's module imports
            missing = error.name
    raise SparsePixError(f"{option}: there is no module {missing}, here or among what is installed")


@contextmanager
def own_code(what: str) -> Iterator[None]:
    """Turns every exception of the user's code in the block into a SparsePixError with the place in it.

    Args:
        what: runs in the block, for the message.
    """
    try:
        yield
    except SparsePixError as error:
        place = _place(error)
        raise SparsePixError(error.problems, f"{what} ({place})" if place else what) from error
    except SystemExit as error:
        raise SparsePixError(f"{what} ended the program with sys.exit({error.code!r}){at(error)}") from error
    except Exception as error:
        raise SparsePixError(f"{what} raised {type(error).__name__}: {error}{at(error)}") from error


def at(error: BaseException | None) -> str:
    """Where in the user's code an exception came from, in brackets; '' if it came from nowhere in it."""
    place = "" if error is None else _place(error)
    return f" ({place})" if place else ""


def _place(error: BaseException) -> str:
    """File and line of the innermost call that is in neither a library nor this package."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(_NOT_THEIRS)]
    return f"{theirs[-1].filename}, line {theirs[-1].lineno}" if theirs else ""
