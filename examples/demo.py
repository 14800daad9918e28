"""The main job from end to end: train, quantize, export, translate, compile, and compare every output bit for bit.

Trains a sparse CNN on the handwritten digits that scikit-learn ships, hands it to the commands ``sparsepix-export``
and ``sparsepix-hls``, and runs four models over the whole test set: float torch, quantized torch, ONNX Runtime and
the compiled C++ of the firmware. Exit status 1 if one output of the last three differs in one bit.

The number of mismatches and the latency are the same everywhere. What follows from the training is not: sums are
rounded in an order that depends on the processor, and a difference in a last bit leads training to another model. So
the demo makes torch compute as it does on any x86-64 processor, and says whether its figures are in the documented
ranges.
"""

import argparse
import json
import os
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from sparsepix_hls.project.toolchain import find_compiler, find_make
from sparsepix_ops.system import processes, tools
from sparsepix_ops.system.command import run as run_command
from sparsepix_ops.system.files import claimed_folder, shell_word
from sparsepix_ops.system.progress import duration, step

console = Console(highlight=False)

TESTBENCH_IMAGES = 100
BATCH = 64
# Without them torch and MKL take instructions by processor, and round sums in another order on each. torch reads them
# when it is imported. They cost a training of this size no time.
SAME_ON_ANY_PROCESSOR = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"}
# The documented figures (docs/results) are those of these options' defaults. What depends on the training lay in these
# ranges over seeds and simulated processors (accuracies of 360 images, so 1 % is less than 4 images).
DOCUMENTED_OPTIONS = ("max_pixels", "selection", "epochs", "fine_tune", "part")
PICTURES = {
    "kept_pixels": "what the model sees: the pixels it keeps of ten digits, and those it drops",
    "training_curve": "how it was trained: loss and accuracy, in float and then with 8 bits",
    "confusion": "what the firmware decides, digit by digit",
}
RANGES = {"float torch": (0.955, 0.995), "quantized torch": (0.955, 0.995), "lut": (174_400, 176_400)}


def train(model: Any, data: Any, name: str, epochs: int, learning_rate: float, seed: int) -> Any:
    """Train a model and show how far it is; returns its history."""
    from sparsepix import training

    with step(console, f"training, {name}", f"{name} model trained", total=epochs, unit="epochs", even=True) as now:
        return training.fit(
            model,
            data,
            epochs,
            learning_rate,
            seed=seed,
            augment=training.random_shifts(3),  # one pixel of the digits before they were inflated
            label_smoothing=0.1,
            float_epochs=0,  # the float model is one already
            monitor="loss",  # the accuracy of 180 images comes in steps of 0.6 %: which epoch has the best is luck
            on_epoch=lambda i, h: now.tell(f"validation {h.validation_accuracy[-1]:.1%}", i + 1, epochs),
        )


def command(folder: Path, name: str, *arguments: str) -> None:
    """Run one of the installed commands in a folder and show its output; ends the demo if it fails."""
    console.print(f"\n[bold]$ {name} {' '.join(arguments)}", soft_wrap=True)
    script = Path(sysconfig.get_path("scripts")) / name
    status = processes.run([script, *arguments], folder, capture=False).returncode
    if status:
        console.print(f"[bold red]{name} failed with exit status {status}")
        raise SystemExit(status)


