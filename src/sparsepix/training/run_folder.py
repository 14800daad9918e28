"""The folder of a training: recognized, locked, and begun only with the first checkpoint.

Until then nothing is written but a lock, so that a start that is refused or fails leaves the folder as it was; with
``force`` the run before is put aside, and comes back if the new one does not get that far.
"""

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sparsepix.datasets import Dataset
from sparsepix.training import distributed
from sparsepix.training.batches import fingerprint
from sparsepix.training.checkpoint import require_same_settings
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.files import atomic_write, cannot_write
from sparsepix_ops.system.marker import MARKER, TEMPORARY, check_unchanged, read_marker, write_marker
from sparsepix_ops.system.signals import held
from sparsepix_ops.version import __version__

# Everything that a run writes. Put aside in this order, and put back in the opposite one: a checkpoint in the folder
# itself always is that of the newer run.
OWN_FILES = (
    "checkpoint.pt",
    "options.json",
    "history.csv",
    "model.pt",
    "summary.json",
    "history.png",
    "confusion.png",
    "roc.png",
)
_KIND = "training"
_LOCK, _ASIDE = ".sparsepix.lock", ".sparsepix-before"


@contextlib.contextmanager
def run_folder(
    folder: Path, options: Any, data: Dataset, device: torch.device, force: bool = False
) -> Iterator[Callable[[], None]]:
    """The folder of a run for the block: new, empty, or of the same run. One process at a time has it.

    Args:
        folder: of the run.
        options: of the run, a dataclass of plain data.
        data: that it trains on.
        device: of this process.
        force: replace a run that is there, if the folder holds nothing else.

    Yields:
        To be called before the first file is written to the folder.

    Raises:
        SparsePixError: it holds something else, or a run with other options or other data; another training uses it;
            with ``force``: it holds something that would be lost.
    """
    wanted = {
        **json.loads(json.dumps(asdict(options))),
        "data set": f"{data.name}, {len(data.train)} + {len(data.validation)} + {len(data.test)} images",
        "images and labels": fingerprint(data.train.images, data.train.labels),
    }
    # No process makes the folder before all have looked.
    exists = os.path.isfile(folder / "options.json")  # noqa: PTH113 (raises for no name, however long)
    distributed.require_same([int(exists)], f"{folder}: all machines have to share this folder", device)
    first, problem, written = distributed.rank() == 0, None, []
    going_on = False

    def begin() -> None:
        if first and not going_on and not written:
            written.extend([folder / "options.json", folder / MARKER])
            _write_options(folder, wanted, data)

    def end() -> None:
        with held():
            if not (folder / "checkpoint.pt").exists():
                for path in written:
                    path.unlink(missing_ok=True)
            _put_back(folder)

    with contextlib.ExitStack() as stack:
        if first:
            try:
                stack.enter_context(_locked(folder))
                stack.callback(end)
                going_on = _check(folder, wanted, force)
            except SparsePixError as error:
                problem = error
        if distributed.any_of([problem is not None], device)[0]:
            raise problem or SparsePixError(f"{folder}: process 0 cannot use this folder")
        yield begin


def read_options(folder: Path) -> dict[str, Any]:
    """What ``options.json`` holds.

    Raises:
        SparsePixError: it is damaged.
    """
    path = folder / "options.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and isinstance(content.get("options"), dict):
            return content
    except (ValueError, RecursionError):
        pass
    raise SparsePixError(f"{path}: expected the options of a run, found something else; choose another folder")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file; an interruption leaves the old one or the new one."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _check(folder: Path, wanted: Mapping[str, Any], force: bool) -> bool:
    """Refuse a folder that is not of this run; with ``force``, put what is there aside.

    Returns:
        Whether there is a run to go on with.
    """
    _put_back(folder)  # what a start that was killed had put aside
    names = sorted(path.name for path in folder.iterdir())
    strange = [name for name in names if name not in (_LOCK, MARKER) and not name.startswith(TEMPORARY)]
    if strange == ["options.json"] and read_marker(folder) is not None:
        return False  # killed before its first checkpoint: there is nothing to go on from
    if "options.json" in names:
        if not force:
            require_same_settings(read_options(folder)["options"], wanted, str(folder))
            return True
        check_unchanged(folder, _KIND, str(folder), products=(_LOCK,))
        with held():
            _put_aside(folder)
    elif strange:
        more = ", ..." if len(strange) > 5 else ""
        raise SparsePixError(
            f"{folder}: expected a new or an empty folder, or one of sparsepix-train, found {', '.join(strange[:5])}"
            f"{more}; choose another"
        )
    return False


def _write_options(folder: Path, wanted: Mapping[str, Any], data: Dataset) -> None:
    try:
        # The contents follow as they are written; until then a file of such a name is not ours.
        write_marker(folder, _KIND, dict.fromkeys(OWN_FILES, ()))
    except OSError as error:
        raise cannot_write(folder, error, _KIND) from error
    content = {
        "sparsepix": __version__,
        "torch": torch.__version__,
        "classes": list(data.classes),
        "options": wanted,
    }
    write_json(folder / "options.json", content)


def _put_aside(folder: Path) -> None:
    (folder / _ASIDE).mkdir()
    for name in (*OWN_FILES, MARKER):
        if (folder / name).exists():
            (folder / name).rename(folder / _ASIDE / name)


def _put_back(folder: Path) -> None:
    """Put back the run before, unless a newer one has come to a checkpoint."""
    aside = folder / _ASIDE
    if not aside.is_dir():
        return
    if not (folder / "checkpoint.pt").exists():
        for name in (MARKER, *reversed(OWN_FILES)):
            if (aside / name).exists():
                (aside / name).rename(folder / name)
    shutil.rmtree(aside)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Make the folder if it is missing, and lock it for this process. One that stays empty is removed again."""
    missing: list[Path] = []
    try:
        if os.path.lexists(folder) and not folder.is_dir():
            raise SparsePixError(
                f"{folder}: expected a new or an empty folder, or one of sparsepix-train, found a file or a link to "
                "nothing; choose another"
            )
        missing += [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        handle = _lock(folder)
    except OSError as error:
        _remove_empty(missing)
        raise cannot_write(folder, error, _KIND) from error
    try:
        yield
    finally:
        with held():
            with contextlib.suppress(OSError):
                (folder / _LOCK).unlink()
            os.close(handle)
            _remove_empty(missing)


def _lock(folder: Path) -> int:
    """A descriptor that holds the lock, which ends with the process."""
    path = folder / _LOCK
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _take(handle, folder)
            # A process that is done removes the file of its lock: then this is no longer the one that others find.
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                os.ftruncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _take(handle: int, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(handle, 200).decode(errors="replace") or "another process"
        raise SparsePixError(
            f"{folder}: another training is running in this folder ({owner}): wait for it, or choose another folder"
        ) from None


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # not there, or not empty
            folder.rmdir()
