"""A written RTL project: build its simulation, run it from Python, measure it, synthesize it."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console

from sparsepix_hls import ir, toolchain
from sparsepix_hls.parts import Part, find_part
from sparsepix_hls.project import NOT_FINITE, CsimResult, checked_images
from sparsepix_hls.results import Results, real, result_size, unpacked
from sparsepix_hls.rtl.synthesis import Synthesis, known_family, synthesize, yosys_command
from sparsepix_ops.errors import SparsePixError

_CHUNK = 500  # events of one run: about a hundred megabytes of a 63x63 image
_SUMMARY = re.compile(r"^sim: (\d+) events, (\d+) mismatching outputs$", re.MULTILINE)


@dataclass(frozen=True)
class Measurement:
    """What the simulation of a design measured; clocks are counted from transfer to transfer.

    Args:
        events: number of events.
        latency_cycles: from the first beat of an event to its result, the most of all events, each sent alone.
        latency_cycles_least: the least of them.
        tail_cycles: from the last beat of an event to its result, the most.
        interval_cycles: between two results while events wait at the input, the most.
        mismatches: outputs that differed from those of the first run when events followed each other, when both
            ports paused at random, and when the design was reset in the middle of events.
    """

    events: int
    latency_cycles: int
    latency_cycles_least: int
    tail_cycles: int
    interval_cycles: int
    mismatches: dict[str, int]


@dataclass
class RtlProject:
    """An RTL project on disk.

    Args:
        directory: where ``translate`` put it; kept as an absolute path, which ``os.chdir`` does not change.
        graph: the model it was written from.
        part: the FPGA.
        modules: names of the modules of its stages, in order.
    """

    directory: Path
    graph: ir.Graph
    part: Part
    modules: tuple[str, ...]
    _simulation: Path | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.directory = Path(self.directory).absolute()

    def compile(self) -> None:
        """Build the simulation with Verilator (``make build/sim``).

        Raises:
            SparsePixError: there is no Verilator, make or compiler, or they refuse the sources.
        """
        find_simulator()
        command = [toolchain.find_make(), "build/sim", f"CXX={' '.join(toolchain.find_compiler())}"]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SparsePixError(
                f"{self.directory}: {' '.join(command)} failed (exit status {done.returncode})\n"
                f"{toolchain.first_lines(done.stderr or done.stdout)}"
            )
        self._simulation = self.directory / "build" / "sim"

    def simulate(self) -> CsimResult:
        """Run the testbench (``make sim``) on the events that the project holds.

        Returns:
            The number of events and of outputs that were not as expected.

        Raises:
            SparsePixError: not compiled yet, or the testbench could not run.
        """
        command = [str(self._compiled())]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False)
        summary = _SUMMARY.search(done.stdout)
        if summary is None or (done.returncode != 0) != (int(summary[2]) > 0):
            raise SparsePixError(f"{self.directory}: simulation: {done.stderr.strip() or done.returncode}")
        return CsimResult(events=int(summary[1]), mismatches=int(summary[2]))

    def predict(self, x: np.ndarray) -> Results:
        """Run the simulated hardware.

        Args:
            x: images, numbers [B, channels, height, width]; quantized to the input's format first.

        Returns:
            The exact results as float64 [B, *output shape]; a dict of them by the names of the outputs, if the model
            has several.

        Raises:
            SparsePixError: not compiled yet, or x has another shape, another kind of numbers, NaN or infinity.
        """
        return real(self.graph, self.predict_raw(self._raw(x)))

    def predict_raw(self, raw: np.ndarray, options: tuple[str, ...] = ()) -> Results:
        """Run the simulated hardware on raw integers [B, channels, height, width]; int64, as ``predict``.

        Args:
            raw: the images.
            options: of the simulation, as ``--stalls``: see the head of the testbench.
        """
        return unpacked(self.graph, self._run(raw, options)[0])

    def _compiled(self) -> Path:
        if self._simulation is None:
            raise SparsePixError(f"{self.directory}: no simulation yet: call compile() first")
        return self._simulation

    def _run(self, raw: np.ndarray, options: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Results [B, numbers], and clocks [B, 3] of the first beat, the last beat and the result."""
        simulation, found, clocks = self._compiled(), [], []
        with tempfile.TemporaryDirectory() as folder:
            files = [str(Path(folder) / name) for name in ("inputs", "outputs", "times")]
            for start in range(0, len(raw), _CHUNK):
                part = np.ascontiguousarray(raw[start : start + _CHUNK], dtype=np.int64)
                part.tofile(files[0])
                command = [str(simulation), *files, *options]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SparsePixError(f"{self.directory}: simulation: {done.stderr.strip() or done.returncode}")
                found.append(np.fromfile(files[1], dtype=np.int64).reshape(len(part), -1))
                clocks.append(np.fromfile(files[2], dtype=np.int64).reshape(len(part), 3))
        if not found:
            return np.zeros((0, result_size(self.graph)), np.int64), np.zeros((0, 3), np.int64)
        return np.concatenate(found), np.concatenate(clocks)

    def measure(self, x: np.ndarray | None = None) -> Measurement:
        """Latency and interval in clocks, and whether stalls and resets leave the results as they are.

        Args:
            x: images, at most 500, as ``predict`` takes them; None: those of the testbench.

        Raises:
            SparsePixError: not compiled yet, no image, or as ``predict``.
        """
        raw = (self._testbench_images() if x is None else self._raw(x))[:_CHUNK]
        if not len(raw):
            raise SparsePixError(f"{self.graph.input.name}: expected one image or more to measure, found none")
        alone, single = self._run(raw, ("--apart",))
        together, clocks = self._run(raw, ())
        runs = {"back to back": together}
        for name, options in (
            ("stalls", ("--stalls",)),
            ("resets", ("--reset",)),
            ("stalls and resets", ("--stalls", "--reset")),
        ):
            runs[name] = self._run(raw, options)[0]
        latency = single[:, 2] - single[:, 0]
        gaps = np.diff(clocks[:, 2])
        return Measurement(
            events=len(raw),
            latency_cycles=int(latency.max()),
            latency_cycles_least=int(latency.min()),
            tail_cycles=int((single[:, 2] - single[:, 1]).max()),
            interval_cycles=int(gaps.max()) if len(gaps) else 0,
            mismatches={name: int((found != alone).sum()) for name, found in runs.items()},
        )

    def _raw(self, x: np.ndarray) -> np.ndarray:
        """Images as raw integers of the input's format."""
        x = checked_images(self.graph.input, x)
        if not np.isfinite(x).all():
            raise SparsePixError(f"{self.graph.input.name}: {NOT_FINITE}")
        return self.graph.input.type.quantize(x).raw

    def _testbench_images(self) -> np.ndarray:
        lines = (self.directory / "tb" / "data" / "inputs.dat").read_text(encoding="utf-8").splitlines()
        rows = [line.split() for line in lines if line and not line.startswith("#")]
        return np.array(rows, dtype=np.int64).reshape(-1, *self.graph.input.shape)

    def synthesize(self, console: Console | None = None) -> Synthesis:
        """Map every module with Yosys for the family of the part.

        Args:
            console: where progress is shown.

        Raises:
            SparsePixError: there is no Yosys, it does not know the family, or it refuses a module.
        """
        find_synthesizer(self.part.full_name)
        return synthesize(self.directory, self.modules, self.graph.name, self.part, console)


def find_simulator() -> None:
    """Look for all that ``compile`` needs.

    Raises:
        SparsePixError: something is not on this machine; says how to install it.
    """
    find_tool("verilator")
    toolchain.find_make()
    toolchain.find_compiler()


def find_synthesizer(part: str) -> None:
    """Look for all that ``synthesize`` needs.

    Args:
        part: name of the FPGA, which has to be of a family that Yosys knows.

    Raises:
        SparsePixError: something is missing, and what to do.
    """
    if yosys_command([]) is None:
        raise SparsePixError(
            "the RTL synthesis (--synthesize) needs Yosys, found none on this machine: pip install pyosys (or Debian, "
            "Ubuntu: apt install yosys)"
        )
    known_family(find_part(part))


def find_tool(name: str) -> str:
    """Path of a tool.

    Raises:
        SparsePixError: it is not on this machine; says how to install it.
    """
    found = shutil.which(name)
    if found is None:
        raise SparsePixError(
            f"the RTL simulation (--simulate) needs {name}, found none on this machine: install it (Debian, "
            f"Ubuntu: apt install {name})"
        )
    return found
