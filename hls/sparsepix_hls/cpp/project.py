"""A written firmware project: compile it, run it from Python, run its testbench."""

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsepix_hls.project import toolchain
from sparsepix_hls.project.base import BaseProject, CsimResult, result_of_testbench
from sparsepix_hls.project.library import Entry, Library, Numbers, load_library
from sparsepix_hls.project.results import result_size
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.images import as_images, contiguous, not_finite
from sparsepix_ops.system.progress import step
from sparsepix_ops.system.signals import held

if TYPE_CHECKING:
    from rich.console import Console

_FLAGS: dict[Numbers, tuple[str, ...]] = {
    "native": (*toolchain.NATIVE_OPTIMIZATION, *toolchain.NATIVE_FLAGS),
    "ap_fixed": (toolchain.OPTIMIZATION, *toolchain.FLAGS),
}
_TOO_WIDE = "SparsePix native build:"  # in the messages of native.h


@dataclass
class Project(BaseProject):
    """A project of C++ on disk; see ``BaseProject`` for ``predict`` and ``predict_raw``.

    Args:
        directory: where ``write_project`` put it; kept as an absolute path, which ``os.chdir`` does not change.
        graph: the model it was written from.
    """

    _library: Library | None = field(default=None, init=False, repr=False)

    def compile(self, backend: Numbers = "native", console: "Console | None" = None) -> None:
        """Compile the firmware with g++ (or the compiler that CXX names) and load it for ``predict``.

        Args:
            backend: what the number types are. 'native': integers of the machine, much faster, up to 63 bits.
                'ap_fixed': the open ap_fixed headers, which ``csim`` uses too. The kernels and the results are
                the same.
            console: where progress is shown.

        Raises:
            SparsePixError: there is no such backend, there is no compiler, or it refuses the sources.
        """
        if backend not in _FLAGS:
            raise SparsePixError(f"backend: expected one of {', '.join(map(repr, _FLAGS))}, found {backend!r}")
        directory, top = self.directory, self.graph.name
        bridge, build = f"tb/{top}_bridge.cpp", directory / "build"
        self._check_folder(bridge)
        try:
            build.mkdir(exist_ok=True)
        except OSError as error:
            raise SparsePixError(f"{build}: cannot build there: {error.strerror}") from error
        # A new name each time: the loader returns the old library for a name that it knows.
        library = build / f"{top}_{backend}_{secrets.token_hex(8)}.so"
        try:
            with step(console, "compiling the firmware with g++", "firmware compiled with g++"):
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

    def _compiled(self) -> Library:
        if self._library is None:
            raise SparsePixError(f"{self.directory}: the firmware is not compiled yet: call compile() before predict()")
        return self._library

    def _run_real(self, build: Library, x: Any, threads: int) -> np.ndarray:
        source = self.graph.input
        if build.numbers == "ap_fixed":
            return super()._run_real(build, x, threads)
        x = as_images(x, source.name, source.shape)
        single = x.dtype in (np.float32, np.float16)  # others may need the digits of a double
        entry, number = ("run_float", np.float32) if single else ("run_double", np.float64)
        return self._run(build, entry, contiguous(x, number), threads)

    def _run_raw(self, build: Library, raw: np.ndarray, threads: int) -> np.ndarray:
        return self._run(build, "run", raw, threads)

    def _run(self, library: Library, entry: Entry, inputs: np.ndarray, threads: int) -> np.ndarray:
        """Results [B, numbers of an event] of an entry point of the library."""
        outputs = np.zeros((len(inputs), result_size(self.graph)), dtype=np.int64)
        if not library.run(entry, inputs, outputs, threads):
            raise SparsePixError(not_finite(self.graph.input.name))
        return outputs

    def csim(self, console: "Console | None" = None) -> CsimResult:
        """Build and run the testbench (``make csim``) on the events that the project holds.

        Args:
            console: where progress is shown.

        Returns:
            The number of events and of outputs that were not as expected.

        Raises:
            SparsePixError: there is no make or no compiler, or the testbench could not be built or run.
        """
        with step(console, "compiling the testbench with g++", "testbench compiled with g++"):
            command, done = self._make(f"build/{self.graph.name}_tb")
        if done.returncode:
            raise self._failed(command, done)
        with step(console, "running the testbench", "testbench run"):
            command, done = self._make("csim")
        found = result_of_testbench("csim", done)
        if found is None:
            raise self._failed(command, done)
        return found
