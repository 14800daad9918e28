"""The backend that writes C++ for Vitis HLS; ``make csim`` verifies a project."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsepix_hls.cost.result import DesignEstimate
from sparsepix_hls.cpp.estimate import estimate_design
from sparsepix_hls.cpp.project import Project
from sparsepix_hls.cpp.writer import write_project
from sparsepix_hls.design.layout import Design, Loops
from sparsepix_hls.design.options import REDUCTIONS, Options
from sparsepix_hls.flow.backends import Backend
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.project.parts import Part
from sparsepix_ops.errors import SparsePixError


@dataclass(frozen=True)
class HlsFirmware:
    """A design as C++, which is made when it is written; see ``Firmware``."""

    design: Design
    clock_ns: float

    def estimate(self) -> DesignEstimate:
        """Counted from the primitives of each kernel."""
        return estimate_design(self.design, self.clock_ns)

    def write(self, directory: Path, part: str, inputs: np.ndarray, outputs: dict[str, np.ndarray]) -> None:
        """Write the project; see ``write_project``."""
        write_project(self.design, directory, part, self.clock_ns, inputs, outputs)

    def open(self, directory: Path, graph: Graph, part: Part) -> Project:
        """The written project; g++ needs no part."""
        return Project(directory, graph)


def _problems(graph: Graph, options: Options) -> list[str]:
    """What is not for C++, with the fix."""
    if options.dsp is None:
        return []
    return ["dsp: Vitis HLS decides itself what goes into DSP slices, leave it out, or use --backend rtl"]


def _lower(design: Design, clock_ns: float, part: Part) -> HlsFirmware:
    if part.fabric != "amd":
        raise SparsePixError(
            f"part {part.full_name}: Vitis HLS compiles for AMD's FPGAs only, found {part.family}: use --backend rtl"
        )
    return HlsFirmware(design, clock_ns)


HLS = Backend(
    name="hls",
    language="HLS C++",
    reductions=REDUCTIONS,
    streamed=REDUCTIONS,
    of_largest=("scan",),
    loops=Loops(),
    scan_pixels=(None, 2),
    sums_apart=False,
    found_later=("csim",),
    problems=_problems,
    design_problems=lambda design, options: [],
    lower=_lower,
)
