"""The backend that writes SystemVerilog; Verilator verifies and measures a project, Yosys synthesizes it,
nextpnr places it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsepix_hls.cost.result import DesignEstimate
from sparsepix_hls.design.layout import Design, Loops
from sparsepix_hls.design.options import REDUCTIONS, Options
from sparsepix_hls.flow.backends import Backend
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.layers.head import Head
from sparsepix_hls.layers.input_reduce import input_reduce
from sparsepix_hls.project.parts import Fabric, Part
from sparsepix_hls.rtl.emit.stages import Module
from sparsepix_hls.rtl.emit.writer import ports_name, rtl_modules, write_rtl_project
from sparsepix_hls.rtl.estimate import estimate_rtl
from sparsepix_hls.rtl.stages.reductions import scan_interval
from sparsepix_hls.rtl.tools.project import RtlProject


@dataclass(frozen=True)
class RtlFirmware:
    """A design as modules of SystemVerilog; see ``Firmware``."""

    design: Design
    clock_ns: float
    fabric: Fabric
    modules: list[Module]

    def estimate(self) -> DesignEstimate:
        """Counted in the traced circuit."""
        return estimate_rtl(self.design, self.modules, self.fabric)

    def write(self, directory: Path, part: str, inputs: np.ndarray, outputs: dict[str, np.ndarray]) -> None:
        """Write the project; see ``write_rtl_project``."""
        write_rtl_project(self.design, self.modules, directory, part, self.clock_ns, inputs, outputs)

    def open(self, directory: Path, graph: Graph, part: Part) -> RtlProject:
        """The written project; Yosys maps it to the part."""
        names = (*(module.name for module in self.modules), ports_name(self.design.graph))
        return RtlProject(directory, graph, part, names)


def _problems(graph: Graph, options: Options) -> list[str]:
    """What has no RTL, with the fix."""
    reduce, problems = input_reduce(graph), []
    if options.reduce == "tree" and options.io == "stream":
        problems.append("reduce 'tree' takes a whole image a clock as RTL, found io 'stream': use reduce 'stream'")
    if options.clock_uncertainty is not None:
        problems.append("clock_uncertainty: only C++ for Vitis HLS has it, leave it out")
    if reduce.image.type != reduce.features.type:
        problems.append(f"{reduce.name}: expected features of the image's type, found {reduce.features.type}")
    problems += [
        f"{layer.name}: a {layer.kind} has no RTL: leave it out (do not --keep-head), it changes no decision"
        for layer in graph.layers
        if isinstance(layer, Head)
    ]
    return problems


def _design_problems(design: Design, options: Options) -> list[str]:
    """Why a scan misses the target: its RTL takes a clock or two more between events than the HLS kernel."""
    target, cycles = options.target_interval, scan_interval(design) if design.reduce == "scan" else 0
    if target is None or cycles <= target:
        return []
    more = "" if design.scan_pixels == 2 else "scan_pixels 2, "
    return [
        f"target_interval: {design.input_reduce.name} takes {cycles} cycles by 'scan' as RTL, found a target of "
        f"{target}: use {more}another reduce, fewer max_pixels, or a larger target"
    ]


def _lower(design: Design, clock_ns: float, part: Part) -> RtlFirmware:
    return RtlFirmware(design, clock_ns, part.fabric, rtl_modules(design, clock_ns, part.fabric))


RTL = Backend(
    name="rtl",
    language="RTL",
    reductions=REDUCTIONS,
    streamed=tuple(how for how in REDUCTIONS if how != "tree"),
    of_largest=("scan", "stream"),
    loops=Loops(folds=True, restart=0),
    scan_pixels=(1, 2),
    sums_apart=True,
    found_later=("measured", "synthesis", "placed"),
    problems=_problems,
    design_problems=_design_problems,
    lower=_lower,
)
