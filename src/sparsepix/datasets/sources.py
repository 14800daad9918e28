"""Files that a user has: found, checked, and read in blocks."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.tools import needed_for

if TYPE_CHECKING:
    import h5py

Files = str | Path | Sequence[str | Path]

# Bytes of a file that are read at a time.
_BLOCK = 64 << 20


def find_files(given: Files, pattern: str, where: str) -> list[Path]:
    """The files that are meant, in the given order: a folder means its files of that pattern, by name.

    Args:
        given: a file, a folder, or several.
        pattern: of the files in a folder.
        where: to get the files, for the error.

    Raises:
        SparsePixError: every file that is missing or comes twice, every folder without a fitting file.
    """
    paths = [given] if isinstance(given, str | Path) else list(given)
    found: list[Path] = []
    problems = [] if paths else ["expected at least one file, found none"]
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(path.glob(pattern))
            found += inside
            if not inside:
                problems.append(f"{path}: expected files {pattern} in this folder, found none")
        elif path.is_file():
            found.append(path)
        else:
            problems.append(f"{path}: there is no such file")
    if problems:
        raise SparsePixError([*problems, where])
    once: dict[Path, Path] = {}
    for path in found:
        if path.resolve() in once:
            problems.append(f"{path}: this file comes twice; leave one out")
        once[path.resolve()] = path
    if problems:
        raise SparsePixError(problems)
    return found


@contextlib.contextmanager
def reading(path: Path) -> "Iterator[h5py.File]":
    """An open HDF5 file.

    Raises:
        SparsePixError: it is no HDF5 file, or a part of it cannot be read.
    """
    with needed_for("reading an HDF5 file"):
        import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        # h5py raises both for files that are cut short or damaged.
        raise SparsePixError(
            f"{path}: expected a whole HDF5 file, found one that cannot be read ({error}); get it again"
        ) from None


def wrong_columns(path: Path, file: "h5py.File", columns: Mapping[str, tuple[int, ...]]) -> list[str]:
    """What is wrong with the columns of a file.

    Args:
        path: names the file.
        file: open.
        columns: {name: shape of one row}; those of one table ('table/column') must have equally many rows.
    """
    import h5py

    problems = []
    rows: dict[str, dict[str, int]] = {}
    for name, width in columns.items():
        expected = "(" + ", ".join(["rows", *map(str, width)]) + ("" if width else ",") + ")"
        column = file.get(name)
        if not isinstance(column, h5py.Dataset):
            problems.append(f"{path}: {name}: expected numbers of shape {expected}, found no such column")
        elif column.shape is None or column.shape[1:] != width or not column.shape:
            problems.append(f"{path}: {name}: expected shape {expected}, found {column.shape}")
        elif column.dtype.kind not in "iuf":
            problems.append(f"{path}: {name}: expected numbers, found the type {column.dtype}")
        else:
            rows.setdefault(name.rpartition("/")[0], {})[name] = len(column)
    for found in rows.values():
        if len(set(found.values())) > 1:
            listed = ", ".join(f"{name} {count}" for name, count in found.items())
            problems.append(f"{path}: expected as many rows in each of these columns, found {listed}")
    return problems


def blocks_of(column: "h5py.Dataset") -> Iterator[tuple[int, int]]:
    """Rows (start, stop) of blocks of about 64 MiB, which begin where chunks of the file begin."""
    row = column.dtype.itemsize * math.prod(column.shape[1:])
    step = max(1, _BLOCK // row)
    if column.chunks:
        step = max(1, step // column.chunks[0]) * column.chunks[0]
    for start in range(0, len(column), step):
        yield start, min(start + step, len(column))
