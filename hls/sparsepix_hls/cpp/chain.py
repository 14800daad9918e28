"""A stream of pixels as C++: a process for each layer, with streams between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparsepix_hls.cpp.text import array_type, declarations, forward, parameter, partition, port_name, send
from sparsepix_hls.design.layout import Design
from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.streams import Cells, Size, Window, grouped
from sparsepix_hls.ir.tensors import Tensor
from sparsepix_hls.kernels.constants import fill
from sparsepix_hls.kernels.text import call, comment, heading, statement


@dataclass(frozen=True)
class _Link:
    """A stream from one process to the next.

    Args:
        features: of its pixels.
        grid: rows and columns of the image that they lie on.
    """

    features: Tensor
    grid: Size

    @property
    def sizes(self) -> str:
        """Template arguments of what is put into it."""
        return f"{self.grid[0]}, {self.grid[1]}"

    @property
    def word(self) -> str:
        """Type of a word."""
        return f"sparsepix::Pixel<{self.features.name}_t, {self.features.shape[1]}, {self.sizes}>"

    @property
    def stream(self) -> str:
        """Type of the stream."""
        return f"hls::stream<{self.word}>"

    @property
    def name(self) -> str:
        """Of the stream."""
        return f"{self.features.name}_pixels"


def chain_functions(stage: Stage, design: Design, layers: Mapping[str, Kernel]) -> list[str]:
    """The functions of the processes, each after a comment."""
    reduce = design.input_reduce
    _, height, width = reduce.image.shape
    link = _Link(reduce.features, (height, width))
    parts = _reduction(design, layers[reduce.name], link)
    for steps in grouped(stage.steps[1:]):
        text, link = _process(steps, design, layers, link)
        parts.append(text)
    return parts


def chain_body(stage: Stage, design: Design, sends: bool) -> list[str]:
    """The calls of the processes, with the streams between them."""
    reduce, top = design.input_reduce, design.graph.name
    _, height, width = reduce.image.shape
    link = _Link(reduce.features, (height, width))
    beats = f"{reduce.name}_beats"
    lines = ["#pragma HLS DATAFLOW", f"  hls::stream<{_beat(design)}> {beats};", f"  {link.stream} {link.name};"]
    calls = [
        call(f"{top}_{reduce.name}_beats", [port_name(reduce.image), beats]),
        call(f"{top}_{reduce.name}_pixels", [beats, link.name]),
    ]
    for steps in grouped(stage.steps[1:]):
        following = _following(steps, link)
        if following is None:
            result = steps[-1].outputs[0]
            lines += declarations([result]) if sends else []
            calls.append(call(_name(design, steps), [link.name, result.name]))
            calls += send(design.graph.outputs, "  ") if sends else []
            continue
        lines.append(f"  {following.stream} {following.name};")
        calls.append(call(_name(design, steps), [link.name, following.name]))
        link = following
    return [*lines, *calls]


def chain_names(stage: Stage, design: Design) -> list[str]:
    """Identifiers that the functions and streams take."""
    reduce = design.input_reduce
    link: _Link | None = _Link(reduce.features, reduce.image.shape[1:])
    names = [f"{reduce.name}_beats", *(f"{design.graph.name}_{reduce.name}_{end}" for end in ("beats", "pixels"))]
    for steps in grouped(stage.steps[1:]):
        assert link is not None
        names += [link.name, _name(design, steps)]
        link = _following(steps, link)
    return names


def _name(design: Design, steps: Sequence[Layer]) -> str:
    return f"{design.graph.name}_{steps[0].name}"


def _following(steps: Sequence[Layer], link: _Link) -> _Link | None:
    """The stream that some layers make; None where they end it."""
    streamed, result = steps[0].streamed(), steps[-1].outputs[0]
    assert streamed is not None
    assert isinstance(result, Tensor)
    if streamed.becomes != "pixels":
        return None
    return _Link(result, streamed.grid_after(link.grid))


def _beat(design: Design) -> str:
    reduce = design.input_reduce
    return f"sparsepix::ActiveBeat<{reduce.name}_config, {reduce.image.name}_t>"


def _function(name: str, parameters: list[str], body: list[str]) -> str:
    return "\n".join([fill(f"static void {name}", parameters, " {"), "#pragma HLS INLINE off", *body, "}\n"])


def _reduction(design: Design, layer: Kernel, link: _Link) -> list[str]:
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


def _process(steps: Sequence[Layer], design: Design, layers: Mapping[str, Kernel], link: _Link) -> tuple[str, "_Link"]:
    """A layer and its activations as a process, and the stream that it makes."""
    first, following = steps[0], _following(steps, link)
    streamed = first.streamed()
    assert streamed is not None
    result = steps[-1].outputs[0]
    ends = f"{following.stream} &out" if following is not None else parameter(result)
    parameters = [f"{link.stream} &in", ends]
    features = f"{link.features.name}_t"
    channels = link.features.shape[1]
    found = [*_computed(steps, layers), *_given(steps, layers, following)]
    found = [f"  {line}" if line.startswith(" ") else line for line in found]
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
        case _:
            body = [
                *loop,
                f"    const {link.word} pixel = in.read();",
                "    more = !pixel.ends;",
                "    if (more) {",
                *declarations([link.features], None, "      ", 1),
                f"      sparsepix::features_of<{channels}>(pixel, {link.features.name});",
                f"      const sparsepix::Index<{link.grid[0]}> row = pixel.row;",
                f"      const sparsepix::Index<{link.grid[1]}> column = pixel.column;",
                *found,
                "    }",
                "  }",
            ]
            text = _function(_name(design, steps), parameters, [*before, label, *body, *after])
            return f"{_note(steps, layers)}\n{text}", following or link
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
    return f"{_note(steps, layers)}\n{_function(_name(design, steps), parameters, body)}", following or link


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


def _given(steps: Sequence[Layer], layers: Mapping[str, Kernel], following: _Link | None) -> list[str]:
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


def _around(first: Layer, layer: Kernel, becomes: str, following: _Link | None) -> tuple[list[str], list[str]]:
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
