"""The schedule of a project: stage by stage, and of the whole."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from sparsepix_hls.design.layout import usable_ns
from sparsepix_hls.design.options import CLOCK_UNCERTAINTY
from sparsepix_hls.project import toolchain
from sparsepix_hls.project.jobs import for_each
from sparsepix_hls.schedule.source import compile_to_ir, stage_functions
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.processes import ProcessGroup
from sparsepix_ops.system.progress import step
from sparsepix_ops.system.signals import temporary_folder

METHOD = (
    "as soon as possible, from LLVM's IR of the generated C++ with exact widths; delays and LUTs of operations are "
    "those of Vitis HLS on an xcu250"
)


@dataclass(frozen=True)
class Loop:
    """A pipelined loop of a stage, or what is outside of its loops.

    Args:
        trips: iterations.
        depth_cycles: clocks of one iteration.
        interval_cycles: clocks between the starts of two iterations.
        operations: how many an iteration has.
        lut, ff, dsp: what they are made of, as Vitis HLS counts before logic synthesis.
    """

    trips: int
    depth_cycles: int
    interval_cycles: int
    operations: int
    lut: int
    ff: int
    dsp: int

    @property
    def latency_cycles(self) -> int:
        """Clocks from the first iteration to the end of the last."""
        return self.depth_cycles + (self.trips - 1) * self.interval_cycles


@dataclass(frozen=True)
class StageSchedule:
    """When a stage runs.

    Args:
        name: of its function.
        loops: in their order.
    """

    name: str
    loops: tuple[Loop, ...]

    @property
    def latency_cycles(self) -> int:
        """Clocks of an event."""
        return sum(loop.latency_cycles for loop in self.loops)

    @property
    def interval_cycles(self) -> int:
        """Clocks between two events: one loop is rewound, and loses a clock; several follow each other."""
        if len(self.loops) > 1:
            return self.latency_cycles
        loop = self.loops[0]
        return loop.trips * loop.interval_cycles + (loop.trips > 1)


def schedule_project(
    directory: Path, top: str, clock_ns: float, uncertainty: int = CLOCK_UNCERTAINTY, console: Console | None = None
) -> tuple[StageSchedule, ...]:
    """Schedule every stage of a project.

    Args:
        directory: as ``translate`` wrote it.
        top: its top function.
        clock_ns: clock period.
        uncertainty: percent of the period that are kept free.
        console: where progress is shown.

    Raises:
        SparsePixError: ziglang or llvmlite is missing, or the C++ has something that the schedule does not know.
    """
    stages = stage_functions(directory, top)
    if "SPARSEPIX_KEPT" in (directory / "firmware" / f"{top}.cpp").read_text(encoding="utf-8"):
        raise SparsePixError(
            f"{directory}: a stream of pixels (conv 'stream') has no schedule, for its loops end with the data: leave "
            "out --schedule; its estimate is in report.json"
        )
    build = directory / "build"
    build.mkdir(exist_ok=True)
    budget = usable_ns(clock_ns, uncertainty)
    with temporary_folder("schedule.", build) as folder:
        with step(console, "compiling the C++ to LLVM's IR with clang", "C++ compiled to LLVM's IR"):
            file = compile_to_ir(directory, top, folder)

        def schedule(name: str, tools: ProcessGroup) -> StageSchedule:
            command = [sys.executable, "-m", "sparsepix_hls.schedule.stage", str(file), name, repr(budget)]
            done = tools.run(command, folder)
            if done.returncode:
                why = toolchain.first_lines(done.stderr) or f"exit status {done.returncode}: is memory short?"
                raise SparsePixError(f"{directory}: no schedule of {name}: {why}")
            return StageSchedule(name, tuple(Loop(**loop) for loop in json.loads(done.stdout)))

        done = f"{len(stages)} {'stages' if len(stages) > 1 else 'stage'} scheduled"
        return tuple(for_each(stages, schedule, "scheduling", done, "stages", console).values())


def schedule_json(stages: tuple[StageSchedule, ...], uncertainty: int = CLOCK_UNCERTAINTY) -> dict[str, Any]:
    """A schedule as plain data for ``report.json``."""
    return {
        "method": METHOD,
        "clock_uncertainty": uncertainty,
        "stages": [
            {
                "name": stage.name,
                "latency_cycles": stage.latency_cycles,
                "interval_cycles": stage.interval_cycles,
                "loops": [asdict(loop) for loop in stage.loops],
            }
            for stage in stages
        ],
        **{key: sum(getattr(loop, key) for stage in stages for loop in stage.loops) for key in ("lut", "ff", "dsp")},
        "latency_cycles": sum(stage.latency_cycles for stage in stages),
        "interval_cycles": max(stage.interval_cycles for stage in stages),
    }
