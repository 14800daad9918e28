"""Simulated RTL against the integer reference, bit for bit: random networks, the published events, synthetic events.

    python tests/tools/rtl_networks.py --networks 20
    python tests/tools/rtl_networks.py --events neutrino_events.npz --synthetic 10000
    python tests/tools/rtl_networks.py --networks 20 --output FOLDER    # and rtl_networks.json there

Events alone, back to back, with random pauses at both ports, and with resets in the middle of events. The test suite
runs a few of the networks. Needs Verilator. Exit status 1 on a mismatch.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "support"), str(Path(__file__).parents[2] / "benchmarks")]

import numpy as np
from results import add_output, write_results
from rich.console import Console

import sparsepix_hls
from all_combinations import random_model
from design_space import nearest
from published_events import published_model
from random_networks import differing, size
from sparsepix_hls.design.options import LayerOptions, Options
from sparsepix_hls.flow.rtl import RTL
from sparsepix_hls.frontend.reader import read_model
from sparsepix_ops import reference

DESIGNS = [
    Options(reduce="scan", scan_pixels=2, flatten="lookup", dsp=9),
    Options(reduce="scan", reuse_factor=3, conv="gather", flatten="scatter"),
    Options(reduce="stream", pixels_per_cycle=5, reuse_factor=2, conv="pairs", flatten="lookup"),
    Options(reduce="scan", scan_pixels=2, reuse_factor=100, flatten="scatter"),
    Options(reduce="stream", io="stream", pixels_per_cycle=3, flatten="scatter"),
    Options(reduce="scan", io="stream", pixels_per_cycle=7, conv="pairs", reuse_factor=2),
    Options(reduce="scan", conv="gather", dense="adders", flatten="scatter"),
    Options(reduce="scan", conv="overlap", reuse_factor=100, flatten="lookup"),
    Options(reduce="tree", flatten="lookup"),
    Options(reduce="tree", conv="gather", reuse_factor=2),
    Options(reduce="stream", io="stream", pixels_per_cycle=5, reuse_factor=1000, conv="gather", flatten="lookup"),
    Options(reduce="scan", reuse_factor=25, conv="pairs", flatten="lookup"),
    Options(reduce="scan", conv="pairs", flatten="lookup", dsp=40),
    Options(io="stream", conv="stream", pixels_per_cycle=5, reuse_factor=2),
]
# The trade-off of the README: two pixels a clock, what follows in four rounds.
NEUTRINO = Options(
    reduce="scan", scan_pixels=2, layers={name: LayerOptions(reuse_factor=4) for name in ("conv2", "dense1")}
)


def differences(path, images, expected, options, folder):
    """Differing outputs in each way to run a design, by name; and the measured clocks."""
    graph = read_model(path).graph
    _, height, width = graph.input.shape
    if options.pixels_per_cycle:
        options = replace(options, pixels_per_cycle=min(options.pixels_per_cycle, height * width))
    project = sparsepix_hls.translate(path, folder, options=nearest(graph, options, RTL.of_largest), backend="rtl")
    project.compile()
    found = {"predict": differing(project.predict(images), expected)}
    measured = project.measure(images)  # against each other; 'alone' is what predict gave
    return found | measured.mismatches, measured, project


def main():
    parser = argparse.ArgumentParser(description="Simulated RTL against the integers.")
    parser.add_argument("--networks", type=int, default=0, metavar="COUNT", help="random networks")
    parser.add_argument("--events", type=Path, metavar="FILE.npz", help="the published events and weights")
    parser.add_argument("--synthetic", type=int, default=0, metavar="COUNT", help="synthetic events for those weights")
    add_output(parser, "rtl_networks.json")
    options = parser.parse_args()
    console = Console()
    wrong = outputs = events = 0

    def note(name, found, measured, count):
        nonlocal wrong, outputs
        wrong += sum(found.values())
        outputs += count * len(found)
        style = "bold red" if any(found.values()) else ""
        clocks = f"latency {measured.latency_cycles}, every {measured.interval_cycles}"
        console.print(f"{name}: {sum(found.values())} differing outputs in {len(found)} runs; {clocks}", style=style)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(options.networks):
            path, images, expected = random_model(number, folder)
            design = DESIGNS[number % len(DESIGNS)]
            found, measured, _ = differences(path, images, expected, design, folder / f"rtl{number}")
            note(f"network {number}", found, measured, size(expected))
        if options.events:
            path, images, expected = published_model(options.events, folder)
            found, measured, project = differences(path, images, expected, NEUTRINO, folder / "rtl_events")
            note("published events", found, measured, expected.size)
            events = len(images)
            if options.synthetic:
                more = synthetic(images, options.synthetic)
                exact = reference.run(read_model(path).model, more).real
                again = {"predict": int((project.predict(more) != exact).sum())}
                raw = project.graph.input.type.quantize(more).raw
                stalled = project.predict_raw(raw, ("--stalls",))
                again["stalls"] = int(
                    (np.ldexp(stalled.astype(np.float64), project.graph.output.type.exponent) != exact).sum()
                )
                note(f"{options.synthetic} synthetic events", again, measured, exact.size)
    console.print(f"{outputs:,} outputs, {wrong} mismatches")
    if options.output:
        figures = {"networks": options.networks, "events": events, "synthetic_events": options.synthetic}
        figures |= {"outputs": outputs, "mismatches": wrong}
        write_results(options.output, "rtl_networks", figures, tools=["verilator"])
    return 1 if wrong else 0


def synthetic(like, count, seed=0):
    """Synthetic events: real pixel values at random places, up to 60 of them in an image."""
    rng = np.random.default_rng(seed)
    values = like[like > 0]
    images = np.zeros((count, *like.shape[1:]), like.dtype)
    for image in images:
        pixels = int(rng.integers(0, 61))
        rows, columns = rng.integers(0, like.shape[2], pixels), rng.integers(0, like.shape[3], pixels)
        if rng.random() < 0.5:  # a track: neighbours meet in the window of the convolutions
            rows = np.clip(rows[:1] + np.cumsum(rng.integers(0, 2, pixels)), 0, like.shape[2] - 1)
            columns = np.clip(columns[:1] + np.cumsum(rng.integers(-1, 2, pixels)), 0, like.shape[3] - 1)
        image[0, rows, columns] = rng.choice(values, pixels)
    return images


if __name__ == "__main__":
    sys.exit(main())
