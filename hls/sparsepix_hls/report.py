"""``report.json``: what a project was made from and what is known of it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from sparsepix_hls import ir
from sparsepix_hls.estimate import estimate_json
from sparsepix_hls.parts import Part
from sparsepix_ops.version import __version__

REPORT = "report.json"


def make_report(
    graph: ir.Graph, source: Path, part: Part, clock_ns: float, notices: tuple[str, ...], testbench: dict[str, Any]
) -> dict[str, Any]:
    """Plain data about a project.

    Args:
        graph: the model.
        source: the ONNX file that it was read from.
        part: the FPGA.
        clock_ns: clock period.
        notices: what the user was told.
        testbench: where the events of the testbench come from.
    """
    return {
        "sparsepix_version": __version__,
        "model": {"file": source.name, "sha256": hashlib.sha256(source.read_bytes()).hexdigest()},
        "top_function": graph.name,
        "part": {"name": part.name, "full_name": part.full_name, "family": part.family},
        "clock_ns": clock_ns,
        "input": _tensor(graph.input),
        "output": _tensor(graph.output),
        "layers": [_layer(layer) for layer in graph.layers],
        "dropped_head": graph.dropped_head,
        "notices": list(notices),
        "estimate": estimate_json(graph, part, clock_ns),
        "testbench": testbench,
        "csim": None,
    }


def write_report(directory: Path, report: dict[str, Any]) -> None:
    """Write the report of a project."""
    (directory / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def read_report(directory: Path) -> dict[str, Any]:
    """Read the report of a project."""
    return json.loads((directory / REPORT).read_text(encoding="utf-8"))


def add_csim(directory: Path, events: int, mismatches: int) -> None:
    """Note the result of a C simulation in the report of a project."""
    write_report(directory, read_report(directory) | {"csim": {"events": events, "mismatches": mismatches}})


def output_tensors(layer: ir.Layer) -> tuple[ir.Tensor, ...]:
    """The tensors that a layer makes, features before coords."""
    if isinstance(layer, ir.InputReduce):
        return (layer.features, layer.coords)
    if isinstance(layer, ir.SparsePool2d):
        return (layer.output_features, layer.output_coords)
    return (layer.output,)


def _tensor(tensor: ir.Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "type": str(tensor.type)}


def _layer(layer: ir.Layer) -> dict[str, Any]:
    constants = {
        role: {"shape": list(value.raw.shape), "type": str(value.type)}
        for role, value in vars(layer).items()
        if isinstance(value, ir.Constant)
    }
    settings = {role: value for role, value in vars(layer).items() if isinstance(value, str | int | tuple)}
    return {
        "name": settings.pop("name"),
        "op": type(layer).__name__,
        **settings,
        "outputs": [_tensor(t) for t in output_tensors(layer)],
        "constants": constants,
    }
