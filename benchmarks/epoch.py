"""Whole epochs of training the neutrino model: images in, checkpoint out.

    python benchmarks/epoch.py                    # 8-bit formats and float
    python benchmarks/epoch.py --threads 1 --augment
    python benchmarks/epoch.py --output FOLDER    # and epoch.json there

An epoch is what ``sparsepix-train`` does in one: shuffle, make each batch dense from the lists of pixels, forward,
loss, backward and Adam, then the validation images, the history and the checkpoint. Images a second count the training
images alone. The first epoch is not counted. Batches without training, and the setting up of the lists, which comes
once, have columns of their own.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from results import add_output, key, write_results
from rich.console import Console
from rich.table import Table

import sparsepix as sp
from sparsepix.datasets import Dataset, Split
from sparsepix.training import fit, random_shifts
from sparsepix.training.batches import ImageStore

SIDE, ACTIVE = 63, 0.006


def make_split(count: int, rng: np.random.Generator) -> Split:
    """Images with about 0.6 % of their pixels active (as the neutrino data), and labels that mean nothing."""
    images = np.zeros((count, 1, SIDE, SIDE), dtype=np.float32)
    active = rng.random(images.shape, dtype=np.float32) < ACTIVE
    images[active] = rng.random(np.count_nonzero(active), dtype=np.float32)
    return Split(images, rng.integers(0, 2, count))


def measure(name: str, bits: int | None, data: Dataset, options: argparse.Namespace) -> dict:
    """Train a few epochs and take the median of all but the first."""
    torch.manual_seed(0)
    model = sp.models.neutrino(options.max_pixels, bits)
    begun = time.perf_counter()
    store = ImageStore(data.train.images, next(model.parameters()))
    setting_up = time.perf_counter() - begun
    begun = time.perf_counter()
    for batch in torch.randperm(len(store)).split(options.batch):
        store[batch]
    loading = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        history = fit(
            model,
            data,
            options.epochs + 1,
            1e-4,
            options.batch,
            float_epochs=0,
            augment=random_shifts(2) if options.augment else None,
            checkpoint=Path(folder, "checkpoint.pt"),
            on_epoch=lambda _, history: history.to_csv(Path(folder, "history.csv")),
        )
    seconds = history.seconds[1:]
    return {
        "name": name,
        "images_per_second": len(store) / statistics.median(seconds),
        "slowest": len(store) / max(seconds),
        "epoch_seconds": statistics.median(seconds),
        "batches_alone_seconds": loading,
        "setting_up_seconds": setting_up,
    }


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000, help="training images (default 20,000)")
    parser.add_argument("--batch", type=int, default=128, help="images a step (default 128)")
    parser.add_argument("--max-pixels", type=int, default=20, help="slots an image (default 20)")
    parser.add_argument("--epochs", type=int, default=5, help="counted epochs (default 5)")
    parser.add_argument("--threads", type=int, default=None, help="torch threads (default: torch's own)")
    parser.add_argument("--augment", action="store_true", help="shift half of the images by two pixels")
    add_output(parser, "epoch.json")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    console, rng = Console(), np.random.default_rng(0)
    with console.status("making images"):
        parts = (make_split(count, rng) for count in (options.images, options.images // 8, 1))
        data = Dataset("random pixels", ("a", "b"), *parts)
    with console.status("training"):
        results = [measure(name, bits, data, options) for name, bits in {"8 bit": 8, "float": None}.items()]
    table = Table(
        title=f"epochs of {options.images:,} + {options.images // 8:,} images, batch {options.batch}, "
        f"N = {options.max_pixels}, {torch.get_num_threads()} threads"
    )
    for heading in ("", "images/s", "slowest", "epoch [s]", "batches alone [s]", "lists, once [s]"):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            result["name"],
            f"{result['images_per_second']:,.0f}",
            f"{result['slowest']:,.0f}",
            f"{result['epoch_seconds']:.2f}",
            f"{result['batches_alone_seconds']:.2f}",
            f"{result['setting_up_seconds']:.2f}",
        )
    console.print(table)
    if options.output:
        settings = {"threads": torch.get_num_threads(), "images": options.images, "batch": options.batch}
        rows = {key(result.pop("name")): result for result in results}
        write_results(options.output, "epoch", settings | {"max_pixels": options.max_pixels} | rows)


if __name__ == "__main__":
    main()
