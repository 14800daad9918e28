"""The 12 published 8-bit sparse models: three designs of our RTL each, measured, beside the published firmware.

    python benchmarks/firmware.py                      # all of them: hours on two cores
    python benchmarks/firmware.py --only neutrino_20   # some of them
    python benchmarks/firmware.py --points rows        # one design of each
    python benchmarks/firmware.py --no-area            # cycles only, minutes
    python benchmarks/firmware.py --output FOLDER      # and firmware.json, firmware.csv and firmware.png there

Designs: 'fast', the quickest with a third of the published LUTs; 'balanced', the smallest that is twice as quick as
the published one and takes events 3.5 times as often; 'rows', one row of the image a clock as it arrives, the quickest
from the last row on with a sixth of the published LUTs. Limits are by estimate; if none keeps to them, the nearest.

Ours: clocks by Verilator, LUTs by Yosys, stage by stage. Published: C synthesis by Vitis HLS, LUTs after Vivado's logic
synthesis. So the two areas come from two synthesis tools; Yosys usually maps less tightly. Weights are trained (see
trained_models.py; 'right' is the fraction of right decisions on the test images). Every output of 200 of those images
and of hard synthetic ones is compared with the integer reference. What is in FOLDER/firmware.csv is not measured again.
"""

import argparse
import itertools
import tempfile
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from results import add_output, read_rows, write_results, write_rows
from rich.console import Console
from rich.table import Table
from trained_models import name_of, train_published

import sparsepix_hls
from sparsepix_hls.design.options import LayerOptions, Options
from sparsepix_hls.flow.backends import backend_design
from sparsepix_hls.flow.report import read_report
from sparsepix_hls.flow.rtl import RTL
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.layers.sparse_conv2d import SparseConv2d
from sparsepix_hls.project.parts import find_part
from sparsepix_hls.project.testbench_data import synthetic_events
from sparsepix_hls.reference.published_models import PUBLISHED_MODELS, PublishedModel
from sparsepix_ops import reference

CLOCK_NS, PART = 5.0, "xcu250-figd2104-2L-e"
POINTS = ("fast", "balanced", "rows")
EVENTS = 200
COLUMNS = ("model", "point", "accuracy", "options", "estimated_latency", "estimated_lut", "latency", "tail", "interval")
COLUMNS += ("mismatches", "lut", "ff", "dsp", "bram", "levels")
COLUMNS += ("published_latency", "published_interval", "published_lut", "published_dsp")


@dataclass(frozen=True)
class Candidate:
    """A design and its estimate; ``tail_cycles`` are those from the last beat of an image to its result."""

    options: Options
    latency_cycles: int
    tail_cycles: int
    interval_cycles: int
    lut: int


