"""What the pages of the site read: results files, the help of the commands, the public names of the packages.

mkdocs-macros calls ``define_env``. Figures come from ``docs/results/*.json``, which the benchmarks write: pages name
them, and a name that is not there fails the build. ``headlines`` is README's table, too; a test compares the two.
"""

import atexit
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs_macros.plugin import MacrosPlugin

DOCS = Path(__file__).parent
RESULTS = DOCS / "results"
SHORT = {"sparsepix": "sp", "sparsepix_hls": "hls", "sparsepix_ops": "ops"}  # as README and notebooks import them


def results() -> dict[str, Any]:
    """All results files by name, as their JSON says."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}


def number(value: float, digits: int = 0) -> str:
    """A number with commas between thousands, and so many digits after the point."""
    return f"{value:,.{digits}f}"


def percent(share: float, digits: int = 1) -> str:
    """A share of 1 in percent."""
    return f"{100 * share:,.{digits}f} %"


def source(result: dict[str, Any]) -> str:
    """Command and date of a results file, for the last column of a table."""
    transcribed = ", transcribed" if result.get("transcribed") else ""
    return f"`{result['command']}` ({result['date']}{transcribed})"


def headlines() -> str:
    """The table of README and of the first page."""
    return "| what | ours | published | command |\n|---|---|---|---|"


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
    folder = Path(tempfile.mkdtemp(prefix="sparsepix-docs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
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
    env.variables["r"] = results()
    for function in (entries, headlines, source, written):
        env.macro(function)
    env.macro(command_help, "help_of")
    env.filter(number, "n")
    env.filter(percent, "percent")


@cache
def _neutrino() -> Path:
    """The neutrino preset with random weights as ONNX, made by a process of its own: torch stays out of this one."""
    folder = Path(tempfile.mkdtemp(prefix="sparsepix-docs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
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
