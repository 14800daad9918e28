"""The two ways from a design to hardware: C++ for Vitis HLS, and SystemVerilog."""

from typing import Literal

from sparsepix_hls.cpp.estimate import DesignEstimate, estimate_design
from sparsepix_hls.design.options import REDUCTIONS, Design, Options
from sparsepix_hls.design.select import make_design
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.rtl.emit.reductions import scan_interval
from sparsepix_hls.rtl.emit.writer import rtl_modules, rtl_problems
from sparsepix_hls.rtl.estimate import estimate_rtl
from sparsepix_ops.errors import SparsePixError

Backend = Literal["hls", "rtl"]
BACKENDS: tuple[Backend, ...] = ("hls", "rtl")
_REDUCTIONS = {"hls": REDUCTIONS, "rtl": tuple(how for how in REDUCTIONS if how != "tree")}
_LANGUAGES = {"hls": "HLS C++", "rtl": "RTL"}


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
    options = options or Options()
    problems = rtl_problems(graph, options.reduce) if backend == "rtl" else _hls_problems(options)
    try:
        made = make_design(graph, options, clock_ns, reductions(backend))
    except SparsePixError as error:
        problems = [*error.problems, *problems]
    else:
        problems += _target_problems(made[0], options) if backend == "rtl" else []
    if problems:
        raise SparsePixError(problems, f"model {graph.name} cannot be built this way as {_LANGUAGES[backend]}")
    return made


def estimated(design: Design, clock_ns: float, backend: Backend) -> DesignEstimate:
    """Estimated cost of a design; that of RTL is counted in the traced circuit, which takes a second or so."""
    if backend == "rtl":
        return estimate_rtl(design, rtl_modules(design, clock_ns))
    return estimate_design(design, clock_ns)


def reductions(backend: Backend) -> tuple[str, ...]:
    """The reductions that a backend has, of ``REDUCTIONS``."""
    return _REDUCTIONS[backend]


def check_backend(name: str) -> None:
    """Refuse any other word.

    Raises:
        SparsePixError: there is no such backend.
    """
    if name not in BACKENDS:
        raise SparsePixError(f"backend: expected one of {', '.join(map(repr, BACKENDS))}, found {name!r}")


def _target_problems(design: Design, options: Options) -> list[str]:
    """Why a scan misses the target: its RTL takes a clock or two more between events than the HLS kernel."""
    target, cycles = options.target_interval, scan_interval(design) if design.reduce == "scan" else 0
    if target is None or cycles <= target:
        return []
    more = "" if design.scan_pixels == 2 else "scan_pixels 2, "
    return [
        f"target_interval: {design.input_reduce.name} takes {cycles} cycles by 'scan' as RTL, found a target of "
        f"{target}: use {more}another reduce, fewer max_pixels, or a larger target"
    ]


def _hls_problems(options: Options) -> list[str]:
    """What has no HLS kernel, with the fix."""
    if options.scan_pixels in (None, 1):
        return []
    return [f"scan_pixels: {options.scan_pixels} pixels a clock have no HLS kernel: use 1, or --backend rtl"]
