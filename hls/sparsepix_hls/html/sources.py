"""What is known of a design, by where it is from: estimated, scheduled, measured, synthesized, placed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparsepix_hls.cpp.vitis_report import VitisReport, read_vitis
from sparsepix_hls.project.base import stage_of
from sparsepix_hls.project.parts import RESOURCES, find_part
from sparsepix_ops.errors import SparsePixError

CYCLES = ("latency_cycles", "interval_cycles")
KEYS = (*CYCLES, *RESOURCES)
Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class Source:
    """Figures of a design from one tool.

    Args:
        kind: 'estimated', 'measured' and the like: an adjective for a person.
        group: the kind of the figures as a class of the style sheet.
        total: of the whole design, of ``KEYS``.
        stages: of each stage, by name.
        method: how they were found.
        final: whether its area is that of the whole design in its part, and not of a step on the way.
    """

    kind: str
    group: str
    total: Figures
    stages: Mapping[str, Figures] = field(default_factory=dict)
    method: str = ""
    final: bool = True


def sources(report: dict[str, Any], vitis: VitisReport | None) -> tuple[Source, ...]:
    """Everything that a report knows, the estimate first and then what is nearer to the hardware."""
    found = [_estimated(report["estimate"])]
    if report.get("schedule"):
        found.append(_scheduled(report["schedule"], report["top_function"]))
    if vitis is not None:
        found += _of_vitis(vitis)
    if report.get("synthesis"):
        found.append(_synthesized(report))
    if report.get("measured"):
        measured = report["measured"]
        method = f"simulation of the RTL in Verilator, {measured['measured_events']:,} events"
        total = {key: measured[key] for key in CYCLES}
        stages = {its["name"]: {"latency_cycles": its["latency_cycles"]} for its in measured.get("stages", ())}
        found.append(Source("measured", "measured", total, stages, method))
    if report.get("placed"):
        placed = report["placed"]
        cells = {key: placed["cells"][key][0] for key in RESOURCES}
        found.append(Source("placed", "placed", cells, method=placed.get("method", "nextpnr")))
    return tuple(found)


def find_vitis(directory: Path, report: dict[str, Any]) -> tuple[VitisReport | None, str]:
    """What Vitis HLS left in a project of C++, and why its reports cannot be read, if so."""
    if report.get("backend", "hls") != "hls":
        return None, ""
    try:
        return read_vitis(directory, report["top_function"]), ""
    except SparsePixError as error:
        return None, str(error)


def best(found: tuple[Source, ...], key: str) -> tuple[Source, float]:
    """The source that is nearest to the hardware and knows a figure, and the figure."""
    for source in reversed(found):
        value = source.total.get(key)
        if value is not None and (source.final or key in CYCLES):
            return source, value
    return found[0], 0


def capacity(report: dict[str, Any]) -> dict[str, int]:
    """What the part has of each resource; nothing for one that the table of parts does not have."""
    try:
        part = find_part(report["part"]["full_name"])
    except SparsePixError:
        return {}
    return {"lut": part.luts, "ff": part.ffs, "dsp": part.dsps, "bram": 2 * part.bram36} if part.known else {}


def stage_names(report: dict[str, Any]) -> list[str]:
    """The stages in order, and what lies between them."""
    estimate = report["estimate"]
    return list(dict.fromkeys([s["name"] for s in estimate["stages"]] + [_stage(row) for row in estimate["rows"]]))


def rows_of(report: dict[str, Any], stage: str) -> list[dict[str, Any]]:
    """What a stage has that costs something, with its estimate."""
    return [row for row in report["estimate"]["rows"] if _stage(row) == stage]


def _stage(row: dict[str, Any]) -> str:
    return row["stage"] or row["name"]


def _estimated(estimate: dict[str, Any]) -> Source:
    stages: dict[str, dict[str, float | None]] = {}
    for row in estimate["rows"]:
        own = stages.setdefault(_stage(row), dict.fromkeys(RESOURCES, 0))
        for key in RESOURCES:
            own[key] = (own[key] or 0) + row.get(key, 0)
    for stage in estimate["stages"]:
        stages.setdefault(stage["name"], {}).update({key: stage[key] for key in CYCLES})
    total = {key: estimate["total"].get(key) for key in KEYS}
    return Source("estimated", "estimated", total, stages, estimate.get("kind", ""))


def _scheduled(schedule: dict[str, Any], top: str) -> Source:
    area = ("lut", "ff", "dsp")
    stages = {
        stage["name"].removeprefix(f"{top}_"): {key: stage[key] for key in CYCLES}
        | {key: sum(loop[key] for loop in stage["loops"]) for key in area}
        for stage in schedule["stages"]
    }
    total = {key: schedule[key] for key in (*CYCLES, *area)}
    # Its area is that of the operations alone.
    return Source("scheduled", "scheduled", total, stages, schedule.get("method", ""), final=False)


def _of_vitis(vitis: VitisReport) -> list[Source]:
    stages = {name: figures for name, figures in vitis.modules.items() if name}
    clock = "" if vitis.clock_ns is None else f", expects to reach a clock period of {vitis.clock_ns:g} ns"
    found = [Source("Vitis HLS", "vitis", vitis.modules[""], stages, f"C synthesis of Vitis HLS{clock}")]
    if vitis.vivado is not None:
        found.append(Source("Vivado", "placed", vitis.vivado, method="Vivado, called by Vitis HLS"))
    if vitis.cosim_latency is not None:
        method = "co-simulation of Vitis HLS, latencies {:,} to {:,} cycles".format(*vitis.cosim_latency)
        found.append(Source("co-simulated", "measured", {"latency_cycles": vitis.cosim_latency[1]}, method=method))
    return found


def _synthesized(report: dict[str, Any]) -> Source:
    found, top = report["synthesis"], report["top_function"]
    stages = {stage_of(module, top): {key: area[key] for key in RESOURCES} for module, area in found["modules"].items()}
    return Source("synthesized", "synthesized", found["total"], stages, found.get("method", ""))
