"""Write the firmware project of a graph: C++, weights, testbench, build scripts."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from sparsepix_hls import cpp_layers, ir, toolchain
from sparsepix_hls.cpp_constants import decimals, dims, type_name
from sparsepix_ops.errors import SparsePixError

_PACKAGE = Path(__file__).parent
_KERNELS = _PACKAGE / "include" / "sparsepix"
_NATIVE_TYPES = _PACKAGE / "include" / "native_types"
_TEMPLATES = _PACKAGE / "templates"

_REDUCE_COMMENT = """\
// From the image to its active pixels: a loop over time, one pixel a clock."""
_LAYERS_COMMENT = """\
// Everything behind the input reduction, fully parallel: a pipeline that takes new pixels every clock.
// PIPELINE unrolls all loops below it, and between the layers are plain registers (UG1399, 'pragma HLS
// pipeline')."""
_TOP_COMMENT = """\
// Two processes: DATAFLOW lets the input reduction work on the next image while the layers finish this one
// (UG1399, 'pragma HLS dataflow': each array between them has one producer and one consumer). The reduction
// is a loop over time and cannot be part of the pipeline, which would unroll it into as many copies as there
// are pixels. With a process for each layer every value between two layers would cost a FIFO of its own, and
// no time would be won: the interval is that of the reduction."""


def write_project(
    graph: ir.Graph,
    directory: Path,
    part: str,
    clock_ns: float,
    testbench_inputs: np.ndarray,
    testbench_outputs: np.ndarray,
) -> None:
    """Write a project that stands alone: it builds on any machine with g++, and with Vitis HLS.

    Args:
        graph: the model.
        directory: an existing, empty directory.
        part: full name of the FPGA, for Vitis HLS.
        clock_ns: clock period in nanoseconds.
        testbench_inputs: raw integers of the images, int64 [events, channels, height, width].
        testbench_outputs: raw integers of the expected results, int64 [events, *output shape].

    Raises:
        SparsePixError: the graph or the testbench data cannot be written.
    """
    for name, data, tensor in (
        ("testbench_inputs", testbench_inputs, graph.input),
        ("testbench_outputs", testbench_outputs, graph.output),
    ):
        if data.shape[1:] != tensor.shape or data.shape[:1] != testbench_inputs.shape[:1] or len(data) == 0:
            raise SparsePixError(f"{name}: expected shape [events, {dims(tensor.shape)}], found {data.shape}")
    layers = [cpp_layers.translate(layer) for layer in graph.layers]
    _check_graph(graph, layers)

    for folder in ("firmware/weights", "tb/data"):
        (directory / folder).mkdir(parents=True)
    shutil.copytree(_KERNELS, directory / "firmware" / "sparsepix")
    shutil.copytree(_NATIVE_TYPES, directory / "native_types")
    shutil.copytree(toolchain.ap_types_directory(), directory / "ap_types")

    files = {
        f"firmware/{graph.name}.h": _top_header(graph),
        f"firmware/{graph.name}.cpp": _top_source(graph, layers),
        "firmware/data_types.h": _data_types(graph, layers),
        "firmware/parameters.h": _parameters(graph, layers),
        "tb/data/inputs.dat": _data(f"images of {graph.name}", graph.input, testbench_inputs),
        "tb/data/outputs.dat": _data(f"expected results of {graph.name}", graph.output, testbench_outputs),
    }
    for layer in layers:
        for constant, shape in layer.constants:
            if shape:
                text = cpp_layers.weight_text(layer, constant, shape)
                files[f"firmware/weights/{constant.name}.h"] = _guarded(
                    f"{graph.name}_{constant.name}",
                    f'#include "../data_types.h"\n#include "../sparsepix/constants.h"\n\n{text}',
                )
    values = {
        "top": graph.name,
        "part": part,
        "clock_ns": f"{clock_ns:g}",
        "standard": toolchain.STANDARD,
        "optimization": toolchain.OPTIMIZATION,
        "flags": " ".join(toolchain.FLAGS),
    }
    for side, tensor in (("input", graph.input), ("output", graph.output)):
        values[f"{side}_type"] = f"{tensor.name}_t"
        values[f"{side}_dims"] = dims(tensor.shape)
        values[f"{side}_first"] = "[0]" * len(tensor.shape)
        values[f"{side}_size"] = str(math.prod(tensor.shape))
    for template, target in (
        ("testbench.cpp", f"tb/{graph.name}_tb.cpp"),
        ("bridge.cpp", f"tb/{graph.name}_bridge.cpp"),
        ("build.tcl", "build.tcl"),
        ("Makefile", "Makefile"),
    ):
        files[target] = _fill(template, values)
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")


