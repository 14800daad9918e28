"""Options of a design from a YAML file."""

import dataclasses
import difflib
import re
import reprlib
from pathlib import Path
from typing import Any

from sparsepix_hls.design.options import LayerOptions, Options
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.options import options_of

_MOST_BYTES = 1 << 20
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)")


def read_options(path: Path | str) -> Options:
    """Read a file such as::

        reduce: scan
        reuse_factor: 4
        layers:
          conv2: {implementation: pairs, reuse_factor: 5}
          dense1: {implementation: adders}

    Raises:
        SparsePixError: no such file, no YAML, or every key and value that is not as it should be.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise SparsePixError(f"{path}: expected a YAML file with options, found {found}")
    if path.stat().st_size > _MOST_BYTES:
        raise SparsePixError(
            f"{path}: expected options, found {path.stat().st_size:,} bytes, more than {_MOST_BYTES:,}"
        )
    try:
        content = _load(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise SparsePixError(f"{path}: expected options and layers, found YAML that is nested far too deeply") from None
    # PyYAML lets through what Python raises on a value that does not fit its tag.
    except (_yaml_error(), ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        raise SparsePixError(f"{path}: expected YAML, found something else: {_one_line(error)}") from error
    if content is None:
        return Options()
    problems: list[str] = []
    fields = _checked(content, Options, "the file", problems)
    layers = fields.pop("layers", {})
    if not isinstance(layers, dict):
        problems.append(f"layers: expected layer names, each with its options, found {_short(layers)}")
        layers = {}
    problems += [f"layers: expected the name of a layer, found {_short(n)}" for n in layers if not isinstance(n, str)]
    own = {str(name): _checked(options, LayerOptions, f"layers: {name}", problems) for name, options in layers.items()}
    if problems:
        raise SparsePixError(problems, f"{path}: the options cannot be read")
    try:
        return Options(**fields, layers={name: LayerOptions(**options) for name, options in own.items()})
    except SparsePixError as error:
        raise SparsePixError(error.problems, f"{path}: the options cannot be read") from None


def _checked(content: Any, target: type, where: str, problems: list[str]) -> dict[str, Any]:
    """The keys that ``target`` has, with values of the right kind; problems are noted."""
    if not isinstance(content, dict):
        problems.append(f"{where}: expected names and values, found {_short(content)}")
        return {}
    known = [f.name for f in dataclasses.fields(target)]
    kinds = {one.name: one.kind for one in options_of(target)}  # all but 'layers'
    found = {}
    for key, value in content.items():
        if not isinstance(key, str) or key not in known:
            near = [name for name in known if name.startswith(str(key))] or difflib.get_close_matches(str(key), known)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            problems.append(f"{where}: no option is called {_short(key)}: {hint}")
        elif kinds.get(key) is int and (isinstance(value, bool) or not isinstance(value, int)):
            problems.append(f"{where}: {key}: expected a whole number, found {_short(value)}")
        elif kinds.get(key) is str and not isinstance(value, str):
            problems.append(f"{where}: {key}: expected a word, found {_short(value)}")
        else:
            found[key] = value
    return found


def _yaml_error() -> type[Exception]:
    import yaml

    return yaml.YAMLError


def _load(text: str) -> Any:
    """YAML without what would be read silently as something else: a key twice, or a number as 010 (octal)."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict:
        lines: dict[str, list[int]] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                lines.setdefault(key.value, []).append(key.start_mark.line + 1)
        for name, found in lines.items():
            if len(found) > 1:
                where = " and ".join(map(str, found))
                raise ValueError(f"the key {_short(name)} is there twice, in lines {where}: leave one of them")
        loader.flatten_mapping(node)
        return {loader.construct_object(k, deep=True): loader.construct_object(v, deep=True) for k, v in node.value}

    def number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
        if not _DECIMAL.fullmatch(node.value):
            raise ValueError(f"write {_short(node.value)} as a decimal number")
        return int(node.value)

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    Loader.add_constructor("tag:yaml.org,2002:int", number)
    return yaml.load(text, Loader=Loader)


def _short(value: object) -> str:
    """How a value is written in a message, never longer than a line."""
    shown = reprlib.repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
