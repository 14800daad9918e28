"""What ``--simulate`` and ``--synthesize`` do with a written RTL project: run, note in its report, print."""

from dataclasses import asdict
from typing import Any

from rich.console import Console

from sparsepix_hls.cli.tables import show_measured, show_synthesis
from sparsepix_hls.cpp.project import CsimResult
from sparsepix_hls.flow.report import add_to_report, read_report
from sparsepix_hls.project.parts import Part
from sparsepix_hls.rtl.tools.project import Measurement, RtlProject
from sparsepix_hls.rtl.tools.synthesis import METHOD, RESOURCES, Synthesis


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


def measured_json(checked: CsimResult, found: Measurement, clock_ns: float) -> dict[str, Any]:
    """What the simulation found, as plain data for ``report.json``.

    Args:
        checked: the testbench against the expected results.
        found: the runs that were measured.
        clock_ns: clock period.
    """
    interval = found.interval_cycles or None  # nothing to measure it by, if there is one event only
    return {
        "events": checked.events,
        "measured_events": found.events,
        "latency_cycles": found.latency_cycles,
        "latency_cycles_least": found.latency_cycles_least,
        "tail_cycles": found.tail_cycles,
        "interval_cycles": interval,
        "latency_ns": found.latency_cycles * clock_ns,
        "interval_ns": interval and interval * clock_ns,
        "mismatches": {"testbench": checked.mismatches, **found.mismatches},
    }


def synthesis_json(found: Synthesis, part: Part) -> dict[str, Any]:
    """What the synthesis found, as plain data for ``report.json``."""
    total = {resource: found.total(resource) for resource in RESOURCES}
    module, path = found.deepest
    shares = {"lut": part.luts, "ff": part.ffs, "dsp": part.dsps, "bram": 2 * part.bram36}
    return {
        "method": METHOD,
        "family": found.family,
        "modules": {
            name: {**{resource: getattr(area, resource) for resource in RESOURCES}, **asdict(area.path)}
            for name, area in found.modules.items()
        },
        "total": total,
        "utilization": {resource: total[resource] / shares[resource] for resource in RESOURCES},
        "deepest": {"module": module, **asdict(path)},
    }
