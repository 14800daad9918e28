"""All of MNIST: accuracy by N, selection and width beside the published weights, and what the models cost as RTL.

    python benchmarks/mnist.py FOLDER                                # all: hours on two cores
    python benchmarks/mnist.py FOLDER --seeds 0 --max-pixels 20 --bits 8 --selection raster
    python benchmarks/mnist.py FOLDER --exact                        # and compare every output
    python benchmarks/mnist.py FOLDER --output FOLDER                # and files: mnist.json, mnist_bits.json, ...
    python benchmarks/mnist.py FOLDER --bits float 6 4 --output FOLDER --name mnist_widths    # some, and files of these
    python benchmarks/mnist.py FOLDER --output FOLDER --from-csv     # figures of mnist.csv and mnist_bits.csv there

The first FOLDER holds the four IDX files. Every training is that of ``sparsepix-train mnist`` without other options,
judged on all 10,000 test images; a run that is there already is not repeated, an interrupted one goes on. 'learned'
begins with 40 pixels and learns the budget and the threshold ('learned bits': the widths too); 'bits per tensor', 'bits
per channel' and 'bits per weight' learn widths alone with N = 20, under penalties on bit operations of several weights;
'standard' is the CNN on the whole image.

Published: the weights that the authors of SparsePixels (arXiv 2512.06208) published, run through our layers on the same
images, and their latency and LUTs (C synthesis by Vitis HLS, logic synthesis by Vivado). Ours is an estimate here: of
the designs that are as quick as the published one, or quicker, the one with the fewest LUTs; benchmarks/firmware.py
measures such designs with Verilator and Yosys.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from mnist_rows import EBOPS_STUDY, FLOAT, figures_of, figures_of_bits, picture, picture_of_bits, summary
from results import add_output, csv_file, read_rows, write_results
from rich.console import Console
from rich.progress import Progress

import sparsepix as sp
import sparsepix_hls
from sparsepix.models.preset_names import BITS_PER
from sparsepix.runs import RunOptions, train
from sparsepix.training import accuracy, fit, predict
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.backends import backend_design
from sparsepix_hls.flow.rtl import RTL
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.project.parts import find_part
from sparsepix_hls.reference.published_models import PUBLISHED_MODELS, PublishedModel
from sparsepix_ops.system.files import atomic_write

CLOCK_NS = 5.0
LEARNED = {"budget": 0.15, "masked_intensity": 0.3}
EBOPS = (1e-7, 1e-6)  # weights of that penalty: little and much smaller than 8 bits
COLUMNS = ("model", "max_pixels", "bits", "seed", "penalty", "accuracy", "best_epoch", "seconds", "pixels", "ebops",
           "learned_max_pixels")  # fmt: skip


@dataclass(frozen=True)
class Training:
    """A training and the folder of its run.

    Args:
        model: 'raster', 'magnitude', 'learned', 'learned bits' or 'standard'.
        options: of the run; those of 'standard' are used as far as they apply.
        folder: of the run.
    """

    model: str
    options: RunOptions
    folder: Path


def trainings(given: argparse.Namespace) -> Iterator[Training]:
    """All trainings that were asked for."""

    def run(model: str, max_pixels: int, bits: int | None, seed: int, **more: object) -> Training:
        options = RunOptions("mnist", (str(given.files),), max_pixels=max_pixels, bits=bits, seed=seed, **more)
        weight = options.penalties.get("ebops")
        name = f"{model.replace(' ', '-')}_{max_pixels}_{bits or FLOAT}_{seed}{f'_{weight:g}' if weight else ''}"
        return Training(model, options, given.runs / name)

    shared = {"epochs": given.epochs}
    for seed in given.seeds:
        for selection, max_pixels, bits in product(given.selection, given.max_pixels, given.bits):
            yield run(selection, max_pixels, bits, seed, selection=selection, **shared)
        if given.learned:
            learn = {"penalties": LEARNED, "learn": ("max_pixels", "threshold")}
            yield run("learned", 40, 8, seed, **shared, **learn)
            for weight in EBOPS:
                learn = {"penalties": LEARNED | {"ebops": weight}, "learn": ("max_pixels", "threshold", "bits")}
                yield run("learned bits", 40, 8, seed, **shared, **learn)
        for per, weight in product(given.bits_per, EBOPS_STUDY):
            learn = {"penalties": {"ebops": weight}, "learn": ("bits",), "bits_per": per}
            yield run(f"bits per {per}", 20, 8, seed, **shared, **learn)
        if given.standard:
            yield run("standard", 1, None, seed, **shared)


def result(training: Training) -> dict:
    """Train, unless that has been done; the figures on the test images, a row of the table."""
    torch.set_num_threads(1)
    found = training.folder / "result.json"
    if not found.exists():
        data = sp.datasets.load("mnist", training.options.data)
        if training.model == "standard":
            row = standard(training, data)
        else:
            summary = train(training.options, data, training.folder, torch.device("cpu"))
            assert summary is not None
            row = {"accuracy": summary.test_accuracy, "best_epoch": summary.best_epoch, "seconds": summary.seconds}
            model = sp.load(training.folder / "model.pt")
            row["pixels"] = pixels(model, data.test.images)
            if "max_pixels" in training.options.learn:
                row["learned_max_pixels"] = model[1].max_pixels
            if training.options.bits:
                row["ebops"] = sum(layer.ebops for layer in sp.ebops(model, data.test.images).layers)
        with atomic_write(found) as temporary:
            temporary.write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
    row = json.loads(found.read_text(encoding="utf-8"))
    options = training.options
    shown = {"max_pixels": options.max_pixels, "bits": options.bits or FLOAT, "seed": options.seed}
    shown["penalty"] = options.penalties.get("ebops")
    return dict.fromkeys(COLUMNS) | {"model": training.model} | shown | row


def standard(training: Training, data: sp.datasets.Dataset) -> dict:
    """The CNN of the same layers on the whole image, in float."""
    options = training.options
    torch.manual_seed(options.seed)
    model = sp.models.mnist(bits=None, sparse=False)
    training.folder.mkdir(parents=True, exist_ok=True)
    checkpoint = training.folder / "checkpoint.pt"
    history = fit(model, data, options.epochs, seed=options.seed, monitor="loss", checkpoint=checkpoint)
    return {
        "accuracy": accuracy(predict(model, data.test.images), data.test.labels),
        "best_epoch": history.best_epoch + 1,
        "seconds": sum(history.seconds),
    }


@torch.no_grad()
def pixels(model: torch.nn.Module, images: np.ndarray) -> float:
    """Pixels that the model keeps of an image, on average."""
    model.eval()
    return float(model[:2](torch.from_numpy(images)).active.sum(1).double().mean())


def smallest(graph: Graph, published: PublishedModel) -> tuple[int, int, int]:
    """Cycles, interval and LUTs, estimated, of the smallest of our designs that is as quick as the published one."""
    found = []
    for lanes, target in product((2, 1), (3, 4, 5, 6, 8, 10, 12, 16, 20, 24)):
        options = Options(reduce="scan", scan_pixels=lanes, reuse_factor=target)
        total = (
            RTL.lower(backend_design(graph, options, CLOCK_NS, RTL)[0], CLOCK_NS, find_part("xcvu9p")).estimate().total
        )
        if total.latency_cycles <= published.latency_cycles:
            found.append((total.lut, total.latency_cycles, total.interval_cycles))
    lut, latency, interval = min(found)
    return latency, interval, lut


def costs(done: Sequence[Training]) -> dict[tuple[int, int], tuple[int, int, int]]:
    """What the first seed's raster model of each width and N costs, by (bits, max_pixels)."""
    found: dict[tuple[int, int], tuple[int, int, int]] = {}
    for training in done:
        options = training.options
        key = (options.bits, options.max_pixels)
        published = [m for m in PUBLISHED_MODELS if (m.dataset, m.bits, m.max_pixels) == ("mnist", *key)]
        if training.model == "raster" and published and key not in found:
            found[key] = smallest(read_model(exported(training)).graph, published[0])
    return found


