"""The 12 published 8-bit sparse models: our RTL, measured, beside the published firmware.

    python benchmarks/firmware.py --output FOLDER                      # all of them: hours on two cores
    python benchmarks/firmware.py --output FOLDER --only neutrino_20   # some of them
    python benchmarks/firmware.py --output FOLDER --no-area            # cycles only, minutes

Ours: clocks by Verilator, LUTs by Yosys, stage by stage. Published: C synthesis by Vitis HLS, LUTs after Vivado's logic
synthesis. So the two areas come from two synthesis tools; Yosys usually maps less tightly. Each design is the quickest
of some whose estimate needs at most 45 % of the published LUTs. Weights are trained, in FOLDER/models (see
trained_models.py; 'right' is the fraction of right decisions on the test images). Every output of 200 of those images
and of hard synthetic ones is compared with the integer reference. Results are kept in FOLDER/firmware.csv, and what
is there is not measured again.
"""

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from trained_models import name_of, train_published

import sparsepix_hls
from sparsepix_hls.cost.costs import interval
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.backends import backend_design
from sparsepix_hls.flow.report import read_report
from sparsepix_hls.flow.rtl import RTL
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.project.parts import find_part
from sparsepix_hls.project.testbench_data import synthetic_events
from sparsepix_hls.reference.published_models import PUBLISHED_MODELS, PublishedModel
from sparsepix_ops import reference

CLOCK_NS, PART, SHARE = 5.0, "xcu250-figd2104-2L-e", 0.45
EVENTS = 200
COLUMNS = ("model", "accuracy", "options", "estimated_latency", "estimated_lut", "latency", "interval", "mismatches")
COLUMNS += ("lut", "ff", "dsp", "levels", "published_latency", "published_interval", "published_lut", "published_dsp")


def choose(graph: Graph, published: PublishedModel) -> Options:
    """The quickest design whose estimate needs at most ``SHARE`` of the published LUTs."""
    found = []
    for lanes in (2, 1):
        scan = -(-published.max_pixels // lanes)
        for target in sorted({3, 4, 5, 6, 8, interval(scan)}):
            # The scan itself takes longer; a target makes the layers after it quicker, at more area.
            rounds = Options(reduce="scan", scan_pixels=lanes, reuse_factor=target)
            design, _ = backend_design(graph, rounds, CLOCK_NS, RTL)
            total = RTL.lower(design, CLOCK_NS, find_part(PART)).estimate().total
            found.append((total.lut > SHARE * published.lut, total.latency_cycles, total.lut, rounds))
    return min(found, key=lambda point: point[:3])[3]


def measure(published: PublishedModel, models: Path, folder: Path, with_area: bool, console: Console) -> dict:
    """Everything that is measured of a model, a row of the table.

    Args:
        published: the model.
        models: folder of the trained ones.
        folder: of the firmware.
        with_area: also synthesize.
        console: shows progress.
    """
    trained = train_published(published, models, console)
    model = read_model(trained.path)
    options = choose(model.graph, published)
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
        "accuracy": round(trained.accuracy, 4),
        "options": f"scan_pixels {options.scan_pixels}, reuse_factor {options.reuse_factor}",
        "estimated_latency": estimated["latency_cycles"],
        "estimated_lut": estimated["lut"],
        "latency": measured.latency_cycles,
        "interval": measured.interval_cycles,
        "mismatches": wrong + sum(measured.mismatches.values()),
        "published_latency": published.latency_cycles,
        "published_interval": published.interval_cycles,
        "published_lut": published.lut,
        "published_dsp": published.dsp,
    }
    if with_area:
        area = project.synthesize(console)
        row |= {key: area.total(key) for key in ("lut", "ff", "dsp")} | {"levels": area.deepest[1].levels}
    return row


def picture(rows: list[dict]) -> Figure:
    """Latency against LUTs, each published model joined to ours; without an area of ours, its estimate."""
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplots()
    colours = {"neutrino": "#1f77b4", "jet": "#2ca02c", "mnist": "#9467bd"}
    for row in rows:
        dataset, pixels = row["model"].split("_")
        known = bool(row.get("lut"))
        ours = (float(row["lut"] if known else row["estimated_lut"]), float(row["latency"]))
        published = (float(row["published_lut"]), float(row["published_latency"]))
        axes.annotate(
            "", ours, published, arrowprops={"arrowstyle": "->", "color": colours[dataset], "alpha": 0.4, "shrinkA": 6}
        )
        axes.scatter(*published, marker="*", color=colours[dataset], s=140, zorder=3)
        filled = {"color": colours[dataset]} if known else {"facecolor": "white", "edgecolor": colours[dataset]}
        axes.scatter(*ours, marker="o", s=48, zorder=3, **filled)
        axes.annotate(pixels, ours, xytext=(6, 4), textcoords="offset points", fontsize=8)
    for label, marker in (("published (Vitis HLS, Vivado)", "*"), ("ours (Verilator, Yosys; hollow: estimate)", "o")):
        axes.scatter([], [], marker=marker, color="grey", label=label)
    for name, colour in colours.items():
        axes.scatter([], [], marker="s", color=colour, label=name)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:,.0f}" if str(int(value))[0] in "25" else "")
    axes.set_ylim(0)
    axes.grid(visible=True, which="both", color="#eeeeee")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("LUTs")
    axes.set_ylabel("latency in cycles of 5 ns")
    axes.legend(fontsize=9, frameon=False, ncols=2)
    axes.set_title("Published 8-bit models and our RTL of them (numbers: pixels)", fontsize=11)
    return figure


def show(console: Console, rows: list[dict]) -> None:
    """The table."""
    table = Table(title="cycles of 5 ns; areas: Vivado (published), Yosys (ours)")
    table.add_column("model", no_wrap=True)
    table.add_column("ours")
    for heading in ("right", "lat.", "was", "every", "was", "LUT", "estimate", "was", "DSP", "was", "levels", "wrong"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        keys = ("accuracy", "latency", "published_latency", "interval", "published_interval", "lut", "estimated_lut")
        keys += ("published_lut", "dsp", "published_dsp", "levels", "mismatches")
        table.add_row(row["model"], row["options"], *("" if row.get(key) is None else str(row[key]) for key in keys))
    Console(width=max(console.width, 140)).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description="Our RTL of the published models, measured, beside theirs.")
    parser.add_argument("--output", type=Path, metavar="FOLDER", required=True, help="firmware.csv and firmware.png")
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="as neutrino_20")
    parser.add_argument("--no-area", action="store_true", help="leave out the synthesis")
    options = parser.parse_args()
    console = Console()
    models = {name_of(model): model for model in PUBLISHED_MODELS if model.bits == 8}
    unknown = set(options.only or ()) - set(models)
    if unknown:
        parser.error(f"--only: expected some of {', '.join(models)}, found {', '.join(sorted(unknown))}")
    file = options.output / "firmware.csv"
    options.output.mkdir(parents=True, exist_ok=True)
    kept: dict[str, dict] = {}
    if file.is_file():
        with file.open(newline="", encoding="utf-8") as stream:
            kept = {row["model"]: row for row in csv.DictReader(stream)}
    for name in options.only or models:
        if name in kept and (kept[name]["lut"] or options.no_area):
            continue
        console.print(f"{name} ...")
        with tempfile.TemporaryDirectory() as folder:
            kept[name] = measure(models[name], options.output / "models", Path(folder), not options.no_area, console)
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(kept.values())
    rows = [kept[name] for name in models if name in kept]
    show(console, rows)
    picture(rows).savefig(options.output / "firmware.png", dpi=130)


if __name__ == "__main__":
    main()
