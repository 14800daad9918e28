"""Files of Keras: the description of a model in an archive (.keras), and variables in HDF5."""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from sparsepix.models.torch_files import require_file
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.tools import needed_for

if TYPE_CHECKING:
    import h5py

_MOST = 1 << 31  # bytes of one array, or of a part of an archive
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"


@dataclass
class Variables:
    """The variables of a Keras object and of those that it holds.

    Args:
        own: in the order in which Keras keeps them: those that are trained first.
        parts: by attribute.
    """

    own: list[np.ndarray] = field(default_factory=list)
    parts: dict[str, "Variables"] = field(default_factory=dict)
    name: str = ""


def is_archive(path: str | Path) -> bool:
    """Whether a file is a Keras archive (.keras), not HDF5.

    Raises:
        SparsePixError: there is no such file.
    """
    require_file(path)
    return zipfile.is_zipfile(path)


def read_archive(path: str | Path) -> tuple[dict[str, Any], dict[str, Variables]]:
    """The description of a model and the variables of its layers, by name.

    Raises:
        SparsePixError: no Keras archive, a damaged one, or a part that is missing.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if missing := [name for name in (_CONFIG, _WEIGHTS) if name not in names]:
                raise SparsePixError(f"{path}: expected a Keras archive, found none of {' and '.join(missing)} in it")
            for name in (_CONFIG, _WEIGHTS):
                if archive.getinfo(name).file_size > _MOST:
                    raise SparsePixError(f"{path}: {name}: expected at most {_MOST >> 30} GiB")
            config, weights = (archive.read(name) for name in (_CONFIG, _WEIGHTS))
        described = json.loads(config)
    except SparsePixError:
        raise
    except Exception as error:  # damaged archives end in many kinds
        raise SparsePixError(f"{path}: expected a Keras archive (.keras), found a damaged one ({error})") from None
    if not isinstance(described, dict):
        raise SparsePixError(f"{path}: {_CONFIG}: expected the description of a model, found something else")
    return described, read_variables(io.BytesIO(weights), f"{path}: {_WEIGHTS}")


def read_variables(file: str | Path | BinaryIO, source: str) -> dict[str, Variables]:
    """The variables of the layers in a weights file of Keras 3, by the names of the layers.

    Args:
        file: path, or the content.
        source: what it is called in messages.

    Raises:
        SparsePixError: no HDF5, a damaged file, or no layers in it.
    """
    with needed_for("reading a Keras file"):
        import h5py
    try:
        with h5py.File(file, "r") as content:
            layers = content.get("layers")
            found = [_variables(group, source) for group in (layers.values() if layers is not None else ())]
    except SparsePixError:
        raise
    except Exception as error:  # h5py raises many kinds for damaged files
        raise SparsePixError(f"{source}: expected a Keras file in HDF5, found a damaged one ({error})") from None
    if not found:
        raise SparsePixError(f"{source}: expected the layers of a Keras 3 model in it, found none")
    return {variables.name: variables for variables in found}


def _variables(group: "h5py.Group", source: str) -> Variables:
    import h5py

    result = Variables()
    for name, item in group.items():
        if name == "vars":
            result.name = str(item.attrs.get("name", ""))
            result.own = [array_of(item[key], f"{source}: {item.name}/{key}") for key in sorted(item, key=_natural)]
        elif isinstance(item, h5py.Group):
            result.parts[name] = _variables(item, source)
    result.name = result.name or group.name.rpartition("/")[2]
    return result


def array_of(item: Any, where: str) -> np.ndarray:
    """The content of a data set of numbers.

    Raises:
        SparsePixError: it is something else, or larger than memory is likely to be.
    """
    if getattr(item, "shape", None) is None or item.dtype.kind not in "iufb" or item.nbytes > _MOST:
        found = f"the type {getattr(item, 'dtype', None)} and the shape {getattr(item, 'shape', None)}"
        raise SparsePixError(f"{where}: expected weights, found {found}")
    return np.asarray(item[()])


def natural_order(names: Mapping[str, Any]) -> list[str]:
    """Names with numbers in them, as people count."""
    return sorted(names, key=_natural)


def _natural(name: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
