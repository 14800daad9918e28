"""A stream of pixels as C++: a process for each layer, with streams between them."""

from collections.abc import Mapping, Sequence

from sparsepix_hls.cpp.chain_flow import Flow, Link, flow_of, streams
from sparsepix_hls.cpp.text import array_type, declarations, forward, parameter, partition, port_name, send
from sparsepix_hls.design.layout import Design
from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.stream_graph import StreamPart
from sparsepix_hls.ir.streams import Cells, Unpooled, Window
from sparsepix_hls.ir.tensors import Tensor
from sparsepix_hls.kernels.constants import fill
from sparsepix_hls.kernels.text import call, comment, heading, statement


def chain_functions(stage: Stage, design: Design, layers: Mapping[str, Kernel]) -> list[str]:
    """The functions of the processes, each after a comment."""
    flow, reduce = flow_of(stage, design), design.input_reduce
    functions = _reduction(design, layers[reduce.name], flow.links[reduce.features.name])
    functions += [_process(part, design, layers, flow.links) for part in flow.parts]
    return functions + [_fork(flow, name, design) for name in flow.links if len(flow.readers[name]) > 1]


def chain_body(stage: Stage, design: Design, sends: bool) -> list[str]:
    """The calls of the processes, with the streams between them."""
    flow, reduce, top = flow_of(stage, design), design.input_reduce, design.graph.name
    beats, first = f"{reduce.name}_beats", reduce.features.name
    lines = ["#pragma HLS DATAFLOW", f"  hls::stream<{_beat(design)}> {beats};", *streams(flow, first)]
    calls = [
        call(f"{top}_{reduce.name}_beats", [port_name(reduce.image), beats]),
        call(f"{top}_{reduce.name}_pixels", [beats, flow.links[first].name]),
        *_fork_call(flow, first, design),
    ]
    for number, part in enumerate(flow.parts):
        name, taken = part.result.name, [flow.stream_to(tensor.name, number) for tensor in part.reads]
        if part.ends:
            lines += declarations([part.result]) if sends else []
            calls.append(call(_name(design, part), [*taken, name]))
        else:
            lines += streams(flow, name)
            calls += [call(_name(design, part), [*taken, flow.links[name].name]), *_fork_call(flow, name, design)]
    return [*lines, *calls, *(send(design.graph.outputs, "  ") if sends else [])]


def chain_names(stage: Stage, design: Design) -> list[str]:
    """Identifiers that the functions and streams take."""
    flow, reduce = flow_of(stage, design), design.input_reduce
    names = [f"{reduce.name}_beats", *(f"{design.graph.name}_{reduce.name}_{end}" for end in ("beats", "pixels"))]
    names += [_name(design, part) for part in flow.parts]
    names += [link.name for link in flow.links.values()]
    names += [_fork_name(name, design) for name in flow.links if len(flow.readers[name]) > 1]
    streams = {flow.stream_to(name, number) for name in flow.links for number in flow.readers[name]}
    return [*names, *sorted(streams - set(names))]


def _name(design: Design, part: StreamPart) -> str:
    return f"{design.graph.name}_{part.layers[0].name}"


def _fork_name(name: str, design: Design) -> str:
    return f"{design.graph.name}_{name}_fork"


def _fork_call(flow: Flow, name: str, design: Design) -> list[str]:
    if len(flow.readers[name]) == 1:
        return []
    streams = [flow.stream_to(name, number) for number in flow.readers[name]]
    return [call(_fork_name(name, design), [flow.links[name].name, *streams])]


def _fork(flow: Flow, name: str, design: Design) -> str:
    """A process that gives each reader of a list all of its pixels."""
    link, outs = flow.links[name], [f"out{n}" for n in range(len(flow.readers[name]))]
    body = [
        f"{name.upper()}_PIXEL:",
        "  for (bool more = true; more;) {",
        "#pragma HLS PIPELINE II = 1",
        f"    const {link.word} pixel = in.read();",
        *(f"    {out}.write(pixel);" for out in outs),
        "    more = !pixel.ends;",
        "  }",
    ]
    parameters = [f"{link.stream} &{stream}" for stream in ("in", *outs)]
    readers = ", ".join(flow.parts[number].layers[0].name for number in flow.readers[name])
    return f"{comment(f'{name}: each pixel to {readers}')}\n{_function(_fork_name(name, design), parameters, body)}"


def _beat(design: Design) -> str:
    reduce = design.input_reduce
    return f"sparsepix::ActiveBeat<{reduce.name}_config, {reduce.image.name}_t>"


def _function(name: str, parameters: list[str], body: list[str]) -> str:
    return "\n".join([fill(f"static void {name}", parameters, " {"), "#pragma HLS INLINE off", *body, "}\n"])


