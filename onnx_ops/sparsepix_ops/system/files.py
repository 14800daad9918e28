"""Files and folders that appear whole or not at all, and never destroy what the user had there.

A file reaches the disk before it takes its place (fsync), so that even a power cut leaves the old one or the new one.
What the same command can make again does not wait for the disk: the many files of a project, a table of what a
checkpoint holds.
"""

import contextlib
import os
import secrets
import shlex
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.marker import MARKER, TEMPORARY, check_unchanged, note, read_marker, write_marker
from sparsepix_ops.system.renaming import exchange, move
from sparsepix_ops.system.signals import held, raise_lost


@contextlib.contextmanager
def atomic_write(path: str | Path, sync: bool = True, ours: bool = False) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place when the block ends well.

    A link is followed, and an existing file keeps its permissions. If the folder has a marker of ours that lists the
    file, the new content is noted in the marker.

    Args:
        path: of the file to write or replace.
        sync: wait until the file is on the disk, which takes milliseconds; False: a power cut may leave it empty.
        ours: a folder that is marked as ours lists the file from now on, even if it is new there.

    Yields:
        The path to write to.

    Raises:
        SparsePixError: as ``output_file`` raises it; the block raised an OSError, as on a full disk.
    """
    target = output_file(path)
    temporary = _temporary(target.parent)
    try:
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            yield temporary
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            if sync:
                _sync(temporary)
            raise_lost()
            with held():
                note(target, temporary, ours)
                temporary.replace(target)
        finally:
            with held():
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def output_file(path: str | Path) -> Path:
    """Where a file of that name would be written; links are followed.

    Raises:
        SparsePixError: an empty name, or one of a folder, a device or a pipe; a name that is too long; the folder does
            not exist; the file is write-protected.
    """
    text = _text(path, "file")
    if text.endswith("/"):
        raise SparsePixError(f"{text}: expected the name of a file to write, found that of a folder; add a name to it")
    target = Path(os.path.realpath(text))
    shown = f"{text} (a link to {target})" if os.path.islink(text) else text  # noqa: PTH114 (raises for no name)
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        if not target.parent.is_dir():
            folder = Path(text).parent if shown == text else target.parent
            raise SparsePixError(f"{shown}: its folder {folder} does not exist; make it first") from None
        return target
    except NotADirectoryError:
        raise SparsePixError(f"{shown}: {_in_the_way(target)} is a file, not a folder; choose another place") from None
    except OSError as error:
        raise cannot_write(path, error) from error
    if not stat.S_ISREG(mode):
        found = "a folder; add the name of a file to it" if stat.S_ISDIR(mode) else "no file (a device, a pipe, a link)"
        raise SparsePixError(f"{shown}: expected a file to write, found {found}")
    if not os.access(target, os.W_OK):
        raise SparsePixError(f"{shown}: the file there is write-protected; choose another name")
    return target


def output_of(source: Path, suffix: str, given: str | None, content: bytes) -> Path:
    """The file that a command makes of another one: where the user says, or beside it.

    Args:
        source: of the command.
        suffix: of the file beside it.
        given: by the user; None: beside it.
        content: which the beginning of such a file holds. One that the user did not name is replaced only then.

    Raises:
        SparsePixError: as ``output_file`` raises it; it would replace its source, or a file of another kind.
    """
    path = given if given is not None else source.parent / f"{source.stem}{suffix}"
    target = output_file(path)
    if target.exists():
        if source.exists() and target.samefile(source):
            raise SparsePixError(f"{path}: this is the file to read: choose another name to write to (-o)")
        with target.open("rb") as file:
            if given is None and content not in file.read(64):
                raise SparsePixError(
                    f"{path}: a file is there that this command has not made; choose another name (-o), or move it"
                )
    return Path(path)


@dataclass(frozen=True)
class OutputFolder:
    """A place for a folder, as ``output_folder`` found it.

    Args:
        path: absolute.
        shown: as the user wrote it, for messages.
        what: 'project' and the like: what is made.
        replaces: device and inode of the folder of ours that is to be replaced; None: there is nothing.
        products: as for ``check_unchanged``.
    """

    path: Path
    shown: str
    what: str
    replaces: tuple[int, int] | None
    products: tuple[str, ...]


def output_folder(path: str | Path, what: str, force: bool = False, products: tuple[str, ...] = ()) -> OutputFolder:
    """Look whether a folder may be made there; nothing is written.

    Args:
        path: of the folder.
        what: is to be made: 'project' and the like. Only a folder of the same kind is replaced.
        force: replace a folder that we made, if nothing in it would be lost.
        products: as for ``check_unchanged``.

    Raises:
        SparsePixError: something is there; with ``force``: it is not ours, or holds something that is not ours, and
            what. A name that no folder can have.
    """
    shown = _text(path, "folder")
    given = Path(shown)
    target = given.parent.absolute() / given.name
    try:
        found = target.lstat()
    except FileNotFoundError:
        if given.name in ("", ".."):
            raise SparsePixError(f"{shown}: expected the name of a folder to make, found none at its end") from None
        return OutputFolder(target, shown, what, None, products)
    except NotADirectoryError:
        raise SparsePixError(
            f"{shown}: cannot write the {what} there: {_in_the_way(target)} is a file, not a folder"
        ) from None
    except OSError as error:
        raise cannot_write(shown, error, what) from error
    if not force:
        there = "the output folder exists" if target.is_dir() else "a file or a link of that name exists"
        raise SparsePixError(f"{shown}: {there}; choose another one, or replace a SparsePix {what} with --force")
    if not stat.S_ISDIR(found.st_mode):
        raise SparsePixError(f"{shown}: expected a folder to replace, found a file or a link; choose another one")
    if target.resolve() in (Path.cwd(), *Path.cwd().parents, Path.home().resolve()):
        raise SparsePixError(f"{shown}: --force does not replace the current folder, one above it, or your home")
    check_unchanged(target, what, shown, products)
    return OutputFolder(target, shown, what, _identity(target), products)


@contextlib.contextmanager
def atomic_directory(place: OutputFolder) -> Iterator[Path]:
    """A fresh folder beside the place that moves there when the block ends well, with a marker of what it holds.

    What has come to the place since ``output_folder`` looked is never replaced, and neither is a folder in which
    something has changed: of two that write to one place at once, one succeeds. On any failure the place and the folder
    that it is in are as they were.

    Args:
        place: from ``output_folder``.

    Yields:
        The folder to fill.

    Raises:
        SparsePixError: the place was taken in the meantime; the block raised an OSError, as on a full disk.
    """
    parent = place.path.parent
    missing = [folder for folder in (parent, *parent.parents) if not os.path.lexists(folder)]
    fresh, own = _temporary(parent), None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        own = _identity(fresh)
        yield fresh
        write_marker(fresh, place.what)
        raise_lost()
        with held():
            if place.replaces is None:
                _move(fresh, place)
            else:
                _replace(fresh, place, own)
    except BaseException as error:
        with held():
            # What is there now may be the folder that was to be replaced.
            if own is None or not os.path.lexists(fresh) or _identity(fresh) == own:
                shutil.rmtree(fresh, ignore_errors=True)
            for folder in missing:
                with contextlib.suppress(OSError):  # not there, or not empty
                    folder.rmdir()
        if isinstance(error, OSError):
            raise cannot_write(place.shown, error, place.what) from error
        raise


@contextlib.contextmanager
def claimed_folder(folder: Path, what: str, older: tuple[str, str] | None = None) -> Iterator[None]:
    """A folder that is filled little by little and never removed: new, empty, or of the same kind from before.

    Args:
        folder: to make or go on with. If the block fails, one that was new is removed again.
        what: it is: 'search' and the like.
        older: name and beginning of a file that tells such a folder from before there were markers.

    Raises:
        SparsePixError: it holds something else, or cannot be made.
    """
    try:
        if os.path.lexists(folder) and not folder.is_dir():
            raise SparsePixError(f"{folder}: expected a folder, found a file or a link to nothing; choose another name")
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        names = sorted(path.name for path in folder.iterdir()) if not missing else []
        marker = read_marker(folder)
        old = older is not None and older[0] in names and _begins_with(folder / older[0], older[1])
        if names and not old and (marker is None or marker.what != what):
            more = ", ..." if len(names) > 5 else ""
            raise SparsePixError(
                f"{folder}: expected a new or an empty folder, or that of a {what} of SparsePix, found "
                f"{', '.join(names[:5])}{more}; choose another"
            )
        folder.mkdir(parents=True, exist_ok=True)
        if marker is None:
            write_marker(folder, what, {})
    except OSError as error:
        raise cannot_write(folder, error, what) from error
    try:
        yield
    except BaseException:
        if not names and [path.name for path in folder.iterdir()] == [MARKER]:
            (folder / MARKER).unlink()
            for path in missing:
                with contextlib.suppress(OSError):  # not empty
                    path.rmdir()
        raise


def _begins_with(path: Path, text: str) -> bool:
    with path.open("rb") as file:
        return file.read(len(text)) == text.encode()


def cannot_write(path: str | Path, error: OSError, what: str = "") -> SparsePixError:
    """The error for a write that failed, with the path that the user knows.

    Args:
        path: as the user wrote it.
        error: what the system said, perhaps of a temporary file.
        what: is written there, if it is a folder: 'project' and the like.
    """
    # A shutil.Error lists every file that it could not copy.
    reason = error.strerror or (str(error).splitlines() or [type(error).__name__])[0][:200]
    return SparsePixError(
        f"{path}: cannot write the {what} there: {reason}" if what else f"{path}: cannot be written: {reason}"
    )


def shell_word(path: str | Path) -> str:
    """A path as a word of a command line: quoted, and never read as an option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def _text(path: str | Path, what: str) -> str:
    text = os.fspath(path)
    if not text or "\0" in text:
        raise SparsePixError(f"expected the name of a {what} to write, found {text!r}")
    return text


