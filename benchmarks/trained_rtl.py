"""From data to hardware by commands alone: what ``sparsepix-train``, ``-export`` and ``-hls`` say of a model.

    python benchmarks/trained_rtl.py MNIST                           # an hour on one core
    python benchmarks/trained_rtl.py --only neutrino_8               # needs no MNIST
    python benchmarks/trained_rtl.py MNIST --output FOLDER           # and trained_rtl.json there

MNIST is the folder of its four IDX files. 'neutrino_8': the 8 largest pixels, beside the first 20 ('neutrino_20', only
trained). 'mnist_...': 20 pixels, 8 bits everywhere, or widths learned for each tensor or weight; as RTL in 8 rounds
(Verilator, Yosys) and fully parallel (estimated). 'demo': the digits of the three commands in README, whose C++ is
scheduled.
"""

import argparse
import json
import shlex
import tempfile
import time
from pathlib import Path

from neutrino_rtl import figures_of, run
from results import add_output, key, write_results
from rich.console import Console
from rich.table import Table

from sparsepix_hls.flow.report import read_report

RTL = "sparsepix-hls run/model.onnx --backend rtl --scan-pixels 2"
MNIST = "sparsepix-train mnist --data MNIST --max-pixels 20 --bits 8 --seed 0"
LEARNED = "--learn bits --penalty ebops=1e-6"
ROUNDS = {"": f"{RTL} --reuse-factor 8 --simulate --synthesize", "parallel": f"{RTL} --force"}
# How each is trained, and what is made of it; figures of the second and further commands begin with their name.
MODELS: dict[str, tuple[str, dict[str, str]]] = {
    "neutrino_8": (
        "sparsepix-train neutrino --data synthetic --max-pixels 8 --selection magnitude --seed 0",
        {"": f"{RTL} --part xcu250 --reuse-factor 4 --simulate --synthesize"},
    ),
    "neutrino_20": ("sparsepix-train neutrino --data synthetic --max-pixels 20 --seed 0", {}),
    "mnist_all_8_bits": (MNIST, ROUNDS),
    "mnist_bits_per_tensor": (f"{MNIST} {LEARNED} --bits-per tensor", ROUNDS),
    "mnist_bits_per_weight": (f"{MNIST} {LEARNED} --bits-per weight", ROUNDS),
    "demo": (
        "sparsepix-train digits --max-pixels 20 --selection magnitude --seed 0",
        {"scheduled": "sparsepix-hls run/model.onnx --schedule"},
    ),
}


def timed(command: str, folder: Path, mnist: Path | None) -> float:
    """Run a command there; its seconds."""
    begun = time.perf_counter()
    run([str(mnist) if word == "MNIST" else word for word in shlex.split(command)], folder)
    return time.perf_counter() - begun


def measure(train: str, made: dict[str, str], folder: Path, mnist: Path | None) -> dict[str, float]:
    """Figures of a model and what is made of it."""
    timed(f"{train} -o run", folder, mnist)
    summary = json.loads((folder / "run/summary.json").read_text(encoding="utf-8"))
    figures = {"accuracy": summary["test_accuracy"], "auc": summary["test_auc"], "seconds": summary["seconds"]}
    if made:
        timed("sparsepix-export run/model.pt", folder, mnist)
    for name, command in made.items():
        seconds = timed(command, folder, mnist)
        report = read_report(folder / "run" / f"model_{'rtl' if '--backend rtl' in command else 'hls'}")
        if report.get("schedule") or report.get("measured"):
            found = figures_of(report)
        else:
            found = {f"estimated_{what}": report["estimate"]["total"][what] for what in ("latency_cycles", "lut")}
        modules = (report.get("synthesis") or {"modules": {}})["modules"]
        found |= {f"lut_of_{key(module)}": area["lut"] for module, area in modules.items()}
        found["minutes"] = seconds / 60
        figures |= {f"{name}_{what}" if name else what: value for what, value in found.items()}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path, nargs="?", help="folder of MNIST's four IDX files")
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS), help="some of the models")
    add_output(parser, "trained_rtl.json")
    given = parser.parse_args()
    if given.mnist is None and any(name.startswith("mnist") for name in given.only):
        parser.error("the models of MNIST need the folder of its files")
    console, figures, commands = Console(), {}, {}
    table = Table(title="trained, exported, made into hardware by commands")
    columns = ("accuracy", "auc", "latency_cycles", "interval_cycles", "lut", "levels", "mismatches")
    table.add_column("model")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for name in given.only:
        train, made = MODELS[name]
        commands |= {name: f"{train} -o run"} | {f"{name}_{what or 'rtl'}": command for what, command in made.items()}
        console.print(f"{name}: {train}")
        with tempfile.TemporaryDirectory() as folder:
            found = figures[name] = measure(train, made, Path(folder), given.mnist and given.mnist.absolute())
        shown = {column: found.get(column, found.get(f"scheduled_{column}")) for column in columns}
        table.add_row(name, *("" if value is None else f"{round(value, 4):,}" for value in shown.values()))
    console.print(table)
    if given.output:
        write_results(given.output, "trained_rtl", figures, tools=("verilator", "yosys", "g++"), commands=commands)


if __name__ == "__main__":
    main()
