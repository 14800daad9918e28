"""The neutrino model with few pixels: raster against magnitude selection, and both against the standard CNN.

    python benchmarks/selection.py                                        # synthetic events, 3 trainings of each model
    python benchmarks/selection.py --output FOLDER                        # and selection.json, .csv and .png there
    python benchmarks/selection.py --output FOLDER --from-csv             # figures of selection.csv there
    python benchmarks/selection.py --files FOLDER                         # MicroBooNE open samples
    python benchmarks/selection.py --bits 16 --max-pixels 8 20

Each model is trained on the same events, from as many starts as there are seeds, and judged on the same test events.
'raster' keeps the first N active pixels in row-major order, 'magnitude' the N largest. The table gives the mean over
the seeds, the least and the largest in brackets, and the difference of the mean AUC from that of the standard CNN.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from results import add_output, csv_file, key, read_rows, write_results, write_rows
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import sparsepix as sp
from sparsepix.datasets import Dataset
from sparsepix.plots import active_counts, against_max_pixels, auc
from sparsepix.training import accuracy, fit, predict

STANDARD, SELECTIONS = "standard CNN", ("raster", "magnitude")


def train(
    data: Dataset, model: str, max_pixels: int, options: argparse.Namespace, seed: int, progress: Progress
) -> dict:
    """Train one model from one start; its figures on the test events."""
    torch.manual_seed(seed)
    arguments = {"sparse": False} if model == STANDARD else {"max_pixels": max_pixels, "selection": model}
    network = sp.models.neutrino(bits=options.bits, formats=options.formats, **arguments)
    name = model if model == STANDARD else f"{model}, N = {max_pixels}"
    task = progress.add_task(f"{name}, seed {seed}", total=options.epochs)
    start = time.perf_counter()
    history = fit(
        network,
        data,
        options.epochs,
        options.learning_rate,
        seed=seed,
        weight_decay=options.weight_decay,
        on_epoch=lambda epoch, _: progress.update(task, completed=epoch + 1),
    )
    progress.remove_task(task)
    output = predict(network, data.test.images)
    return {
        "model": model,
        "max_pixels": "" if model == STANDARD else max_pixels,
        "bits": options.bits,
        "seed": seed,
        "auc": auc(data.test.labels, output),
        "accuracy": accuracy(output, data.test.labels),
        "best_epoch": history.best_epoch + 1,
        "seconds": time.perf_counter() - start,
    }


def of(rows: Sequence[dict], quantity: str, model: str, max_pixels: int | None = None) -> list[float]:
    """One figure of all trainings of a model."""
    return [row[quantity] for row in rows if row["model"] == model and max_pixels in (None, row["max_pixels"])]


def spread(values: Sequence[float]) -> str:
    """Mean, least and largest."""
    return f"{statistics.mean(values):.4f} ({min(values):.4f} ... {max(values):.4f})"


def summary(rows: Sequence[dict], data: Dataset, options: argparse.Namespace) -> Table:
    """A row for each model."""
    counts = active_counts(data.test.images)
    table = Table(
        title=f"{data.name}, {options.bits} bit: {len(data.train)} training and {len(data.test)} test events",
        caption=f"mean (least ... largest) of {len(options.seeds)} seeds",
    )
    headings = ("model", "N", "test events with more than N active pixels", "AUC", "accuracy", "AUC - standard CNN")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "model" else "right")
    standard = of(rows, "auc", STANDARD)
    table.add_row(STANDARD, "", "", spread(standard), spread(of(rows, "accuracy", STANDARD)), "")
    for max_pixels in options.max_pixels:
        for selection in SELECTIONS:
            values = of(rows, "auc", selection, max_pixels)
            difference = statistics.mean(values) - statistics.mean(standard)
            cut = f"{(counts > max_pixels).mean():.1%}"
            accuracies = spread(of(rows, "accuracy", selection, max_pixels))
            table.add_row(selection, str(max_pixels), cut, spread(values), accuracies, f"{difference:+.4f}")
    return table


def write(rows: Sequence[dict], folder: Path, rows_of: Path | None = None) -> None:
    """The files of all trainings."""
    standard = of(rows, "auc", STANDARD)
    figures: dict[str, dict[str, float]] = {}
    for model, max_pixels in dict.fromkeys((row["model"], row["max_pixels"]) for row in rows):
        figures[key(f"{model} {max_pixels or ''}")] = found = {}
        for quantity in ("auc", "accuracy"):
            values = of(rows, quantity, model, max_pixels or None)
            found |= {f"{quantity}_mean": statistics.mean(values), f"{quantity}_least": min(values)}
            found[f"{quantity}_largest"] = max(values)
        found |= {"auc_minus_standard": found["auc_mean"] - statistics.mean(standard), "seeds": len(values)}
    budgets = sorted({row["max_pixels"] for row in rows if row["model"] != STANDARD})
    results = {s: {n: of(rows, "auc", s, n) for n in budgets} for s in SELECTIONS}
    pictures = {"selection": against_max_pixels(results, "AUC", {STANDARD: standard})}
    write_results(folder, "selection", figures, rows, pictures, rows_of=rows_of)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=Path, nargs="+", help="MicroBooNE files nue*.h5 and bnb*.h5, or their folder")
    parser.add_argument("--events", type=int, default=20_000, help="synthetic events in all (default 20,000)")
    parser.add_argument("--max-pixels", type=int, nargs="+", default=[8, 12, 16, 20], help="N (default 8 12 16 20)")
    parser.add_argument("--bits", type=int, choices=(8, 16), default=8, help="formats of the preset (default 8)")
    parser.add_argument("--formats", choices=("calibrated", "paper"), default="calibrated", help="(default calibrated)")
    parser.add_argument("--weight-decay", type=float, default=0.01, help="(default 0.01)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the trainings (default 0 1 2)")
    parser.add_argument("--epochs", type=int, default=25, help="of each training (default 25)")
    parser.add_argument("--learning-rate", type=float, default=1e-2, help="its largest value (default 0.01)")
    add_output(parser, "selection.json, selection.csv and selection.png", from_csv=True)
    options = parser.parse_args()
    console = Console()
    file = csv_file(parser, options, "selection")
    if file:
        write(read_rows(file), options.output, file)
        return
    try:
        data = sp.datasets.load("neutrino", options.files, None if options.files else options.events, console=console)
    except sp.SparsePixError as error:
        parser.exit(2, f"{error}\n")
    models = [(STANDARD, 0), *((selection, n) for n in options.max_pixels for selection in SELECTIONS)]
    rows = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("trainings", total=len(models) * len(options.seeds))
        for seed in options.seeds:
            for model, max_pixels in models:
                rows.append(train(data, model, max_pixels, options, seed, progress))
                # After each training, so that an interruption leaves the others.
                if options.output:
                    write_rows(options.output / "selection.csv", rows)
                progress.advance(task)
    console.print(summary(rows, data, options))
    if options.output:
        write(rows, options.output)


if __name__ == "__main__":
    main()
