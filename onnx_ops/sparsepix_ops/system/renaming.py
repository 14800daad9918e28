"""Renaming that replaces nothing, and swapping two names."""

import contextlib
import errno
import functools
import os
from collections.abc import Callable
from pathlib import Path

_NO_REPLACE, _EXCHANGE = 1, 2  # flags of renameat2
_HERE = -100  # AT_FDCWD: names are relative to the current folder


def move(folder: Path, target: Path) -> None:
    """Rename a folder to a name that nothing has.

    Raises:
        FileExistsError: something has it, even an empty folder, which a plain rename would replace.
    """
    if _renamed(folder, target, _NO_REPLACE):
        return
    target.mkdir()  # fails if anything is there
    try:
        folder.rename(target)  # fails if something is in it
    except BaseException as error:
        with contextlib.suppress(OSError):
            target.rmdir()
        if isinstance(error, OSError) and error.errno == errno.ENOTEMPTY:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        raise


def exchange(one: Path, other: Path) -> None:
    """Swap two names; as one step where the system can."""
    if _renamed(one, other, _EXCHANGE):
        return
    aside = one.with_name(f"{one.name}-aside")
    try:
        other.rename(aside)
        one.rename(other)
    except BaseException:
        if aside.exists() and not os.path.lexists(other):
            aside.rename(other)
        raise
    aside.rename(one)


def _renamed(old: Path, new: Path, flag: int) -> bool:
    """Rename by ``renameat2``; False if this system or this file system does not have it."""
    call = _renameat2()
    if call is None:
        return False
    import ctypes

    if call(_HERE, os.fsencode(old), _HERE, os.fsencode(new), flag) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(new))


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return call
