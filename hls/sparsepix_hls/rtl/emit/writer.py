"""Write the RTL project of a design: SystemVerilog, simulation, constraints, build scripts."""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from sparsepix_hls.design.layout import Design
from sparsepix_hls.ir.dims import dims
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.project.parts import Fabric, find_part
from sparsepix_hls.project.results import packed
from sparsepix_hls.project.size_checks import check_rtl_memory
from sparsepix_hls.project.testbench_data import data_text
from sparsepix_hls.rtl.emit.cycles import pace
from sparsepix_hls.rtl.emit.ports import ports_module
from sparsepix_hls.rtl.emit.properties import monitor_source, properties_source
from sparsepix_hls.rtl.emit.scripts import beat_bytes, image_beats, scripts
from sparsepix_hls.rtl.emit.stages import Module, stage_modules
from sparsepix_hls.rtl.lower.ports import title
from sparsepix_hls.rtl.stages.arrays import Arrays
from sparsepix_hls.rtl.stages.text import instance, module_text, port, unused

# Levels of LUTs that a stage may have at so many nanoseconds a clock, as the scheduler counts them. For UltraScale+ 8.5
# at 5 ns leave room for what its counting misses, so that synthesis ends at 10 or fewer. ECP5 and Gowin: what nextpnr
# made of placed designs, where two thirds of a clock are wires.
LEVELS_PER_NS: dict[Fabric, float] = {"amd": 1.7, "ecp5": 0.6, "gowin": 0.6}
_PACKAGE = Path(__file__).parent
VERILOG = _PACKAGE / "verilog"


def rtl_modules(design: Design, clock_ns: float, fabric: Fabric = "amd") -> list[Module]:
    """The stages of a design as modules.

    Args:
        design: with ``sums_apart``: a loop here has no place for what comes after its sums.
        clock_ns: clock period.
        fabric: of the part.

    Raises:
        SparsePixError: there is not enough memory to trace it.
    """
    if not design.sums_apart:
        raise ValueError("expected a design with sums_apart, as backend_design makes it for RTL")
    check_rtl_memory(design)
    return stage_modules(Arrays(design), design.stages, max(clock_ns * LEVELS_PER_NS[fabric], 3.0), fabric)


def write_rtl_project(
    design: Design,
    modules: list[Module],
    directory: Path,
    part: str,
    clock_ns: float,
    testbench_inputs: np.ndarray,
    testbench_outputs: np.ndarray | Mapping[str, np.ndarray],
) -> None:
    """Write a project that needs nothing else: Verilator simulates it, Yosys and the tools of its part build it.

    Args:
        design: the model and its layout.
        modules: its stages, from ``rtl_modules``.
        directory: an existing, empty directory.
        part: full name of the FPGA.
        clock_ns: clock period in nanoseconds.
        testbench_inputs: raw integers of the images, int64 [events, channels, height, width].
        testbench_outputs: raw integers of the expected results, int64 [events, *output shape]; by the names of the
            outputs, if the model has several.
    """
    graph = design.graph
    ports = ports_module(ports_name(graph), pace(design, modules), _result_bits(modules))
    shared = sorted(_used([*(module.source for module in modules), ports]))
    prefix = f"{graph.name}_"
    files: dict[str, str] = {}
    for name in shared:
        text = (VERILOG / f"{name}.sv").read_text(encoding="utf-8")
        files[f"rtl/{prefix}{name}.sv"] = with_prefix(text, prefix, shared)
    files |= {f"rtl/{module.name}.sv": with_prefix(module.source, prefix, shared) for module in modules}
    files[f"rtl/{ports_name(graph)}.sv"] = with_prefix(ports, prefix, shared)
    files[f"rtl/{graph.name}.sv"] = top_source(design, modules)
    files[f"tb/{graph.name}_properties.sv"] = properties_source(
        graph.name, prefix, shared, _port_values(design, modules)
    )
    files[f"tb/{graph.name}_monitor.sv"] = monitor_source(graph.name, prefix, len(modules))
    files["tb/data/inputs.dat"] = data_text(f"images of {graph.name}", [graph.input], testbench_inputs)
    results = packed(graph, testbench_outputs, "testbench_outputs")
    files["tb/data/outputs.dat"] = data_text(f"expected results of {graph.name}", graph.outputs, results)
    files |= scripts(design, files, find_part(part), clock_ns, _result_bits(modules), len(modules))
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text, encoding="utf-8")


def ports_name(graph: Graph) -> str:
    """The module of the two ports."""
    return f"{graph.name}_ports"


def _port_values(design: Design, modules: list[Module]) -> dict[str, int]:
    """Parameters of the properties of the two ports."""
    timing = pace(design, modules)
    return {
        "IN_BITS": 8 * beat_bytes(modules[0].inputs[0].bits),
        "OUT_BITS": 8 * beat_bytes(_result_bits(modules)),
        "BEATS": timing.beats,
        "TAIL": 0 if timing.waits else timing.tail_cycles,
        "PLACES": timing.places,
    }


def _result_bits(modules: list[Module]) -> int:
    return sum(field.bits for field in modules[-1].outputs)


