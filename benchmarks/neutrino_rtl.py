"""The neutrino model with the published weights as hardware: designs of RTL, measured, and the C++, scheduled.

    python benchmarks/neutrino_rtl.py neutrino_events.npz                       # a quarter of an hour on two cores
    python benchmarks/neutrino_rtl.py neutrino_events.npz --only rows stream
    python benchmarks/neutrino_rtl.py neutrino_events.npz --output FOLDER       # and neutrino_rtl.json there

The file holds the 100 events and the weights that the authors of SparsePixels published; it is no part of the project.
Each design is made by one command of ``sparsepix-hls``, of which its report is read: clocks by Verilator, with the 100
events, area by Yosys; of 'scheduled' ones clocks by the schedule of the C++. 'Published' is the design of the authors.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
from results import ROOT, add_output, write_results
from rich.console import Console
from rich.table import Table

import sparsepix as sp
from sparsepix_hls.flow.report import read_report
from sparsepix_hls.reference.published_models import PUBLISHED_MODELS

sys.path.insert(0, str(ROOT / "tests/support"))
from published_events import SIZES, images_of, read_events, trained

SIZE = "l"  # of the published models
RTL = "--backend rtl --part xcu250"
MEASURED = "--testbench-data events.npy --simulate --synthesize"
DESIGNS = {
    "rtl": f"--backend rtl --config examples/neutrino_rtl.yaml {MEASURED}",
    "rows": f"{RTL} --config examples/neutrino_rows.yaml {MEASURED}",
    "balanced": f"{RTL} --config examples/neutrino_balanced.yaml {MEASURED}",
    "fast": f"{RTL} --config examples/neutrino_fast.yaml {MEASURED}",
    "stream": f"{RTL} --io stream --target-interval 84 {MEASURED}",
    "pairs": f"{RTL} --io stream --target-interval 84 --conv pairs {MEASURED}",
    "scheduled": "--scan-pixels 2 --reuse-factor 2 --schedule",
    "scheduled_one_pixel": "--scan-pixels 1 --reuse-factor 2 --schedule",
}
CLOCKS = ("latency_cycles", "latency_cycles_least", "tail_cycles", "interval_cycles", "interval_cycles_mean")


def run(words: list[str], folder: Path) -> None:
    """Run a command of ours there; ends the program if it fails."""
    program = Path(sysconfig.get_path("scripts"), words[0])
    subprocess.run([program, *words[1:]], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def figures_of(report: dict) -> dict[str, float]:
    """The figures of a report."""
    if "schedule" in report:
        schedule = report["schedule"]
        loops = [loop for stage in schedule["stages"] for loop in stage["loops"]]
        found = {key: schedule[key] for key in ("latency_cycles", "interval_cycles", "lut", "ff", "dsp")}
        return found | {"loops": len(loops), "largest_loop_interval": max(loop["interval_cycles"] for loop in loops)}
    measured, synthesis = report["measured"], report["synthesis"]
    found = {key: measured[key] for key in ("events", *CLOCKS)} | synthesis["total"]
    found |= {"levels": synthesis["deepest"]["levels"], "mismatches": sum(measured["mismatches"].values())}
    total = report["estimate"]["total"]
    return found | {f"estimated_{key}": total[key] for key in ("latency_cycles", "interval_cycles", "lut", "dsp")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=Path, help="neutrino_events.npz")
    parser.add_argument("--only", nargs="+", choices=DESIGNS, default=list(DESIGNS), help="some of the designs")
    add_output(parser, "neutrino_rtl.json")
    arguments = parser.parse_args()
    if not arguments.events.is_file():
        parser.error(f"{arguments.events}: there is no such file")
    events, console = read_events(arguments.events), Console()
    published = next(m for m in PUBLISHED_MODELS if (m.dataset, m.bits, m.max_pixels) == ("neutrino", 8, SIZES[SIZE]))
    keys = ("latency_cycles", "interval_cycles", "lut", "ff", "dsp", "bram")
    figures, commands = {"published": {key: getattr(published, key) for key in keys}}, {}
    for name in arguments.only:
        words = ["sparsepix-hls", "neutrino.onnx", *DESIGNS[name].split()]
        commands[name] = shlex.join(words)
        console.print(f"{name}: {commands[name]}")
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(ROOT / "examples", Path(folder, "examples"))
            sp.export_onnx(trained(events, SIZE), Path(folder, "neutrino.onnx"))
            np.save(Path(folder, "events.npy"), images_of(events))
            run(words, Path(folder))
            backend = "rtl" if "--backend rtl" in DESIGNS[name] else "hls"
            figures[name] = figures_of(read_report(Path(folder, f"neutrino_{backend}")))
    table = Table(title="the neutrino model, 8 bit, N = 20")
    columns = ("latency_cycles", "tail_cycles", "interval_cycles", "lut", "ff", "dsp", "bram", "levels", "mismatches")
    table.add_column("design")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for name, found in figures.items():
        table.add_row(name, *(f"{found[key]:,}" if key in found else "" for key in columns))
    console.print(table)
    if arguments.output:
        write_results(arguments.output, "neutrino_rtl", figures, tools=("verilator", "yosys", "g++"), commands=commands)


if __name__ == "__main__":
    main()
