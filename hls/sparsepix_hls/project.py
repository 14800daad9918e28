"""A written firmware project: compile it, run it from Python, run its testbench."""

import ctypes
import itertools
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from sparsepix_hls import ir, toolchain
from sparsepix_hls.cpp_constants import dims
from sparsepix_hls.results import Results, real, result_size, unpacked
from sparsepix_ops.errors import SparsePixError

NOT_FINITE = "expected finite values, found NaN or infinity"
_SUMMARY = re.compile(r"^csim: (\d+) events, (\d+) mismatching outputs$", re.MULTILINE)
Backend = Literal["native", "ap_fixed"]
_FLAGS: dict[Backend, tuple[str, ...]] = {
    "native": (*toolchain.NATIVE_OPTIMIZATION, *toolchain.NATIVE_FLAGS),
    "ap_fixed": (toolchain.OPTIMIZATION, *toolchain.FLAGS),
}
# Entry points of the library, each with its kind of numbers: see templates/bridge.cpp.in.
_ENTRIES: dict[Backend, dict[str, type]] = {
    "native": {"run": np.int64, "run_float": np.float32, "run_double": np.float64},
    "ap_fixed": {"run": np.int64},
}
_TOO_WIDE = "SparsePix native build:"  # in the messages of native.h
_serial = itertools.count()  # the loader returns the old library for a file name it knows


@dataclass(frozen=True)
class CsimResult:
    """What the testbench found.

    Args:
        events: number of events it ran.
        mismatches: outputs that differed from the expected ones in one bit or more.
    """

    events: int
    mismatches: int


@dataclass
class Project:
    """A firmware project on disk.

    Args:
        directory: where ``write_project`` put it; kept as an absolute path, which ``os.chdir`` does not change.
        graph: the model it was written from.
    """

    directory: Path
    graph: ir.Graph
    _library: ctypes.CDLL | None = field(default=None, init=False, repr=False)
    _backend: str | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.directory = Path(self.directory).absolute()

    def compile(self, backend: Backend = "native") -> None:
        """Compile the firmware with g++ (or the compiler that CXX names) and load it for ``predict``.

        Args:
            backend: what the number types are. 'native': integers of the machine, much faster, up to 63 bits.
                'ap_fixed': the open ap_fixed headers, which ``csim`` uses too. The kernels and the results are
                the same.

        Raises:
            SparsePixError: there is no such backend, there is no compiler, or it refuses the sources.
        """
        if backend not in _FLAGS:
            raise SparsePixError(f"backend: expected one of {', '.join(map(repr, _FLAGS))}, found {backend!r}")
        directory, top = self.directory, self.graph.name
        build = directory / "build"
        build.mkdir(exist_ok=True)
        library = build / f"{top}_{backend}_{os.getpid()}_{next(_serial)}.so"
        try:
            toolchain.build_library(directory, [f"tb/{top}_bridge.cpp"], library, _FLAGS[backend])
            loaded = ctypes.CDLL(str(library))
        except SparsePixError as error:
            if _TOO_WIDE in str(error):
                raise SparsePixError(
                    f"{self.directory}: a number of this model has more than the 63 bits of the native build: use "
                    f"compile(backend='ap_fixed'), or narrower formats\n{error}"
                ) from error
            raise
        finally:
            library.unlink(missing_ok=True)  # once loaded, the file is not needed
        results = np.ctypeslib.ndpointer(np.int64, flags="C_CONTIGUOUS")
        for suffix, number in _ENTRIES[backend].items():
            run = getattr(loaded, f"{top}_{suffix}")
            run.argtypes = [np.ctypeslib.ndpointer(number, flags="C_CONTIGUOUS"), results, ctypes.c_longlong]
            run.restype = None if suffix == "run" else ctypes.c_bool
        self._library, self._backend = loaded, backend

    def predict(self, x: np.ndarray) -> Results:
        """Run the firmware as it was compiled last.

        Args:
            x: images, numbers [B, channels, height, width]; quantized to the input's format first.

        Returns:
            The exact results as float64 [B, *output shape]; a dict of them by the names of the outputs, if the model
            has several.

        Raises:
            SparsePixError: not compiled yet, or x has another shape, another kind of numbers, NaN or infinity.
        """
        x = checked_images(self.graph.input, x)
        if self._backend == "native":
            single = x.dtype in (np.float32, np.float16)  # others may need the digits of a double
            entry, number = ("run_float", np.float32) if single else ("run_double", np.float64)
            outputs, finite = self._call(entry, np.ascontiguousarray(x, dtype=number))
            if not finite:
                raise SparsePixError(f"{self.graph.input.name}: {NOT_FINITE}")
        else:
            if not np.isfinite(x).all():
                raise SparsePixError(f"{self.graph.input.name}: {NOT_FINITE}")
            outputs = self.predict_raw(self.graph.input.type.quantize(x).raw)
        return real(self.graph, outputs)

    def predict_raw(self, raw: np.ndarray) -> Results:
        """Run the firmware as it was compiled last on raw integers.

        Args:
            raw: images, int64 [B, channels, height, width], in the range of the input's format.

        Returns:
            Raw integers of the results, int64 [B, *output shape]; a dict of them, if the model has several outputs.

        Raises:
            SparsePixError: not compiled yet.
        """
        return self._call("run", np.ascontiguousarray(raw, dtype=np.int64))[0]

    def _call(self, entry: str, inputs: np.ndarray) -> tuple[Results, bool | None]:
        """Raw results of an entry point of the library, and what it returned."""
        if self._library is None:
            raise SparsePixError(f"{self.directory}: the firmware is not compiled yet: call compile() before predict()")
        outputs = np.zeros((len(inputs), result_size(self.graph)), dtype=np.int64)
        status = getattr(self._library, f"{self.graph.name}_{entry}")(inputs, outputs, len(inputs))
        return unpacked(self.graph, outputs), status

    def csim(self) -> CsimResult:
        """Build and run the testbench (``make csim``) on the events that the project holds.

        Returns:
            The number of events and of outputs that were not as expected.

        Raises:
            SparsePixError: there is no make or no compiler, or the testbench could not be built or run.
        """
        compiler = toolchain.find_compiler()
        command = [toolchain.find_make(), "csim", f"CXX={' '.join(compiler)}"]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False)
        summary = _SUMMARY.search(done.stdout)
        if summary is None or (done.returncode != 0) != (int(summary[2]) > 0):
            raise SparsePixError(
                f"{self.directory}: {' '.join(command)} failed (exit status {done.returncode})\n"
                f"{toolchain.first_lines(done.stderr or done.stdout)}"
            )
        return CsimResult(events=int(summary[1]), mismatches=int(summary[2]))


def checked_images(tensor: ir.Tensor, x: np.ndarray) -> np.ndarray:
    """Images for ``predict``, checked but for NaN and infinity.

    Raises:
        SparsePixError: another shape, or another kind of numbers.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "fiu":
        raise SparsePixError(f"{tensor.name}: expected an array of float or integer numbers, found dtype {x.dtype}")
    if x.ndim != len(tensor.shape) + 1 or x.shape[1:] != tensor.shape:
        hint = "; for a single image pass x[None]" if x.shape == tensor.shape else ""
        raise SparsePixError(f"{tensor.name}: expected images of shape [B]{dims(tensor.shape)}, found {x.shape}{hint}")
    return x
