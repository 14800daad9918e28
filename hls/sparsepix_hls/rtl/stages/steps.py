"""One layer of a stream as a module: what it gathers of other pixels, what it computes, and a queue or a result."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.ir.stream_graph import StreamPart
from sparsepix_hls.ir.streams import Cells, Streamed, Unpooled, Window, held, waiting
from sparsepix_hls.ir.tensors import LayerDesign, Tensor
from sparsepix_hls.rtl.lower.function import Field, Function, Slices, trace
from sparsepix_hls.rtl.lower.layers import Part
from sparsepix_hls.rtl.lower.ports import PortTypes, described, title
from sparsepix_hls.rtl.stages.ends import end_lines
from sparsepix_hls.rtl.stages.gathering import front, gathering
from sparsepix_hls.rtl.stages.links import Link
from sparsepix_hls.rtl.stages.text import connected, instance, module_text, port

_GATHER_CLOCKS = {Window: 3, Cells: 1, Unpooled: 1}  # from 'sent' to what is gathered
_QUEUE_CLOCKS = 4  # through a queue, and until its place is free again


@dataclass(frozen=True)
class Step:
    """A layer of a stream, with the activations after it.

    Args:
        part: the layer and its activations.
        module: name of its module.
        function: what it computes.
        source: of its module.
        given: the stream that it makes; None: it ends the stream.
        latency_cycles: from a pixel to what is made of it, once all that it gathers is there.
        waits: pixels that may have to come before one of an event is known, at most.
        holds: pixels that can be in it.
        memory: bits of its memories, by whether they are block memory, each (words, bits, how many).
    """

    part: StreamPart
    module: str
    function: Function
    source: str
    given: Link | None
    latency_cycles: int
    waits: int
    holds: int
    memory: tuple[tuple[bool, int, int, int], ...]


def step_of(
    name: str,
    part: StreamPart,
    taken: Sequence[Link],
    ports: PortTypes,
    levels: float,
    slices: Slices,
    gap: int,
    alone: bool,
) -> Step:
    """A layer of a stream as a module.

    Args:
        name: of the module.
        part: the layer and the activations after it.
        taken: the streams that it reads.
        ports: arrays of the design.
        levels: of LUTs that a pipeline stage may have.
        slices: for products.
        gap: clocks between two results, at least, where it ends the stream.
        alone: no other layer ends the stream.
    """
    layers = part.layers
    first, own = layers[0], taken[-1]
    streamed = first.streamed()
    assert streamed is not None, f"no stream for {first.title}"
    gathered = gathering(streamed, taken)
    inputs, result = gathered.inputs, part.result
    given = _given(first, streamed, own, result)
    outputs = [_result(streamed, result, ports)]
    how = LayerDesign("stream", 1, 1)
    parts = [Part(first.name, described(first), _body(streamed.body, ports, inputs))]
    parts += [Part(a.name, described(a), lambda v, a=a: a.lower(v, how, ports)) for a in layers[1:]]
    function = trace(f"{name}_logic", title(layers), inputs, outputs, parts, levels, slices=slices)

    registers = function.depth - 1
    clocks = _GATHER_CLOCKS.get(type(streamed.gathers), 0) + registers
    places = 2 ** math.ceil(math.log2(clocks + _QUEUE_CLOCKS + 2))
    lines = front(gathered)
    beside = f"{{{gathered.ends}, {gathered.row}, {gathered.column}}}"
    rows, columns = gathered.row_bits, gathered.column_bits
    lines += ["  wire now_valid, now_ends;", f"  wire [{rows - 1}:0] now_row;", f"  wire [{columns - 1}:0] now_column;"]
    lines += instance(
        "stream_delay",
        "beside",
        {"BITS": 1 + rows + columns, "DEPTH": registers},
        {
            **{n: n for n in ("clk", "rst_n")},
            "in_valid": gathered.valid,
            "in_word": beside,
            "out_valid": "now_valid",
            "out_word": "{now_ends, now_row, now_column}",
        },
    )
    lines += [f"  {port('wire', output, 'now_')};" for output in outputs]
    lines += instance(function.name, "compute", {}, connected(function, gathered.values, "now_"))
    ins = [line for side, link in zip(gathered.sides, taken, strict=True) for line in link.ports(side)]
    if given is not None:
        lines += _queue(given, places, outputs[0].name)
        text = module_text(name, f"{title(layers)}, pixel by pixel", [*_CLOCK, *ins, *given.ports("out")], lines)
        latency = clocks + 2
    else:
        lines += end_lines(streamed, gathered, ports.field(result), outputs[0], gap, alone)
        ends = [] if alone else ["input  logic taken"]
        ends += ["output logic out_valid", port("output logic", ports.field(result), "out_")]
        text = module_text(name, f"{title(layers)}, of all pixels of an event", [*_CLOCK, *ins, *ends], lines)
        latency = clocks
    return Step(
        part=part,
        module=name,
        function=function,
        source=text,
        given=given,
        latency_cycles=latency,
        waits=waiting(streamed.gathers, own.features.shape[0], own.grid),
        holds=places + held(streamed.gathers, own.pixels, own.grid),
        memory=gathered.memory,
    )


_CLOCK = ["input  logic clk", "input  logic rst_n"]


def _body(body: Callable, ports: PortTypes, inputs: Sequence[Field]) -> Callable[[Mapping], Mapping]:
    names = [one.name for one in inputs]
    return lambda values: body({name: values[name] for name in names}, ports)


def _given(first: Layer, streamed: Streamed, taken: Link, result: Tensor) -> Link | None:
    if streamed.becomes != "pixels":
        return None
    coords = first.outputs[1] if len(first.outputs) > 1 else taken.coords
    assert isinstance(coords, Tensor)
    return Link(result, coords, streamed.grid_after(taken.grid))


def _result(streamed: Streamed, result: Tensor, ports: PortTypes) -> Field:
    """What is computed of a pixel."""
    if streamed.becomes == "vector":
        height, width = streamed.grid
        return Field(result.name, (1, result.shape[0] // (height * width)), result.type)
    shape = (1, result.shape[-1])
    return Field(result.name, shape, ports.field(result).type)


def _queue(given: Link, places: int, result: str) -> list[str]:
    """Pixels that wait for the next layer."""
    clock = {n: n for n in ("clk", "rst_n")}
    return [
        *instance(
            "stream_credit",
            "credit",
            {"PLACES": places},
            clock | {"sent": "sent", "taken": "out_valid && out_ready", "free": "free"},
        ),
        *instance(
            "stream_queue",
            "queue",
            {"BITS": given.word_bits, "PLACES": places},
            clock
            | {
                "in_valid": "now_valid",
                "in_word": f"{{now_ends, now_row, now_column, now_{result}}}",
                "out_valid": "out_valid",
                "out_ready": "out_ready",
                "out_word": "{out_ends, out_row, out_column, out_features}",
            },
        ),
    ]