def _reduction(design: Design, layer: Kernel, link: Link) -> list[str]:
    """Two processes: beats that have an active pixel, and their pixels."""
    reduce, top = design.input_reduce, design.graph.name
    config, image = f"{reduce.name}_config", reduce.image
    beats = f"hls::stream<{_beat(design)}> &beats"
    taken = [
        f"  sparsepix::Progress<{config}> progress; // where the next beat begins",
        "TAKE_BEAT:",
        f"  for (int beat = 0; beat < {design.beats}; beat++) {{",
        "#pragma HLS PIPELINE II = 1",
        f"    {image.name}_t pixels[{design.pixels_per_cycle}][{image.shape[0]}];",
        partition("pixels"),
        call(f"sparsepix::receive_beat<{config}>", [port_name(image), "pixels"], "    "),
        call(
            f"sparsepix::pass_beat<{config}>",
            ["beat", "pixels", layer.constants[0][0].name, "progress", "beats"],
            "    ",
        ),
        "  }",
    ]
    listed = [
        f"  sparsepix::BeatPixels<{config}, {image.name}_t> list;",
        "LIST_PIXEL:",
        "  for (bool more = true; more;) {",
        "#pragma HLS PIPELINE II = 1",
        "    more = list.next(beats, pixels);",
        "  }",
    ]
    port = f"hls::stream<{image.name}_beat_t> &{port_name(image)}"
    return [
        comment(f"{heading(layer)}; beats that have an active pixel"),
        _function(f"{top}_{reduce.name}_beats", [port, beats], taken),
        comment(f"{heading(layer)}; one pixel a clock"),
        _function(f"{top}_{reduce.name}_pixels", [beats, f"{link.stream} &pixels"], listed),
    ]


def _process(part: StreamPart, design: Design, layers: Mapping[str, Kernel], links: Mapping[str, Link]) -> str:
    """A layer and its activations as a process."""
    steps, taken = part.layers, [links[tensor.name] for tensor in part.reads]
    first, link, following = steps[0], taken[-1], links.get(part.result.name)
    streamed = first.streamed()
    assert streamed is not None
    ends = f"{following.stream} &out" if following is not None else parameter(part.result)
    ins = [f"in{n}" for n in range(len(taken))] if len(taken) > 1 else ["in"]
    parameters = [*(f"{one.stream} &{name}" for one, name in zip(taken, ins, strict=True)), ends]
    features = f"{link.features.name}_t"
    channels = link.features.shape[1]
    found = [*_computed(steps, layers), *_given(steps, layers, following)]
    found = [f"  {line}" if line.startswith(" ") else line for text in found for line in text.split("\n")]
    before, after = _around(first, layers[first.name], streamed.becomes, following)
    label = f"{first.name.upper()}_PIXEL:"
    loop = ["  for (bool more = true; more;) {", "#pragma HLS PIPELINE II = 1"]
    config = f"{first.name}_config"
    match streamed.gathers:
        case Window(kernel_size):
            area = kernel_size[0] * kernel_size[1]
            kind = f"sparsepix::StreamWindow<{config}, {features}>"
            gathered = [f"    {features} window[{area}][{channels}];", partition("window")]
            step, kept = "in, window, row, column", "SPARSEPIX_KEPT "
            end = [
                f"{first.name.upper()}_WIPE:",
                f"  for (int i = 0; i < {kind}::SWEEP; i++) {{",
                "#pragma HLS PIPELINE II = 1",
                "    gather.wipe();",
                "  }",
                "  gather.end_event();",
            ]
        case Cells():
            kind = f"sparsepix::StreamCells<{config}, {features}, {config}::merged_t>"
            gathered = [f"    {config}::merged_t merged[1][{channels}];", partition("merged"), "    bool whole;"]
            step, kept, end = "in, merged, whole, row, column", "", []
        case Unpooled():
            cells = taken[0]
            features, shape = f"{cells.features.name}_t", f"[1][{cells.features.shape[1]}]"
            kind = f"sparsepix::StreamUnpool<{config}, {features}, {link.word}>"
            gathered = [f"    {features} merged{shape};", partition("merged")]
            step, kept, end = "in0, in1, merged, row, column", "", []
        case _:
            pixels = [f"{name}_pixel" for name in ins]
            read = zip(taken, pixels, ins, strict=True)
            body = [
                *loop,
                *(f"    const {one.word} {pixel} = {name}.read();" for one, pixel, name in read),
                f"    more = !{pixels[-1]}.ends;",
                "    if (more) {",
            ]
            for one, pixel in zip(taken, pixels, strict=True):
                body += declarations([one.features], None, "      ", 1)
                body.append(f"      sparsepix::features_of<{one.features.shape[1]}>({pixel}, {one.features.name});")
            body += [
                f"      const sparsepix::Index<{link.grid[0]}> row = {pixels[-1]}.row;",
                f"      const sparsepix::Index<{link.grid[1]}> column = {pixels[-1]}.column;",
                *found,
                "    }",
                "  }",
            ]
            text = _function(_name(design, part), parameters, [*before, label, *body, *after])
            return f"{_note(steps, layers)}\n{text}"
    body = [
        f"  {kept}{kind} gather;",
        "  gather.begin_event();",
        *before,
        label,
        *loop,
        *gathered,
        f"    {kind}::Line row;",
        f"    {kind}::Place column;",
        f"    if (gather.step({step})) {{",
        *found,
        "    }",
        "    more = !gather.over();",
        "  }",
        *after,
        *end,
    ]
    return f"{_note(steps, layers)}\n{_function(_name(design, part), parameters, body)}"


