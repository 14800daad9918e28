"""Files of what benchmarks find: README's table and the page of results are made from those in docs/results.

With ``--output FOLDER`` a benchmark writes FOLDER/NAME.json: its figures, the command, when and on which machine it
ran, and what code it measured. Where there are rows, NAME.csv holds them; a picture is NAME.png. A benchmark whose rows
take hours can read them again: ``--from-csv`` measures nothing, and the JSON file says when the rows were committed.
"""

import argparse
import csv
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsepix_ops.system.files import atomic_write
from sparsepix_ops.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Number = int | float
Figures = Mapping[str, Number | Mapping[str, Number]]

ROOT = Path(__file__).resolve().parents[1]
BEGUN, LOAD = time.perf_counter(), os.getloadavg()[0]
MEASURED = ("hls", "onnx_ops", "src", "examples")  # folders of what is measured
PACKAGES = ("torch", "onnxruntime", "llvmlite")  # their versions are kept if the benchmark has imported them
FROM_CSV = "--from-csv"


def add_output(parser: argparse.ArgumentParser, what: str, from_csv: bool = False) -> None:
    """Add the option ``--output``.

    Args:
        parser: of the benchmark.
        what: the files that it writes.
        from_csv: also add ``--from-csv``.
    """
    parser.add_argument("--output", type=Path, metavar="FOLDER", help=f"write {what} there")
    if from_csv:
        parser.add_argument(FROM_CSV, action="store_true", help="measure nothing: summarise the CSV file in FOLDER")


def csv_file(parser: argparse.ArgumentParser, options: argparse.Namespace, name: str) -> Path | None:
    """The CSV file that ``--from-csv`` asks for; None: measure."""
    if options.from_csv and not options.output:
        parser.error(f"{FROM_CSV}: expected the folder of {name}.csv (--output)")
    return options.output / f"{name}.csv" if options.from_csv else None


def key(words: str) -> str:
    """Words as a key of a figure: 'budget, threshold' is 'budget_threshold'."""
    return re.sub(r"[^a-z0-9.]+", "_", words.lower()).strip("._")


def write_results(
    folder: Path,
    name: str,
    figures: Figures,
    rows: Sequence[Mapping[str, Any]] = (),
    pictures: Mapping[str, "Figure"] | None = None,
    tools: Iterable[str] = (),
    rows_of: Path | None = None,
    commands: Mapping[str, str] | None = None,
) -> None:
    """Write NAME.json, and NAME.csv and pictures if there are any.

    Args:
        folder: is made if it is not there.
        name: of the benchmark, or of the benchmark with these options.
        figures: with keys that tell what they are, in full precision.
        rows: for the CSV file, if they were measured; the first one has all columns.
        pictures: by the names of their files, without '.png'.
        tools: programs whose versions matter: 'verilator', 'yosys', 'g++'.
        rows_of: the CSV file that the figures were read from, if nothing was measured.
        commands: that the benchmark ran, by the names of what they made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if rows_of is None:
        origin = {
            "date": date.today().isoformat(),
            "commit": code(),
            "version": __version__,
            "machine": machine(tools),
            "seconds": round(time.perf_counter() - BEGUN, 1),
        }
    else:
        origin = committed(rows_of) | {"version": __version__, "machine": None, "seconds": None, "from": rows_of.name}
    content = {"name": name, "command": command()} | origin
    content |= ({"commands": commands} if commands else {}) | {"figures": figures}
    with atomic_write(folder / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if rows and rows_of is None:
        write_rows(folder / f"{name}.csv", rows)
    for file, figure in (pictures or {}).items():
        with atomic_write(folder / f"{file}.png") as temporary:
            figure.savefig(temporary, format="png", dpi=130)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file; the first row has all columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a CSV file, numbers as numbers and what is empty as None; ends the program if it is not there."""
    if not path.is_file():
        sys.exit(f"{path}: there is no such file to summarise")
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(text: str) -> str | Number | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text or None


def command(arguments: Sequence[str] | None = None) -> str:
    """The command of this program as a user types it, with FOLDER and the names of files for paths.

    Args:
        arguments: those of the program; None: of this one.
    """
    script, *given = sys.argv if arguments is None else arguments
    words = [FOLDER if Path(word).is_dir() else Path(word).name if Path(word).is_file() else word for word in given]
    return shlex.join(
        ["python", Path(script).resolve().relative_to(ROOT).as_posix(), *(word for word in words if word != FROM_CSV)]
    )


FOLDER = "FOLDER"


def machine(tools: Iterable[str] = ()) -> dict[str, str | Number]:
    """The machine, its load when this program began (times of a busy one say little), and versions of what matters."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*:\s*(.*)$", info.read_text(), re.MULTILINE) if info.is_file() else []
    found = {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "load": round(LOAD, 2),
        "python": platform.python_version(),
    }
    return (
        found
        | {name: version(name) for name in PACKAGES if name in sys.modules}
        | {tool: tool_version(tool) for tool in tools}
    )


def tool_version(tool: str) -> str:
    """What a program says of itself: its version."""
    if tool == "yosys" and find_spec("pyosys") is not None:
        return version("pyosys")
    if not shutil.which(tool):
        return "none"
    said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"\d[\w.]*", said.splitlines()[0].rpartition(")")[2] or said)[0]


def git(*arguments: str) -> str:
    """What git says of this repository; '' if there is none."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def code() -> str | None:
    """The last commit that changed what is measured, with '+' if it has been changed since."""
    found = git("log", "-1", "--format=%h", "--", *MEASURED)
    return f"{found}{'+' if git('status', '--porcelain', '--', *MEASURED) else ''}" if found else None


def committed(path: Path) -> dict[str, str | None]:
    """Date and commit of the last change of a file; a file that only moved has not changed."""
    said = git("log", "-1", "--follow", "--diff-filter=AM", "--format=%as %h", "--", str(path.resolve()))
    when, _, commit = said.partition(" ")
    return {"date": when or date.fromtimestamp(path.stat().st_mtime).isoformat(), "commit": commit or None}
