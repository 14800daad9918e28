"""Explored designs, scheduled from their C++: what the estimate says of their clocks is replaced by what was found."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rich.console import Console

from sparsepix_hls.flow.backends import backend_design, find_backend
from sparsepix_hls.flow.explore import Point
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.project.parts import Part
from sparsepix_hls.schedule.project import schedule_json, schedule_project
from sparsepix_ops.system.progress import step
from sparsepix_ops.system.signals import temporary_folder

MOST = 12  # designs that are scheduled: each takes a minute, or several where the reduction is a tree


def schedule_points(
    graph: Graph, points: Sequence[Point], clock_ns: float, part: Part, console: Console
) -> tuple[Point, ...]:
    """Schedule the C++ of designs that are not beaten, at most ``MOST`` of them, evenly from fast to small; streams of
    pixels have no schedule.

    Args:
        graph: the model.
        points: explored designs.
        clock_ns: clock period.
        part: the FPGA.
        console: where progress is shown.

    Returns:
        All designs; those that were scheduled have ``scheduled``.

    Raises:
        SparsePixError: ziglang or llvmlite is missing, or the C++ of a design has something that the schedule does not
            know.
    """
    best = [point for point in points if point.best and point.options.conv != "stream"]  # its loops end with the data
    chosen = best[:: max(-(-len(best) // MOST), 1)]
    found = {}
    with step(console, "scheduling", f"{len(chosen)} designs scheduled", total=len(chosen), unit="designs") as now:
        for point in chosen:
            now.tell(point.command, len(found), len(chosen))
            found[point.command] = _schedule(graph, point, clock_ns, part)
    return tuple(replace(point, scheduled=found.get(point.command)) for point in points)


def _schedule(graph: Graph, point: Point, clock_ns: float, part: Part) -> tuple[int, int]:
    """Latency and interval of a design, in clocks."""
    way = find_backend("hls")
    design, _ = backend_design(graph, point.options, clock_ns, way)
    images = np.zeros((1, *graph.input.shape), np.int64)
    results = {tensor.name: np.zeros((1, *tensor.shape), np.int64) for tensor in graph.outputs}
    with temporary_folder() as folder:
        way.lower(design, clock_ns, part).write(folder, part.full_name, images, results)
        whole = schedule_json(schedule_project(folder, graph.name, clock_ns, design.clock_uncertainty))
    return whole["latency_cycles"], whole["interval_cycles"]
