"""The ways from a design to hardware: what the flow asks of each of them.

``flow/hls.py`` and ``flow/rtl.py`` are the two. Each is imported when it is asked for: the RTL imports da4ml's tracer,
which a C++ project does not need.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from sparsepix_hls.cost.result import DesignEstimate
from sparsepix_hls.design.checks import with_ports
from sparsepix_hls.design.layout import Design, Loops
from sparsepix_hls.design.options import Options
from sparsepix_hls.design.select import make_design
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.project.parts import Part
from sparsepix_ops.errors import SparsePixError

if TYPE_CHECKING:
    from sparsepix_hls.cpp.project import Project
    from sparsepix_hls.rtl.tools.project import RtlProject

BackendName = Literal["hls", "rtl"]
BACKENDS: tuple[BackendName, ...] = ("hls", "rtl")
DEFAULT_BACKEND: BackendName = "hls"


class Firmware(Protocol):
    """A design in the language of a backend; from ``Backend.lower``."""

    def estimate(self) -> DesignEstimate:
        """Its estimated cost."""

    def write(self, directory: Path, part: str, inputs: np.ndarray, outputs: dict[str, np.ndarray]) -> None:
        """Write a project that needs nothing else.

        Args:
            directory: an existing, empty folder.
            part: full name of the FPGA.
            inputs: raw integers of the testbench's images, int64 [events, channels, height, width].
            outputs: raw integers of the expected results by the names of the outputs, int64 [events, *output shape].

        Raises:
            SparsePixError: the design cannot be written.
        """

    def open(self, directory: Path, graph: Graph, part: Part) -> "Project | RtlProject":
        """The project that ``write`` put into a folder, to be compiled, run and verified.

        Args:
            directory: where it is now.
            graph: the model, as it was read.
            part: the FPGA.
        """


@dataclass(frozen=True)
class Backend:
    """One way from a design to hardware.

    Args:
        name: of ``BACKENDS``.
        language: for messages.
        reductions: that it has, of ``REDUCTIONS``.
        streamed: of them, those of an image that comes in beats.
        of_largest: of them, those that can list the largest pixels of an image, and not only the first.
        loops: what its loops over time can do.
        scan_pixels: numbers of pixels a clock that an exploration tries for a scan; None: as the options say.
        sums_apart: see ``Design``.
        found_later: keys of ``report.json`` for what its simulation and its synthesis find.
        problems: what it cannot build of a model with some options, before there is a design, each with the fix.
        design_problems: what it cannot build of a design that was made by some options, each with the fix.
        lower: a design in its language, at a clock period in nanoseconds, for a part. That of RTL is traced here, once,
            which takes a second or so; raises SparsePixError if it is too large for that, or cannot be for the part.
    """

    name: BackendName
    language: str
    reductions: tuple[str, ...]
    streamed: tuple[str, ...]
    of_largest: tuple[str, ...]
    loops: Loops
    scan_pixels: tuple[int | None, ...]
    sums_apart: bool
    found_later: tuple[str, ...]
    problems: Callable[[Graph, Options], list[str]]
    design_problems: Callable[[Design, Options], list[str]]
    lower: Callable[[Design, float, Part], Firmware]


def find_backend(name: str) -> Backend:
    """The backend of a name: ``HLS`` of ``flow/hls.py``, or ``RTL`` of ``flow/rtl.py``.

    Raises:
        SparsePixError: there is no such backend.
    """
    if name not in BACKENDS:
        raise SparsePixError(f"backend: expected one of {', '.join(map(repr, BACKENDS))}, found {name!r}")
    return getattr(import_module(f"sparsepix_hls.flow.{name}"), name.upper())


def backend_design(
    graph: Graph, options: Options | None, clock_ns: float, backend: Backend
) -> tuple[Design, tuple[str, ...]]:
    """A design that a backend can write; see ``make_design``.

    Args:
        graph: the model.
        options: what the user asks for; None: the defaults.
        clock_ns: clock period, for the estimates that choices are made by.
        backend: who writes it.

    Returns:
        The design, and what the user should know of it, one line each.

    Raises:
        SparsePixError: everything that was asked for and cannot be built, with the layer and the fix.
    """
    options = with_ports(graph, options or Options())
    problems = backend.problems(graph, options)
    try:
        reductions = backend.streamed if options.io == "stream" else backend.reductions
        design, notices = make_design(graph, options, clock_ns, reductions, backend.of_largest, backend.loops)
    except SparsePixError as error:
        problems = [*error.problems, *problems]
    else:
        problems = [*problems, *backend.design_problems(design, options)]
    if problems:
        raise SparsePixError(problems, f"model {graph.name} cannot be built this way as {backend.language}")
    return replace(design, sums_apart=backend.sums_apart), notices
