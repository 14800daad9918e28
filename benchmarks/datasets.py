"""How many synthetic images a minute each generator draws.

    python benchmarks/datasets.py
    python benchmarks/datasets.py --events 100000 --output FOLDER    # and datasets.json there

One core: the generators are plain numpy. The median of several runs counts, each with its own seed; wall time,
and the processor's time that a busy machine does not change as much.
"""

import argparse
import statistics
import time

import numpy as np
from results import add_output, write_results
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sparsepix import datasets

GENERATORS = {
    "neutrino": datasets.synthetic_neutrino,
    "jet": datasets.synthetic_jets,
    "muon": datasets.synthetic_muons,
}


def measure(name: str, events: int, runs: int) -> dict:
    """Images a minute of one generator, and how many of their pixels are active."""
    wall, processor, active = [], [], []
    for seed in track(range(runs), description=name, transient=True):
        start = time.perf_counter(), time.process_time()
        data = GENERATORS[name](events, seed)
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
        active.append(np.count_nonzero(data.test.images) / len(data.test))
    return {
        "name": name,
        "events": events,
        "images_per_minute": 60 * events / statistics.median(wall),
        "images_per_processor_minute": 60 * events / statistics.median(processor),
        "active_pixels": statistics.mean(active),
    }


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000, help="images a run (default 20000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each generator (default 3)")
    add_output(parser, "datasets.json")
    options = parser.parse_args()

    results = [measure(name, options.events, options.runs) for name in GENERATORS]
    table = Table(title=f"synthetic data sets, {options.events} images a run")
    for heading in ("", "images a minute", "a minute of the processor", "active pixels an image"):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            result["name"],
            f"{result['images_per_minute']:,.0f}",
            f"{result['images_per_processor_minute']:,.0f}",
            f"{result['active_pixels']:.1f}",
        )
    Console().print(table)
    if options.output:
        write_results(options.output, "datasets", {result.pop("name"): result for result in results})


if __name__ == "__main__":
    main()
