"""Prepared data sets on disk: made once from the user's files, and made again when those change."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsepix.datasets.active_pixels import ActivePixels, places_type
from sparsepix.datasets.parts import Dataset, Split
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.files import atomic_write
from sparsepix_ops.system.progress import step

if TYPE_CHECKING:
    from rich.console import Console

Parts = tuple[ActivePixels, ActivePixels, ActivePixels]
_NAMES = ("train", "validation", "test")
_FIELDS = tuple(field.name for field in fields(ActivePixels))


@dataclass(frozen=True)
class Recipe:
    """What a prepared data set depends on besides its files.

    Args:
        name: of the data set.
        version: of the preparation; a change of it makes older caches stale.
        classes: names of the classes, by label.
        shape: (C, H, W) of an image.
        parameters: of the preparation.
    """

    name: str
    version: int
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    parameters: dict[str, Any]


def default_folder() -> Path:
    """Where caches lie if no folder is given: 'sparsepix' in the user's folder for caches."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sparsepix"


def prepared(
    recipe: Recipe,
    files: Sequence[Path],
    prepare: Callable[[], Parts],
    folder: str | Path | None,
    console: "Console | None",
) -> Dataset:
    """The data set from its cache, or prepared and written there.

    The cache is an .npz file that is named by the recipe's parameters and the paths of the files. It
    holds the whole recipe and the size and time of change of each file: where these differ, or the file
    is damaged, it is made again.

    Args:
        recipe: of the preparation.
        files: that it reads; they exist.
        prepare: makes train, validation and test; called only if the cache cannot be used.
        folder: of the cache, made if it does not exist; None: ``default_folder()``.
        console: to say what happens, or None.

    Raises:
        SparsePixError: the cache cannot be written; what ``prepare`` raises.
    """
    folder = default_folder() if folder is None else Path(folder)
    asked = {"recipe": recipe.name, "parameters": recipe.parameters, "files": [str(path.resolve()) for path in files]}
    key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    path = folder / f"{recipe.name}-{key}.npz"
    stamps = [[stat.st_size, stat.st_mtime_ns] for stat in (file.stat() for file in files)]
    stamp = json.dumps(asdict(recipe) | asked | {"stamps": stamps})
    with step(console, f"reading {path}", "prepared data read"):
        parts, why = _read(path, stamp, recipe)
    if console is not None:
        console.print(
            f"prepared data: {path}" if parts else f"preparing {recipe.name} into {path} ({why})",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if parts is None:
        _check_folder(folder)
        parts = prepare()
        try:
            with (
                step(console, f"writing {path}", "prepared data written"),
                atomic_write(path) as temporary,
                temporary.open("wb") as file,
            ):
                np.savez(file, stamp=np.array(stamp), **_arrays(parts))
        except SparsePixError as error:
            raise SparsePixError(f"{error}; give another folder for the cache") from None
    with step(console, "unpacking images", "images unpacked"):
        splits = [Split(part.dense(recipe.shape), part.labels.astype(np.int64)) for part in parts]
    return Dataset(recipe.name, recipe.classes, *splits)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written before the work of preparation, not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SparsePixError(f"{folder}: the folder of the cache cannot be made ({error}); give another one") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SparsePixError(f"{folder}: the folder of the cache cannot be written; give another one")


def _arrays(parts: Parts) -> dict[str, np.ndarray]:
    return {
        f"{name}_{field}": getattr(part, field) for name, part in zip(_NAMES, parts, strict=True) for field in _FIELDS
    }


def _read(path: Path, stamp: str, recipe: Recipe) -> tuple[Parts | None, str]:
    """The parts of a cache, or None and why it cannot be used. Zip files carry checksums, so damage is found."""
    if not path.exists():
        return None, "once"
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["stamp"]) != stamp:
                return None, "the files or the preparation have changed since"
            parts = tuple(ActivePixels(*(file[f"{name}_{field}"] for field in _FIELDS)) for name in _NAMES)
    except Exception:  # numpy and zipfile raise many kinds, MemoryError for a shape that is too large
        parts = None
    if parts is None or not all(_is_whole(part, recipe) for part in parts):
        return None, "the file there is damaged"
    return parts, ""


def _is_whole(part: ActivePixels, recipe: Recipe) -> bool:
    """Whether the arrays of a file fit together, so that each pixel lies in its image."""
    types = zip(
        (part.offsets, part.places, part.values, part.labels),
        ("i8", places_type(recipe.shape), "f4", "u1"),
        strict=True,
    )
    if any(array.ndim != 1 or array.dtype != np.dtype(kind) for array, kind in types):
        return False
    offsets, pixels = part.offsets, len(part.values)
    return (
        len(offsets) == len(part.labels) + 1
        and offsets[0] == 0
        and offsets[-1] == pixels == len(part.places)
        and bool((np.diff(offsets) >= 0).all())
        and (not pixels or int(part.places.max()) < math.prod(recipe.shape))
        and (not len(part.labels) or int(part.labels.max()) < len(recipe.classes))
        and bool(np.isfinite(part.values).all())
    )
