"""What the pages of the site read: results files, the help of the commands, the public names of the packages.

mkdocs-macros calls ``define_env``. Figures come from ``docs/results/*.json``, which the benchmarks write: pages name
them, and a name that is not there fails the build. ``headlines`` is README's table, too: ``python docs/macros.py``
writes it there, and a test compares the two.
"""

import atexit
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from importlib import import_module
from math import floor, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs_macros.plugin import MacrosPlugin

DOCS = Path(__file__).parent
RESULTS = DOCS / "results"
SHORT = {"sparsepix": "sp", "sparsepix_hls": "hls", "sparsepix_ops": "ops"}  # as README and notebooks import them


@cache
def results() -> dict[str, Any]:
    """All results files by name, as their JSON says."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}


def number(value: float, digits: int = 0) -> str:
    """A number with commas between thousands, and so many digits after the point."""
    return f"{value:,.{digits}f}"


def percent(share: float, digits: int = 1, unit: str = " %") -> str:
    """A share of 1 in percent."""
    return f"{100 * share:,.{digits}f}{unit}"


def rounded(value: float, digits: int = 3) -> str:
    """A number with so many digits that count, and commas between thousands."""
    if 0 < abs(value) < 1e-4:
        return f"{value:.{digits - 1}e}"
    places = digits - 1 - floor(log10(abs(value))) if value else 0
    return f"{round(value, places):,.{max(places, 0)}f}"


def source(name: str, command: str | None = None) -> str:
    """Command and date of a results file, for the last column of a table.

    Args:
        name: of the file.
        command: one of several that the benchmark ran, by its name.
    """
    result = results()[name]
    said = result["commands"][command] if command else result["command"]
    return f"`{said}` ({result['date']}{', transcribed' if result.get('transcribed') else ''})"


def constant(module: str, name: str) -> Any:
    """A constant of the translator, as it is while the site is built.

    Args:
        module: of ``sparsepix_hls``, as 'rtl.emit.writer'.
        name: of the constant.
    """
    return getattr(import_module(f"sparsepix_hls.{module}"), name)


def headlines() -> str:
    """The table of README and of the first page: what, ours, published, and the command that shows it."""
    figures = {name: result["figures"] for name, result in results().items()}
    exact, mnist = figures["exactness"], figures["mnist"]["raster_20_8_bit"]
    designs, training = figures["neutrino_rtl"], figures["training"]["8_bit_torch_s_layout"]
    stream, fast, published = (designs[name] for name in ("stream", "fast", "published"))
    many = figures["many_pixels"]["stream_400_256x256"]

    def hardware(design: dict[str, float]) -> str:
        # The results of a stream come after different times, and so at different distances.
        most, mean = design["interval_cycles"], design.get("interval_cycles_mean", design["interval_cycles"])
        every = number(most) if most == mean else f"{number(mean)} (mean)"
        cycles = f"{design['latency_cycles']} cycles, every {every}"
        return f"{cycles}; {rounded(design['lut'])} LUT, {design['dsp']} DSP"

    found = "; ".join(
        f"{exact[name]['mismatches']} in {exact[name]['networks']} random networks{words}"
        for name, words in (("networks", ""), ("networks_firmware", " with C++ too"))
    )
    of_stream = f"every {number(many['usual_interval'])} cycles (mean); {rounded(many['measured_lut'])} LUT"
    accuracies = [percent(mnist[name]) for name in ("accuracy_mean", "published_weights_accuracy")]
    faster = f"{number(training['ratio'])} times faster"
    rows = (
        ("mismatches of torch, ONNX Runtime and integers", found, "", "exactness"),
        ("neutrino as RTL, in the published interval", hardware(stream), hardware(published), "neutrino_rtl"),
        ("neutrino as RTL, least latency", hardware(fast), "the same", "neutrino_rtl"),
        ("400 pixels of 256 x 256 as RTL, usual events", of_stream, "", "many_pixels"),
        ("MNIST, 8 bits, 20 pixels: accuracy", *accuracies, "mnist"),
        ("training step, against dense layers of torch", faster, "", "training"),
    )
    lines = ["| measured | ours | published | command |", "|---|---|---|---|"]
    for what, ours, theirs, name in rows:
        lines.append(
            f"| {what} | {ours} | {theirs} | `{results()[name]['command'].removesuffix(' --output FOLDER')}` |"
        )
    return "\n".join(lines)


def command_help(command: str, *arguments: str) -> str:
    """What a command prints for ``--help``."""
    script = Path(sysconfig.get_path("scripts")) / command
    shown = subprocess.run(
        [script, *arguments, "--help"], check=True, capture_output=True, text=True, env={"COLUMNS": "100"}
    )
    return shown.stdout.rstrip()


def public_names(package: str) -> list[str]:
    """The names that a package offers, without those of its submodules and its version."""
    members = _package(package)
    return [name for name in members.exports or [] if name != "__version__" and not members[name].is_module]


def entries(package: str, *names: str) -> str:
    """Entries of the API reference, from docstrings, under the names by which a user calls them.

    Args:
        package: as 'sparsepix.training'.
        names: of it; all that it offers if left out.
    """
    short = ".".join([SHORT.get(package.split(".")[0], package), *package.split(".")[1:]])
    parts = []
    for name in names or public_names(package):
        options = f"    options: {{heading: {short}.{name}, toc_label: {name}, heading_level: 2}}"
        parts.append(f"::: {package}.{name}\n{options}\n")
    return "\n".join(parts)


@cache
def project_of_neutrino(*options: str) -> Path:
    """Where ``sparsepix-hls neutrino.onnx`` with these options has put its project: the preset with random weights."""
    script = Path(sysconfig.get_path("scripts")) / "sparsepix-hls"
    folder = _temporary()
    command = [script, _neutrino(), "-o", folder / "project", *options]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder / "project"


def written(file: str, first: str, last: str, *options: str) -> str:
    """Lines of a file that the translator writes.

    Args:
        file: of the project of the neutrino preset.
        first: with what the first line begins.
        last: with what the last line begins.
        options: of ``sparsepix-hls``.
    """
    lines = (project_of_neutrino(*options) / file).read_text(encoding="utf-8").splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith(first))
    end = next(i for i, line in enumerate(lines[begin:], begin) if line.startswith(last))
    return "\n".join(lines[begin : end + 1])


def define_env(env: "MacrosPlugin") -> None:
    """Give the names above to the pages."""
    env.variables["r"] = {name: result["figures"] for name, result in results().items()}
    for function in (constant, entries, headlines, source, written):
        env.macro(function)
    env.macro(command_help, "help_of")
    env.filter(number, "n")
    env.filter(percent, "percent")
    env.filter(rounded, "about")


def _temporary() -> Path:
    """A folder that is gone when the site is built."""
    folder = Path(tempfile.mkdtemp(prefix="sparsepix-docs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _neutrino() -> Path:
    """The neutrino preset with random weights as ONNX, made by a process of its own: torch stays out of this one."""
    folder = _temporary()
    make = "import sys, sparsepix as sp; sp.export_onnx(sp.models.neutrino(20, bits=8), sys.argv[1])"
    subprocess.run([sys.executable, "-c", make, folder / "neutrino.onnx"], check=True, capture_output=True)
    return folder / "neutrino.onnx"


@cache
def _sources() -> Any:
    """The packages as griffe reads them, with the targets of all imports."""
    import griffe

    loader = griffe.GriffeLoader(search_paths=[DOCS.parent / folder for folder in ("src", "onnx_ops", "hls")])
    for package in SHORT:
        loader.load(package)
    loader.resolve_aliases(external=False)
    return loader.modules_collection


def _package(package: str) -> Any:
    return _sources()[package]


def write_readme() -> None:
    """Put the table of figures into README, in place of the one that is there."""
    path = DOCS.parent / "README.md"
    lines = path.read_text(encoding="utf-8").splitlines()
    first = lines.index("## Six figures") + 2
    last = next(i for i, line in enumerate(lines[first:], first) if not line)
    lines[first:last] = headlines().splitlines()
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_readme()
