"""The stages of a design as C++ functions, and the top function that joins them."""

from collections.abc import Mapping

from sparsepix_hls.cpp.chain import chain_body, chain_functions, chain_names
from sparsepix_hls.cpp.scan import scan_body, stream_body
from sparsepix_hls.cpp.text import (
    declarations,
    forward,
    next_name,
    parameter,
    partition,
    port_name,
    send,
)
from sparsepix_hls.design.layout import Design
from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.tensors import Array, KernelMap
from sparsepix_hls.kernels.constants import fill
from sparsepix_hls.kernels.text import call, comment, heading, statement
from sparsepix_hls.layers.kernel_map import MakeKernelMap

_KIND_COMMENTS = {
    "receive": "A loop over time: collects the image from its stream, a beat a clock.",
    "scan": "A loop over time: lists one active pixel a clock. 'rewind' lets the next image follow without a gap.",
    "stream": "A loop over time: takes a beat of pixels a clock and appends the active ones to the list.",
    "chain": "Pixels that go one by one from layer to layer: a process for each, with streams between them.",
    "pipeline": (
        "Fully parallel: a pipeline that takes an event every clock. PIPELINE unrolls all loops below it, and between "
        "the layers are plain registers (UG1399, 'pragma HLS pipeline')."
    ),
    "loop": "A loop over time: {rounds} rounds, each on the same small part of the hardware; 'rewind' leaves no gap.",
}
_TOP_COMMENT = (
    "One process a stage: DATAFLOW lets each work on its own event (UG1399, 'pragma HLS dataflow'). Every array "
    "between two of them has one producer and one consumer: what a later stage needs is handed on. Layers that need "
    "no loop of their own share a pipeline, for between processes every value costs a FIFO."
)


def top_source(design: Design, layers: Mapping[str, Kernel]) -> str:
    """The source of the top function: a function for each stage, and the dataflow of them.

    Args:
        design: the layout.
        layers: every layer as C++, by name.
    """
    graph, stages = design.graph, design.stages
    parts = [f'#include "{graph.name}.h"\n#include "parameters.h"\n']
    if len(stages) == 1:
        parts += chain_functions(stages[0], design, layers) if stages[0].kind == "chain" else []
        body = [line for line in _body(stages[0], design, layers, True) if "INLINE" not in line]
        parts += [
            _note(stages[0]),
            _definition(f"void {graph.name}", top_arguments(design), [*_port_pragmas(design), *body]),
        ]
    else:
        flow = [*_port_pragmas(design), "#pragma HLS DATAFLOW", *flow_statements(design)]
        parts += [
            *stage_functions(design, layers),
            comment(_TOP_COMMENT),
            _definition(f"void {graph.name}", top_arguments(design), flow),
        ]
    return "\n".join(parts)


def stage_functions(design: Design, layers: Mapping[str, Kernel]) -> list[str]:
    """A function for each stage, each after a comment that says what it is."""
    parts, stages = [], design.stages
    for stage in stages:
        if stage.kind == "chain":
            parts += chain_functions(stage, design, layers)
        parameters = _stage_parameters(stage, design, stage is stages[0], stage is stages[-1])
        body = _body(stage, design, layers, stage is stages[-1])
        parts += [_note(stage), _definition(f"static void {design.graph.name}_{stage.name}", parameters, body)]
    return parts


def _note(stage: Stage) -> str:
    return comment(f"{stage.name}: {_KIND_COMMENTS[stage.kind].format(rounds=stage.rounds)}")


def channel_names(design: Design) -> list[str]:
    """Identifiers beside those of tensors and constants that the source declares, for the check of names."""
    names, stages = [], design.stages
    for i, stage in enumerate(stages):
        names += chain_names(stage, design) if stage.kind == "chain" else []
        names.append(f"{design.graph.name}_{stage.name}")
        names += [next_name(array) for array in stage.handed_on]
        if i + 1 < len(stages):
            channels = {array.name: _channel(array, stage, stages[i + 1], design) for array in stage.outputs}
            names += [channel for name, channel in channels.items() if channel != name]
    maps = {array.name for stage in stages for array in stage.made if isinstance(array, KernelMap)}
    return [*sorted(set(names)), *sorted(maps)]


def _channel(array: Array, stage: Stage, following: Stage, design: Design) -> str:
    """The channel of an array to the next stage; its own name is that of the port, if it is a result."""
    moved = array in stage.handed_on or array in design.graph.outputs
    return f"{array.name}_to_{following.name}" if moved else array.name


def _definition(head: str, parameters: list[str], body: list[str]) -> str:
    return "\n".join([fill(head, parameters, " {"), *body, "}\n"])


def top_arguments(design: Design) -> list[str]:
    """Parameters of the top function."""
    graph = design.graph
    if design.io == "stream":
        return [f"hls::stream<{tensor.name}_beat_t> &{port_name(tensor)}" for tensor in (graph.input, *graph.outputs)]
    return [parameter(graph.input, const=True), *(parameter(tensor) for tensor in graph.outputs)]


def _port_pragmas(design: Design) -> list[str]:
    graph = design.graph
    if design.io == "stream":
        return [
            "#pragma HLS INTERFACE mode = ap_ctrl_none port = return",
            *(f"#pragma HLS INTERFACE mode = axis port = {port_name(t)}" for t in (graph.input, *graph.outputs)),
        ]
    return [
        *(partition(tensor.name) for tensor in (graph.input, *graph.outputs)),
        f"#pragma HLS INTERFACE mode = ap_none port = {graph.input.name}",
        *(f"#pragma HLS INTERFACE mode = ap_vld port = {tensor.name}" for tensor in graph.outputs),
    ]


