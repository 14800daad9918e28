"""Pictures of estimates: where cycles and LUTs go, and latency against area. Each function returns the figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsepix_hls.flow.explore import Point, PublishedPoint
from sparsepix_hls.html.designs_page import KINDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKERS = {"scan": "o", "stream": "s", "tree": "^", "pixels one by one": "D"}


def save(figure: "Figure", path: Path) -> None:
    """Write a figure as a PNG file."""
    figure.savefig(path, dpi=130)


def estimate_figure(report: dict[str, Any]) -> "Figure":
    """Where clocks and LUTs go, from the report of a project: its stages in time, and the area of each layer."""
    from matplotlib.figure import Figure

    estimate = report["estimate"]
    rows = [row for row in estimate["rows"] if row["lut"] > 0]
    figure = Figure(figsize=(11, max(3.2, 0.32 * len(rows) + 1.6)), layout="constrained")
    time, area = figure.subplots(1, 2, width_ratios=(1, 1))

    begin = 0
    stages = estimate["stages"]
    for place, stage in enumerate(stages):
        length = stage["latency_cycles"]
        busy = min(stage["interval_cycles"], length)
        time.barh(place, length, left=begin, color="#c6dbef", edgecolor="#6baed6")
        time.barh(place, busy, left=begin, color="#4292c6")
        time.text(begin + length, place, f" {length}", va="center", fontsize=9)
        begin += length + estimate["hand_over_cycles"]
    time.set_yticks(range(len(stages)), [stage["name"] for stage in stages])
    time.invert_yaxis()
    time.set_xlim(0, begin * 1.08)
    time.set_xlabel("clocks of an event (dark: until the stage takes the next)")
    total = estimate["total"]
    time.set_title(f"latency {total['latency_cycles']} cycles, every {total['interval_cycles']}", fontsize=11)

    names = [f"{row['name']}" for row in rows]
    values = [row["lut"] for row in rows]
    area.barh(range(len(rows)), values, color="#fd8d3c")
    for place, value in enumerate(values):
        area.text(value, place, f" {value:,}", va="center", fontsize=9)
    area.set_yticks(range(len(rows)), names)
    area.invert_yaxis()
    area.set_xlim(0, max(values) * 1.22)
    area.set_xlabel("LUTs")
    used = estimate["utilization"]
    share = f", {used['lut']:.1%} of {report['part']['name']}" if used else ""
    area.set_title(f"{total['lut']:,} LUTs{share}", fontsize=11)
    for axes in (time, area):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{report['top_function']}: estimate, not confirmed by synthesis", fontsize=12)
    return figure


def exploration_figure(
    points: Sequence[Point], published: PublishedPoint | None, name: str, clock_ns: float
) -> "Figure":
    """Latency against area of many designs; those that no other one beats are filled and joined by a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplots()
    for kind in dict.fromkeys(point.kind for point in points):
        own = [point for point in points if point.kind == kind]
        for best in (False, True):
            some = [point for point in own if point.best == best]
            axes.scatter(
                [point.total.lut for point in some],
                [point.total.latency_cycles for point in some],
                marker=_MARKERS[kind],
                s=46 if best else 26,
                facecolors=KINDS[kind][0] if best else "none",
                edgecolors=KINDS[kind][0],
                alpha=1.0 if best else 0.5,
                label=f"{kind}, not beaten" if best and some else None,
                zorder=3 if best else 2,
            )
    front = _front(points)
    axes.plot([p.total.lut for p in front], [p.total.latency_cycles for p in front], color="grey", lw=1, zorder=1)
    for number, point in enumerate(front):
        if number % max(len(front) // 6, 1) == 0:
            label = f"every {point.total.interval_cycles}"
            place = (point.total.lut, point.total.latency_cycles)
            axes.annotate(label, place, xytext=(4, 5), textcoords="offset points", fontsize=8, color="dimgrey")
    scheduled = [point for point in points if point.scheduled is not None]
    if scheduled:
        cycles = [point.scheduled[0] for point in scheduled if point.scheduled]
        area = [point.total.lut for point in scheduled]
        axes.scatter(area, cycles, marker="x", s=46, color="black", zorder=5, label="latency as scheduled")
    if published is not None:
        place = (published.lut, published.latency_cycles)
        axes.scatter(*place, marker="*", s=240, color="crimson", zorder=4, label=f"published: {published.origin}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("LUTs")
    axes.set_ylabel(f"latency in cycles of {clock_ns:g} ns")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.set_minor_formatter(lambda value, _: f"{value:,.0f}" if str(int(value))[0] in "25" else "")
    axes.tick_params(which="both", labelsize=8)
    axes.grid(visible=True, which="both", color="#eeeeee")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=9, frameon=False)
    axes.set_title(f"{name}: estimates, not confirmed by synthesis ('every': cycles between events)", fontsize=11)
    return figure


def _front(points: Sequence[Point]) -> list[Point]:
    """The designs with the lowest latency for their area, from small to large."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.total.lut, p.total.latency_cycles)):
        if not front or point.total.latency_cycles < front[-1].total.latency_cycles:
            front.append(point)
    return front
