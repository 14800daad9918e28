"""What the command does with a project of C++; ``rtl_commands.py`` has the same functions for RTL."""

from pathlib import Path
from typing import Any

from rich.console import Console

from sparsepix_hls.cli.tables import show_estimate, show_schedule, show_vitis
from sparsepix_hls.cpp.project import Project
from sparsepix_hls.cpp.vitis_report import read_vitis
from sparsepix_hls.flow.report import add_to_report, read_report
from sparsepix_hls.project.toolchain import find_compiler, find_make
from sparsepix_hls.schedule.project import schedule_json, schedule_project
from sparsepix_hls.schedule.source import find_clang
from sparsepix_ops.errors import SparsePixError


def check(arguments: Any) -> None:
    """Refuse what is for RTL only; look for the tools before anything is written.

    Args:
        arguments: of the command.

    Raises:
        SparsePixError: an option of RTL was given, or a tool is missing.
    """
    for action, given, instead in (
        ("--simulate", arguments.simulate, "with --backend hls use --csim, or add --backend rtl"),
        ("--synthesize", arguments.synthesize, "add --backend rtl, or run Vitis HLS in the project (build.tcl)"),
    ):
        if given:
            raise SparsePixError(f"{action} is for --backend rtl: {instead}")
    if arguments.csim:
        find_compiler()
        find_make()
    if arguments.schedule:
        find_clang()


def verify(console: Console, project: Project, arguments: Any) -> int:
    """Schedule the C++ and run the C simulation, if it was asked for, and note in the report what was found.

    Args:
        console: where progress and figures are shown.
        project: as ``translate`` returns it.
        arguments: of the command.

    Returns:
        The outputs that differ.

    Raises:
        SparsePixError: a tool is missing or fails.
    """
    if arguments.schedule:
        uncertainty = read_report(project.directory)["clock_uncertainty"]
        stages = schedule_project(project.directory, project.graph.name, arguments.clock, uncertainty, console)
        found = schedule_json(stages, uncertainty)
        add_to_report(project.directory, "schedule", found)
        show_schedule(console, found)
    if not arguments.csim:
        return 0
    result = project.csim(console)
    wrong = result.mismatches
    add_to_report(
        project.directory, "csim", {"events": result.events, "mismatches": wrong, "first": list(result.first)}
    )
    verdict = f"C simulation: {result.events} events, {wrong} mismatching outputs"
    console.print(verdict, style="bold red" if wrong else "bold green")
    return wrong


def next_command(arguments: Any, folder: str) -> str:
    """The command that one would give now.

    Args:
        arguments: of the command.
        folder: of the project, as a word of a shell.
    """
    return f"cd {folder} && vitis-run --mode hls --tcl build.tcl" if arguments.csim else f"make -C {folder} csim"


def show(console: Console, directory: Path, report: dict[str, Any]) -> None:
    """Print the estimate of a project, and what Vitis HLS found there.

    Raises:
        SparsePixError: a report of Vitis HLS that cannot be read.
    """
    vitis = read_vitis(directory, report["top_function"])
    show_estimate(console, report)
    if "schedule" in report:
        show_schedule(console, report["schedule"])
    show_vitis(console, report, vitis)