def _check_graph(graph: ir.Graph, layers: list[cpp_layers.Layer]) -> None:
    """Refuse what C++ could not express."""
    problems = []
    constants = [constant.name for layer in layers for constant, _ in layer.constants]
    tensors = _tensors(graph, layers)
    names = [graph.name, *(f"{graph.name}_{suffix}" for suffix in ("reduce", "layers", "run"))]
    names += [name for base in (*tensors, *constants) for name in (base, f"{base}_t")]
    names += [f"{layer.name}_config" for layer in layers]
    names += sorted({layer.pairs_name for layer in layers if layer.pairs})
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"the identifier {name!r} stands for two things: rename the layer or tensor it comes from")
    for layer in layers:
        if graph.output.name in [tensor.name for tensor in layer.inputs]:
            problems.append(
                f"layer {layer.name} reads {graph.output.name!r}, which is the output: only the last value of a model "
                "can be its output"
            )
    made = {graph.input.name}
    for layer in layers:
        for tensor in layer.inputs:
            if tensor.name not in made:
                problems.append(f"layer {layer.name} reads {tensor.name!r}, which no earlier layer makes")
        made |= {tensor.name for tensor in layer.outputs}
    if graph.output.name not in made - {graph.input.name}:
        problems.append(f"no layer makes the output {graph.output.name!r}")
    if problems:
        raise SparsePixError(problems, heading=f"model {graph.name} cannot be written as C++")


def _tensors(graph: ir.Graph, layers: list[cpp_layers.Layer]) -> dict[str, ir.Tensor]:
    """Every tensor by its name, in order of appearance."""
    made = [tensor for layer in layers for tensor in layer.outputs]
    return {tensor.name: tensor for tensor in (graph.input, *made)}


def _guarded(name: str, body: str) -> str:
    guard = f"{name.upper()}_H"
    return f"#ifndef {guard}\n#define {guard}\n\n{body}\n#endif\n"


def _fill(template: str, values: dict[str, str]) -> str:
    text = (_TEMPLATES / f"{template}.in").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _data(what: str, tensor: ir.Tensor, raw: np.ndarray) -> str:
    head = (
        f"# {what}: one event a line, {tensor.name}{dims(tensor.shape)} in row-major order\n"
        f"# raw integers: value = raw * 2^{tensor.type.exponent}, {tensor.type}\n"
    )
    return head + "".join(" ".join(map(str, event)) + "\n" for event in raw.reshape(len(raw), -1).tolist())


def _data_types(graph: ir.Graph, layers: list[cpp_layers.Layer]) -> str:
    coords = {
        t.name
        for layer in graph.layers
        for t in (getattr(layer, "coords", None), getattr(layer, "output_coords", None))
        if t
    }
    lines = ["// Number types: one for each array of the firmware.\n#include <ap_fixed.h>\n#include <ap_int.h>\n"]
    for tensor in _tensors(graph, layers).values():
        type_ = type_name(tensor.type, tensor.name in coords)
        lines.append(f"// {tensor.name} {dims(tensor.shape)}\ntypedef {type_} {tensor.name}_t;")
    lines.append("\n// Constants")
    for layer in layers:
        for constant, shape in layer.constants:
            lines.append(f"// {constant.name} {dims(shape)}".rstrip())
            # A constant is never rounded: without modes its type says so, and compiles faster.
            plain = replace(constant.type, rounding="FLOOR", overflow="WRAP")
            lines.append(f"typedef {type_name(plain)} {constant.name}_t;")
    return _guarded(f"{graph.name}_data_types", "\n".join(lines) + "\n")


def _parameters(graph: ir.Graph, layers: list[cpp_layers.Layer]) -> str:
    includes = [f'#include "sparsepix/{header}.h"' for header in sorted({layer.header for layer in layers})]
    arrays = [(layer, c, shape) for layer in layers for c, shape in layer.constants]
    weights = sorted(f'#include "weights/{constant.name}.h"' for _, constant, shape in arrays if shape)
    body = ["// Parameters and weights of each layer.", '#include "data_types.h"', *includes, *weights, ""]
    for layer in layers:
        body.append(cpp_layers.config_struct(layer))
        scalars = [c for c, shape in layer.constants if not shape]
        for constant in scalars:
            body.append(f"static const {constant.name}_t {constant.name} = {decimals(constant).item()};\n")
    return _guarded(f"{graph.name}_parameters", "\n".join(body))


