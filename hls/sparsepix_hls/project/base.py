"""What the projects of both backends share: their place, ``predict``, and what their testbenches report."""

import re
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.project import toolchain
from sparsepix_hls.project.inputs import checked_threads, quantized_images, raw_images
from sparsepix_hls.project.results import Results, real, unpacked
from sparsepix_ops.errors import SparsePixError


def stage_of(module: str, top: str) -> str:
    """The name of the stage that a module is.

    Args:
        module: name of the module.
        top: of the design.
    """
    return module.removeprefix(f"{top}_").removeprefix("stage_")


@dataclass(frozen=True)
class CsimResult:
    """What the testbench found.

    Args:
        events: number of events it ran.
        mismatches: outputs that differed from the expected ones in one bit or more.
        first: the first of them, a line each.
    """

    events: int
    mismatches: int
    first: tuple[str, ...] = field(default=(), compare=False)


@dataclass
class BaseProject(ABC):
    """A project on disk that can be compiled and run from Python.

    Args:
        directory: where ``translate`` put it; kept as an absolute path, which ``os.chdir`` does not change.
        graph: the model it was written from.
    """

    directory: Path
    graph: Graph

    def __post_init__(self) -> None:
        self.directory = Path(self.directory).absolute()

    def predict(self, x: Any, threads: int | None = 1) -> Results:
        """Run what was compiled last on images; any number of threads may call it at once.

        Args:
            x: images, numbers [B, channels, height, width]; quantized to the input's format first. An array of any
                strides and byte order, a tensor, or lists. B may be 0.
            threads: how many work on the batch at once, at most (of RTL: so many simulations); None: as many as this
                process may use cores. The results are the same. For C++ it pays from some hundred events on.

        Returns:
            The exact results as float64 [B, *output shape]; a dict of them by the names of the outputs, if the model
            has several.

        Raises:
            SparsePixError: not compiled yet, x has another shape, another kind of numbers, NaN or infinity,
                ``threads`` is no whole number of at least 1, or the run itself fails.
        """
        build, count = self._compiled(), checked_threads(threads)
        return real(self.graph, unpacked(self.graph, self._run_real(build, x, count)))

    def predict_raw(self, raw: Any, threads: int | None = 1) -> Results:
        """Run what was compiled last on raw integers.

        Args:
            raw: images, integers [B, channels, height, width] in the range of the input's format.
            threads: see ``predict``.

        Returns:
            Raw integers of the results, int64 [B, *output shape]; a dict of them, if the model has several outputs.

        Raises:
            SparsePixError: not compiled yet, raw has another shape, numbers that are no integers, or values outside
                the input's format, ``threads`` is no whole number of at least 1, or the run itself fails.
        """
        build, count = self._compiled(), checked_threads(threads)
        return unpacked(self.graph, self._run_raw(build, raw_images(self.graph.input, raw), count))

    @abstractmethod
    def _compiled(self) -> Any:
        """What ``compile`` made last, for the two methods below; an error if it made nothing yet."""

    @abstractmethod
    def _run_raw(self, build: Any, raw: np.ndarray, threads: int) -> np.ndarray:
        """Results [B, numbers of an event] of raw integers [B, channels, height, width]."""

    def _run_real(self, build: Any, x: Any, threads: int) -> np.ndarray:
        """The same of real numbers of any kind."""
        return self._run_raw(build, quantized_images(self.graph.input, x), threads)

    def _make(self, target: str) -> tuple[str, subprocess.CompletedProcess[str]]:
        """Run make in the project: the command, and what came of it."""
        self._check_folder("Makefile")
        return toolchain.run_make(self.directory, target)

    def _failed(self, command: str, done: subprocess.CompletedProcess[str]) -> SparsePixError:
        """What to say of a command that failed."""
        return SparsePixError(
            f"{self.directory}: {command} failed (exit status {done.returncode})\n"
            f"{toolchain.first_lines(done.stderr or done.stdout)}"
        )

    def _check_folder(self, file: str) -> None:
        """Check that the project is still where it was written, by one of its files."""
        if not (self.directory / file).is_file():
            raise SparsePixError(
                f"{self.directory}: expected a firmware project, found no {file} in it; if it was moved, make a "
                "project of the new folder, else translate the model again"
            )


def result_of_testbench(word: str, done: subprocess.CompletedProcess[str]) -> CsimResult | None:
    """What a testbench printed of its comparison; None if it ended before that, or with another exit status.

    Args:
        word: that its summary begins with.
        done: the process that ran it.
    """
    summary = re.search(rf"^{word}: (\d+) events, (\d+) mismatching outputs$", done.stdout, re.MULTILINE)
    if summary is None or (done.returncode != 0) != (int(summary[2]) > 0):
        return None
    first = re.findall(r"^event \d+, .+: expected -?\d+, found -?\d+$", done.stderr, re.MULTILINE)
    return CsimResult(events=int(summary[1]), mismatches=int(summary[2]), first=tuple(first))
