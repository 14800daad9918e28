"""What fewer bits cost each preset: accuracy and AUC in float, 8 and 4 bits, on the test images.

    python benchmarks/presets.py                            # all: half an hour on one core
    python benchmarks/presets.py --presets digits
    python benchmarks/presets.py --output FOLDER            # and presets.json, presets.csv there

Every training is that of ``sparsepix-train PRESET --max-pixels 20 --bits B --seed S`` without other options: synthetic
neutrinos, jets and muons, the digits of scikit-learn. 'muon_plain' is the muon preset without batch norm and weight
decay. MNIST has its own benchmark (mnist.py).
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from results import add_output, write_results
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sparsepix.cli.train import load_data
from sparsepix.runs import RunOptions, train

SEEDS = {"neutrino": 3, "jet": 3, "muon": 3, "digits": 10}
BITS = {"float": None, "8_bit": 8, "4_bit": 4}
PLAIN = {"batch_norm": False, "weight_decay": 0.0}


def trainings(presets: list[str]) -> Iterator[tuple[str, str, RunOptions]]:
    """Row, width and options of each training."""
    for preset in presets:
        for seed in range(SEEDS[preset]):
            for name, bits in BITS.items():
                yield preset, name, RunOptions(preset, max_pixels=20, bits=bits, seed=seed)
    if "muon" in presets:
        yield "muon_plain", "8_bit", RunOptions("muon", max_pixels=20, bits=8, seed=0, **PLAIN)


def result(options: RunOptions) -> dict[str, float]:
    """The figures of a training."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        summary = train(options, load_data(options), Path(folder), torch.device("cpu"))
    assert summary is not None
    assert summary.test_auc is not None
    return {"accuracy": summary.test_accuracy, "auc": summary.test_auc, "test_images": summary.test_events}


def figures_of(rows: list[dict]) -> dict[str, dict[str, float]]:
    """Means over the seeds, by preset."""
    figures: dict[str, dict[str, float]] = {}
    for preset in dict.fromkeys(row["preset"] for row in rows):
        own = [row for row in rows if row["preset"] == preset]
        figures[preset] = {"seeds": len({row["seed"] for row in own}), "test_images": own[0]["test_images"]}
        for bits in dict.fromkeys(row["bits"] for row in own):
            for quantity in ("accuracy", "auc"):
                values = [row[quantity] for row in own if row["bits"] == bits]
                figures[preset] |= {
                    f"{quantity}_{bits}": statistics.mean(values),
                    f"{quantity}_{bits}_least": min(values),
                    f"{quantity}_{bits}_largest": max(values),
                }
    if "muon_plain" in figures:
        same = [row for row in rows if (row["preset"], row["bits"], row["seed"]) == ("muon", "8_bit", 0)]
        figures["muon_plain"] |= {f"preset_s_{quantity}_8_bit": same[0][quantity] for quantity in ("accuracy", "auc")}
    return figures


def shown(numbers: dict[str, float], bits: str) -> str:
    """A cell of the table."""
    mean, least, largest = (numbers[f"auc_{bits}{which}"] for which in ("", "_least", "_largest"))
    return f"{mean:.4f} ({least:.4f} ... {largest:.4f}); {numbers[f'accuracy_{bits}']:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", choices=SEEDS, default=list(SEEDS), help="(default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, a core each (default: %(default)s)")
    add_output(parser, "presets.json and .csv")
    given = parser.parse_args()
    console, wanted = Console(width=None if sys.stdout.isatty() else 120), list(trainings(given.presets))
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        found = pool.map(result, [options for _, _, options in wanted])
        rows = [
            {"preset": preset, "bits": bits, "seed": options.seed} | figures
            for (preset, bits, options), figures in track(
                zip(wanted, found, strict=True), "training", len(wanted), console=console
            )
        ]
    figures = figures_of(rows)
    table = Table(title="N = 20, mean (least ... largest) of the seeds: AUC; accuracy")
    for heading in ("preset", "seeds", *BITS):
        table.add_column(heading.replace("_", " "), justify="left" if heading == "preset" else "right")
    for preset, numbers in figures.items():
        cells = [shown(numbers, bits) if f"auc_{bits}" in numbers else "" for bits in BITS]
        table.add_row(preset, f"{numbers['seeds']}", *cells)
    console.print(table)
    if given.output:
        write_results(given.output, "presets", figures, rows)


if __name__ == "__main__":
    main()