def _in_the_way(path: Path) -> Path:
    """The file that is where a folder should be."""
    return next(folder for folder in path.parents if os.path.lexists(folder))


def _temporary(folder: Path) -> Path:
    # The name of the target is no part of it: it may be as long as a name can be.
    return folder / f"{TEMPORARY}{secrets.token_hex(8)}"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _move(fresh: Path, place: OutputFolder) -> None:
    """Move the folder to a place where nothing is."""
    try:
        move(fresh, place.path)
    except FileExistsError:
        raise _taken(place) from None


def _taken(place: OutputFolder) -> SparsePixError:
    return SparsePixError(
        f"{place.shown}: something else was put there while this {place.what} was being made; it is left as it is, "
        f"and this {place.what} is not kept: choose another folder, or run the command again"
    )


def _replace(fresh: Path, place: OutputFolder, own: tuple[int, int]) -> None:
    """Put the folder, of that identity, in the place of the one that ``output_folder`` found, and remove that."""
    try:
        exchange(fresh, place.path)
        # Checked only now, when no other process finds it by its name any more.
        if _identity(fresh) != place.replaces:
            raise _taken(place)
        check_unchanged(fresh, place.what, place.shown, place.products)
    except FileNotFoundError:
        if os.path.lexists(place.path):
            raise
        _move(fresh, place)  # the user has removed the old one
        return
    except BaseException:
        # Interrupted or refused: what was there goes back, and only our own folder is left to be removed.
        if _identity(fresh) != own:
            if os.path.lexists(place.path):
                exchange(fresh, place.path)
            else:
                fresh.rename(place.path)
        raise
    try:
        shutil.rmtree(fresh, ignore_errors=True)
    except BaseException:  # interrupted: the old one is removed all the same
        shutil.rmtree(fresh, ignore_errors=True)
        raise
