"""What each part of the training recipe is worth: MNIST, N = 20, one change at a time.

    python benchmarks/recipe.py FOLDER                       # three seeds, 20 epochs: an hour and a half
    python benchmarks/recipe.py FOLDER --only float "rate 0.04" --output FOLDER    # and recipe.json, recipe.csv there

The first FOLDER holds MNIST's four IDX files. The first rows begin with the training before this recipe and add its
parts; those after the recipe change one thing of it. docs/results/training.md says what follows from it.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from results import add_output, key, write_results
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import sparsepix as sp
from sparsepix.datasets import Dataset
from sparsepix.models.architecture import Architecture
from sparsepix.quant import functions
from sparsepix.training import accuracy, fit, predict

BITS, MAX_PIXELS = 8, 20


@dataclass(frozen=True)
class Variant:
    """A way to train.

    Args:
        preset: options of the preset.
        fit: options of ``fit``.
        float_share: of the epochs, those in float; None for the half that ``fit`` takes itself.
        change: of the architecture.
        around: what holds while it trains.
    """

    preset: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    float_share: float | None = None
    change: Callable[[Architecture], Architecture] = lambda architecture: architecture
    around: Callable[[], Any] = nullcontext


@contextmanager
def gradient_through_saturation() -> Iterator[None]:
    """A clipped value gets the gradient of one that is not."""
    before = functions.FixedQuantize.backward
    functions.FixedQuantize.backward = staticmethod(lambda ctx, grad: (grad, None, None, None, None, None))
    try:
        yield
    finally:
        functions.FixedQuantize.backward = before


def fixed(*names: str) -> Callable[[Architecture], Architecture]:
    """These formats stay the paper's."""

    def change(architecture: Architecture) -> Architecture:
        return replace(architecture, **{name: getattr(architecture, name).initial for name in names})

    return change


PAPER = {"formats": "paper", "batch_norm": False}
PLAIN = {"batch_norm": False}
BEFORE = {"learning_rate": 2e-3, "float_epochs": 0, "weight_decay": 0}
VARIANTS = {
    "before: paper's formats, rate 0.002, no epoch in float": Variant(PAPER, BEFORE),
    "... gradient passes through saturation": Variant(PAPER, BEFORE, around=gradient_through_saturation),
    "... rate 0.02": Variant(PAPER, BEFORE | {"learning_rate": 2e-2}),
    "... half of the epochs in float": Variant(PAPER, BEFORE, float_share=0.5),
    "... calibrated formats": Variant(PLAIN, BEFORE),
    "... rate 0.02, calibrated formats": Variant(PLAIN, BEFORE | {"learning_rate": 2e-2}),
    "... all three": Variant(PLAIN),
    "recipe: batch norm too": Variant(),
    "a quarter of the epochs in float": Variant(float_share=0.25),
    "three quarters of the epochs in float": Variant(float_share=0.75),
    "float": Variant({"bits": None}),
    "weights in the paper's format": Variant(change=fixed("weight_format")),
    "activations in the paper's format": Variant(change=fixed("activation_format")),
    "no weight decay": Variant(fit={"weight_decay": 0}),
    "rate 0.01": Variant(fit={"learning_rate": 1e-2}),
    "rate 0.04": Variant(fit={"learning_rate": 4e-2}),
    "constant rate": Variant(fit={"schedule": "constant"}),
    "batches of 64": Variant(fit={"batch_size": 64}),
    "bias on nonzero sums, without batch norm": Variant(PLAIN | {"bias_on": "nonzero"}),
    "best epoch by accuracy": Variant(fit={"monitor": "accuracy"}),
    "learned scales and widths, no penalty": Variant({"learn_bits": True}),
}


def train(variant: Variant, data: Dataset, epochs: int, seed: int) -> float:
    """Train once; the accuracy on the test images."""
    torch.manual_seed(seed)
    preset = {"bits": BITS, "batch_norm": True} | variant.preset
    model = sp.SparseCNN(variant.change(sp.models.mnist(MAX_PIXELS, **preset).architecture))
    options = {"monitor": "loss", "batch_size": 128} | variant.fit
    if variant.float_share is not None:
        options["float_epochs"] = round(variant.float_share * epochs)
    with variant.around():
        fit(model, data, epochs, seed=seed, **options)
    return accuracy(predict(model, data.test.images), data.test.labels)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, help="folder of MNIST's four IDX files")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("--epochs", type=int, default=20, help="(default 20)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default 0 1 2)")
    add_output(parser, "recipe.json and recipe.csv")
    given = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    try:
        data = sp.datasets.load("mnist", given.files, console=console)
    except sp.SparsePixError as error:
        parser.exit(2, f"{error}\n")
    table = Table("", title=f"MNIST, {BITS} bit, N = {MAX_PIXELS}, {given.epochs} epochs: accuracy on the test images")
    for heading in ("mean", "least ... largest"):
        table.add_column(heading, justify="right")
    rows, figures = [], {}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("trainings", total=len(given.only) * len(given.seeds))
        for name in given.only:
            found = []
            for seed in given.seeds:
                found.append(train(VARIANTS[name], data, given.epochs, seed))
                rows.append({"variant": name, "seed": seed, "accuracy": found[-1]})
                progress.advance(task)
            figures[key(name)] = {"accuracy_mean": statistics.mean(found), "accuracy_least": min(found)}
            figures[key(name)] |= {"accuracy_largest": max(found), "seeds": len(found)}
            table.add_row(name, f"{statistics.mean(found):.2%}", f"{min(found):.2%} ... {max(found):.2%}")
            progress.console.print(f"{name}: {statistics.mean(found):.2%}")
    console.print(table)
    if given.output:
        write_results(given.output, "recipe", figures, rows)


if __name__ == "__main__":
    main()
