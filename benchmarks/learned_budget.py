"""What learning the budget, the threshold and the widths saves on the handwritten digits, and what it costs.

    python benchmarks/learned_budget.py                       # table of test accuracy, budget and EBOPS
    python benchmarks/learned_budget.py --seeds 0 1 2         # the same for several splits and initial weights
    python benchmarks/learned_budget.py --output FOLDER       # and learned_budget.json and learned_budget.csv there

Every model is trained in float first and then in 8 bits, each with ``training.fit``:

- standard: the standard CNN on the whole image. What it misses, these layers cannot tell on these data;
- fixed: the sparse CNN with the budget that the learned one starts from;
- learned: budget and threshold learn in the float training under penalties, then stay fixed in the 8-bit training;
- learned, widths too: the same float model, and the 8-bit training learns the widths under a penalty on EBOPS.

EBOPS are of the test images.
"""

import argparse
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from results import add_output, key, write_results
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import sparsepix as sp
from sparsepix.datasets import Dataset
from sparsepix.training import accuracy, fit, predict, random_shifts


@dataclass(frozen=True)
class Result:
    """One trained model."""

    name: str
    seed: int
    max_pixels: int | None
    threshold: float | None
    validation: float
    test_float: float
    test: float
    ebops: float
    widths: dict[str, list[float]]


def stand_still(reduce: sp.SparseInputReduce) -> None:
    """Learn budget and threshold no further."""
    for parameter in reduce.parameters():
        parameter.requires_grad_(False)


def train(names: list[str], data: Dataset, seed: int, options: argparse.Namespace, progress: Progress) -> list[Result]:
    """Train one model in float, and from there one in 8 bits for each of the names."""
    learns = names[0].startswith("learned")
    preset = {"sparse": names[0] != "standard", "selection": options.selection, "threshold": options.threshold}
    preset |= {"learn_max_pixels": learns, "learn_threshold": learns}
    task = progress.add_task(f"{names[0]}, seed {seed}", total=options.epochs + options.fine_tune * len(names))
    common = {
        "seed": seed,
        "augment": random_shifts(3),  # one pixel of the digits before they were inflated
        "label_smoothing": 0.1,
        "float_epochs": 0,
        "on_epoch": lambda *_: progress.advance(task),
    }
    torch.manual_seed(seed)
    floating = sp.models.digits(options.max_pixels, bits=None, **preset)
    weights = {"budget": options.budget, "masked_intensity": options.masked_intensity} if learns else None
    fit(floating, data, options.epochs, 1e-2, penalties=weights, **common)
    found = []
    for name in names:
        learns_bits = name == "learned, widths too"
        quantized = sp.models.digits(options.max_pixels, bits=8, learn_bits=learns_bits, **preset)
        # The formats that are learned have parameters of their own; they are calibrated first.
        quantized.load_state_dict(floating.state_dict(), strict=False)
        if learns:
            stand_still(quantized.reduce)
        weights = {"ebops": options.ebops} if learns_bits else None
        history = fit(quantized, data, options.fine_tune, 5e-3 if learns_bits else 1e-3, penalties=weights, **common)
        operations = sp.ebops(quantized, data.test.images)
        reduce = getattr(quantized, "reduce", None)
        found.append(
            Result(
                name,
                seed,
                reduce.max_pixels if reduce else None,
                reduce.threshold if reduce else None,
                history.validation_accuracy[history.best_epoch],
                accuracy(predict(floating, data.test.images), data.test.labels),
                accuracy(predict(quantized, data.test.images), data.test.labels),
                sum(row.ebops for row in operations.layers),
                {row.name: [row.weight_bits, row.activation_bits] for row in operations.layers},
            )
        )
    progress.remove_task(task)
    return found


def results(options: argparse.Namespace, console: Console) -> Iterator[Result]:
    """All models of all seeds."""
    groups = [["standard"]] if options.standard else []
    groups += [["fixed"], ["learned", "learned, widths too"]]
    with Progress(console=console, transient=True) as progress:
        for seed in options.seeds:
            data = sp.datasets.digits(seed=seed)
            for names in groups:
                yield from train(names, data, seed, options, progress)


def show(found: list[Result], options: argparse.Namespace, console: Console) -> None:
    """Print a table with a row a model, and the means over the seeds."""
    table = Table(title=f"digits, {options.selection} selection, budget {options.max_pixels} at first")
    for heading in (
        "",
        "seed",
        "budget",
        "threshold",
        "test, float",
        "test, 8 bit",
        "EBOPS",
        "bits of weights x input",
    ):
        table.add_column(heading, justify="right")
    for result in found:
        table.add_row(
            result.name,
            f"{result.seed}",
            "-" if result.max_pixels is None else f"{result.max_pixels}",
            "-" if result.threshold is None else f"{result.threshold:g}",
            f"{result.test_float:.2%}",
            f"{result.test:.2%}",
            f"{result.ebops:,.0f}",
            ", ".join(f"{weight:g}x{activation:g}" for weight, activation in result.widths.values()),
        )
    console.print(table)
    for name in dict.fromkeys(result.name for result in found):
        rows = [result for result in found if result.name == name]
        test, ebops = (statistics.fmean(getattr(row, key) for row in rows) for key in ("test", "ebops"))
        console.print(f"{name}: mean test accuracy {test:.2%}, mean EBOPS {ebops:,.0f}")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of split, weights, training (default 0)")
    parser.add_argument("--max-pixels", type=int, default=30, help="budget at first (default 30)")
    parser.add_argument("--threshold", type=float, default=0.1, help="threshold at first (default 0.1)")
    parser.add_argument("--selection", choices=("raster", "magnitude"), default="magnitude", help="(default magnitude)")
    parser.add_argument("--budget", type=float, default=0.15, help="weight of the penalty (default 0.15)")
    parser.add_argument("--masked-intensity", type=float, default=0.3, help="weight of the penalty (default 0.3)")
    parser.add_argument("--ebops", type=float, default=1e-6, help="weight of the penalty (default 1e-6)")
    parser.add_argument("--epochs", type=int, default=40, help="of the float training (default 40)")
    parser.add_argument("--fine-tune", type=int, default=15, help="epochs of the 8-bit training (default 15)")
    parser.add_argument(
        "--no-standard", dest="standard", action="store_false", help="leave the standard CNN out (slow)"
    )
    add_output(parser, "learned_budget.json and learned_budget.csv")
    options = parser.parse_args()
    # Small tensors gain little from a second thread, and lose ten times as much where another program runs.
    torch.set_num_threads(1)
    console = Console()
    found = list(results(options, console))
    show(found, options, console)
    if options.output:
        figures = {"seeds": len(options.seeds)}
        for name in dict.fromkeys(result.name for result in found):
            rows = [result for result in found if result.name == name]
            figures[key(name)] = {"test_least": min(row.test for row in rows)}
            for quantity in ("max_pixels", "threshold", "test_float", "test", "ebops"):
                values = [getattr(row, quantity) for row in rows if getattr(row, quantity) is not None]
                if values:
                    figures[key(name)][f"{quantity}_mean"] = statistics.fmean(values)
            figures[key(name)] |= {f"test_seed_{row.seed}": row.test for row in rows}
        write_results(options.output, "learned_budget", figures, [asdict(result) for result in found])


if __name__ == "__main__":
    main()
