"""Options of a design from a YAML file."""

import dataclasses
import difflib
from pathlib import Path
from typing import Any

from sparsepix_hls.design import LayerOptions, Options
from sparsepix_ops.errors import SparsePixError

_NUMBERS = {"pixels_per_cycle", "scan_pixels", "reuse_factor", "target_interval"}


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
    import yaml

    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise SparsePixError(f"{path}: expected a YAML file with options, found {found}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SparsePixError(f"{path}: expected YAML, found something else: {_one_line(error)}") from error
    if content is None:
        return Options()
    problems: list[str] = []
    fields = _checked(content, Options, "the file", problems)
    layers = fields.pop("layers", {})
    if not isinstance(layers, dict):
        problems.append(f"layers: expected layer names, each with its options, found {layers!r}")
        layers = {}
    own = {str(name): _checked(options, LayerOptions, f"layers: {name}", problems) for name, options in layers.items()}
    if problems:
        raise SparsePixError(problems, f"{path}: the options cannot be read")
    return Options(**fields, layers={name: LayerOptions(**options) for name, options in own.items()})


def _checked(content: Any, target: type, where: str, problems: list[str]) -> dict[str, Any]:
    """The keys that ``target`` has, with values of the right kind; problems are noted."""
    if not isinstance(content, dict):
        problems.append(f"{where}: expected names and values, found {content!r}")
        return {}
    known = [f.name for f in dataclasses.fields(target)]
    found = {}
    for key, value in content.items():
        if key not in known:
            near = [name for name in known if name.startswith(str(key))] or difflib.get_close_matches(str(key), known)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            problems.append(f"{where}: no option is called {key!r}: {hint}")
        elif key in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int)):
            problems.append(f"{where}: {key}: expected a whole number, found {value!r}")
        elif key not in _NUMBERS and key != "layers" and not isinstance(value, str):
            problems.append(f"{where}: {key}: expected a word, found {value!r}")
        else:
            found[key] = value
    return found


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