def _used(texts: list[str]) -> set[str]:
    """The modules of ``verilog/`` that some sources need, those that they are made of included."""
    sources = {path.stem: path.read_text(encoding="utf-8") for path in VERILOG.glob("*.sv")}
    used: set[str] = set()
    while texts:
        text = texts.pop()
        found = {name for name in sources if re.search(rf"^\s*{name} #?\(", text, re.MULTILINE)} - used
        used |= found
        texts += [sources[name] for name in found]
    return used


def with_prefix(text: str, prefix: str, names: Iterable[str]) -> str:
    """A source with a prefix before the modules of ``verilog/``: two designs in one FPGA may be of two versions.

    Args:
        text: the source.
        prefix: of the design.
        names: of the modules, where they are declared and where they are used.
    """
    either = "|".join(names)
    return re.sub(rf"^(module |\s*)({either})(?= #?\()", rf"\g<1>{prefix}\g<2>", text, flags=re.MULTILINE)


def _result_comment(graph: Graph) -> list[str]:
    """Where the results are in a beat: side by side, the first one in the low bits."""
    lines, start = [], 0
    for number, tensor in enumerate(graph.outputs):
        begin = "m_axis: one beat an event, " if number == 0 else "  and "
        lines.append(f"{begin}{tensor.name} {dims(tensor.shape)} of {tensor.type},")
        lines.append(f"  element i at bit {f'{start} + ' if start else ''}i * {tensor.type.width}.")
        start += math.prod(tensor.shape) * tensor.type.width
    return lines


def top_source(design: Design, modules: list[Module]) -> str:
    """The top module: the stages in a row between two AXI4-Stream ports."""
    graph = design.graph
    first, results = modules[0].inputs[0], modules[-1].outputs
    in_bytes, out_bytes = beat_bytes(first.bits), beat_bytes(sum(result.bits for result in results))
    channels, timing = graph.input.shape[0], pace(design, modules)
    after = f"mostly within {timing.tail_cycles}" if timing.waits else f"{timing.tail_cycles}"
    comment = "\n// ".join(
        [
            f"{graph.name}: {len(modules)} stages between two AXI4-Stream ports. An event every "
            f"{timing.interval_cycles} clocks; its result {after} clocks after its last beat"
            f"{', fewer the fewer its pixels are' if timing.waits else ', always'}.",
            f"s_axis: {first.shape[0]} pixels a beat in row-major order, {image_beats(design)} beats an "
            "event; TLAST is not needed.",
            f"  Pixel k, channel c is at bit (k * {channels} + c) * {graph.input.type.width}; {graph.input.type}.",
            *_result_comment(graph),
        ]
    )
    ports = [
        "input  logic aclk",
        "input  logic aresetn",
        "input  logic s_axis_tvalid",
        "output logic s_axis_tready",
        f"input  logic [{8 * in_bytes - 1}:0] s_axis_tdata",
        "output logic m_axis_tvalid",
        "input  logic m_axis_tready",
        f"output logic [{8 * out_bytes - 1}:0] m_axis_tdata",
        "output logic m_axis_tlast",
    ]
    lines = [f"  wire stages_rst_n, beat_valid{', stages_ready' if timing.waits else ''};"]
    padding = 8 * in_bytes - first.bits
    lines += unused([f"s_axis_tdata[{8 * in_bytes - 1}:{first.bits}]"] if padding else [])
    for number, module in enumerate(modules):
        lines += [f"  wire valid_{number};"]
        lines += [f"  {port('wire', field, f's{number}_')};" for field in module.outputs]
    for number, module in enumerate(modules):
        before = number - 1
        connections = {
            "clk": "aclk",
            "rst_n": "stages_rst_n",
            "in_valid": f"valid_{before}" if number else "beat_valid",
            **({"in_ready": "stages_ready"} if module.chain is not None else {}),
        }
        for field in module.inputs:
            connections[f"in_{field.name}"] = (
                f"s{before}_{field.name}" if number else f"s_axis_tdata[{field.bits - 1}:0]"
            )
        connections |= {"out_valid": f"valid_{number}"}
        connections |= {f"out_{field.name}": f"s{number}_{field.name}" for field in module.outputs}
        # A layer may have any name, a keyword of SystemVerilog too.
        lines += ["", f"  // {title(module.stage.steps)}"]
        lines += instance(module.name, f"{module.stage.name}_stage", {}, connections)
    end, bits = len(modules) - 1, _result_bits(modules)
    names = [f"s{end}_{result.name}" for result in results]
    lines += ["", f"  wire [{bits - 1}:0] result;"]
    lines += instance(
        ports_name(graph),
        "ports",
        {},
        {
            "clk": "aclk",
            "rst_n": "aresetn",
            "stages_rst_n": "stages_rst_n",
            "s_valid": "s_axis_tvalid",
            "s_ready": "s_axis_tready",
            "beat_valid": "beat_valid",
            **({"stages_ready": "stages_ready"} if timing.waits else {}),
            "result_valid": f"valid_{end}",
            "result": names[0] if len(names) == 1 else f"{{{', '.join(reversed(names))}}}",
            "m_valid": "m_axis_tvalid",
            "m_ready": "m_axis_tready",
            "m_result": "result",
        },
    )
    lines += [f"  assign m_axis_tdata = {8 * out_bytes}'(result);", "  assign m_axis_tlast = 1'b1;"]
    return module_text(graph.name, comment, ports, lines)
