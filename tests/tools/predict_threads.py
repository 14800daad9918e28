"""One project's ``predict`` from several threads at once: every event against the integer reference.

    python tests/tools/predict_threads.py                           # 4 threads x 5,000 events, each build and each port
    python tests/tools/predict_threads.py --events 500 --threads 8

The neutrino preset in 8 bits, random weights, synthetic events. Threads of Python call ``predict`` side by side, then
one call shares the batch between as many. Exit status 1 if one event is wrong.
"""

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
import torch
from rich.console import Console

import sparsepix as sp
import sparsepix_hls as hls
from random_networks import by_name
from sparsepix_hls.design.options import Options
from sparsepix_hls.frontend.reader import read_model
from sparsepix_ops import reference

DESIGNS = {"parallel": Options(), "stream": Options(io="stream", reduce="stream", pixels_per_cycle=9)}
BACKENDS = ("native", "ap_fixed")
_CHUNK = 1000  # events of the reference at once


@dataclass(frozen=True)
class Wrong:
    """Events with a wrong output: of calls side by side, and of one call with threads."""

    side_by_side: int
    shared: int


def wrong_events(project, images, expected, threads):
    """Predict the images from so many threads, in both ways.

    Args:
        project: compiled.
        images: [events, C, H, W].
        expected: exact results of all events.
        threads: how many.
    """
    parts = [range(start, len(images), threads) for start in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(lambda part: project.predict(images[part]), parts))
    side_by_side = sum(
        differing_events(found, {name: values[part] for name, values in by_name(expected).items()})
        for part, found in zip(parts, results, strict=True)
    )
    return Wrong(side_by_side, differing_events(project.predict(images, threads=threads), expected))


def differing_events(found, expected):
    """Events of which any number differs."""
    found, expected = by_name(found), by_name(expected)
    assert {name: values.shape for name, values in found.items()} == {n: v.shape for n, v in expected.items()}
    wrong = [(found[name] != values).reshape(len(values), -1).any(axis=1) for name, values in expected.items()]
    return int(np.any(wrong, axis=0).sum())


def events_and_model(count, folder):
    """Images [count, 1, 63, 63], the ONNX file, and the exact results."""
    rng = np.random.default_rng(0)
    images = np.zeros((count, 1, 63, 63), dtype=np.float32)
    active = rng.random(images.shape, dtype=np.float32) < 0.006
    images[active] = rng.random(int(active.sum()), dtype=np.float32) * 4
    torch.manual_seed(0)
    model = sp.models.neutrino(20, 8).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.7)
    path = folder / "neutrino.onnx"
    sp.export_onnx(model, path, (1, 63, 63))
    read = read_model(path).model
    exact = [reference.run(read, images[start : start + _CHUNK]).real for start in range(0, count, _CHUNK)]
    return images, path, np.concatenate(exact)


def main():
    parser = argparse.ArgumentParser(description="predict from several threads at once.")
    parser.add_argument("--threads", type=int, default=4, help="threads (default: %(default)s)")
    parser.add_argument("--events", type=int, default=5000, help="events a thread (default: %(default)s)")
    options = parser.parse_args()
    console, total, count = Console(), 0, options.threads * options.events
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, path, expected = events_and_model(count, folder)
        for io, design in DESIGNS.items():
            project = hls.translate(path, folder / io, options=design)
            for backend in BACKENDS:
                project.compile(backend)
                found = wrong_events(project, images, expected, options.threads)
                total += found.side_by_side + found.shared
                console.print(
                    f"{backend}, {io}: {options.threads} threads x {options.events:,} events: "
                    f"{found.side_by_side} wrong of calls side by side, {found.shared} wrong of one call"
                )
    console.print(f"{len(DESIGNS) * len(BACKENDS) * 2 * count:,} events, {total} wrong")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