def candidates(graph: Graph, point: str, slots: int) -> list[Options]:
    """What a point is chosen from."""
    later = [layer.name for layer in graph.layers if isinstance(layer, SparseConv2d)][1:]
    if point == "fast":
        base = Options(reduce="scan", scan_pixels=2, dsp=1000)
        return [replace(base, layers={name: LayerOptions(None, r) for name in later}) for r in (1, 2, 3)] + [
            replace(base, reuse_factor=r) for r in (2, 3, 4)
        ]
    if point == "balanced":
        base = Options(reduce="scan", conv="overlap", dsp=500)
        factors = sorted({5, 7, slots // 2, slots})
        return [replace(base, scan_pixels=lanes, reuse_factor=r) for lanes in (None, 2) for r in factors]
    return [Options(reduce="stream", io="stream", dsp=1000, reuse_factor=r) for r in (2, 3, 4, 6)]


def choose(graph: Graph, point: str, published: PublishedModel) -> Options:
    """The best design of a point; see above."""
    found = []
    for options in candidates(graph, point, published.max_pixels):
        design, _ = backend_design(graph, options, CLOCK_NS, RTL)
        firmware = RTL.lower(design, CLOCK_NS, find_part(PART))
        total = firmware.estimate().total
        tail = total.latency_cycles - (design.beats - 1 if design.io == "stream" else 0)
        found.append(Candidate(options, total.latency_cycles, tail, total.interval_cycles, total.lut))

    def order(one: Candidate) -> tuple[float, ...]:
        if point == "balanced":
            slow = max(
                one.latency_cycles / published.latency_cycles / 0.53,
                one.interval_cycles / published.interval_cycles / 0.29,
            )
            return max(slow, 1.0), one.lut
        large = one.lut / published.lut / (1 / 3 if point == "fast" else 1 / 6)
        return max(large, 1.0), one.tail_cycles, one.lut

    return min(found, key=order).options


def described(options: Options) -> str:
    """What differs from the defaults, for the table."""
    said = [f"{f.name} {getattr(options, f.name)}" for f in fields(options) if f.name != "layers"]
    default = [f"{f.name} {f.default}" for f in fields(options) if f.name != "layers"]
    layers = [f"{name}: reuse_factor {own.reuse_factor}" for name, own in options.layers.items()]
    return ", ".join([*(text for text in said if text not in default), *layers])


def measure(
    published: PublishedModel, point: str, models: Path, folder: Path, with_area: bool, console: Console
) -> dict:
    """Everything that is measured of a design, a row of the table.

    Args:
        published: the model.
        point: of ``POINTS``.
        models: folder of the trained ones.
        folder: of the firmware.
        with_area: also synthesize.
        console: shows progress.
    """
    trained = train_published(published, models, console)
    model = read_model(trained.path)
    options = choose(model.graph, point, published)
    project = sparsepix_hls.translate(
        trained.path, folder / name_of(published), part=PART, clock_ns=CLOCK_NS, options=options, backend="rtl"
    )
    estimated = read_report(project.directory)["estimate"]["total"]
    project.compile()
    hard = np.ldexp(synthetic_events(model.graph).astype(np.float64), model.graph.input.type.exponent)
    images = np.concatenate([hard, trained.images])[:EVENTS]
    expected = reference.run(model.model, images).real
    wrong = int((project.predict(images) != expected).sum())
    measured = project.measure(images)
    row = {
        "model": name_of(published),
        "point": point,
        "accuracy": round(trained.accuracy, 4),
        "options": described(options),
        "estimated_latency": estimated["latency_cycles"],
        "estimated_lut": estimated["lut"],
        "latency": measured.latency_cycles,
        "tail": measured.tail_cycles,
        "interval": measured.interval_cycles,
        "mismatches": wrong + sum(measured.mismatches.values()),
        "published_latency": published.latency_cycles,
        "published_interval": published.interval_cycles,
        "published_lut": published.lut,
        "published_dsp": published.dsp,
    }
    if with_area:
        area = project.synthesize(console)
        row |= {key: area.total(key) for key in ("lut", "ff", "dsp", "bram")} | {"levels": area.deepest[1].levels}
    return row


def picture(rows: list[dict]) -> Figure:
    """Latency against LUTs: the published models and our designs; without an area of ours, its estimate."""
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplots()
    colours = {"neutrino": "#1f77b4", "jet": "#2ca02c", "mnist": "#9467bd"}
    marks = {"fast": "o", "balanced": "s", "rows": "^"}
    for row in rows:
        dataset, pixels = row["model"].split("_")
        known = bool(row.get("lut"))
        # Rows come one by one: what counts is how long after the last one the answer is there.
        clocks = float(row["tail" if row["point"] == "rows" else "latency"])
        ours = (float(row["lut"] if known else row["estimated_lut"]), clocks)
        axes.scatter(
            float(row["published_lut"]), float(row["published_latency"]), marker="*", color=colours[dataset], s=140
        )
        filled = {"color": colours[dataset]} if known else {"facecolor": "white", "edgecolor": colours[dataset]}
        axes.scatter(*ours, marker=marks[row["point"]], s=40, zorder=3, **filled)
        axes.annotate(pixels, ours, xytext=(6, 4), textcoords="offset points", fontsize=8)
    said = {
        "*": "published (Vitis HLS, Vivado)",
        "o": "ours: fast",
        "s": "balanced",
        "^": "row by row, from the last one",
    }
    for marker, label in said.items():
        axes.scatter([], [], marker=marker, color="grey", label=label)
    for name, colour in colours.items():
        axes.scatter([], [], marker="s", color=colour, label=name)
    axes.scatter([], [], marker="o", facecolor="white", edgecolor="grey", label="hollow: LUTs estimated")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:,.0f}" if str(int(value))[0] in "25" else "")
    axes.set_ylim(0)
    axes.set_axisbelow(True)
    axes.grid(visible=True, which="both", color="#eeeeee")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("LUTs")
    axes.set_ylabel("latency in cycles of 5 ns")
    axes.legend(fontsize=8, frameon=False, ncols=2)
    axes.set_title("Published 8-bit models and three designs of each as our RTL (numbers: pixels)", fontsize=11)
    return figure


def show(console: Console, rows: list[dict]) -> None:
    """The table."""
    table = Table(title="cycles of 5 ns; areas: Vivado (published), Yosys (ours)")
    table.add_column("model", no_wrap=True)
    table.add_column("ours", no_wrap=True)
    keys = ("accuracy", "latency", "published_latency", "tail", "interval", "published_interval", "lut")
    keys += ("estimated_lut", "published_lut", "dsp", "published_dsp", "levels", "mismatches")
    headings = (
        "right",
        "lat.",
        "was",
        "tail",
        "every",
        "was",
        "LUT",
        "estimate",
        "was",
        "DSP",
        "was",
        "levels",
        "wrong",
    )
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row["model"], row["point"], *("" if row.get(key) is None else str(row[key]) for key in keys))
    Console(width=max(console.width, 140)).print(table)