def _stage_parameters(stage: Stage, design: Design, first: bool, last: bool) -> list[str]:
    ports = top_arguments(design)
    handed = stage.handed_on
    inputs = [ports[0]] if first else [parameter(array, const=True) for array in stage.inputs]
    if last and design.io == "stream":
        return [*inputs, *ports[1:]]
    return [*inputs, *(parameter(a, name=next_name(a) if a in handed else None) for a in stage.outputs)]


def flow_statements(design: Design, scope: str = "", image: str | None = None) -> list[str]:
    """The processes, a call of each stage's function, and before them the channels from each to the next.

    Args:
        design: the layout.
        scope: of the functions and types, if they are in a namespace: its name and two colons.
        image: name of its port, if that is another than the image's own.
    """
    graph, stages = design.graph, design.stages
    ports = [port_name(t) if design.io == "stream" else t.name for t in (graph.input, *graph.outputs)]
    lines, calls = [], []
    arriving = [image or ports[0]]
    for i, stage in enumerate(stages):
        leaving = ports[1:]
        if i + 1 < len(stages):
            leaving = []
            for array in stage.outputs:
                channel = _channel(array, stage, stages[i + 1], design)
                leaving.append(channel)
                lines += declarations([array], {array.name: channel}, scope=scope)
        calls.append(call(f"{scope}{graph.name}_{stage.name}", [*arriving, *leaving]))
        arriving = leaving
    return [*lines, *calls]


def _body(stage: Stage, design: Design, layers: Mapping[str, Kernel], last: bool) -> list[str]:
    """The statements of a stage's function."""
    head = ["#pragma HLS INLINE off"]
    sends = last and design.io == "stream"
    ending = send(design.graph.outputs, "  ") if sends else []
    if stage.kind == "pipeline":
        ports = () if sends else stage.outputs
        body = _pipeline(stage, layers, ports)
        return [*head, "#pragma HLS PIPELINE II = 1", *body, *_handing(stage, "  ", sends), *ending]
    if stage.kind == "loop":
        return [*head, *_loop(stage, design, layers, sends)]
    if stage.kind == "chain":
        return [*head, *chain_body(stage, design, sends)]
    if stage.kind == "scan":
        return [*head, *scan_body(stage, design, layers, sends)]
    return [*head, *stream_body(stage, design, layers, sends)]


def _handing(stage: Stage, indent: str, sends: bool) -> list[str]:
    if sends:
        return []
    return [forward(array, array.name, next_name(array), indent) for array in stage.handed_on]


def _pipeline(stage: Stage, layers: Mapping[str, Kernel], ports: tuple[Array, ...]) -> list[str]:
    lines = []
    for step in stage.steps:
        lines.append("")
        local = [array for array in step.outputs if array not in ports]
        if isinstance(step, MakeKernelMap):
            lines.append(comment(f"{step.name}: kernel position of every pair of pixels", "  "))
            lines += declarations(local)
            user = map_config(step.map, layers)
            lines.append(call(f"sparsepix::kernel_map<{user}_config>", [step.map.coords.name, step.name]))
            continue
        layer = layers[step.name]
        lines += [comment(heading(layer), "  "), *declarations(local), statement(layer)]
    return lines


def map_config(wanted: KernelMap, layers: Mapping[str, Kernel]) -> str:
    """A convolution whose parameters describe a kernel map."""
    return next(layer.name for layer in layers.values() if layer.kernel_map == wanted)


def _loop(stage: Stage, design: Design, layers: Mapping[str, Kernel], sends: bool) -> list[str]:
    """One layer in rounds, the activations after it, and the results that each round stores."""
    main = stage.steps[0]
    by_pixel = main.by_pixel
    parallel = design.layers[main.name].parallel
    last = f"round == {stage.rounds - 1}"
    ports = () if sends else stage.outputs
    word = "round" if by_pixel else "carried"
    kept = [a for a in (stage.made if by_pixel else main.outputs) if a in stage.outputs]
    rename = {array.name: f"{array.name}_{word}" for array in kept}
    before, inside, ending = [], [], []
    for step in stage.steps:
        layer = layers[step.name]
        if by_pixel:
            inside += [comment(heading(layer), "    ")]
            inside += declarations(layer.outputs, rename, "    ", parallel)
            inside.append(statement(layer, "round", rename, "    "))
        elif step == main:
            before += ["  // Carried from round to round", *declarations(layer.outputs, rename)]
            inside += [comment(heading(layer), "    "), statement(layer, "round", rename, "    ")]
        else:
            ending += [comment(heading(layer), "      ")]
            ending += declarations([a for a in layer.outputs if a not in ports], None, "      ")
            ending.append(statement(layer, "0", rename, "      "))
    if sends:
        before += declarations([a for a in kept if a in design.graph.outputs])
    for array in kept:
        if by_pixel:
            store = f"sparsepix::store_round<{array.shape[0]}, {array.shape[1]}, {parallel}>"
            inside.append(call(store, ["round", rename[array.name], array.name], "    "))
        else:
            ending.append(forward(array, rename[array.name], array.name, "      "))
    ending += _handing(stage, "      ", sends)
    if sends:
        ending += send(design.graph.outputs, "      ")
    guard = [f"    if ({last}) {{", *ending, "    }"] if ending else []
    loop = [f"  for (int round = 0; round < {stage.rounds}; round++) {{", "#pragma HLS PIPELINE II = 1 rewind"]
    return [*before, "ROUND:", *loop, *inside, *guard, "  }"]
