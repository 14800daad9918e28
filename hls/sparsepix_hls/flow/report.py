"""``report.json``: what a project was made from and what is known of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from math import ldexp
from pathlib import Path
from typing import Any

from sparsepix_hls.cost.result import DesignEstimate
from sparsepix_hls.design.layout import Design
from sparsepix_hls.html.report_page import PAGE, next_page, put_page
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.ir.tensors import Constant, Tensor
from sparsepix_hls.project.parts import RESOURCES, Part
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.files import atomic_write
from sparsepix_ops.system.signals import held
from sparsepix_ops.version import __version__

REPORT = "report.json"


def make_report(
    design: Design,
    source: Path,
    part: Part,
    clock_ns: float,
    notices: tuple[str, ...],
    testbench: dict[str, Any],
    backend: str,
    found_later: tuple[str, ...],
    estimate: dict[str, Any],
    ranges: Mapping[str, tuple[int, int]],
) -> dict[str, Any]:
    """Plain data about a project.

    Args:
        design: the model and its layout.
        source: the ONNX file that it was read from.
        part: the FPGA.
        clock_ns: clock period.
        notices: what the user was told.
        testbench: where the events of the testbench come from.
        backend: name of what it is written in.
        found_later: keys of what simulation and synthesis will find, None until then.
        estimate: of its latency and area, from ``estimate_json``.
        ranges: smallest and largest raw value of the tensors, by name.
    """
    graph = design.graph
    return {
        "sparsepix_version": __version__,
        "backend": backend,
        "model": {"file": source.name, "sha256": hashlib.sha256(source.read_bytes()).hexdigest()},
        "top_function": graph.name,
        "part": {"name": part.name, "full_name": part.full_name, "family": part.family},
        "clock_ns": clock_ns,
        "input": _tensor(graph.input, ranges),
        "output": _tensor(graph.output, ranges),
        "outputs": [{**_tensor(tensor, ranges), "label": label} for label, tensor in graph.results.items()],
        "clock_uncertainty": design.clock_uncertainty,
        "design": {"reduce": design.reduce, "io": design.io, "pixels_per_cycle": design.pixels_per_cycle},
        "layers": [_layer(layer, design, ranges) for layer in graph.layers],
        "dropped_head": graph.dropped_head,
        "notices": list(notices),
        "estimate": estimate,
        "testbench": testbench,
        **dict.fromkeys(found_later),
    }


def utilization(total: Estimate, part: Part) -> dict[str, float] | None:
    """Share of a part's resources, 1.0 is all of them; None for a part that the table does not have.

    ``slr`` is the share of one die's LUTs (a design that crosses dies needs more clocks than estimated).
    """
    if not part.known:
        return None
    return {
        "dsp": total.dsp / part.dsps,
        "lut": total.lut / part.luts,
        "ff": total.ff / part.ffs,
        "bram": total.bram / (2 * part.bram36),
        "slr": total.lut * part.slrs / part.luts,
    }


def needs_of(total: Estimate, part: Part, most: float = 1.0) -> str:
    """What an estimate needs more of than this share of a part; '' if nothing, or the part is not known."""
    shares = utilization(total, part) or {}
    over = [name for name in RESOURCES if shares.get(name, 0) > most]
    return ", ".join(f"{shares[name]:.0%} of its {name.upper()}" for name in over)


def too_large(total: Estimate, part: Part) -> str:
    """What of a part an estimate needs more of than there is; '' if it fits, or the part is not known."""
    needs = needs_of(total, part)
    return f"the estimate needs {needs} of {part.name}" if needs else ""


def warnings(total: Estimate, part: Part, offers: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What does not fit.

    Args:
        total: the estimate.
        part: the FPGA.
        offers: options of designs that do.
    """
    shares, needs = utilization(total, part), too_large(total, part)
    if shares is None:
        return ()
    if needs:
        fix = (
            f"these fit by estimate: {'; '.join(offers)}"
            if offers
            else ("use more reuse (--target-interval), fewer max_pixels, or a larger part")
        )
        return (f"{needs}: {fix}",)
    if shares["slr"] > 1:
        return (
            f"the estimate fills {shares['slr']:.1f} of the {part.slrs} dies (SLR) of {part.name}: paths between dies "
            "are slow; more reuse may fit it in one",
        )
    return ()