def figures_of(rows: list[dict]) -> dict[str, dict[str, float]]:
    """How many times less than the published designs each point takes, and all numbers of each design."""
    figures = {}
    for point in POINTS:
        here = [row for row in rows if row["point"] == point]
        clocks = "tail" if point == "rows" else "latency"
        values = {key: [row[key] for row in here] for key in (clocks, "interval", "lut", "dsp", "levels", "mismatches")}
        for key, ours in (("latency", clocks), ("interval", "interval"), ("lut", "lut")):
            values[f"published_{key}_by_ours"] = [row[f"published_{key}"] / row[ours] for row in here if row[ours]]
        values["estimated_lut_by_measured"] = [row["estimated_lut"] / row["lut"] for row in here if row["lut"]]
        values["estimated_latency_by_measured"] = [row["estimated_latency"] / row["latency"] for row in here]
        figures[point] = {}
        for key, found in values.items():
            known = [value for value in found if value is not None]
            if known:
                figures[point] |= {f"{key}_least": min(known), f"{key}_most": max(known)}
    for row in rows:
        numbers = {key: value for key, value in row.items() if isinstance(value, int | float)}
        figures[f"{row['model']}_{row['point']}"] = numbers
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Our RTL of the published models, measured, beside theirs.")
    add_output(parser, "firmware.json, firmware.csv and firmware.png")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/firmware"), help="of the trainings (default %(default)s)"
    )
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="as neutrino_20")
    parser.add_argument("--points", nargs="+", choices=POINTS, default=POINTS, help="designs (default: all)")
    parser.add_argument("--no-area", action="store_true", help="leave out the synthesis")
    options = parser.parse_args()
    console = Console()
    models = {name_of(model): model for model in PUBLISHED_MODELS if model.bits == 8}
    unknown = set(options.only or ()) - set(models)
    if unknown:
        parser.error(f"--only: expected some of {', '.join(models)}, found {', '.join(sorted(unknown))}")
    file = options.output / "firmware.csv" if options.output else None
    kept: dict[tuple[str, str], dict] = {}
    if file and file.is_file():
        kept = {(row["model"], row["point"]): row for row in read_rows(file)}
    measured = False
    for name, point in itertools.product(options.only or models, options.points):
        if (name, point) in kept and (kept[name, point]["lut"] or options.no_area):
            continue
        console.print(f"{name}, {point} ...")
        with tempfile.TemporaryDirectory() as folder:
            found = measure(models[name], point, options.runs, Path(folder), not options.no_area, console)
        kept[name, point], measured = dict.fromkeys(COLUMNS) | found, True
        if file:  # after each, so that an interruption leaves the others
            write_rows(file, list(kept.values()))
    rows = [kept[key] for key in itertools.product(models, POINTS) if key in kept]
    show(console, rows)
    if file:
        tools, pictures = ("verilator", "yosys"), {"firmware": picture(rows)}
        write_results(options.output, "firmware", figures_of(rows), rows, pictures, tools, None if measured else file)


if __name__ == "__main__":
    main()
