"""A written RTL project: build its simulation, run it from Python, measure it, synthesize it."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from sparsepix_hls.project import toolchain
from sparsepix_hls.project.base import BaseProject, CsimResult, result_of_testbench, stage_of
from sparsepix_hls.project.inputs import checked_threads, quantized_images, raw_images
from sparsepix_hls.project.parts import Part, find_part, known_family
from sparsepix_hls.project.results import Results, result_size, unpacked
from sparsepix_hls.rtl.tools.measurement import SHOWN_EVENTS, Measurement, stage_times
from sparsepix_hls.rtl.tools.place import Placed, find_placer, place
from sparsepix_hls.rtl.tools.synthesis import Synthesis, find_yosys, synthesize
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system import processes
from sparsepix_ops.system.progress import Step, step
from sparsepix_ops.system.signals import temporary_folder
from sparsepix_ops.system.tools import find_program

Run = Callable[..., subprocess.CompletedProcess[str]]
# Ways to simulate events, with the options of the simulation.
_RUNS = {
    "alone": ("--apart",),
    "back to back": (),
    "stalls": ("--stalls",),
    "resets": ("--reset",),
    "stalls and resets": ("--stalls", "--reset"),
}
_CHUNK = 500  # events of one run: about a hundred megabytes of a 63x63 image


@dataclass
class RtlProject(BaseProject):
    """An RTL project on disk; see ``BaseProject`` for ``predict``.

    Args:
        directory: where ``translate`` put it; kept as an absolute path, which ``os.chdir`` does not change.
        graph: the model it was written from.
        part: the FPGA.
        modules: names of the modules of its stages, in order.
    """

    part: Part
    modules: tuple[str, ...]
    _simulation: Path | None = field(default=None, init=False, repr=False)

    def compile(self, console: Console | None = None) -> None:
        """Build the simulation with Verilator (``make build/sim``).

        Args:
            console: where progress is shown.

        Raises:
            SparsePixError: there is no Verilator, make or compiler, or they refuse the sources.
        """
        find_simulator()
        build = self.directory / "build"
        with step(
            console,
            "building the simulation",
            "simulation built with Verilator",
            unit="files",
            look=lambda now: _look(now, build),
        ):
            command, done = self._make("build/sim")
        if done.returncode:
            raise self._failed(command, done)
        self._simulation = self.directory / "build" / "sim"

    def simulate(self, console: Console | None = None) -> CsimResult:
        """Run the testbench (``make sim``) on the events that the project holds.

        Args:
            console: where progress is shown.

        Returns:
            The number of events and of outputs that were not as expected.

        Raises:
            SparsePixError: not compiled yet, or the testbench could not run.
        """
        with step(console, "simulating the testbench", "testbench simulated"):
            done = _execute([str(self._compiled())], self.directory)
        found = result_of_testbench("sim", done)
        if found is None:
            raise SparsePixError(f"{self.directory}: simulation: {_reason(done)}")
        return found

    def predict_raw(self, raw: Any, options: str | Sequence[str] = (), threads: int | None = 1) -> Results:
        """Run the simulated hardware on raw integers.

        Args:
            raw: images, integers [B, channels, height, width] in the range of the input's format.
            options: of the simulation, as ``--stalls``: see the head of the testbench.
            threads: see ``predict``.

        Returns:
            Raw integers of the results, int64 [B, *output shape]; a dict of them, if the model has several outputs.

        Raises:
            SparsePixError: not compiled yet, raw has another shape, numbers that are no integers, or values outside
                the input's format, ``threads`` is no whole number of at least 1, or the simulation fails.
        """
        build, count = self._compiled(), checked_threads(threads)
        options = (options,) if isinstance(options, str) else tuple(map(str, options))
        return unpacked(self.graph, self._run(build, raw_images(self.graph.input, raw), options, count)[0])

    @property
    def _clocks(self) -> int:
        return 3 + len(self.modules) - 1  # the last one is no stage: the ports

    def _compiled(self) -> Path:
        if self._simulation is None:
            raise SparsePixError(f"{self.directory}: no simulation yet: call compile() first")
        return self._simulation

    def _run_raw(self, build: Path, raw: np.ndarray, threads: int) -> np.ndarray:
        return self._run(build, raw, (), threads)[0]

    def _run(
        self, simulation: Path, raw: np.ndarray, options: tuple[str, ...], threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Results [B, numbers], and clocks [B, 3 + stages]: first beat, last beat, result, each stage handing it on."""
        size = max(min(_CHUNK, -(-len(raw) // threads)), 1)
        chunks = [raw[start : start + size] for start in range(0, len(raw), size)]

        def simulated(part: np.ndarray, run: Run = processes.run) -> tuple[np.ndarray, np.ndarray]:
            return self._simulated(simulation, part, options, run)

        if threads == 1 or len(chunks) < 2:
            runs = [simulated(chunk) for chunk in chunks]
        else:
            with processes.process_pool(min(threads, len(chunks))) as (pool, group):
                runs = list(pool.map(lambda chunk: simulated(chunk, group.run), chunks))
        found = [np.zeros((0, result_size(self.graph)), np.int64), *(run[0] for run in runs)]
        clocks = [np.zeros((0, self._clocks), np.int64), *(run[1] for run in runs)]
        return np.concatenate(found), np.concatenate(clocks)

    def _simulated(
        self, simulation: Path, part: np.ndarray, options: tuple[str, ...], run: Run
    ) -> tuple[np.ndarray, np.ndarray]:
        """``_run`` for a few events, in a process and with files of its own."""
        try:
            with temporary_folder() as folder:
                files = [folder / name for name in ("inputs", "outputs", "times")]
                part.tofile(files[0])
                done = _execute([str(simulation), *map(str, files), *options], self.directory, run)
                if done.returncode:
                    raise SparsePixError(f"{self.directory}: simulation: {_reason(done)}")
                found, clocks = (np.fromfile(file, dtype=np.int64) for file in files[1:])
        except OSError as error:
            raise SparsePixError(f"{self.directory}: simulation: no room for its files: {error}") from error
        if (len(found), len(clocks)) != (len(part) * result_size(self.graph), len(part) * self._clocks):
            raise SparsePixError(
                f"{self.directory}: simulation: expected results of {len(part)} events, found another number; is the "
                "disk with the temporary files full, or the simulation one of another model?"
            )
        return found.reshape(len(part), -1), clocks.reshape(len(part), self._clocks)

    def measure(self, x: np.ndarray | None = None, console: Console | None = None) -> Measurement:
        """Latency and interval in clocks, and whether stalls and resets leave the results as they are.

        Args:
            x: images, at most 500, as ``predict`` takes them; None: those of the testbench.
            console: where progress is shown.

        Raises:
            SparsePixError: not compiled yet, no image, or as ``predict``.
        """
        simulation = self._compiled()
        raw = (self._testbench_images() if x is None else quantized_images(self.graph.input, x))[:_CHUNK]
        if not len(raw):
            raise SparsePixError(f"{self.graph.input.name}: expected one image or more to measure, found none")
        with step(console, "measuring", f"{len(raw)} events simulated in {len(_RUNS)} ways", unit="runs") as now:
            found = {}
            for name, options in _RUNS.items():
                now.tell(name, len(found), len(_RUNS))
                found[name] = self._run(simulation, raw, options)
        (alone, single), (_, clocks) = found.pop("alone"), found["back to back"]
        latency = single[:, 2] - single[:, 0]
        gaps = np.diff(clocks[:, 2])
        on_the_way = [0, *range(3, self._clocks), 2]  # first beat, stages, result
        timeline = clocks[:SHOWN_EVENTS, on_the_way] - clocks[0, 0]
        names = [stage_of(module, self.graph.name) for module in self.modules]
        return Measurement(
            events=len(raw),
            latency_cycles=int(latency.max()),
            latency_cycles_least=int(latency.min()),
            tail_cycles=int((single[:, 2] - single[:, 1]).max()),
            interval_cycles=int(gaps.max()) if len(gaps) else 0,
            interval_cycles_mean=float(gaps.mean()) if len(gaps) else 0.0,
            mismatches={name: int((results != alone).sum()) for name, (results, _) in found.items()},
            stages=stage_times(names, single[:, on_the_way]),
            timeline=tuple(tuple(map(int, event)) for event in timeline),
        )

    def _testbench_images(self) -> np.ndarray:
        self._check_folder("tb/data/inputs.dat")
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

    def place(
        self, clock_ns: float, pins: Path | None = None, minutes: float | None = None, console: Console | None = None
    ) -> Placed:
        """Place and route the whole design on ECP5 or Gowin; see ``rtl.tools.place.place``.

        Args:
            clock_ns: clock period in nanoseconds.
            pins: file of the pins of the shell's ports.
            minutes: that it may take.
            console: where progress is shown.

        Raises:
            SparsePixError: the part is of neither, a tool is missing or refuses the design, or time is over.
        """
        find_placer(self.part, None if pins is None else str(pins))
        return place(self.directory, self.graph.name, self.part, clock_ns, pins, minutes, console)


def _look(now: Step, build: Path) -> None:
    """What Verilator is at, by the files of the folder that it builds in."""
    folders = sorted(build.glob("make.*"), key=lambda folder: folder.name)
    written = [path.suffix for folder in folders for path in folder.glob("*.*")]
    # The list of classes comes last. Two more files are compiled, which come with Verilator.
    listed = any(True for folder in folders for _ in folder.glob("*_classes.mk"))
    if listed:
        now.tell("compiling C++", written.count(".o"), written.count(".cpp") + 2)
    else:
        now.tell("verilating")


def _execute(command: list[str], directory: Path, run: Run = processes.run) -> subprocess.CompletedProcess[str]:
    """Run a simulation in the folder of its project.

    Raises:
        SparsePixError: there is no such program, or none for this machine.
    """
    try:
        return run(command, directory)
    except OSError as error:
        raise SparsePixError(
            f"{directory}: the simulation {command[0]} does not start: {error.strerror}; if the project was moved or "
            "translated again, call compile() again; if another machine built it, run 'make clean' first"
        ) from error


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Why a simulation failed."""
    failed = [line for line in done.stdout.splitlines() if "Assertion failed" in line]  # Verilator says it there
    said = toolchain.first_lines("\n".join(failed) or done.stderr)
    if said or done.returncode >= 0:
        return said or f"exit status {done.returncode}"
    return f"ended by signal {-done.returncode}; if another machine built it, run 'make clean' and compile() again"


def find_simulator() -> None:
    """Look for all that ``compile`` needs.

    Raises:
        SparsePixError: something is not on this machine; says how to install it.
    """
    find_program("the RTL simulation (--simulate)", "verilator")
    toolchain.find_make()
    toolchain.find_compiler()


def find_synthesizer(part: str) -> None:
    """Look for all that ``synthesize`` needs.

    Args:
        part: name of the FPGA, which has to be of a family that Yosys knows.

    Raises:
        SparsePixError: something is missing, and what to do.
    """
    find_yosys("the RTL synthesis (--synthesize)")
    known_family(find_part(part))
