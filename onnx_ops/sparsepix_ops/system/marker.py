"""The marker in a folder that we made: which files we wrote there, so that nothing else is ever removed with them."""

import fnmatch
import hashlib
import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.version import __version__

MARKER = ".sparsepix.json"
TEMPORARY = ".sparsepix-tmp-"  # begins the names of files that are being written
_SHOWN = 10  # files that a message names


@dataclass(frozen=True)
class Marker:
    """The content of a marker.

    Args:
        what: the folder is: 'project' and the like.
        files: SHA-256 of the contents that we gave each file, by its path in the folder; two while it is replaced.
    """

    what: str
    files: dict[str, tuple[str, ...]]


def write_marker(folder: Path, what: str, files: dict[str, tuple[str, ...]] | None = None) -> None:
    """Mark a folder as ours.

    Args:
        folder: that we have made.
        what: it is.
        files: that we wrote; None: all that are in it.
    """
    if files is None:
        paths = (path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
        files = {path.relative_to(folder).as_posix(): (_digest(path),) for path in paths}
    content = {
        "about": "Written by SparsePix: the files that it made here, with their SHA-256. --force replaces only these.",
        "made_by": "sparsepix",
        "version": __version__,
        "what": what,
        "files": {name: list(digests) for name, digests in sorted(files.items())},
    }
    temporary = folder / f"{TEMPORARY}{secrets.token_hex(8)}"
    try:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        temporary.replace(folder / MARKER)
    finally:
        temporary.unlink(missing_ok=True)


def read_marker(folder: Path) -> Marker | None:
    """What the marker of a folder says; None if there is none, or it is not as we write it."""
    path = folder / MARKER
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        files = {name: tuple(digests) for name, digests in content["files"].items()}
        plain = all(isinstance(text, str) for digests in files.values() for text in digests)
        if content["made_by"] == "sparsepix" and isinstance(content["what"], str) and plain:
            return Marker(content["what"], files)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    return None


def note(target: Path, written: Path, ours: bool = False) -> None:
    """Note the content that a file of a marked folder is about to have, if the marker lists the file.

    Args:
        target: the file.
        written: where its new content is now.
        ours: list the file, if it is not.
    """
    marker = read_marker(target.parent)
    if marker is None or (target.name not in marker.files and not ours):
        return
    # Both, until the file is replaced: an interruption leaves the old one or the new one.
    both = (*marker.files.get(target.name, ())[-1:], _digest(written))
    write_marker(target.parent, marker.what, marker.files | {target.name: both})


def as_written(path: Path) -> bool:
    """Whether a file is as we wrote it, by the marker of its folder."""
    marker = read_marker(path.parent)
    return marker is not None and path.is_file() and _digest(path) in marker.files.get(path.name, ())


def check_unchanged(folder: Path, what: str, shown: str, products: tuple[str, ...] = ()) -> None:
    """Refuse to remove a folder that is not ours, or that holds anything besides what we wrote.

    Args:
        folder: to be removed.
        what: it has to be.
        shown: its name in messages.
        products: paths in the folder that tools build from our files, and that may be lost: patterns of ``fnmatch``
            for each part; one that ends with '/' is a folder with all that is in it.

    Raises:
        SparsePixError: lists what would be lost.
    """
    if not os.path.lexists(folder / MARKER):
        raise SparsePixError(
            f"{shown}: --force only replaces what SparsePix made, and this folder is none of it: it has no {MARKER} "
            "(one from before SparsePix wrote it: remove the folder yourself); choose another folder"
        )
    marker = read_marker(folder)
    if marker is None:
        raise SparsePixError(
            f"{shown}: --force only replaces what SparsePix made, and {MARKER} there is not as SparsePix writes it: "
            "remove the folder yourself, or choose another one"
        )
    if marker.what != what:
        raise SparsePixError(
            f"{shown}: --force replaces a {what} by a {what}, and this folder is a {marker.what} of SparsePix; remove "
            "it yourself, or choose another folder"
        )
    try:
        strange = foreign(folder, marker, products)
    except OSError as error:
        raise SparsePixError(f"{shown}: --force cannot look through the folder: {error.strerror}") from error
    if strange:
        more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        raise SparsePixError(
            f"{shown}: --force would remove what SparsePix did not write: {', '.join(strange[:_SHOWN])}{more}; move "
            "these to another folder, or remove the folder yourself"
        )


def foreign(folder: Path, marker: Marker, products: tuple[str, ...] = ()) -> list[str]:
    """What a folder holds besides our files as we wrote them; empty folders do not count.

    Args:
        folder: to look through; links are not followed.
        marker: of the folder.
        products: as for ``check_unchanged``.

    Returns:
        Paths in the folder; one in which nothing is ours ends with '/' and means all that is in it.
    """
    known = [*marker.files, *products]
    inner = {name[:end] for name in known for end in range(len(name)) if name[end] == "/"}
    found: list[str] = []

    def look(prefix: str) -> None:
        for entry in sorted(os.scandir(folder / prefix), key=lambda entry: entry.name):
            name, plain = prefix + entry.name, entry.is_file(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                if any(_fits(f"{name}/", pattern) for pattern in products):
                    continue
                if name in inner:
                    look(f"{name}/")
                elif _holds_a_file(Path(entry.path)):
                    found.append(f"{name}/")
            elif name in marker.files:
                if not plain or _digest(Path(entry.path)) not in marker.files[name]:
                    found.append(f"{name} (changed)")
            elif not (plain and (name == MARKER or _is_left(entry.name) or any(_fits(name, p) for p in products))):
                found.append(name)

    look("")
    return found


def _is_left(name: str) -> bool:
    """Whether a process of ours that was killed left the file."""
    return name.startswith(TEMPORARY)


def _fits(name: str, pattern: str) -> bool:
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def _holds_a_file(folder: Path) -> bool:
    return any(
        not entry.is_dir(follow_symlinks=False) or _holds_a_file(Path(entry.path)) for entry in os.scandir(folder)
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