def _note(steps: Sequence[Layer], layers: Mapping[str, Kernel]) -> str:
    return "\n".join(comment(heading(layers[step.name])) for step in steps)


def _computed(steps: Sequence[Layer], layers: Mapping[str, Kernel]) -> list[str]:
    """What is made of a pixel, its features or what it has for a vector."""
    first = layers[steps[0].name]
    made, constants = first.outputs[0], [constant.name for constant, _ in first.constants]
    lines = []
    match first.kernel:
        case "convolve_window":
            arguments = ["window", *constants, made.name]
        case "max_of_cell":
            arguments = ["merged", "whole", made.name]
        case "features_of_cell":
            arguments = ["merged", made.name]
        case "mean_of_cell":
            arguments = ["merged", *constants, made.name]
        case "add_looked_up":
            coords = first.inputs[1]
            lines += [f"    {array_type(coords)} place[1][2];", partition("place")]
            lines += ["    place[0][0] = row;", "    place[0][1] = column;"]
            arguments = [first.inputs[0].name, "place", constants[0], made.name]
            return [*lines, call(f"sparsepix::add_looked_up<{first.name}_config>", arguments, "    ")]
        case "put_elements":
            return []
        case _:
            return [
                *declarations([made], None, "    ", 1),
                statement(first, indent="    "),
                *_activations(steps, layers),
            ]
    shape = f"[1][{made.shape[-1]}]"
    lines += [f"    {made.name}_t {_pixel(made)}{shape};", partition(_pixel(made))]
    arguments[-1] = _pixel(made)
    lines.append(call(f"sparsepix::{first.kernel}<{first.name}_config>", arguments, "    "))
    return [*lines, *_activations(steps, layers)]


def _pixel(made: Tensor) -> str:
    """What holds one pixel of an array; of a vector it is not the vector."""
    return made.name if len(made.shape) == 2 else f"{made.name}_pixel"


def _activations(steps: Sequence[Layer], layers: Mapping[str, Kernel]) -> list[str]:
    lines: list[str] = []
    for step in steps[1:]:
        layer = layers[step.name]
        lines += [*declarations(layer.outputs, None, "    ", 1), statement(layer, indent="    ")]
    return lines


def _given(steps: Sequence[Layer], layers: Mapping[str, Kernel], following: Link | None) -> list[str]:
    """What becomes of it."""
    result = steps[-1].outputs[0]
    if following is not None:
        return [f"    sparsepix::put_pixel<{following.sizes}>({result.name}, row, column, out);"]
    first, streamed = layers[steps[0].name], steps[0].streamed()
    assert streamed is not None
    assert isinstance(result, Tensor)
    if streamed.becomes == "sums":
        return []
    height, width = streamed.grid
    channels = result.shape[0] // (height * width)
    lines, source = [], _pixel(result)
    if first.kernel == "put_elements":
        lines = [f"    {result.name}_t {source}[1][{channels}];", partition(source)]
        lines.append(forward(_one(result, channels), first.inputs[0].name, source, "    "))
    place = f"sparsepix::put_elements<{height}, {width}, {channels}>"
    return [*lines, call(place, [source, "row", "column", result.name], "    ")]


def _one(result: Tensor, channels: int) -> Tensor:
    return Tensor(result.name, (1, channels), result.type)


def _around(first: Layer, layer: Kernel, becomes: str, following: Link | None) -> tuple[list[str], list[str]]:
    """What an event begins and ends with."""
    if following is not None:
        word = f"{following.sizes}, {following.features.shape[1]}, {following.features.name}_t"
        return [], [f"  sparsepix::put_end<{word}>(out);"]
    result = first.outputs[0]
    start = f"{layer.constants[1][0].name}[i]" if becomes == "sums" else "0"
    return [
        "BEGIN:",
        f"  for (int i = 0; i < {result.shape[0]}; i++) {{",
        "#pragma HLS UNROLL",
        f"    {result.name}[i] = {start};",
        "  }",
    ], []
