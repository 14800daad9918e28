"""ONNX Runtime: the bodies of our ops beside earlier ones, which compared all pairs of slots.

    python benchmarks/onnx_bodies.py                    # a minute, most of it in the earlier bodies at N = 1,000
    python benchmarks/onnx_bodies.py --output FOLDER    # and onnx_bodies.json there

Three convolutions (the second with a stride), a max pool and a flatten, random weights; images with N active pixels, in
one batch; one thread. Both files must give the same bits before anything is timed. Milliseconds an event, medians of
rounds that alternate, and their ratio.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from results import add_output, write_results
from rich.console import Console
from rich.table import Table
from torch import nn

import sparsepix as sp
from sparsepix_ops.op import DOMAIN

EARLIER = Path(__file__).parents[1] / "tests/ops/earlier_bodies.txt"
CASES = ((20, 63, 63, 1, 101), (20, 63, 63, 32, 31), (1000, 256, 512, 1, 7), (1000, 256, 512, 8, 3))


def network(max_pixels: int) -> nn.Module:
    """The model."""
    weights, features = sp.FixedPoint(8, 2), sp.FixedPoint(8, 3, signed=False)
    return nn.Sequential(
        sp.QuantIdentity(sp.FixedPoint(8, 1, signed=False)),
        sp.SparseInputReduce(max_pixels, 0.0),
        sp.SparseConv2d(1, 4, 3, weight_format=weights),
        sp.SparseReLU(features),
        sp.SparseConv2d(4, 4, 3, stride=2, weight_format=weights),
        sp.SparseReLU(features),
        sp.SparseConv2d(4, 4, 3, weight_format=weights),
        sp.SparseReLU(features),
        sp.SparseMaxPool2d(4),
        sp.SparseFlatten(),
    ).eval()


def sessions(folder: Path, pixels: int, height: int, width: int) -> dict[str, ort.InferenceSession]:
    """The exported file, and the same with the earlier bodies."""
    torch.manual_seed(0)
    model = sp.export_onnx(network(pixels), folder / "new.onnx", (1, height, width))
    functions = map(onnx.parser.parse_function, EARLIER.read_text().split("\n\n"))
    earlier = {function.name: function for function in functions}
    for function in model.functions:
        if function.domain == DOMAIN and function.name in earlier:
            function.CopyFrom(earlier[function.name])
    onnx.save(model, folder / "earlier.onnx")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return {name: ort.InferenceSession(folder / f"{name}.onnx", options) for name in ("new", "earlier")}


def images_of(pixels: int, height: int, width: int, batch: int) -> np.ndarray:
    """Images with as many active pixels as are kept."""
    rng = np.random.default_rng(0)
    images = np.zeros((batch, 1, height, width), dtype=np.float32)
    for image in images.reshape(batch, -1):
        image[rng.choice(image.size, pixels, replace=False)] = rng.uniform(0.01, 1, pixels)
    return images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_output(parser, "onnx_bodies.json")
    options = parser.parse_args()
    figures = {}
    table = Table(title="ONNX Runtime, one thread: ms an event")
    for heading in ("N", "image", "batch", "now", "earlier", "ratio"):
        table.add_column(heading, justify="right")
    console = Console()
    for pixels, height, width, batch, rounds in CASES:
        console.print(f"{pixels} pixels of {height} x {width}, batches of {batch} ...")
        images = images_of(pixels, height, width, batch)
        with tempfile.TemporaryDirectory() as folder:
            both = sessions(Path(folder), pixels, height, width)
        feeds = {session.get_inputs()[0].name: images for session in both.values()}
        if not np.array_equal(*(session.run(None, feeds)[0] for session in both.values())):
            sys.exit("the two differ")
        times: dict[str, list[float]] = {name: [] for name in both}
        for _ in range(rounds):
            for name, session in both.items():
                begin = time.perf_counter()
                session.run(None, feeds)
                times[name].append(1e3 * (time.perf_counter() - begin) / batch)
        new, old = (statistics.median(times[name]) for name in ("new", "earlier"))
        ratio = statistics.median(b / a for a, b in zip(times["new"], times["earlier"], strict=True))
        table.add_row(str(pixels), f"{height} x {width}", str(batch), f"{new:.2f}", f"{old:.2f}", f"{ratio:.1f}")
        name = f"pixels_{pixels}_image_{height}x{width}_batch_{batch}"
        figures[name] = {"ms_an_event": new, "earlier_ms_an_event": old, "ratio": ratio}
    console.print(table)
    if options.output:
        write_results(options.output, "onnx_bodies", figures)


if __name__ == "__main__":
    main()
