"""What ``--simulate`` and ``--synthesize`` do with a written RTL project: run, note in its report, print."""

from rich.console import Console

from sparsepix_hls.cli.tables import show_measured, show_synthesis
from sparsepix_hls.flow.report import add_to_report, read_report
from sparsepix_hls.rtl.tools.measurement import measured_json
from sparsepix_hls.rtl.tools.project import RtlProject
from sparsepix_hls.rtl.tools.synthesis import synthesis_json


def simulate(console: Console, project: RtlProject) -> int:
    """Build the simulation, compare the testbench bit for bit, measure.

    Args:
        console: where progress and figures are shown.
        project: as ``translate`` returns it.

    Returns:
        The outputs that differ, in any of the runs.

    Raises:
        SparsePixError: a tool is missing or fails.
    """
    directory = project.directory
    with console.status("building the simulation with Verilator") as status:
        project.compile()
        status.update("simulating the testbench")
        checked = project.simulate()
        status.update("measuring: events alone, back to back, with pauses, with resets")
        measured = measured_json(checked, project.measure(), read_report(directory)["clock_ns"])
    add_to_report(directory, "measured", measured)
    show_measured(console, read_report(directory))
    return sum(measured["mismatches"].values())


def synthesize(console: Console, project: RtlProject) -> None:
    """Map the modules with Yosys.

    Args:
        console: where progress and figures are shown.
        project: as ``translate`` returns it.

    Raises:
        SparsePixError: Yosys is missing, does not know the part's family, or fails.
    """
    directory = project.directory
    add_to_report(directory, "synthesis", synthesis_json(project.synthesize(console), project.part))
    show_synthesis(console, read_report(directory))
