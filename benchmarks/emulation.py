"""Firmware on the CPU: the native build of the kernels beside the ap_fixed build, on the neutrino preset in 8 bits.

    python benchmarks/emulation.py                        # synthetic events
    python benchmarks/emulation.py --many --count 1000    # 400 pixels of 256 x 256, as a stream of pixels
    python benchmarks/emulation.py --events FILE.npz      # images of a file, its first array of 3 or 4 axes
    python benchmarks/emulation.py --output FOLDER        # and emulation.json (emulation_many.json) there

The network has 20 pixels and random weights; that of many pixels is the one of many_pixels.py. Both builds predict the
same events before anything is timed, and must agree in every bit, with one thread and with several. Rounds alternate,
so that a slow spell of the machine hits all.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from many_pixels import network, options_of
from results import add_output, write_results
from rich.console import Console
from rich.table import Table

import sparsepix as sp
import sparsepix_hls as hls

SIDE, PIXELS, BITS = 63, 20, 8
MANY_SIDE, MANY_PIXELS = 256, 400
BACKENDS = ("native", "ap_fixed")


def read_events(path: Path | None, count: int) -> tuple[str, np.ndarray]:
    """What the events are, and float32 images [count, 1, 63, 63]."""
    if path is None:
        rng = np.random.default_rng(0)
        shape = (count, 1, SIDE, SIDE)
        values = rng.random(shape, dtype=np.float32) * 4
        return "synthetic events, 0.6 % of the pixels active", values * (rng.random(shape) < 0.006)
    with np.load(path, allow_pickle=False) as file:
        arrays = [file[name] for name in file.files if file[name].shape[1:3] == (SIDE, SIDE) or file[name].ndim == 4]
    if not arrays:
        sys.exit(f"{path}: expected an array of images [events, {SIDE}, {SIDE}], found none")
    images = np.asarray(arrays[0], dtype=np.float32).reshape(-1, 1, SIDE, SIDE)
    return f"{len(images)} events of {path.name}, repeated", np.resize(images, (count, 1, SIDE, SIDE))


def many_events(count: int) -> tuple[str, np.ndarray]:
    """What the events are, and float32 images [count, 1, 256, 256] with as many active pixels as the list has slots."""
    rng = np.random.default_rng(0)
    images = np.zeros((count, MANY_SIDE * MANY_SIDE), dtype=np.float32)
    for image in images:
        active = rng.choice(image.size, MANY_PIXELS, replace=False)
        image[active] = rng.uniform(0.01, 1, MANY_PIXELS)
    return f"synthetic events, {MANY_PIXELS} pixels active", images.reshape(count, 1, MANY_SIDE, MANY_SIDE)


def make_project(folder: Path, many: bool) -> hls.Project:
    """The network with random weights, which use their range in the preset, as a firmware project."""
    torch.manual_seed(0)
    if many:
        sp.export_onnx(network(MANY_PIXELS, MANY_SIDE), folder / "model.onnx", (1, MANY_SIDE, MANY_SIDE))
        return hls.translate(folder / "model.onnx", folder / "firmware", options=options_of("stream"))
    model = sp.models.neutrino(PIXELS, BITS).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.7)
    sp.export_onnx(model, folder / "model.onnx", (1, SIDE, SIDE))
    return hls.translate(folder / "model.onnx", folder / "firmware")


def measure(options: argparse.Namespace) -> dict:
    """Compile seconds and events a second of both builds, and their ratios."""
    what, images = many_events(options.count) if options.many else read_events(options.events, options.count)
    slow = images[: max(len(images) // 40, 1)]
    with tempfile.TemporaryDirectory() as name:
        project = make_project(Path(name), options.many)
        projects = {backend: hls.Project(project.directory, project.graph) for backend in BACKENDS}
        compile_s = {}
        for backend in BACKENDS:
            start = time.perf_counter()
            projects[backend].compile(backend)
            compile_s[backend] = time.perf_counter() - start
        runs = [(backend, threads) for backend in BACKENDS for threads in sorted({1, options.threads})]
        results = [projects[backend].predict(slow, threads=threads) for backend, threads in runs]
        if any(not np.array_equal(found, results[0]) for found in results):
            sys.exit("the builds, or numbers of threads, differ")
        rates: dict[tuple[str, int], list[float]] = {run: [] for run in runs}
        for _ in range(options.rounds):
            for backend, threads in runs:
                x = images if backend == "native" else slow
                start = time.perf_counter()
                projects[backend].predict(x, threads=threads)
                rates[backend, threads].append(len(x) / (time.perf_counter() - start))
    return {
        "events": what,
        "compile_seconds": compile_s,
        "events_per_second": [
            {"build": backend, "threads": threads, "rate": statistics.median(rate)}
            for (backend, threads), rate in rates.items()
        ],
        "ratio": statistics.median(n / a for n, a in zip(rates["native", 1], rates["ap_fixed", 1], strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Native and ap_fixed builds of the firmware, side by side.")
    events = parser.add_mutually_exclusive_group()
    events.add_argument("--events", type=Path, metavar="FILE.npz", help="images to use (default: synthetic ones)")
    events.add_argument("--many", action="store_true", help="400 pixels of 256 x 256 as a stream of pixels")
    parser.add_argument("--count", type=int, default=20_000, help="events a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, of which the median counts")
    parser.add_argument(
        "--threads",
        type=int,
        default=os.cpu_count(),
        help="beside one thread, so many (default: %(default)s, all cores)",
    )
    add_output(parser, "emulation.json (with --many: emulation_many.json)")
    options = parser.parse_args()
    result = measure(options)
    network_name = f"two convolutions, N = {MANY_PIXELS}" if options.many else f"neutrino, N = {PIXELS}"
    table = Table(title=f"{network_name}, {BITS} bit: {result['events']}; medians")
    table.add_column("build")
    for heading in ("compile", "threads", "events/s"):
        table.add_column(heading, justify="right")
    for run in result["events_per_second"]:
        seconds = result["compile_seconds"][run["build"]]
        table.add_row(run["build"], f"{seconds:.2f} s", str(run["threads"]), f"{run['rate']:,.0f}")
    Console().print(table)
    Console().print(f"native: {result['ratio']:.0f} times the events a second on one core; 0 differing outputs")
    if options.output:
        figures = {"differing_outputs": 0, "ratio_one_thread": result["ratio"]}
        for build, seconds in result["compile_seconds"].items():
            runs = {run["threads"]: run["rate"] for run in result["events_per_second"] if run["build"] == build}
            rates = {f"events_per_second_threads_{threads}": rate for threads, rate in runs.items()}
            figures[build] = {"compile_seconds": seconds} | rates
        write_results(options.output, "emulation_many" if options.many else "emulation", figures, tools=["g++"])


if __name__ == "__main__":
    main()
