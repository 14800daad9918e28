"""The 12 published 8-bit sparse models: our designs, estimated, beside the published ones, synthesized.

    python benchmarks/models.py                       # table
    python benchmarks/models.py --output FOLDER       # and models.json, models.csv, models.png there

Two designs of each: 'fast' has the least latency of those that need at most half of the published LUTs; 'matched'
gives every layer the reuse with the smallest area at the interval of the scan. Ours are estimates, not confirmed by
synthesis (expect a factor of 1.5 either way); the published figures are those of Vitis HLS and Vivado. Weights are
random, seeded: they only matter for constant matrices.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from results import add_output, write_results
from rich.console import Console
from rich.progress import track
from rich.table import Table

import sparsepix as sp
from sparsepix_hls.cost.costs import interval
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.explore import Point, command, explore
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.reference.published_models import PUBLISHED_MODELS, PublishedModel, find_published

PRESETS = {"neutrino": sp.models.neutrino, "jet": sp.models.jet, "mnist": sp.models.mnist}
SIDES = {"neutrino": 63, "jet": 56, "mnist": 48}


def make_graph(published: PublishedModel, folder: Path) -> Graph:
    """Our preset of a published model, with random weights that use the range of their format."""
    torch.manual_seed(0)
    model = PRESETS[published.dataset](published.max_pixels, published.bits).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    path = folder / f"{published.dataset}_{published.max_pixels}.onnx"
    side = SIDES[published.dataset]
    sp.export_onnx(model, path, (1, side, side))
    graph = read_model(path).graph
    assert find_published(graph) == published
    return graph


def designs(graph: Graph, published: PublishedModel) -> dict[str, tuple[str, Estimate]]:
    """The command and the estimate of the two designs, and of the fast one with a scan of one pixel a clock."""
    points = explore(graph, Options(reduce="scan"), 5.0)
    small = [point for point in points if 2 * point.total.lut <= published.lut]

    def quickest(some: list[Point]) -> Point:
        return min(some, key=lambda p: (p.total.latency_cycles, p.total.lut))

    fast = quickest(small or points)
    one_pixel = quickest([point for point in small or points if point.options.scan_pixels in (None, 1)])
    target = interval(published.max_pixels)
    matched = next(
        (p for p in points if p.options.target_interval == target), min(points, key=lambda point: point.total.lut)
    )
    return {
        "fast": (fast.command, fast.total),
        "one_pixel": (one_pixel.command, one_pixel.total),
        "matched": (command(matched.options), matched.total),
    }


def picture(rows: list[dict]) -> Figure:
    """Latency against area: each published model joined to our two designs of it."""
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplots()
    colours = {"neutrino": "#1f77b4", "jet": "#2ca02c", "mnist": "#9467bd"}
    for row in rows:
        colour = colours[row["dataset"]]
        published = (row["published_lut"], row["published_latency"])
        for kind, marker in (("fast", "o"), ("matched", "s")):
            ours = (row[f"{kind}_lut"], row[f"{kind}_latency"])
            axes.annotate("", ours, published, arrowprops={"arrowstyle": "-", "color": colour, "alpha": 0.25})
            axes.scatter(*ours, marker=marker, color=colour, s=40, zorder=3)
        axes.scatter(*published, marker="*", color=colour, s=150, zorder=3)
        axes.annotate(f"{row['max_pixels']}", published, xytext=(6, 4), textcoords="offset points", fontsize=8)
    for label, marker in (
        ("published, synthesized", "*"),
        ("ours, fast (estimate)", "o"),
        ("ours, matched (estimate)", "s"),
    ):
        axes.scatter([], [], marker=marker, color="grey", label=label)
    for name, colour in colours.items():
        axes.scatter([], [], marker="s", color=colour, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.set_minor_formatter(lambda value, _: f"{value:,.0f}" if str(int(value))[0] in "25" else "")
    axes.grid(visible=True, which="both", color="#eeeeee")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("LUTs")
    axes.set_ylabel("latency in cycles of 5 ns")
    axes.legend(fontsize=9, frameon=False, ncols=2)
    axes.set_title("12 published 8-bit models (numbers: pixels) and our designs of them", fontsize=11)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description="Our designs of the published models beside the published ones.")
    add_output(parser, "models.json, models.csv and models.png")
    options = parser.parse_args()
    console = Console()
    models = [model for model in PUBLISHED_MODELS if model.bits == 8]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for published in track(models, "models", console=console):
            row: dict = {"dataset": published.dataset, "max_pixels": published.max_pixels}
            for key in ("latency", "interval", "lut", "dsp"):
                cycles = "_cycles" if key in ("latency", "interval") else ""
                row[f"published_{key}"] = getattr(published, key + cycles)
            for kind, (words, total) in designs(make_graph(published, Path(folder)), published).items():
                row |= {
                    f"{kind}_options": words,
                    f"{kind}_latency": total.latency_cycles,
                    f"{kind}_interval": total.interval_cycles,
                    f"{kind}_lut": total.lut,
                    f"{kind}_dsp": total.dsp,
                }
            rows.append(row)
    table = Table(title="latency, interval in cycles of 5 ns; ours estimated, published synthesized")
    table.add_column("model", no_wrap=True)
    for side in ("published", "fast", "matched"):
        for heading in ("lat.", "every", "LUT", "DSP"):
            table.add_column(f"{side}\n{heading}", justify="right", no_wrap=True)
    for row in sorted(rows, key=lambda row: (row["dataset"], row["max_pixels"])):
        cells = [
            f"{row[f'{kind}_{key}']:,}"
            for kind in ("published", "fast", "matched")
            for key in ("latency", "interval", "lut", "dsp")
        ]
        table.add_row(f"{row['dataset']} {row['max_pixels']}", *cells)
    Console(width=max(console.width, 150)).print(table)
    figures = {}
    for row in rows:
        numbers = {name: value for name, value in row.items() if isinstance(value, int) and name != "max_pixels"}
        figures[f"{row['dataset']}_{row['max_pixels']}"] = numbers
    for kind in ("fast", "matched"):
        figures[f"published_by_{kind}"] = {}
        for key in ("latency", "interval", "lut"):
            ratios = [row[f"published_{key}"] / row[f"{kind}_{key}"] for row in rows]
            spread = f"median {np.median(ratios):.1f}, {min(ratios):.1f} to {max(ratios):.1f}"
            numbers = {"least": min(ratios), "median": float(np.median(ratios)), "largest": max(ratios)}
            figures[f"published_by_{kind}"] |= {f"{key}_{name}": value for name, value in numbers.items()}
            console.print(f"{kind}: {key} published / ours: {spread}")
    if options.output:
        write_results(options.output, "models", figures, rows, {"models": picture(rows)})


if __name__ == "__main__":
    main()
