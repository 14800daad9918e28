"""How the cost of a training step grows: with the slots N, with the side of the image, with the batch.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --threads 1 --output FOLDER    # and scaling.json and scaling.png there

The layers are those of the neutrino preset, 8 bit. One of the three is varied, the others stay at N = 20, 63x63
and batch 128. An image has 24 active pixels on average, or N where that is more, whatever its size. Settings take
turns, so that a slow spell of the machine hits all; the table has medians.
"""

import argparse
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from results import add_output, write_results
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor
from training import training_step

import sparsepix as sp

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEFAULT = {"max_pixels": 20, "side": 63, "batch": 128}
VALUES = {
    "max_pixels": (8, 12, 16, 20, 32, 64, 128, 256),
    "side": (32, 63, 128, 256, 512),
    "batch": (16, 32, 64, 128, 256, 512, 1024),
}
LABELS = {"max_pixels": "max_pixels (N)", "side": "side of the image", "batch": "batch"}
ACTIVE = 24


def make_images(batch: int, side: int, active: int) -> Tensor:
    """Images [batch, 1, side, side] with so many active pixels on average."""
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(batch, 1, side, side, generator=generator)
    return values * (torch.rand(values.shape, generator=generator) < active / side**2)


def measure(settings: list[dict[str, int]], rounds: int) -> list[float]:
    """Median milliseconds of a step for each setting."""
    steps = []
    for setting in settings:
        torch.manual_seed(0)
        architecture = sp.models.neutrino(setting["max_pixels"]).architecture
        model = sp.SparseCNN(replace(architecture, input_shape=(1, setting["side"], setting["side"])))
        images = make_images(setting["batch"], setting["side"], max(ACTIVE, setting["max_pixels"]))
        steps.append(training_step(model, images, torch.arange(setting["batch"])[:, None].float() % 2))
        for _ in range(3):
            steps[-1]()
    times: list[list[float]] = [[] for _ in steps]
    for _ in track(range(rounds), description="rounds", transient=True):
        for step, spent in zip(steps, times, strict=True):
            begun = time.perf_counter()
            step()
            spent.append(time.perf_counter() - begun)
    return [1e3 * statistics.median(spent) for spent in times]


def draw(results: dict[str, dict[int, float]]) -> "Figure":
    """Step time against each of the three, on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.4), layout="constrained")
    for axes, (name, times) in zip(figure.subplots(1, len(results), sharey=True), results.items(), strict=True):
        axes.plot(list(times), list(times.values()), marker="o")
        axes.set(xscale="log", yscale="log", xlabel=LABELS[name])
        axes.set_xticks(list(times), [str(value) for value in times], fontsize=7, rotation=45)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        others = ", ".join(f"{other} {value}" for other, value in DEFAULT.items() if other != name)
        axes.set_title(others, fontsize=9)
    figure.axes[0].set_ylabel("training step (ms)")
    return figure


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="timed steps of each setting (default 20)")
    parser.add_argument("--threads", type=int, default=None, help="torch threads (default: torch's own)")
    add_output(parser, "scaling.json and scaling.png")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    console = Console()
    results: dict[str, dict[int, float]] = {}
    for name, values in VALUES.items():
        times = measure([DEFAULT | {name: value} for value in values], options.rounds)
        results[name] = dict(zip(values, times, strict=True))
        table = Table(title=f"training step against {LABELS[name]}, {torch.get_num_threads()} threads")
        for heading in (name, "step [ms]", "of the smallest", "us an image"):
            table.add_column(heading, justify="right")
        for value, spent in results[name].items():
            images = value if name == "batch" else DEFAULT["batch"]
            table.add_row(str(value), f"{spent:.2f}", f"{spent / times[0]:.2f}", f"{1e3 * spent / images:.1f}")
        console.print(table)
    if options.output:
        figures = {"threads": torch.get_num_threads()}
        figures |= {f"ms_by_{name}": {str(value): ms for value, ms in times.items()} for name, times in results.items()}
        write_results(options.output, "scaling", figures, pictures={"scaling": draw(results)})


if __name__ == "__main__":
    main()
