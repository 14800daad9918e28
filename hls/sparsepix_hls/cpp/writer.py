"""Write the firmware project of a graph: C++, weights, testbench, build scripts."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sparsepix_hls import kernels
from sparsepix_hls.cpp.layer_text import constant_types, parameters, tensor_types
from sparsepix_hls.cpp.stages import channel_names, top_arguments, top_source
from sparsepix_hls.cpp.text import array_dims, array_type, port_name
from sparsepix_hls.design.layout import Design
from sparsepix_hls.ir.dims import dims
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.tensors import Tensor
from sparsepix_hls.kernels.constants import fill
from sparsepix_hls.kernels.text import call, comment, weight_text
from sparsepix_hls.project import toolchain
from sparsepix_hls.project.results import packed, result_size
from sparsepix_hls.project.testbench_data import data_text
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.tools import how_to_install
from sparsepix_ops.version import __version__

_INCLUDE = Path(kernels.__file__).parent / "include"
_KERNELS = _INCLUDE / "sparsepix"
_NATIVE_TYPES = _INCLUDE / "native_types"
_SIMULATION = _INCLUDE / "simulation"
DEFAULT_BITS, MOST_BITS = 1024, 4096  # of an ap_int (UG1399, 'Arbitrary Precision Integer Types')
_TEMPLATES = Path(__file__).with_name("templates")


def write_project(
    design: Design,
    directory: Path,
    part: str,
    clock_ns: float,
    testbench_inputs: np.ndarray,
    testbench_outputs: np.ndarray | Mapping[str, np.ndarray],
) -> None:
    """Write a project that needs nothing else: it builds on any machine with g++, and with Vitis HLS.

    Args:
        design: the model and its layout.
        directory: an existing, empty directory.
        part: full name of the FPGA, for Vitis HLS.
        clock_ns: clock period in nanoseconds.
        testbench_inputs: raw integers of the images, int64 [events, channels, height, width].
        testbench_outputs: raw integers of the expected results, int64 [events, *output shape]; by the names of the
            outputs, if the model has several.

    Raises:
        SparsePixError: the graph or the testbench data cannot be written.
    """
    graph = design.graph
    images = testbench_inputs.shape
    if images[1:] != graph.input.shape or images[0] == 0:
        raise SparsePixError(f"testbench_inputs: expected shape [events, {dims(graph.input.shape)}], found {images}")
    results = packed(graph, testbench_outputs, "testbench_outputs")
    if len(results) != images[0]:
        raise SparsePixError(f"testbench_outputs: expected results of {images[0]} events, found {len(results)}")
    layers = [layer.kernel(design.setting(layer)) for layer in graph.layers]
    check_names(design, layers)

    for folder in ("firmware/weights", "lib", "tb/data"):
        (directory / folder).mkdir(parents=True)
    for source, name in (
        (_KERNELS, "firmware/sparsepix"),
        (_NATIVE_TYPES, "native_types"),
        (_SIMULATION, "simulation"),
        (toolchain.ap_types_directory(), "ap_types"),
    ):
        _copy(source, directory / name)

    files = {
        f"firmware/{graph.name}.h": _top_header(design),
        f"firmware/{graph.name}.cpp": top_source(design, {layer.name: layer for layer in layers}),
        "firmware/data_types.h": _data_types(design, layers),
        "firmware/parameters.h": _parameters(design, layers),
        "tb/data/inputs.dat": data_text(f"images of {graph.name}", [graph.input], testbench_inputs),
        "tb/data/outputs.dat": data_text(f"expected results of {graph.name}", graph.outputs, results),
    }
    for layer in layers:
        for constant, shape in layer.constants:
            if shape:
                text = weight_text(layer, constant, shape)
                files[f"firmware/weights/{constant.name}.h"] = _guarded(
                    f"{graph.name}_{constant.name}",
                    f'#include "../data_types.h"\n#include "../sparsepix/constants.h"\n\n{text}',
                )
        if layer.generated is not None:
            needs = ["../data_types.h", "../sparsepix/adders.h", *(f"{c.name}.h" for c, _ in layer.constants)]
            includes = "".join(f'#include "{name}"\n' for name in needs)
            files[f"firmware/weights/{layer.kernel}.h"] = _guarded(
                f"{graph.name}_{layer.kernel}", f"{includes}\n{layer.generated}"
            )
    values = {
        "top": graph.name,
        "part": part,
        "clock_ns": f"{clock_ns:g}",
        "clock_uncertainty": str(design.clock_uncertainty),
        "standard": toolchain.STANDARD,
        "get_cxx": how_to_install("g++"),
        "optimization": toolchain.OPTIMIZATION,
        "flags": " ".join(toolchain.FLAGS),
        "library_flags": " ".join(toolchain.LIBRARY_FLAGS),
        "native_flags": " ".join(toolchain.NATIVE_FLAGS),
    }
    values |= {
        "input_type": f"{graph.input.name}_t",
        "input_dims": array_dims(graph.input),
        "input_size": str(math.prod(graph.input.shape)),
        "guard": f"FIRMWARE_{graph.name.upper()}",
    }
    values |= _output_values(design) | _interface_values(graph)
    for template, target in (
        ("event.h", f"tb/{graph.name}_event.h"),
        ("testbench.cpp", f"tb/{graph.name}_tb.cpp"),
        ("bridge.cpp", f"tb/{graph.name}_bridge.cpp"),
        ("emulator.h", f"lib/{graph.name}_emulator.h"),
        ("build.tcl", "build.tcl"),
        ("Makefile", "Makefile"),
    ):
        files[target] = _fill(template, values)
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    """Copy the contents of a folder of headers, not its permissions: an installed package may be read-only.

    It ends with the first error; shutil.copytree goes on, and lists the same full disk for every file.
    """
    for path in sorted(source.rglob("*")):
        if path.is_file():
            copied = target / path.relative_to(source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(path.read_bytes())


def _output_values(design: Design) -> dict[str, str]:
    """What the templates say of the results: software has an array for each, 'output' or 'output_0' and so on."""
    graph = design.graph
    arrays = dict(zip(_arrays(graph), graph.outputs, strict=True))
    image = f"const {graph.input.name}_t input{array_dims(graph.input)}"
    parameters = [image, *(f"{t.name}_t {name}{dims(t.shape)}" for name, t in arrays.items())]
    first = {name: f"&{name}{'[0]' * len(t.shape)}" for name, t in arrays.items()}
    sizes = {name: str(math.prod(t.shape)) for name, t in arrays.items()}
    declared = [f"{t.name}_t {name}{dims(t.shape)};" for name, t in arrays.items()]
    reads = [f"  results = {graph.name}_put(&arrays.{first[name][1:]}, {sizes[name]}, results);" for name in arrays]
    compared = []
    for name, tensor in arrays.items():
        shown = tensor.name if len(arrays) > 1 else "output"
        arguments = [f'"{shown}"', first[name], sizes[name], "output_event", "events", "mismatches"]
        compared.append(fill("    complete = complete && compare", arguments, ";"))
    return {
        "event_head": fill(f"static void {graph.name}_event", parameters, " {"),
        "event": _event(design),
        "output_size": str(result_size(graph)),
        "output_members": "\n".join(f"  {line}" for line in declared),
        "output_arrays": "\n".join(f"  static {line}" for line in declared),
        "model_arrays": "\n".join(_all_arrays(design)),
        "output_names": ", ".join(arrays),
        "event_call": call(f"{graph.name}_event", ["arrays.input", *(f"arrays.{name}" for name in arrays)]),
        "output_reads": "\n".join(reads),
        "output_compared": "\n".join(compared),
    }


def _interface_values(graph: Graph) -> dict[str, str]:
    """What the header for other software says of the image and the results, each with its format."""
    outputs = graph.outputs
    sizes = [math.prod(tensor.shape) for tensor in outputs]
    scales = [
        f"    results = {graph.name}_scaled(value, {size}, {tensor.type.exponent}, results);"
        for tensor, size in zip(outputs, sizes, strict=True)
    ]
    several, lines, first = len(outputs) > 1, [], 0
    for tensor, size in zip(outputs, sizes, strict=True):
        if several:
            lines.append(
                f"#define {graph.name.upper()}_FIRST_{tensor.name.upper()} {first} /* first of {size}, {tensor.type} */"
            )
        first += size
    channels, height, width = graph.input.shape
    return {
        "TOP": graph.name.upper(),
        "version": __version__,
        "channels": str(channels),
        "height": str(height),
        "width": str(width),
        "input_format": str(graph.input.type),
        "output_comment": ", one output after the other" if several else f", in {outputs[0].type}",
        "output_places": "".join(f"{line}\n" for line in lines),
        "output_scales": "\n".join(scales),
    }


def _all_arrays(design: Design) -> list[str]:
    """Members of a struct that is as large as all arrays of the model."""
    made = (array for stage in design.stages for array in stage.made)
    arrays = dict.fromkeys((design.graph.input, *made))
    return [f"    {array_type(array)} a{i}{array_dims(array)};" for i, array in enumerate(arrays)]


def _arrays(graph: Graph) -> list[str]:
    """Names of the arrays of the results, in software."""
    return ["output"] if len(graph.outputs) == 1 else [f"output_{i}" for i in range(len(graph.outputs))]


def check_names(design: Design, layers: list[Kernel]) -> None:
    """Refuse a design that cannot be written as C++: a name of two things, a tensor that comes from nowhere.

    Raises:
        SparsePixError: all that is wrong, each with its layer or name.
    """
    graph = design.graph
    problems = []
    constants = [constant.name for layer in layers for constant, _ in layer.constants]
    tensors = _tensors(graph, layers)
    own = (f"{graph.name}_{function}" for function in ("run", "emulate", "interface"))
    names = [graph.name, *own, *channel_names(design)]
    names += [name for base in (*tensors, *constants) for name in (base, f"{base}_t")]
    names += [f"{layer.name}_config" for layer in layers]
    for name in sorted(name for name, count in Counter(names).items() if count > 1):
        problems.append(f"the identifier {name!r} means two things: rename the layer or tensor it comes from")
    for layer in layers:
        problems += [
            f"layer {layer.name} reads {tensor.name!r}, which is an output: only the last value of a model can be its "
            "output"
            for tensor in layer.inputs
            if tensor in graph.outputs
        ]
    made = {graph.input.name}
    for layer in layers:
        for tensor in layer.inputs:
            if tensor.name not in made:
                problems.append(f"layer {layer.name} reads {tensor.name!r}, which no earlier layer makes")
        made |= {tensor.name for tensor in layer.outputs}
    missing = [tensor for tensor in graph.outputs if tensor.name not in made - {graph.input.name}]
    problems += [f"no layer makes the output {tensor.name!r}" for tensor in missing]
    widest = widest_integer(design)
    if widest > MOST_BITS:
        problems.append(
            f"an ap_uint of {widest:,} bits: Vitis HLS takes at most {MOST_BITS:,}; it holds a beat of the ports, or a "
            "flag for each column, row or pixel: fewer pixels_per_cycle, or a smaller image"
        )
    if problems:
        raise SparsePixError(problems, heading=f"model {graph.name} cannot be written as C++")


def widest_integer(design: Design) -> int:
    """Bits of the widest ap_uint of a design: a beat of a streaming port, or a set of flags and a carry beside it."""
    graph = design.graph
    flags = max(*graph.input.shape[1:], design.input_reduce.max_pixels)
    beats = _beats(design).values() if design.io == "stream" else ()
    return max([flags + 2, *beats])  # flags - 1 is two bits wider


def _beats(design: Design) -> dict[Tensor, int]:
    """Bits of TDATA of each streaming port, a whole number of bytes."""
    graph = design.graph
    pixels = design.pixels_per_cycle * graph.input.shape[0]
    numbers = {graph.input: pixels} | {tensor: math.prod(tensor.shape) for tensor in graph.outputs}
    return {tensor: -(-number * tensor.type.width // 8) * 8 for tensor, number in numbers.items()}


def _tensors(graph: Graph, layers: list[Kernel]) -> dict[str, Tensor]:
    """Every tensor by its name, in order of appearance."""
    made = [tensor for layer in layers for tensor in layer.outputs]
    return {tensor.name: tensor for tensor in (graph.input, *made)}


def _guarded(name: str, body: str) -> str:
    guard = f"FIRMWARE_{name.upper()}_H"  # those of the kernels begin with SPARSEPIX
    return f"#ifndef {guard}\n#define {guard}\n\n{body}\n#endif\n"


def _fill(template: str, values: dict[str, str]) -> str:
    text = (_TEMPLATES / f"{template}.in").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _data_types(design: Design, layers: list[Kernel]) -> str:
    graph = design.graph
    coords = {name for layer in graph.layers for name in layer.grids}
    lines = ["// Number types: one for each array of the firmware.\n"]
    if (widest := widest_integer(design)) > DEFAULT_BITS:
        limit = -(-widest // DEFAULT_BITS) * DEFAULT_BITS
        lines[0] += (
            "// The most bits of an ap_int; a matter of the first of its headers (UG1399).\n"
            f"#ifndef AP_INT_MAX_W\n#define AP_INT_MAX_W {limit}\n#elif AP_INT_MAX_W < {limit}\n"
            f'#error "include this before other headers of ap_int, or define AP_INT_MAX_W as {limit}"\n#endif\n'
        )
    lines[0] += "#include <ap_fixed.h>\n#include <ap_int.h>\n"
    lines += tensor_types(_tensors(graph, layers).values(), coords)
    lines.append("\n// Constants")
    lines += [line for layer in layers for line in constant_types(layer)]
    if design.io == "stream":
        lines[0] += '#include <ap_axi_sdata.h>\n#include <hls_stream.h>\n\n#include "sparsepix/types.h"\n'
        lines.append("\n// AXI4-Stream: TDATA of each port, a whole number of bytes")
        for tensor, bits in _beats(design).items():
            what = f"{design.pixels_per_cycle} pixels" if tensor == graph.input else "one event"
            lines.append(f"// {tensor.name}: {what} a beat")
            lines.append(f"typedef hls::axis<sparsepix::Flags<{bits}>, 0, 0, 0> {tensor.name}_beat_t;")
    return _guarded(f"{graph.name}_data_types", "\n".join(lines) + "\n")


def _parameters(design: Design, layers: list[Kernel]) -> str:
    graph = design.graph
    headers = {"rounds", "kernel_map", *(layer.header for layer in layers)}
    if design.io == "stream":
        headers |= {"image_stream"} | ({"stream_pixels"} if design.streams else set())
    includes = [f'#include "sparsepix/{header}.h"' for header in sorted(headers)]
    arrays = [(layer, c, shape) for layer in layers for c, shape in layer.constants]
    files = [c.name for _, c, shape in arrays if shape] + [layer.kernel for layer in layers if layer.generated]
    weights = [f'#include "weights/{name}.h"' for name in sorted(files)]
    body = ["// Parameters and weights of each layer.", '#include "data_types.h"', *includes, *weights, ""]
    body += [text for layer in layers for text in parameters(layer)]
    return _guarded(f"{graph.name}_parameters", "\n".join(body))


def _top_header(design: Design) -> str:
    graph = design.graph
    text = (
        f"Top function of the firmware. {graph.input.name}: [channel][row][column], row-major; stable until the block "
        "is ready for the next."
    )
    if design.io == "stream":
        text = (
            f"Top function of the firmware. {port_name(graph.input)}: {design.pixels_per_cycle} pixels a beat in "
            f"row-major order, {design.beats} beats an event; bits after the last pixel are not read. Pixel k, "
            f"channel c of a beat is at bit (k * {graph.input.shape[0]} + c) * {graph.input.type.width}. "
            + " ".join(
                f"{port_name(tensor)}: one beat an event, element i at bit i * {tensor.type.width}, with TLAST."
                for tensor in graph.outputs
            )
        )
    body = f'#include "data_types.h"\n\n{comment(text)}\n{fill(f"void {graph.name}", top_arguments(design), ";")}\n'
    return _guarded(graph.name, body)


def _event(design: Design) -> str:
    """The statements that run the top function on the arrays ``input`` and those of the results, for software."""
    graph = design.graph
    if design.io == "parallel":
        return call(graph.name, ["input", *_arrays(graph)])
    streams = [f"  hls::stream<{t.name}_beat_t> {port_name(t)};" for t in (graph.input, *graph.outputs)]
    ports = [port_name(graph.input), *(port_name(tensor) for tensor in graph.outputs)]
    reads = [
        call(
            f"sparsepix::read_result<{math.prod(tensor.shape)}>",
            [port_name(tensor), f"&{name}{'[0]' * len(tensor.shape)}"],
        )
        for name, tensor in zip(_arrays(graph), graph.outputs, strict=True)
    ]
    return "\n".join(
        [
            *streams,
            call(f"sparsepix::write_image<{design.input_reduce.name}_config>", ["input", ports[0]]),
            call(graph.name, ports),
            *reads,
        ]
    )
