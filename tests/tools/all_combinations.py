"""Every combination of reduction, convolution, flatten, dense, reuse and ports, in both builds, bit for bit.

    python tests/tools/all_combinations.py --networks 2                      # on random networks
    python tests/tools/all_combinations.py --events neutrino_events.npz      # and on the published events and weights
    python tests/tools/all_combinations.py --networks 1 --backends native    # quickly
    python tests/tools/all_combinations.py --output FOLDER                   # and all_combinations.json there

The test suite runs a covering set of the same combinations. Exit status 1 on a mismatch.
"""

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "support"), str(Path(__file__).parents[2] / "benchmarks")]

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from results import add_output, write_results
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from design_space import build, every
from published_events import published_model
from random_networks import differing, exported_and_checked, networks, size

BACKENDS = ("native", "ap_fixed")


def random_model(number: int, folder: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """A random network on disk, its images, and the results of the integer reference."""
    found = []

    @seed(number)
    @settings(
        max_examples=4, database=None, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(network=networks())
    def draw(network):
        found.append(network)

    draw()
    path = folder / f"random{number}.onnx"
    return path, *exported_and_checked(*found[-1], number, path)  # the first ones that are drawn are the simplest


def check(path: Path, images: np.ndarray, expected: np.ndarray, values: tuple, backends: list[str]) -> dict[str, int]:
    """Differing outputs by build, for one combination."""
    with tempfile.TemporaryDirectory() as folder:
        project = build(path, Path(folder) / "firmware", values, pixels_per_cycle=17)
        found = {}
        for backend in backends:
            project.compile(backend)
            found[backend] = differing(project.predict(images), expected)
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Every combination of kernels, reuse and ports against the integers.")
    parser.add_argument(
        "--networks", type=int, default=1, metavar="COUNT", help="random networks (default: %(default)s)"
    )
    parser.add_argument("--events", type=Path, metavar="FILE.npz", help="the published events and weights")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    add_output(parser, "all_combinations.json")
    options = parser.parse_args()
    console = Console()
    combinations = every()
    found = {}
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(options.jobs) as pool:
        folder = Path(name)
        models = [random_model(number, folder) for number in range(options.networks)]
        if options.events:
            models.append(published_model(options.events, folder))
        jobs = {
            pool.submit(check, *model, values, options.backends): (model[0].stem, values)
            for model in models
            for values in combinations
        }
        columns = (TextColumn("combinations"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("", total=len(jobs))
            for job in as_completed(jobs):
                of_model = found.setdefault(jobs[job][0], {"runs": 0, "mismatches": 0})
                for backend, wrong in job.result().items():
                    of_model["runs"] += 1
                    of_model["mismatches"] += wrong
                    if wrong:
                        console.print(f"{jobs[job]} {backend}: {wrong} differing outputs", style="bold red")
                progress.advance(task)
        outputs = sum(size(expected) for _, _, expected in models) * len(combinations) * len(options.backends)
    runs, mismatches = (sum(of_model[what] for of_model in found.values()) for what in ("runs", "mismatches"))
    console.print(
        f"{len(combinations)} combinations x {len(models)} models x {len(options.backends)} builds = {runs} runs, "
        f"{outputs:,} outputs, {mismatches} mismatches"
    )
    if options.output:
        figures = {"combinations": len(combinations), "outputs": outputs} | found
        write_results(options.output, "all_combinations", figures, tools=["g++"])
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