def exported(training: Training) -> Path:
    """The ONNX file of a run."""
    model, path = sp.load(training.folder / "model.pt"), training.folder / "model.onnx"
    sp.export_onnx(model, path, model.input_shape)
    return path


def compare(training: Training, images: np.ndarray, console: Console) -> dict[str, int]:
    """How many outputs differ from torch's, of how many images: all for ONNX Runtime and C++, 500 for the RTL."""
    path, name = exported(training), training.folder.name
    # In double: the sums of 16 bits are longer than a float32 (the export says so), and the file computes so too.
    expected = predict(sp.load(training.folder / "model.pt").double(), images)
    session = ort.InferenceSession(path)
    found = {"onnx_runtime": int((session.run(None, {"image": images})[0] != expected).sum())}
    for backend, options, count in (("hls", Options(), len(images)), ("rtl", Options(reuse_factor=8), 500)):
        folder = training.folder / backend
        with console.status(f"{name}: {backend}"):
            project = sparsepix_hls.translate(path, folder, options=options, backend=backend, force=True)
            project.compile()
            found[backend] = int((project.predict(images[:count]) != expected[:count]).sum())
        found[f"{backend}_images"] = count
    console.print(f"{name}: outputs other than torch's: " + ", ".join(f"{k} {v:,}" for k, v in found.items()))
    return found


