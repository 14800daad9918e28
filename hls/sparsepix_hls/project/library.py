"""The compiled firmware as a shared library: its entry points, which any number of threads may call at once."""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sparsepix_ops.errors import SparsePixError

Numbers = Literal["native", "ap_fixed"]
Entry = Literal["run", "run_float", "run_double"]
# Entry points of each build, with their kind of numbers: see templates/bridge.cpp.in.
_ENTRIES: dict[Numbers, dict[Entry, type]] = {
    "native": {"run": np.int64, "run_float": np.float32, "run_double": np.float64},
    "ap_fixed": {"run": np.int64},
}
_DONE, _NO_MEMORY = 0, 2  # of the Status in simulation/events.h
_MOST_THREADS = max(64, os.cpu_count() or 1)  # more are of no use


@dataclass(frozen=True)
class Library:
    """A loaded build.

    Args:
        directory: of the project, for messages.
        top: the name of the model.
        numbers: their types.
        loaded: its functions.
    """

    directory: Path
    top: str
    numbers: Numbers
    loaded: ctypes.CDLL

    def run(self, entry: Entry, inputs: np.ndarray, outputs: np.ndarray, threads: int) -> bool:
        """Run a batch.

        Args:
            entry: decides the kind of numbers.
            inputs: contiguous [events, ...], of the entry's kind.
            outputs: contiguous int64 [events, numbers], is filled.
            threads: how many work at once, at most.

        Returns:
            Whether all events had finite numbers; if not, outputs are not complete.

        Raises:
            SparsePixError: the system gives no memory, or no thread.
        """
        number = _ENTRIES[self.numbers][entry]
        if not all(a.dtype == t and a.flags.c_contiguous for a, t in ((inputs, number), (outputs, np.int64))):
            raise TypeError(f"{entry}: expected contiguous {number.__name__} and int64, found {inputs.dtype}")
        function = getattr(self.loaded, f"{self.top}_{entry}")
        count = min(threads, _MOST_THREADS)
        status = function(inputs.ctypes.data, outputs.ctypes.data, len(inputs), count)
        if status == _NO_MEMORY:
            raise SparsePixError(f"{self.directory}: predict: the system has no memory left to run the firmware")
        return status == _DONE


def load_library(directory: Path, file: Path, top: str, numbers: Numbers) -> Library:
    """Load a build.

    Args:
        directory: of the project, for messages.
        file: the library.
        top: the name of the model.
        numbers: their types in it.

    Raises:
        SparsePixError: the file is none that this machine can load.
    """
    try:
        loaded = ctypes.CDLL(str(file))
    except OSError as error:
        raise SparsePixError(
            f"{directory}: the compiled firmware cannot be loaded, is the compiler one for this machine? {error}"
        ) from error
    for suffix in _ENTRIES[numbers]:
        run = getattr(loaded, f"{top}_{suffix}")
        run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_longlong, ctypes.c_int]
        run.restype = ctypes.c_int
    return Library(directory, top, numbers, loaded)
