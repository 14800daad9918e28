"""Writing files so that an interruption leaves either the old file or the new one."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sparsepix_ops.errors import SparsePixError


@contextlib.contextmanager
def written_beside(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    Raises:
        SparsePixError: the folder does not exist.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise SparsePixError(f"{target}: its folder {target.parent} does not exist; make it first")
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner may read.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