def run_all(folder: Path, quantized: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs [E, 10] of the quantized torch model, of ONNX Runtime and of the compiled firmware."""
    import onnxruntime

    from sparsepix import training
    from sparsepix_hls.cpp.project import Project
    from sparsepix_hls.frontend.reader import read_model

    # These two get nothing but what the commands wrote.
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    project = Project(folder / "model_hls", read_model(folder / "model.onnx").graph)
    project.compile(console=console)
    runners = {
        "quantized torch": lambda batch: training.predict(quantized, batch),
        "ONNX Runtime": lambda batch: session.run(None, {session.get_inputs()[0].name: batch})[0],
        "C++ firmware": project.predict,
    }
    outputs = {}
    for name, run in runners.items():
        parts = []
        done = f"{len(images)} test images through {name}"
        with step(console, f"test set, {name}", done, total=len(images), unit="images") as now:
            for batch in np.split(images, range(BATCH, len(images), BATCH)):
                parts.append(run(batch))
                now.advance(len(batch))
        outputs[name] = np.concatenate(parts)
    return outputs


def mismatches(outputs: dict[str, np.ndarray]) -> dict[str, int]:
    """Number of outputs that differ, for each pair of implementations."""
    names = list(outputs)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    # float64 holds the values of float32 exactly; a NaN differs from everything.
    return {f"{a} / {b}": int((outputs[a].astype(np.float64) != outputs[b]).sum()) for a, b in pairs}


def pixel_counts(reduce: Any, images: np.ndarray) -> dict[str, float]:
    """Mean numbers of active, kept and dropped pixels of an image, and the share of images that lose some."""
    import torch

    kept = reduce(torch.from_numpy(images)).active.sum(1).numpy()
    active = (images[:, 0] > reduce.threshold).sum((1, 2))
    return {
        "active": float(active.mean()),
        "kept": float(kept.mean()),
        "dropped": float((active - kept).mean()),
        "images_with_dropped": float((active > kept).mean()),
    }


def save_pictures(folder: Path, data: Any, reduce: Any, histories: dict[str, Any], decided: np.ndarray) -> None:
    """Write the pictures of ``PICTURES``."""
    from sparsepix import plots
    from sparsepix_ops.system.files import atomic_write

    one_each = [int(np.flatnonzero(data.test.labels == label)[0]) for label in range(len(data.classes))]
    figures = {
        "kept_pixels": plots.kept_pixels(
            data.test.images[one_each], reduce, [f"digit {name}" for name in data.classes], columns=5
        ),
        "training_curve": plots.training_curve(histories, consecutive=True),
        "confusion": plots.confusion(data.test.labels, decided, data.classes),
    }
    with step(console, "drawing", f"{len(figures)} pictures drawn", total=len(figures), unit="pictures") as now:
        for name, figure in figures.items():
            with atomic_write(folder / f"{name}.png") as temporary:
                figure.savefig(temporary, format="png", dpi=150)
            now.advance()


def outside_ranges(results: dict[str, Any]) -> list[str]:
    """The figures that are not in the documented ranges, in words."""
    found = {**results["test_accuracy"], "lut": results["estimate"]["lut"]}
    return [
        f"{name} {found[name]:,} is not within {low:,} ... {high:,}"
        for name, (low, high) in RANGES.items()
        if not low <= found[name] <= high
    ]


def show(results: dict[str, Any], documented: bool) -> None:
    """Print the result as a table.

    Args:
        results: what the demo found.
        documented: whether the options are those that README's figures were made with.
    """
    table = Table(title="\nhandwritten digits, sparse CNN", box=box.SIMPLE, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for i, (name, value) in enumerate(results["test_accuracy"].items()):
        table.add_row(name, f"{value:.2%}", f"test accuracy on {results['test_images']} images" if not i else "")
    table.add_section()
    for i, (pair, count) in enumerate(results["mismatching_outputs"].items()):
        note = f"mismatching outputs of {results['compared_outputs']:,}" if not i else ""
        table.add_row(pair, f"[bold {'red' if count else 'green'}]{count}", note)
    table.add_section()
    pixels, size, estimate = results["pixels"], results["size"], results["estimate"]
    table.add_row("pixels kept", f"{pixels['kept']:.1f}", f"of {pixels['active']:.1f} active ones, mean of an image")
    lossy = f"mean; {pixels['images_with_dropped']:.0%} of the images have more than {results['max_pixels']}"
    table.add_row("pixels dropped", f"{pixels['dropped']:.1f}", lossy)
    table.add_row("parameters", f"{size['parameters']:,}", f"of {results['weight_bits']} bits")
    for name in ("model.pt", "model.onnx"):
        table.add_row(name, f"{size[name] / 1024:.0f} KiB", "")
    table.add_section()
    cycles = f"{estimate['latency_cycles']} cycles"
    table.add_row("latency", cycles, f"{estimate['latency_us']:.3f} us at {estimate['clock_ns']:g} ns (estimate)")
    for name in ("lut", "dsp"):
        share = f"{estimate['share'][name]:.1%} of {results['part']} " if estimate["share"] else ""
        table.add_row(name.upper(), f"{estimate[name]:,}", f"{share}(estimate)")
    console.print(table)
    console.print("latency, LUT and DSP are estimates from primitives; no synthesis has confirmed them")
    if documented:
        outside = outside_ranges(results)
        console.print("accuracy and LUT depend on the training; they are ", end="")
        if outside:
            console.print(f"[bold red]not all in the documented ranges: {'; '.join(outside)}")
        else:
            console.print("[bold green]in the documented ranges")


def show_next(folder: Path, seconds: float) -> None:
    """Print where to look now, and the command that goes on from here."""
    project = folder / "model_hls"
    shown = {folder / f"{name}.png": text for name, text in PICTURES.items()}
    shown[project / "report.html"] = "all of the design: latency and area of each layer (open it in a browser)"
    shown[project / "firmware"] = "its C++; build.tcl beside this folder runs Vitis HLS"
    there = {str(path): text for path, text in shown.items() if path.exists()}
    width = max(map(len, there))
    print(f"done in {duration(seconds)}. Look at")
    print("\n".join(f"  {path:{width}}  {text}" for path, text in there.items()))
    words = _command("sparsepix-hls"), folder / "model.onnx"
    print(f"next: {' '.join(map(shell_word, words))} --explore\n  estimates faster and smaller designs of this model")


def _command(name: str) -> Path:
    """The path of an installed command, as short as it can be."""
    path = Path(sysconfig.get_path("scripts")) / name
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main() -> int:
    """Run the demo; returns its exit status."""
    return run_command(_main, leaving=True)


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for everything (default: demo)")
    parser.add_argument("--max-pixels", type=int, default=20, help="slots of the list (default: 20)")
    # A digit has 22 active pixels on average. The brightest 20 say more than the first 20; finding them takes longer.
    parser.add_argument(
        "--selection",
        choices=("magnitude", "raster"),
        default="magnitude",
        help="keep the brightest pixels, or the first (default: magnitude)",
    )
    parser.add_argument("--epochs", type=int, default=80, help="of the float training (default: 80)")
    parser.add_argument("--fine-tune", type=int, default=15, help="epochs of the 8-bit training (default: 15)")
    parser.add_argument("--part", default="xcvu9p", help="FPGA (default: xcvu9p)")
    parser.add_argument("--seed", type=int, default=0, help="of the data split, the weights, the training (default: 0)")
    arguments = parser.parse_args()
    documented = all(getattr(arguments, name) == parser.get_default(name) for name in DOCUMENTED_OPTIONS)
    os.environ.update(SAME_ON_ANY_PROCESSOR)
    # Before the training, not after it.
    tools.require("the demo", "torch", "brevitas", "onnxruntime", "sklearn", "matplotlib", "onnx", "da4ml")
    find_compiler()
    find_make()
    with claimed_folder(arguments.output, "demo"):
        return run(arguments, documented)


def run(arguments: argparse.Namespace, documented: bool) -> int:
    """Run the demo in its folder; ``documented``: with options whose figures are known. Returns the exit status."""
    start, folder = time.perf_counter(), arguments.output

    with step(console, "loading torch and the digits", "torch and the digits loaded"):
        import torch

        import sparsepix as sp
        from sparsepix.training import accuracy, decisions, predict
        from sparsepix_ops.system.files import atomic_write

        # Small tensors gain little from a second thread, and lose ten times as much where another program runs.
        torch.set_num_threads(1)
        data = sp.datasets.digits(seed=arguments.seed)
        torch.manual_seed(arguments.seed)
        floating = sp.models.digits(arguments.max_pixels, bits=None, selection=arguments.selection)
        quantized = sp.models.digits(arguments.max_pixels, bits=8, selection=arguments.selection)
    histories = {"float": train(floating, data, "float", arguments.epochs, 1e-2, arguments.seed)}
    quantized.load_state_dict(floating.state_dict())
    histories["8 bit"] = train(quantized, data, "8 bit", arguments.fine_tune, 1e-3, arguments.seed)
    sp.save(quantized, folder / "model.pt")
    with atomic_write(folder / "testbench_images.npy") as temporary, temporary.open("wb") as file:
        np.save(file, data.test.images[:TESTBENCH_IMAGES])

    command(folder, "sparsepix-export", "model.pt")
    images_option = ("--testbench-data", "testbench_images.npy")
    command(folder, "sparsepix-hls", "model.onnx", "--part", arguments.part, "--csim", "--force", *images_option)
    console.print()

    outputs = run_all(folder, quantized, data.test.images)
    differing = mismatches(outputs)
    named = {"float torch": predict(floating, data.test.images), **outputs}
    save_pictures(folder, data, quantized.reduce, histories, decisions(outputs["C++ firmware"]))
    report = json.loads((folder / "model_hls" / "report.json").read_text(encoding="utf-8"))
    estimate, total = report["estimate"], report["estimate"]["total"]
    results = {
        "validation_accuracy": {
            name: history.validation_accuracy[history.best_epoch] for name, history in histories.items()
        },
        "test_images": len(data.test),
        "test_accuracy": {name: accuracy(output, data.test.labels) for name, output in named.items()},
        "mismatching_outputs": differing,
        "compared_outputs": outputs["C++ firmware"].size,
        "seed": arguments.seed,
        "max_pixels": arguments.max_pixels,
        "selection": arguments.selection,
        "pixels": pixel_counts(quantized.reduce, data.test.images),
        "weight_bits": quantized.architecture.weight_format.width,
        "size": {"parameters": sum(p.numel() for p in quantized.parameters())}
        | {name: (folder / name).stat().st_size for name in ("model.pt", "model.onnx")},
        "part": report["part"]["name"],
        "estimate": {"kind": estimate["kind"], "clock_ns": report["clock_ns"], **total}
        | {"latency_us": estimate["latency_ns"] / 1000, "share": estimate["utilization"] or {}},
        "testbench": report["csim"],
        "seconds": round(time.perf_counter() - start, 1),
    }
    with atomic_write(folder / "results.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    show(results, documented)
    show_next(folder, results["seconds"])
    return 1 if any(differing.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