def bits_of(text: str) -> int | None:
    """A width, or None for 'float'."""
    return None if text == FLOAT else int(text)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, help="folder of MNIST's four IDX files")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/mnist"), help="what is there is not repeated (default: %(default)s)"
    )
    add_output(parser, "NAME.json, NAME_bits.json (learned widths), their .csv and .png", from_csv=True)
    parser.add_argument("--name", default="mnist", help="NAME (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default 0 1 2)")
    parser.add_argument("--max-pixels", type=int, nargs="+", default=[8, 12, 16, 20], help="N (default 8 12 16 20)")
    parser.add_argument("--bits", type=bits_of, nargs="+", default=[None, 16, 8, 6, 4], help="(default float 16 8 6 4)")
    choices = ("raster", "magnitude")
    parser.add_argument("--selection", nargs="+", choices=choices, default=list(choices), help="(default: both)")
    parser.add_argument("--no-learned", dest="learned", action="store_false", help="leave learned budgets out")
    parser.add_argument(
        "--no-standard", dest="standard", action="store_false", help="leave the standard CNN out (slow)"
    )
    parser.add_argument(
        "--bits-per", nargs="*", choices=BITS_PER, default=list(BITS_PER), help="learned widths (default: all)"
    )
    parser.add_argument("--epochs", type=int, default=50, help="(default 50, as of sparsepix-train)")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, a core each (default 2)")
    parser.add_argument("--exact", action="store_true", help="compare torch, ONNX Runtime, C++ and RTL for N = 20")
    given = parser.parse_args()
    file, file_of_bits = csv_file(parser, given, given.name), csv_file(parser, given, f"{given.name}_bits")
    if file and file_of_bits:
        rows, of_bits = ([dict.fromkeys(COLUMNS) | row for row in read_rows(path)] for path in (file, file_of_bits))
        write_results(given.output, given.name, figures_of(rows, {}), rows_of=file)
        name = f"{given.name}_bits"
        pictures = {name: picture_of_bits(of_bits)}
        write_results(given.output, name, figures_of_bits(of_bits), pictures=pictures, rows_of=file_of_bits)
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        data = sp.datasets.load("mnist", given.files, console=console)
        wanted = list(trainings(given))
    except sp.SparsePixError as error:
        parser.exit(2, f"{error}\n")
    rows: dict[Path, dict] = {}
    with (
        Progress(console=console) as progress,
        ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool,
    ):
        task = progress.add_task("trainings", total=len(wanted))
        futures = {pool.submit(result, training): training for training in wanted}
        for future in as_completed(futures):
            rows[futures[future].folder] = future.result()
            progress.console.print(f"{futures[future].folder.name}: {rows[futures[future].folder]['accuracy']:.2%}")
            progress.advance(task)
    ordered = [rows[training.folder] for training in wanted]
    with console.status("estimating the RTL"):
        found = costs(wanted)
    console.print(summary(ordered, found))
    figures = figures_of(ordered, found)
    if given.exact:
        for bits in (8, 16):
            best = [t for t in wanted if (t.model, t.options.max_pixels, t.options.bits) == ("raster", 20, bits)]
            for training in best[:1]:
                figures[f"mismatches_20_{bits}_bit"] = compare(training, data.test.images, console)
    if given.output:
        tools = ("g++", "verilator") if given.exact else ()
        pictures = {given.name: picture(ordered, found)} if found else {}
        write_results(given.output, given.name, figures, ordered, pictures, tools)
        study = [row for row in ordered if row["model"].startswith("bits per")]
        if study:
            first = {"model": "raster", "max_pixels": 20, "seed": given.seeds[0]}
            rows = [row for row in ordered if row["bits"] != FLOAT and first.items() <= row.items()] + study
            name = f"{given.name}_bits"
            write_results(given.output, name, figures_of_bits(rows), rows, {name: picture_of_bits(rows)})


if __name__ == "__main__":
    main()
