"""A written firmware project: compile it, run it from Python, run its testbench."""

import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.project import toolchain
from sparsepix_hls.project.inputs import checked_threads, quantized_images, raw_images
from sparsepix_hls.project.library import Backend, Entry, Library, load_library
from sparsepix_hls.project.results import Results, real, result_size, unpacked
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.images import as_images, contiguous, not_finite
from sparsepix_ops.system.signals import held

_SUMMARY = re.compile(r"^csim: (\d+) events, (\d+) mismatching outputs$", re.MULTILINE)
_FLAGS: dict[Backend, tuple[str, ...]] = {
    "native": (*toolchain.NATIVE_OPTIMIZATION, *toolchain.NATIVE_FLAGS),
    "ap_fixed": (toolchain.OPTIMIZATION, *toolchain.FLAGS),
}
_TOO_WIDE = "SparsePix native build:"  # in the messages of native.h


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
    graph: Graph
    _library: Library | None = field(default=None, init=False, repr=False)

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
        bridge, build = f"tb/{top}_bridge.cpp", directory / "build"
        check_folder(directory, bridge)
        try:
            build.mkdir(exist_ok=True)
        except OSError as error:
            raise SparsePixError(f"{build}: cannot build there: {error.strerror}") from error
        # A new name each time: the loader returns the old library for a name that it knows.
        library = build / f"{top}_{backend}_{secrets.token_hex(8)}.so"
        try:
            toolchain.build_library(directory, [bridge], library, _FLAGS[backend])
            self._library = load_library(self.directory, library, top, backend)
        except SparsePixError as error:
            if _TOO_WIDE in str(error):
                raise SparsePixError(
                    f"{self.directory}: a number of this model has more than the 63 bits of the native build: use "
                    f"compile(backend='ap_fixed'), or narrower formats\n{error}"
                ) from error
            raise
        finally:
            with held():
                library.unlink(missing_ok=True)  # once loaded, the file is not needed

    def predict(self, x: Any, threads: int | None = 1) -> Results:
        """Run the firmware as it was compiled last; any number of threads may call it at once.

        Args:
            x: images, numbers [B, channels, height, width]; quantized to the input's format first. An array of any
                strides and byte order, a tensor, or lists. B may be 0.
            threads: how many work on the batch at once, at most; None: as many as this process may use cores. The
                results are the same. It pays from some hundred events on.

        Returns:
            The exact results as float64 [B, *output shape]; a dict of them by the names of the outputs, if the model
            has several.

        Raises:
            SparsePixError: not compiled yet, x has another shape, another kind of numbers, NaN or infinity, or
                ``threads`` is no whole number of at least 1.
        """
        library, source, threads = self._compiled(), self.graph.input, checked_threads(threads)
        if library.backend == "ap_fixed":
            return real(self.graph, self._run(library, "run", quantized_images(source, x), threads))
        x = as_images(x, source.name, source.shape)
        single = x.dtype in (np.float32, np.float16)  # others may need the digits of a double
        entry, number = ("run_float", np.float32) if single else ("run_double", np.float64)
        return real(self.graph, self._run(library, entry, contiguous(x, number), threads))

    def predict_raw(self, raw: Any, threads: int | None = 1) -> Results:
        """Run the firmware as it was compiled last on raw integers.

        Args:
            raw: images, integers [B, channels, height, width] in the range of the input's format.
            threads: see ``predict``.

        Returns:
            Raw integers of the results, int64 [B, *output shape]; a dict of them, if the model has several outputs.

        Raises:
            SparsePixError: not compiled yet, raw has another shape, numbers that are no integers, or values outside
                the input's format, or ``threads`` is no whole number of at least 1.
        """
        library, threads = self._compiled(), checked_threads(threads)
        return self._run(library, "run", raw_images(self.graph.input, raw), threads)

    def _compiled(self) -> Library:
        if self._library is None:
            raise SparsePixError(f"{self.directory}: the firmware is not compiled yet: call compile() before predict()")
        return self._library

    def _run(self, library: Library, entry: Entry, inputs: np.ndarray, threads: int) -> Results:
        """Raw results of an entry point of the library."""
        outputs = np.zeros((len(inputs), result_size(self.graph)), dtype=np.int64)
        if not library.run(entry, inputs, outputs, threads):
            raise SparsePixError(not_finite(self.graph.input.name))
        return unpacked(self.graph, outputs)

    def csim(self) -> CsimResult:
        """Build and run the testbench (``make csim``) on the events that the project holds.

        Returns:
            The number of events and of outputs that were not as expected.

        Raises:
            SparsePixError: there is no make or no compiler, or the testbench could not be built or run.
        """
        check_folder(self.directory, "Makefile")
        command, done = toolchain.run_make(self.directory, "csim")
        summary = _SUMMARY.search(done.stdout)
        if summary is None or (done.returncode != 0) != (int(summary[2]) > 0):
            raise SparsePixError(
                f"{self.directory}: {command} failed (exit status {done.returncode})\n"
                f"{toolchain.first_lines(done.stderr or done.stdout)}"
            )
        return CsimResult(events=int(summary[1]), mismatches=int(summary[2]))


def check_folder(directory: Path, file: str) -> None:
    """Check that a project still stands where it was written.

    Args:
        directory: the project.
        file: one of its files.

    Raises:
        SparsePixError: the file is not there.
    """
    if not (directory / file).is_file():
        raise SparsePixError(
            f"{directory}: expected a firmware project, found no {file} in it; if it was moved, make a project of the "
            "new folder, else translate the model again"
        )