def _arguments(tensors: list[tuple[ir.Tensor, bool]]) -> list[str]:
    return [f"{'const ' if const else ''}{t.name}_t {t.name}{dims(t.shape)}" for t, const in tensors]


def _top_header(graph: ir.Graph) -> str:
    arguments = _arguments([(graph.input, True), (graph.output, False)])
    body = (
        '#include "data_types.h"\n\n'
        f"// Top function of the firmware. {graph.input.name} must be stable until the block is ready for the next.\n"
        f"{cpp_layers.fill(f'void {graph.name}', arguments, ';')}\n"
    )
    return _guarded(graph.name, body)


def _partition(tensor_name: str) -> str:
    return f"#pragma HLS ARRAY_PARTITION variable = {tensor_name} type = complete dim = 0"


def _declarations(tensors: list[ir.Tensor]) -> list[str]:
    """Local arrays, each element a register of its own."""
    return [line for t in tensors for line in (f"  {t.name}_t {t.name}{dims(t.shape)};", _partition(t.name))]


def _statements(layers: list[cpp_layers.Layer], known: set[str]) -> list[str]:
    """Arrays and calls of the layers; ``known`` are the arrays that stand already, pair maps are added to it."""
    lines = []
    for layer in layers:
        lines.append(f"\n{layer.comment}")
        if layer.pairs and layer.pairs_name not in known:
            coords, height, width = layer.pairs
            pixels = layer.config["max_pixels"]
            lines += [
                f"  sparsepix::Position<{height} * {width}> {layer.pairs_name}[sparsepix::pair_count({pixels})];",
                _partition(layer.pairs_name),
                cpp_layers.call(f"sparsepix::pair_map<{layer.name}_config>", [coords.name, layer.pairs_name]),
            ]
            known.add(layer.pairs_name)
        local = [t for t in layer.outputs if t.name not in known]
        known |= {t.name for t in local}
        lines += [*_declarations(local), layer.call]
    return lines


def _function(name: str, inputs: list[ir.Tensor], outputs: list[ir.Tensor], body: list[str]) -> str:
    """Definition of a function of the firmware; its ports are arrays."""
    arguments = _arguments([(t, True) for t in inputs] + [(t, False) for t in outputs])
    return "\n".join([cpp_layers.fill(name, arguments, " {"), *body, "}\n"])


def _top_source(graph: ir.Graph, layers: list[cpp_layers.Layer]) -> str:
    reduce = [layer for layer in layers if layer.kernel == "input_reduce"]
    parallel = [layer for layer in layers if layer.kernel != "input_reduce"]
    top, image, result = f"void {graph.name}", graph.input, graph.output
    outside = {image.name, result.name}
    head = [f'#include "{graph.name}.h"\n#include "parameters.h"\n']
    ports = [
        _partition(image.name),
        _partition(result.name),
        f"#pragma HLS INTERFACE mode = ap_none port = {image.name}",
        f"#pragma HLS INTERFACE mode = ap_vld port = {result.name}",
    ]
    if not (reduce and parallel):
        # A single process: nothing to overlap.
        mode = [] if reduce else ["#pragma HLS PIPELINE II = 1"]
        body = [*ports, *mode, *_statements(layers, set(outside))]
        return "\n".join([*head, _function(top, [image], [result], body)])

    read = {t.name: t for layer in parallel for t in layer.inputs}
    made = {t.name for layer in parallel for t in layer.outputs}
    channels = [t for name, t in read.items() if name not in made]
    unread = [t for layer in reduce for t in layer.outputs if t.name not in read]
    known = outside | {t.name for t in channels}
    reduce_name, layers_name = f"{graph.name}_reduce", f"{graph.name}_layers"
    return "\n".join(
        [
            *head,
            _REDUCE_COMMENT,
            _function(
                f"static void {reduce_name}",
                [image],
                channels,
                [
                    "#pragma HLS INLINE off",
                    *_declarations(unread),
                    *_statements(reduce, known | {t.name for t in unread}),
                ],
            ),
            _LAYERS_COMMENT,
            _function(
                f"static void {layers_name}",
                channels,
                [result],
                ["#pragma HLS INLINE off", "#pragma HLS PIPELINE II = 1", *_statements(parallel, known)],
            ),
            _TOP_COMMENT,
            _function(
                top,
                [image],
                [result],
                [
                    *ports,
                    "#pragma HLS DATAFLOW",
                    *_declarations(channels),
                    cpp_layers.call(reduce_name, [image.name, *(t.name for t in channels)]),
                    cpp_layers.call(layers_name, [*(t.name for t in channels), result.name]),
                ],
            ),
        ]
    )
