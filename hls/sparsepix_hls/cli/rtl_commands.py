"""What the command does with an RTL project; ``hls_commands.py`` has the same functions for C++."""

from pathlib import Path
from typing import Any

from rich.console import Console

from sparsepix_hls.cli.tables import show_estimate, show_measured, show_placed, show_synthesis
from sparsepix_hls.flow.report import add_to_report, read_report
from sparsepix_hls.project.parts import find_part
from sparsepix_hls.rtl.tools.measurement import measured_json
from sparsepix_hls.rtl.tools.place import find_placer, placed_json
from sparsepix_hls.rtl.tools.project import RtlProject, find_simulator, find_synthesizer
from sparsepix_hls.rtl.tools.synthesis import synthesis_json
from sparsepix_ops.errors import SparsePixError


def check(arguments: Any) -> None:
    """Refuse what is for C++ only; look for the tools before anything is written.

    Args:
        arguments: of the command.

    Raises:
        SparsePixError: an option of C++ was given, or a tool is missing.
    """
    if arguments.schedule:
        raise SparsePixError("--schedule is for the C++ of --backend hls: the cycles of RTL are exact, see --simulate")
    if arguments.csim:
        raise SparsePixError("--csim is the C simulation of --backend hls: with --backend rtl use --simulate")
    if arguments.simulate:
        find_simulator()
    if arguments.synthesize:
        find_synthesizer(arguments.part)
    if arguments.place:
        find_placer(find_part(arguments.part), arguments.pins)
    elif arguments.pins is not None or arguments.place_minutes is not None:
        raise SparsePixError("--pins and --place-minutes are for --place, which is not given")
    if arguments.place_minutes is not None and not arguments.place_minutes > 0:
        raise SparsePixError(f"--place-minutes: expected minutes above 0, found {arguments.place_minutes:g}")


def verify(console: Console, project: RtlProject, arguments: Any) -> int:
    """Simulate and synthesize, as far as it was asked for, and note in the report what was found.

    Args:
        console: where progress and figures are shown.
        project: as ``translate`` returns it.
        arguments: of the command.

    Returns:
        The outputs that differ, in any of the runs.

    Raises:
        SparsePixError: a tool is missing or fails.
    """
    wrong = _simulate(console, project) if arguments.simulate else 0
    if arguments.synthesize:
        _synthesize(console, project)
    if arguments.place:
        _place(console, project, arguments)
    return wrong


def next_command(arguments: Any, folder: str) -> str:
    """The command that one would give now.

    Args:
        arguments: of the command.
        folder: of the project, as a word of a shell.
    """
    if not arguments.simulate:
        return f"make -C {folder} sim"
    if find_part(arguments.part).fabric == "amd":
        return f"cd {folder} && vivado -mode batch -source build_vivado.tcl"
    return f"make -C {folder} place"


def show(console: Console, directory: Path, report: dict[str, Any]) -> None:
    """Print the estimate of a project, and what simulation and synthesis found; all of it is in the report."""
    show_estimate(console, report)
    show_measured(console, report)
    show_synthesis(console, report)
    show_placed(console, report)


def _simulate(console: Console, project: RtlProject) -> int:
    """Build the simulation, compare the testbench bit for bit, measure; the outputs that differ in any of the runs."""
    directory = project.directory
    project.compile(console)
    checked = project.simulate(console)
    measured = measured_json(checked, project.measure(console=console), read_report(directory)["clock_ns"])
    add_to_report(directory, "measured", measured)
    show_measured(console, read_report(directory))
    return sum(measured["mismatches"].values())


def _synthesize(console: Console, project: RtlProject) -> None:
    """Map the modules with Yosys."""
    directory = project.directory
    add_to_report(directory, "synthesis", synthesis_json(project.synthesize(console), project.part))
    show_synthesis(console, read_report(directory))


def _place(console: Console, project: RtlProject, arguments: Any) -> None:
    """Place and route the whole design."""
    directory = project.directory
    report = read_report(directory)
    pins = None if arguments.pins is None else Path(arguments.pins).absolute()
    found = project.place(report["clock_ns"], pins, arguments.place_minutes, console)
    add_to_report(directory, "placed", placed_json(found, report))
    show_placed(console, read_report(directory))
