"""What a person reads in the terminal: estimates, explored designs, what simulation, synthesis and Vitis HLS found."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from sparsepix_hls.cpp.vitis_report import VitisReport
from sparsepix_hls.flow.explore import Point, PublishedPoint
from sparsepix_hls.project.base import stage_of
from sparsepix_hls.project.parts import RESOURCES, Part

_SHOWN = 40  # designs in the table; the csv has them all


def _table(title: str) -> Table:
    return Table(title=title, box=box.SIMPLE, padding=0, show_edge=False)


def show_estimate(console: Console, report: dict[str, Any]) -> None:
    """Print the layers of a project, stage by stage, and the estimate of their cost."""
    estimate, part = report["estimate"], report["part"]
    table = _table(f"{report['top_function']} on {part['full_name']} at {report['clock_ns']:g} ns, estimated")
    for heading in ("stage", "layer", "op"):
        table.add_column(heading, overflow="fold")
    area = RESOURCES if estimate["total"]["bram"] else RESOURCES[:-1]
    for heading in ("cycles", "every", *(key.upper() for key in area)):
        table.add_column(heading, justify="right", no_wrap=True)
    before = None
    for row in estimate["rows"]:
        stage = row["stage"] if row["stage"] != before else ""
        before = row["stage"]
        counts = [f"{row[key]:,}" for key in ("latency_cycles", "interval_cycles", *area)]
        table.add_row(stage, row["name"], row["op"], *counts)
    table.add_section()
    total, used = estimate["total"], estimate["utilization"]
    counts = [f"{total[key]:,}" for key in ("latency_cycles", "interval_cycles", *area)]
    table.add_row("total", "", "", *counts)
    if used:
        table.add_row("share", "", "", "", "", *(f"{used[key]:.1%}" for key in area))
    console.print(table)
    console.print(
        f"estimated latency {estimate['latency_ns']:,.0f} ns, a new event every {estimate['interval_ns']:,.0f} ns "
        f"({estimate['kind']})"
    )


def show_schedule(console: Console, schedule: dict[str, Any]) -> None:
    """Print when the loops of a project run, stage by stage."""
    table = _table(f"schedule of the C++ with {schedule['clock_uncertainty']} % of the clock kept free")
    table.add_column("stage", overflow="fold")
    for heading in ("iterations", "every", "depth", "LUT", "FF", "DSP", "cycles", "an event every"):
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in schedule["stages"]:
        for k, loop in enumerate(stage["loops"]):
            counts = [loop[key] for key in ("trips", "interval_cycles", "depth_cycles", "lut", "ff", "dsp")]
            whole = [] if k else [stage["latency_cycles"], stage["interval_cycles"]]
            table.add_row("" if k else stage["name"], *(f"{count:,}" for count in (*counts, *whole)))
    table.add_section()
    total = (schedule[key] for key in ("lut", "ff", "dsp", "latency_cycles", "interval_cycles"))
    table.add_row("total", "", "", "", *(f"{count:,}" for count in total))
    console.print(table)
    console.print(schedule["method"])


def show_points(
    console: Console, points: Sequence[Point], published: PublishedPoint | None, part: Part, name: str
) -> None:
    """Print the best of the explored designs: no other one is better in latency, interval and LUT at once."""
    scheduled = [point for point in points if point.scheduled is not None]
    best = [point for point in points if point.best]
    table = _table(f"{name} on {part.name}: {len(best)} of {len(points)} designs are not beaten by another (estimates)")
    table.add_column("options", overflow="fold")
    beside = ("scheduled", "every") if scheduled else ()
    for heading in (*beside, "cycles", "every", "LUT", "FF", "DSP", "of the LUTs"):
        table.add_column(heading, justify="right", no_wrap=True)
    step = max(-(-len(best) // _SHOWN), 1)
    for point in scheduled or best[::step]:
        total = point.total
        share = f"{total.lut / part.luts:.1%}" if part.known else ""
        counts = (total.latency_cycles, total.interval_cycles, total.lut, total.ff, total.dsp)
        counts = (*(point.scheduled or ()), *counts)
        table.add_row(point.command, *(f"{count:,}" for count in counts), share)
    if published is not None:
        table.add_section()
        counts = (published.latency_cycles, published.interval_cycles, published.lut, published.ff, published.dsp)
        shown = [f"{count:,}" if count is not None else "" for count in counts]
        table.add_row(f"published design ({published.origin})", *("" for _ in beside), *shown, "")
    console.print(table)


def show_vitis(console: Console, report: dict[str, Any], vitis: VitisReport | None) -> None:
    """Print what Vitis HLS found, stage by stage, beside the estimate."""
    if vitis is None:
        console.print("Vitis HLS has not run in this project: vitis-run --mode hls --tcl build.tcl, in its folder")
        return
    stages = {stage["name"]: stage for stage in report["estimate"]["stages"]}
    rows = report["estimate"]["rows"]
    table = _table("Vitis HLS beside the estimate")
    table.add_column("stage", overflow="fold")
    table.add_column("from")
    for heading in ("cycles", "every", "LUT", "FF", "DSP", "BRAM"):
        table.add_column(heading, justify="right", no_wrap=True)
    total = report["estimate"]["total"]
    for name, found in vitis.modules.items():
        if name == "":
            guess = total
        else:
            own = [row for row in rows if row["stage"] == name]
            guess = {key: sum(row[key] for row in own) for key in RESOURCES} | stages.get(name, {})
        for origin, figures in (("estimate", guess), ("csynth", found)):
            counts = [figures.get(key) for key in ("latency_cycles", "interval_cycles", *RESOURCES)]
            shown = ["" if count is None else f"{count:,}" for count in counts]
            table.add_row((name or "whole") if origin == "estimate" else "", origin, *shown)
    if vitis.vivado is not None:
        counts = [vitis.vivado.get(key) for key in RESOURCES]
        table.add_row("", "Vivado", "", "", *("" if count is None else f"{count:,}" for count in counts))
    console.print(table)
    if vitis.clock_ns is not None:
        console.print(f"Vitis HLS: estimated clock period {vitis.clock_ns:g} ns, asked for {report['clock_ns']:g} ns")
    if vitis.cosim_latency is not None:
        low, high = vitis.cosim_latency
        console.print(f"co-simulation: latency {low} to {high} cycles")


def show_measured(console: Console, report: dict[str, Any]) -> None:
    """Print what the simulation of an RTL project measured, beside the estimate."""
    found, total, clock_ns = report["measured"], report["estimate"]["total"], report["clock_ns"]
    if found is None:
        console.print("not simulated: translate with --simulate, or make sim in its folder")
        return
    table = _table(f"{report['top_function']}: measured by simulation, {found['measured_events']:,} events")
    table.add_column("")
    for heading in ("cycles", "ns", "estimated cycles"):
        table.add_column(heading, justify="right", no_wrap=True)
    for what, key, guess in (
        ("latency: first beat to result, the most", "latency_cycles", total["latency_cycles"]),
        ("the least", "latency_cycles_least", None),
        ("last beat to result, the most", "tail_cycles", None),
        ("interval: a result every, at most", "interval_cycles", total["interval_cycles"]),
        ("the mean", "interval_cycles_mean", None),
    ):
        cycles = found.get(key)
        shown = ("", "") if cycles is None else (f"{cycles:,.0f}", f"{cycles * clock_ns:,.0f}")
        table.add_row(what, *shown, "" if guess is None else f"{guess:,}")
    table.add_section()
    estimated = {stage["name"]: f"{stage['latency_cycles']:,}" for stage in report["estimate"]["stages"]}
    for stage in found.get("stages", ()):
        name, cycles = stage["name"], stage["latency_cycles"]
        table.add_row(f"  of it {name}", f"{cycles:,}", f"{cycles * clock_ns:,.0f}", estimated.get(name, ""))
    console.print(table)
    wrong = found["mismatches"]
    others = ", ".join(f"{name} {count}" for name, count in wrong.items() if name != "testbench")
    console.print(
        f"simulation: {found['events']} events, {wrong['testbench']} mismatching outputs; against the same events one "
        f"by one: {others}",
        style="bold red" if any(wrong.values()) else "bold green",
    )


def show_synthesis(console: Console, report: dict[str, Any]) -> None:
    """Print what Yosys made of the modules of an RTL project, beside the estimate."""
    found, estimate, part = report["synthesis"], report["estimate"], report["part"]
    if found is None:
        console.print("not synthesized: translate with --synthesize, or make synth in its folder")
        return
    table = _table(f"{report['top_function']}: synthesized for {part['full_name']} (Yosys, {found['family']})")
    table.add_column("stage", overflow="fold")
    for heading in ("LUT", "FF", "DSP", "BRAM", "levels", "estimated LUT", "FF"):
        table.add_column(heading, justify="right", no_wrap=True)
    for module, area in found["modules"].items():
        stage = stage_of(module, report["top_function"])
        own = [row for row in estimate["rows"] if row["stage"] == stage]
        guess = [f"{sum(row[key] for row in own):,}" if own else "" for key in ("lut", "ff")]
        table.add_row(stage, *(f"{area[key]:,}" for key in RESOURCES), f"{area['levels']:.1f}", *guess)
    table.add_section()
    total, deepest = found["total"], found["deepest"]
    guess = [f"{estimate['total'][key]:,}" for key in ("lut", "ff")]
    table.add_row("total", *(f"{total[key]:,}" for key in RESOURCES), f"{deepest['levels']:.1f}", *guess)
    used, guessed = found["utilization"], estimate["utilization"]
    shares = [f"{guessed[key]:.1%}" for key in ("lut", "ff")] if guessed else ["", ""]
    table.add_row("share", *(f"{used[key]:.1%}" for key in RESOURCES), "", *shares)
    console.print(table)
    console.print(f"deepest path: {deepest['levels']:.1f} levels of LUTs in {deepest['module']}, to {deepest['end']}")
    console.print(f"({found['method']})")


def show_placed(console: Console, report: dict[str, Any]) -> None:
    """Print what nextpnr made of an RTL project, if it was placed."""
    found = report.get("placed")
    if found is None:
        return
    table = _table(f"{report['top_function']}: placed and routed on {report['part']['full_name']}")
    table.add_column("")
    for heading in ("LUT", "FF", "DSP", "BRAM"):
        table.add_column(heading, justify="right", no_wrap=True)
    cells = [found["cells"][key] for key in RESOURCES]
    table.add_row("used", *(f"{used:,}" for used, _ in cells))
    table.add_row("share", *(f"{used / there:.1%}" if there else "" for used, there in cells))
    console.print(table)
    path = found["path"]
    where = f"stage {path['stage']} ({path['layers']})" if path["stage"] else "the shell"
    console.print(
        f"clock: {found['fmax_mhz']:.1f} MHz, asked for {found['asked_mhz']:.1f} MHz"
        f"{'' if found['fmax_mhz'] >= found['asked_mhz'] else ': MISSED'}"
    )
    console.print(
        f"longest path: {path['ns']:.2f} ns, {path['routing_ns']:.2f} of them wires, in {where}, to {path['end']}",
        markup=False,
        soft_wrap=True,
    )
    if found["bitstream"]:
        console.print(f"bitstream: {found['bitstream']}", markup=False, soft_wrap=True)
    console.print(f"({found['method']}; {found['seconds']:.0f} s)")
