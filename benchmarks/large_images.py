"""Whole LArTPC windows of 256 x 512 against their cells of 63 x 63: accuracy, latency and area on the same events.

    python benchmarks/large_images.py                           # 6,000 synthetic events, half an hour on one core
    python benchmarks/large_images.py --output FOLDER           # and large_images.json, .csv and .png there
    python benchmarks/large_images.py --output FOLDER --from-csv    # figures of large_images.csv there
    python benchmarks/large_images.py --files FOLDER            # MicroBooNE open samples, whole and in cells

'cells' is the preset 'neutrino' on sums over 4 x 8 pixels, as in the paper; 'whole' is 'neutrino_large': five
convolutions, four of them with stride 2, on the windows as the wires see them. Both keep the first N active pixels, in
8 bits. The same events train, validate and test both. Of several seeds accuracy and AUC are means. Latency and area are
estimates of RTL with one row of the image a clock, of the model of the first seed: those of 'whole' as a stream of
pixels, those of 'cells' as the smaller of both ways.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from results import add_output, csv_file, read_rows, write_results
from rich.console import Console
from rich.table import Table

import sparsepix as sp
from sparsepix.datasets import Dataset, Split, lartpc, wire_events
from sparsepix.plots import active_counts, auc
from sparsepix.training import accuracy, fit, predict
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.backends import backend_design
from sparsepix_hls.flow.rtl import RTL
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.project.parts import find_part

CLOCK_NS, PART = 5.0, "xcvu9p"
EVENTS_AT_ONCE = 256  # of whole windows that are made cells
COLUMNS = ("windows", "pixels", "threshold", "cut", "accuracy", "auc", "least", "most", "weights", "way", "lut", "dsp")
COLUMNS += ("bram", "latency", "interval", "seconds")


def in_cells(part: Split) -> Split:
    """The same events as sums over cells."""
    pooled = [
        lartpc.pool_windows(part.images[first : first + EVENTS_AT_ONCE, 0] * np.float32(wire_events.HIGHEST))
        for first in range(0, len(part), EVENTS_AT_ONCE)
    ]
    return Split(np.concatenate(pooled), part.labels)


def cells_of(data: Dataset) -> Dataset:
    """The data set as sums over cells."""
    parts = {name: in_cells(getattr(data, name)) for name in ("train", "validation", "test")}
    return replace(data, name=f"{data.name}, cells", **parts)


def network(windows: str, max_pixels: int, threshold: float) -> torch.nn.Module:
    """The model of one kind of windows."""
    if windows == "whole":
        return sp.models.neutrino_large(max_pixels, threshold=threshold, batch_norm=True)
    return sp.models.neutrino(max_pixels, threshold=threshold)


def trained(
    windows: str, max_pixels: int, threshold: float, data: Dataset, seed: int, options: argparse.Namespace
) -> tuple[torch.nn.Module, dict]:
    """A model, and its figures on the test events."""
    torch.manual_seed(seed)
    model, begin = network(windows, max_pixels, threshold), time.perf_counter()
    fit(model, data, options.epochs, options.learning_rate, batch_size=options.batch, seed=seed)
    output = predict(model, data.test.images)
    figures = {"accuracy": accuracy(output, data.test.labels), "auc": auc(data.test.labels, output)}
    return model, figures | {"seconds": time.perf_counter() - begin}


def estimated(model: torch.nn.Module, folder: Path) -> tuple[str, Estimate]:
    """The smaller design by its LUTs, of a stream of pixels and, for few pixels, of a list: its way and estimate."""
    path = folder / "model.onnx"
    sp.export_onnx(model, path, model.input_shape)
    graph, found = read_model(path).graph, {}
    for way in ("auto", "stream") if model.reduce.max_pixels <= 64 else ("stream",):
        options = Options(io="stream", reduce="stream", conv=way, target_interval=1000)
        design, _ = backend_design(graph, options, CLOCK_NS, RTL)
        found[way] = RTL.lower(design, CLOCK_NS, find_part(PART)).estimate().total
    return min(found.items(), key=lambda item: item[1].lut)


def row_of(
    windows: str, max_pixels: int, threshold: float, data: Dataset, options: argparse.Namespace, console: Console
) -> dict:
    """A row of the table."""
    rows, first = [], None
    for seed in options.seeds:
        console.print(f"{windows}, N = {max_pixels}, seed {seed} ...")
        model, row = trained(windows, max_pixels, threshold, data, seed, options)
        first = model if first is None else first
        rows.append(row)
    with tempfile.TemporaryDirectory() as temporary:
        way, total = estimated(first, Path(temporary))
    accuracies = [row["accuracy"] for row in rows]
    return {
        "windows": windows,
        "pixels": max_pixels,
        "threshold": threshold,
        "cut": round(float((active_counts(data.test.images, threshold) > max_pixels).mean()), 3),
        "accuracy": round(statistics.mean(accuracies), 4),
        "auc": round(statistics.mean(row["auc"] for row in rows), 4),
        "least": round(min(accuracies), 4),
        "most": round(max(accuracies), 4),
        "weights": first.architecture.weights,
        "way": {"auto": "list", "stream": "stream"}[way],
        "lut": total.lut,
        "dsp": total.dsp,
        "bram": total.bram,
        "latency": total.latency_cycles,
        "interval": total.interval_cycles,
        "seconds": round(sum(row["seconds"] for row in rows)),
    }


def figures_of(rows: list[dict]) -> dict[str, dict[str, float]]:
    """All numbers of each model."""
    words = ("windows", "way")
    return {f"{row['windows']}_{row['pixels']}": {k: v for k, v in row.items() if k not in words} for row in rows}


def picture(rows: list[dict], whole: Dataset, cells: Dataset, threshold: float) -> Figure:
    """An event whole and in cells, and AUC against LUTs of all models."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=(2, 1, 1.4))
    counts = active_counts(whole.test.images, threshold)
    event = int(np.argmin(np.abs(counts - np.median(counts[whole.test.labels == 1]))))
    titles = (f"whole: {counts[event]} pixels above {threshold:g}", "in cells of 4 x 8")
    for ax, data, title in zip(axes, (whole, cells), titles, strict=False):
        ax.imshow(data.test.images[event, 0], cmap="Blues", aspect=0.5 if data is cells else 1, interpolation="nearest")
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("wires")
        ax.set_ylabel("time")
    for row in rows:
        colour = "#1f77b4" if row["windows"] == "whole" else "#d62728"
        axes[2].plot(row["lut"], row["auc"], "o", color=colour)
        axes[2].annotate(f"{row['windows']}, N = {row['pixels']}", (row["lut"], row["auc"]), fontsize=8, ha="center",
                         xytext=(0, 6), textcoords="offset points")  # fmt: skip
    axes[2].margins(0.25)
    axes[2].set_xlabel("LUTs, estimated")
    axes[2].set_ylabel("AUC on test events")
    axes[2].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes[2].grid(visible=True, color="#eeeeee")
    axes[2].spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=Path, nargs="+", help="MicroBooNE files nue*.h5 and bnb*.h5, or their folder")
    parser.add_argument("--events", type=int, default=6000, help="synthetic events in all (default %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the trainings (default 0)")
    parser.add_argument("--epochs", type=int, default=16, help="of each training (default %(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="images a step (default %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-2, help="its largest value (default %(default)s)")
    parser.add_argument("--pixels", type=int, nargs="+", default=[512, 1536], help="N of whole ones (default 512 1536)")
    parser.add_argument("--cells-pixels", type=int, nargs="+", default=[20, 60], help="N of cells (default 20 60)")
    parser.add_argument("--threshold", type=float, default=0.3, help="of whole windows, of 1 (default %(default)s)")
    add_output(parser, "large_images.json, large_images.csv and large_images.png", from_csv=True)
    options = parser.parse_args()
    console = Console()
    file = csv_file(parser, options, "large_images")
    if file:
        write_results(options.output, "large_images", figures_of(read_rows(file)), rows_of=file)
        return
    try:
        events = None if options.files else options.events
        whole = sp.datasets.load("neutrino_large", options.files, events, console=console)
    except sp.SparsePixError as error:
        parser.exit(2, f"{error}\n")
    cells = cells_of(whole)
    models = [("cells", pixels, 0.0, cells) for pixels in options.cells_pixels]
    models += [("whole", pixels, options.threshold, whole) for pixels in options.pixels]
    rows = [row_of(*model, options, console) for model in models]
    table = Table(title=f"{whole.name}: {len(whole.train)} events to train, {len(whole.test)} to test; seeds: "
                        f"{', '.join(map(str, options.seeds))}")  # fmt: skip
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("windows", "way") else "right")
    for row in rows:
        table.add_row(*(f"{row[key]:,}" if isinstance(row[key], int) else str(row[key]) for key in COLUMNS))
    Console(width=max(console.width, 150)).print(table)
    if options.output:
        pictures = {"large_images": picture(rows, whole, cells, options.threshold)}
        write_results(options.output, "large_images", figures_of(rows), rows, pictures)


if __name__ == "__main__":
    main()