def estimate_json(
    estimate: DesignEstimate, part: Part, clock_ns: float, offers: tuple[str, ...] = ()
) -> dict[str, Any]:
    """An estimate as plain data for ``report.json``.

    Args:
        estimate: of the design.
        part: the FPGA.
        clock_ns: clock period.
        offers: options of designs that fit, if this one does not.
    """
    return {
        "kind": estimate.kind,
        "hand_over_cycles": estimate.hand_over_cycles,
        "rows": [{"stage": row.stage, "name": row.name, "op": row.op, **asdict(row.cost)} for row in estimate.rows],
        "stages": [asdict(stage) for stage in estimate.stages],
        "total": asdict(estimate.total),
        "latency_ns": estimate.total.latency_cycles * clock_ns,
        "interval_ns": estimate.total.interval_cycles * clock_ns,
        "utilization": utilization(estimate.total, part),
        "warnings": list(warnings(estimate.total, part, offers)),
    }


def write_report(directory: Path, report: dict[str, Any]) -> None:
    """Write the report of a project that nobody sees yet."""
    (directory / REPORT).write_text(_text(report), encoding="utf-8")


def read_report(directory: Path) -> dict[str, Any]:
    """Read the report of a project."""
    return json.loads((directory / REPORT).read_text(encoding="utf-8"))


def open_report(directory: Path) -> dict[str, Any]:
    """Read the report of a folder that may be no project.

    Raises:
        SparsePixError: it is no SparsePix project, or its report is broken.
    """
    path = directory / REPORT
    if not path.is_file():
        found = "no such folder" if not directory.is_dir() else f"a folder without {REPORT}"
        raise SparsePixError(f"{directory}: expected a project that sparsepix-hls made, found {found}")
    try:
        report = read_report(directory)
    except (ValueError, OSError) as error:
        raise SparsePixError(
            f"{path}: expected JSON, found something else ({error}): translate the model again"
        ) from error
    if not isinstance(report, dict) or not {"top_function", "estimate", "part"} <= set(report):
        raise SparsePixError(
            f"{path}: expected a report of sparsepix-hls, found other content: translate the model again"
        )
    return report


def add_to_report(directory: Path, key: str, found: dict[str, Any]) -> None:
    """Note in the report of a project what was found later, and in its page, if it has one.

    Args:
        directory: of the project.
        key: what was found: of ``Backend.found_later``.
        found: plain data.
    """
    report = read_report(directory) | {key: found}
    page = next_page(directory, report) if (directory / PAGE).is_file() else None
    with held():  # a signal leaves both files as they were, or both new
        with atomic_write(directory / REPORT) as temporary:
            temporary.write_text(_text(report), encoding="utf-8")
        if page is not None:
            put_page(directory, page)


def _text(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2) + "\n"


def _tensor(tensor: Tensor, ranges: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """``range``: the smallest and the largest value that it can hold, from the analysis of the model."""
    found = {"name": tensor.name, "shape": list(tensor.shape), "type": str(tensor.type)}
    raw = ranges.get(tensor.name)  # a tensor that a rewrite of the design made has none
    return found if raw is None else {**found, "range": [ldexp(value, tensor.type.exponent) for value in raw]}


def _constant(value: Constant) -> dict[str, Any]:
    found = {"shape": list(value.raw.shape), "type": str(value.type)}
    if value.raw.size == 0:
        return found
    return {**found, "range": [ldexp(int(raw), value.type.exponent) for raw in (value.raw.min(), value.raw.max())]}


def _layer(layer: Layer, design: Design, ranges: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    constants = {role: _constant(value) for role, value in vars(layer).items() if isinstance(value, Constant)}
    settings = {role: value for role, value in vars(layer).items() if isinstance(value, str | int | tuple)}
    settings.pop("parts", None)  # arrays, no setting
    return {
        "name": settings.pop("name"),
        "op": type(layer).__name__,
        **settings,
        **(asdict(design.layers[layer.name]) if layer.name in design.layers else {}),
        "inputs": [tensor.name for tensor in layer.inputs],
        "outputs": [_tensor(t, ranges) for t in layer.outputs],
        "constants": constants,
    }
