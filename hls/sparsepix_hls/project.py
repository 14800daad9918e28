"""A written firmware project: compile it, run it from Python, run its testbench."""

import ctypes
import itertools
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sparsepix_hls import ir, toolchain
from sparsepix_hls.cpp_constants import dims
from sparsepix_ops.errors import SparsePixError

_SUMMARY = re.compile(r"^csim: (\d+) events, (\d+) mismatching outputs$", re.MULTILINE)
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
        directory: where ``write_project`` put it.
        graph: the model it was written from.
    """

    directory: Path
    graph: ir.Graph
    _library: ctypes.CDLL | None = field(default=None, init=False, repr=False)

    def compile(self) -> None:
        """Compile the firmware for C simulation with g++ (or the compiler that CXX names) and load it.

        Raises:
            SparsePixError: there is no compiler, or it refuses the sources.
        """
        directory, top = Path(self.directory).resolve(), self.graph.name
        build = directory / "build"
        build.mkdir(exist_ok=True)
        library = build / f"{top}_{os.getpid()}_{next(_serial)}.so"
        try:
            toolchain.build_library(directory, [f"tb/{top}_bridge.cpp"], library)
            self._library = ctypes.CDLL(str(library))
        finally:
            library.unlink(missing_ok=True)  # once loaded, the file is not needed
        pointer = np.ctypeslib.ndpointer(np.int64, flags="C_CONTIGUOUS")
        run = getattr(self._library, f"{top}_run")
        run.argtypes, run.restype = [pointer, pointer, ctypes.c_longlong], None

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Run the compiled firmware.

        Args:
            x: images, numbers [B, channels, height, width]; quantized to the input's format first.

        Returns:
            The exact results as float64 [B, *output shape].

        Raises:
            SparsePixError: not compiled yet, or x has another shape, another kind of numbers, NaN or infinity.
        """
        return np.ldexp(self.predict_raw(self._quantize(x)).astype(np.float64), self.graph.output.type.exponent)

    def predict_raw(self, raw: np.ndarray) -> np.ndarray:
        """Run the compiled firmware on raw integers.

        Args:
            raw: images, int64 [B, channels, height, width], in the range of the input's format.

        Returns:
            Raw integers of the results, int64 [B, *output shape].

        Raises:
            SparsePixError: not compiled yet.
        """
        if self._library is None:
            raise SparsePixError(f"{self.directory}: the firmware is not compiled yet: call compile() before predict()")
        raw = np.ascontiguousarray(raw, dtype=np.int64)
        outputs = np.zeros((len(raw), *self.graph.output.shape), dtype=np.int64)
        getattr(self._library, f"{self.graph.name}_run")(raw, outputs, len(raw))
        return outputs

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

    def _quantize(self, x: np.ndarray) -> np.ndarray:
        """Raw integers of images, checked."""
        tensor = self.graph.input
        x = np.asarray(x)
        if x.dtype.kind not in "fiu":
            raise SparsePixError(f"{tensor.name}: expected an array of float or integer numbers, found dtype {x.dtype}")
        if x.ndim != len(tensor.shape) + 1 or x.shape[1:] != tensor.shape:
            hint = "; for a single image pass x[None]" if x.shape == tensor.shape else ""
            raise SparsePixError(
                f"{tensor.name}: expected images of shape [B]{dims(tensor.shape)}, found {x.shape}{hint}"
            )
        if not np.isfinite(x).all():
            raise SparsePixError(f"{tensor.name}: expected finite values, found NaN or infinity")
        return tensor.type.quantize(x).raw
