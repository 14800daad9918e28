"""Networks of many pixels: LUTs, memory blocks and clocks against N, by pairs of pixels and as a stream of pixels.

    python benchmarks/many_pixels.py                             # estimates of RTL, two minutes
    python benchmarks/many_pixels.py --measure --output FOLDER   # streams by Verilator and Yosys too, twenty minutes
    python benchmarks/many_pixels.py --output FOLDER --from-csv  # figures and picture of many_pixels.csv there

Two convolutions 3x3 (1 to 4 to 4 channels), max pool to 8x8, dense 8, dense 2; 8 bits, random weights; one row of the
image a clock. Streams as RTL and as C++. Measured: every output of 200 hard images (empty, full, full rows between rows
of few pixels, every density) and of 200 usual ones, whose pixels, N on average, lie anywhere, against the integer
reference: of both builds of the C++; of RTL alone, back to back, with pauses and resets. 'Latency' is from the first
row to the result, 'tail' from the last row, the most of all hard images; 'usual' are the most clocks from the last row
and the mean time between two results. Pairs of more than 100 pixels are estimated by the formulas for C++: tracing
their circuit takes minutes.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from results import add_output, csv_file, read_rows, write_results
from rich.console import Console
from rich.table import Table
from torch import nn

import sparsepix as sp
import sparsepix_hls
from sparsepix_hls.cpp.estimate import estimate_design
from sparsepix_hls.cpp.project import Project
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.backends import backend_design
from sparsepix_hls.flow.hls import HLS
from sparsepix_hls.flow.rtl import RTL
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.project.parts import find_part
from sparsepix_hls.rtl.tools.project import RtlProject
from sparsepix_ops import reference

CLOCK_NS, PART = 5.0, "xcvu9p"
SIZES = ((8, 64), (20, 64), (50, 64), (100, 64), (200, 64), (400, 64), (800, 64), (1024, 64))
SIZES += ((200, 128), (400, 256), (1000, 256))
MOST_TRACED = 100  # pixels, of which all pairs are traced
EVENTS = 200
COLUMNS = ("way", "pixels", "side", "lut", "bram", "latency", "interval", "seconds", "measured_lut", "measured_bram")
COLUMNS += ("levels", "measured_latency", "measured_tail", "measured_interval", "usual_tail", "usual_interval")
COLUMNS += ("mismatches",)


def network(max_pixels: int, side: int) -> nn.Module:
    """The model for images of ``side`` rows and columns."""
    weights, features = sp.FixedPoint(8, 2), sp.FixedPoint(8, 3, signed=False)
    return nn.Sequential(
        sp.QuantIdentity(sp.FixedPoint(8, 1, signed=False)),
        sp.SparseInputReduce(max_pixels, 0.0),
        sp.SparseConv2d(1, 4, 3, weight_format=weights),
        sp.SparseReLU(features),
        sp.SparseConv2d(4, 4, 3, weight_format=weights),
        sp.SparseReLU(features),
        sp.SparseMaxPool2d(side // 8),
        sp.SparseFlatten(),
        sp.QuantLinear(256, 8, weight_format=weights),
        sp.QuantReLU(features),
        sp.QuantLinear(8, 2, weight_format=weights),
    ).eval()


def hard_images(graph: Graph, count: int) -> np.ndarray:
    """Images of every density; among them full ones, and full rows between rows of few pixels."""
    rng, kind = np.random.default_rng(0), graph.input.type
    channels, height, width = graph.input.shape
    most = graph.layers[0].outputs[0].shape[0]
    density = rng.choice([0.0, 0.2, 1.0, 2.0, 10.0], (count, 1, 1, 1)) * most / (height * width)
    active = rng.random((count, 1, height, width)) < density
    active[0], active[1] = False, True
    for image in range(2, count, 10):
        active[image] = rng.random((height, 1)) < 0.2
        active[image, 0, :, 0] |= rng.random(height) < 0.5
    raw = rng.integers(1, kind.raw_max + 1, (count, channels, height, width)) * active
    return np.ldexp(raw.astype(np.float64), kind.exponent)


def usual_images(graph: Graph, count: int) -> np.ndarray:
    """Images whose active pixels lie anywhere, as many on average as are kept."""
    rng, kind = np.random.default_rng(1), graph.input.type
    channels, height, width = graph.input.shape
    active = rng.random((count, 1, height, width)) < graph.layers[0].outputs[0].shape[0] / (height * width)
    raw = rng.integers(1, kind.raw_max + 1, (count, channels, height, width)) * active
    return np.ldexp(raw.astype(np.float64), kind.exponent)


def options_of(way: str) -> Options:
    """A design of each way: one row a clock, dense layers in the time of the image."""
    return Options(io="stream", reduce="stream", conv="auto" if way == "pairs" else "stream", target_interval=1000)


def estimated(graph: Graph, way: str) -> tuple[Estimate, float]:
    """The estimate of a design, and the seconds that it took."""
    begin = time.perf_counter()
    design, _ = backend_design(graph, options_of(way), CLOCK_NS, HLS if way == "stream C++" else RTL)
    if way == "stream" or (way == "pairs" and design.input_reduce.max_pixels <= MOST_TRACED):
        total = RTL.lower(design, CLOCK_NS, find_part(PART)).estimate().total
    else:
        total = estimate_design(design, CLOCK_NS).total
    return total, time.perf_counter() - begin


def wrong_outputs(project: Project | RtlProject, path: Path) -> int:
    """Outputs of hard and of usual images that are not those of the integer reference."""
    model = read_model(path)
    images = np.concatenate([hard_images(model.graph, EVENTS), usual_images(model.graph, EVENTS)])
    return int((project.predict(images) != reference.run(model.model, images).real).sum())


def measured_cpp(path: Path, folder: Path) -> dict:
    """Whether the C++ of a stream is exact, in both builds."""
    project, wrong = sparsepix_hls.translate(path, folder, PART, CLOCK_NS, options=options_of("stream C++")), 0
    for numbers in ("native", "ap_fixed"):
        project.compile(numbers)
        wrong += wrong_outputs(project, path)
    return {"mismatches": wrong}


def measured(path: Path, folder: Path, console: Console) -> dict:
    """What Verilator and Yosys find of a stream."""
    project = sparsepix_hls.translate(path, folder, PART, CLOCK_NS, options=options_of("stream"), backend="rtl")
    project.compile()
    wrong, graph = wrong_outputs(project, path), read_model(path).graph
    hard, usual = hard_images(graph, EVENTS), usual_images(graph, EVENTS)
    found, often, area = project.measure(hard), project.measure(usual), project.synthesize(console)
    return {
        "measured_lut": area.total("lut"),
        "measured_bram": area.total("bram"),
        "levels": area.deepest[1].levels,
        "measured_latency": found.latency_cycles,
        "measured_tail": found.tail_cycles,
        "measured_interval": found.interval_cycles,
        "usual_tail": often.tail_cycles,
        "usual_interval": round(often.interval_cycles_mean, 1),
        "mismatches": wrong + sum(found.mismatches.values()) + sum(often.mismatches.values()),
    }


def picture(rows: list[dict]) -> Figure:
    """LUTs, memory blocks and clocks against N, on images of 64 x 64."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    kinds = {
        "LUTs": ("lut", "measured_lut"),
        "memory blocks of 18 kbit": ("bram", "measured_bram"),
        "cycles of 5 ns, at most": ("latency", "measured_latency"),
    }
    for axes, (label, (key, better)) in zip(figure.subplots(1, 3), kinds.items(), strict=True):
        for way, colour, name in (("pairs", "#d62728", "pairs of pixels"), ("stream", "#1f77b4", "stream of pixels")):
            here = [row for row in rows if row["way"] == way and row["side"] == 64]
            if not here:
                continue
            axes.plot([r["pixels"] for r in here], [r[key] for r in here], "o-", color=colour, mfc="white", label=name)
            known = [row for row in here if row.get(better)]
            axes.plot([r["pixels"] for r in known], [r[better] for r in known], "o", color=colour)
        axes.set_xscale("log", base=2)
        if key == "bram":
            axes.set_ylim(-5, 100)
        else:
            axes.set_yscale("log")
        axes.set_xlabel("N, the pixels that are kept")
        axes.set_ylabel(label)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        few = "25" if key == "latency" else ""  # a range with one power of ten in it
        axes.yaxis.set_minor_formatter(lambda value, _, few=few: f"{value:,.0f}" if f"{value:.0f}"[0] in few else "")
        axes.grid(visible=True, which="both", color="#eeeeee")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False)
    figure.suptitle("Two convolutions on 64 x 64 pixels as RTL (hollow: estimated, filled: measured)", fontsize=11)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_output(parser, "many_pixels.json, many_pixels.csv and many_pixels.png", from_csv=True)
    parser.add_argument("--measure", action="store_true", help="also simulate and synthesize the streams")
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="numbers of pixels (default: all)")
    arguments = parser.parse_args()
    console = Console()
    kept = csv_file(parser, arguments, "many_pixels")
    rows = read_rows(kept) if kept else all_rows(arguments, console)
    table = Table(title="estimated; measured by Verilator and Yosys")
    for column in COLUMNS:
        table.add_column(column.replace("_", " "), justify="left" if column == "way" else "right")
    for row in rows:
        table.add_row(*("" if row.get(key) is None else str(row[key]) for key in COLUMNS))
    Console(width=max(console.width, 190)).print(table)
    if arguments.output:
        figures = {}
        for row in rows:
            numbers = {key: row[key] for key in COLUMNS[3:] if row.get(key) is not None}
            figures[f"{row['way'].replace(' ', '_')}_{row['pixels']}_{row['side']}x{row['side']}"] = numbers
        pictures, tools = {"many_pixels": picture(rows)}, ("verilator", "yosys", "g++")
        write_results(arguments.output, "many_pixels", figures, rows, pictures, tools, kept)


def all_rows(arguments: argparse.Namespace, console: Console) -> list[dict]:
    """The table: a row for each network and way."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for pixels, side in SIZES:
            if arguments.only and pixels not in arguments.only:
                continue
            torch.manual_seed(0)
            path = Path(temporary) / f"n{pixels}_{side}.onnx"
            sp.export_onnx(network(pixels, side), path, (1, side, side))
            graph = read_model(path).graph
            for way in ("pairs", "stream", "stream C++"):
                console.print(f"{pixels} pixels of {side} x {side}, {way} ...")
                total, seconds = estimated(graph, way)
                row = {"way": way, "pixels": pixels, "side": side, "lut": total.lut, "bram": total.bram}
                row |= {
                    "latency": total.latency_cycles,
                    "interval": total.interval_cycles,
                    "seconds": round(seconds, 1),
                }
                if way == "stream" and arguments.measure:
                    row |= measured(path, Path(temporary) / path.stem, console)
                if way == "stream C++" and arguments.measure:
                    row |= measured_cpp(path, Path(temporary) / f"{path.stem}_cpp")
                rows.append(dict.fromkeys(COLUMNS) | row)
    return rows


if __name__ == "__main__":
    main()
