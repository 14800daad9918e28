"""One layer of a stream as a module: what it gathers of other pixels, what it computes, and a queue or a result."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.ir.kernel import sum_type
from sparsepix_hls.ir.streams import MERGED, WHOLE, WINDOW, Cells, Streamed, Window, centres, waiting
from sparsepix_hls.ir.tensors import LayerDesign, Tensor
from sparsepix_hls.rtl.lower.function import Field, Function, Slices, trace, unsigned
from sparsepix_hls.rtl.lower.layers import Part
from sparsepix_hls.rtl.lower.ports import PortTypes, described, title
from sparsepix_hls.rtl.stages.links import Link
from sparsepix_hls.rtl.stages.text import bits_for, connected, instance, module_text, port, unused

_LUT_WORDS = 64  # a memory of more words is block memory
_GATHER_CLOCKS = {Window: 3, Cells: 1}  # from 'sent' to what is gathered
_QUEUE_CLOCKS = 4  # through a queue, and until its place is free again


@dataclass(frozen=True)
class Step:
    """A layer of a stream, with the activations after it.

    Args:
        layers: the layer and its activations.
        module: name of its module.
        function: what it computes.
        source: of its module.
        given: the stream that it makes; None: it ends the stream.
        latency_cycles: from a pixel to what is made of it, once all that it gathers is there.
        waits: pixels that may have to come before one of an event is known, at most.
        memory: bits of its memories, by whether they are block memory, each (words, bits, how many).
    """

    layers: tuple[Layer, ...]
    module: str
    function: Function
    source: str
    given: Link | None
    latency_cycles: int
    waits: int
    memory: tuple[tuple[bool, int, int, int], ...]


def step_of(
    name: str,
    layers: Sequence[Layer],
    taken: Link,
    ports: PortTypes,
    levels: float,
    slices: Slices,
    gap: int,
) -> Step:
    """A layer of a stream as a module.

    Args:
        name: of the module.
        layers: the layer and the activations after it.
        taken: the stream that it reads.
        ports: arrays of the design.
        levels: of LUTs that a pipeline stage may have.
        slices: for products.
        gap: clocks between two results, at least, where it ends the stream.
    """
    first = layers[0]
    streamed = first.streamed()
    assert streamed is not None, f"no stream for {first.title}"
    gathered = _gathering(streamed, taken)
    inputs = gathered.inputs
    result = layers[-1].outputs[0]
    assert isinstance(result, Tensor)
    given = _given(first, streamed, taken, result)
    outputs = [_result(streamed, result, ports)]
    how = LayerDesign("stream", 1, 1)
    parts = [Part(first.name, described(first), _body(streamed.body, ports, inputs))]
    parts += [Part(a.name, described(a), lambda v, a=a: a.lower(v, how, ports)) for a in layers[1:]]
    function = trace(f"{name}_logic", title(layers), inputs, outputs, parts, levels, slices=slices)

    registers = function.depth - 1
    clocks = _GATHER_CLOCKS.get(type(streamed.gathers), 0) + registers
    places = 2 ** math.ceil(math.log2(clocks + _QUEUE_CLOCKS + 2))
    lines = _front(gathered)
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
    if given is not None:
        lines += _queue(given, places, outputs[0].name)
        both = [*_CLOCK, *taken.ports("in"), *given.ports("out")]
        text = module_text(name, f"{title(layers)}, pixel by pixel", both, lines)
        latency = clocks + 2
    else:
        lines += _end(streamed, gathered, ports.field(result), outputs[0], gap)
        ends = ["output logic out_valid", port("output logic", ports.field(result), "out_")]
        text = module_text(
            name, f"{title(layers)}, of all pixels of an event", [*_CLOCK, *taken.ports("in"), *ends], lines
        )
        latency = clocks
    return Step(
        tuple(layers),
        name,
        function,
        text,
        given,
        latency,
        waiting(streamed.gathers, taken.features.shape[0], taken.grid),
        gathered.memory,
    )


_CLOCK = ["input  logic clk", "input  logic rst_n"]


@dataclass(frozen=True)
class _Gathered:
    """What the computation of a pixel is given.

    Args:
        inputs: of the computation.
        values: signals of these.
        valid, ends, row, column: signals beside them.
        row_bits, column_bits: of the place.
        module: that gathers; '' if none does.
        parameters: of that module.
        outs: its outputs, each with its bits and the signal.
        memory: see ``Step``.
    """

    inputs: tuple[Field, ...]
    values: Mapping[str, str]
    valid: str
    ends: str
    row: str
    column: str
    row_bits: int
    column_bits: int
    module: str = ""
    parameters: Mapping[str, int] = field(default_factory=dict)
    outs: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    memory: tuple[tuple[bool, int, int, int], ...] = ()


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


def _gathering(streamed: Streamed, taken: Link) -> _Gathered:
    """What is gathered for a layer, and how."""
    pixel, sizes = taken.pixel, taken.sizes
    channels, bits = taken.features.shape[1], taken.features.type.width
    height, width = taken.grid
    image = {"HEIGHT": height, "WIDTH": width}
    match streamed.gathers:
        case Window(kernel_size, strides, grid):
            rows, columns = kernel_size
            lines, places = (bits_for(size) for size in grid or taken.grid)
            groups = bits_for(-(-width // columns))
            words, word = 4 << groups, pixel.bits + 7 + taken.row_bits
            parameters = image | {
                "BITS": pixel.bits,
                "KERNEL_HEIGHT": rows,
                "KERNEL_WIDTH": columns,
                "STRIDE_DOWN": strides[0],
                "STRIDE_SIDE": strides[1],
                "GRID_WIDTH": (grid or taken.grid)[1],
                "CENTRES": centres(streamed.gathers, taken.features.shape[0], taken.grid),
                "GROUP_BITS": groups,
                "IS_BLOCK": int(words > _LUT_WORDS),
                "LINE_BITS": lines,
                "PLACE_BITS": places,
            }
            window = Field(WINDOW, (rows * columns, channels), taken.features.type)
            return _Gathered(
                inputs=(window,),
                values={WINDOW: "gathered_window"},
                **_names("gathered"),
                row_bits=lines,
                column_bits=places,
                module="stream_window",
                parameters=parameters | sizes,
                outs={"out_window": (window.bits, "gathered_window")},
                memory=((words > _LUT_WORDS, words, word, rows * columns),),
            )
        case Cells(cell, grid, is_sum):
            area = math.prod(cell)
            members = min(area, taken.features.shape[0])
            kind = sum_type(taken.features.type, members) if is_sum else taken.features.type
            lines, places = bits_for(grid[0]), bits_for(grid[1])
            words, word = 1 << places, channels * kind.width + area.bit_length()
            parameters = image | {
                "CELL_HEIGHT": cell[0],
                "CELL_WIDTH": cell[1],
                "GRID_HEIGHT": grid[0],
                "GRID_WIDTH": grid[1],
                "CHANNELS": channels,
                "BITS": bits,
                "IS_SIGNED": int(taken.features.type.signed),
                "IS_SUM": int(is_sum),
                "MERGED_BITS": kind.width,
                "IS_BLOCK": int(words > _LUT_WORDS),
                "LINE_BITS": lines,
                "PLACE_BITS": places,
            }
            merged, whole = Field(MERGED, (1, channels), kind), unsigned(WHOLE, (1,), 1)
            return _Gathered(
                inputs=(merged, whole),
                values={MERGED: "gathered_merged", WHOLE: "gathered_whole"},
                **_names("gathered"),
                row_bits=lines,
                column_bits=places,
                module="stream_cells",
                parameters=parameters | sizes,
                outs={"out_merged": (merged.bits, "gathered_merged"), "out_whole": (1, "gathered_whole")},
                memory=((words > _LUT_WORDS, words, word, 2),),
            )
        case _:
            return _Gathered(
                inputs=(pixel, taken.place),
                values={pixel.name: "in_features", taken.place.name: taken.place_of("in_")},
                **(_names("in") | {"valid": "sent"}),
                row_bits=taken.row_bits,
                column_bits=taken.column_bits,
            )


def _names(prefix: str) -> dict[str, str]:
    return {name: f"{prefix}_{name}" for name in ("valid", "ends", "row", "column")}


def _front(gathered: _Gathered) -> list[str]:
    """The handshake with what comes before, and what gathers."""
    lines = ["  wire free, sent;"]
    if not gathered.module:
        return [*lines, "  assign in_ready = free;", "  assign sent = in_valid && free;"]
    lines += [f"  wire {gathered.valid}, {gathered.ends};"]
    lines += [f"  wire [{gathered.row_bits - 1}:0] {gathered.row};"]
    lines += [f"  wire [{gathered.column_bits - 1}:0] {gathered.column};"]
    lines += [f"  wire [{bits - 1}:0] {wire};" for bits, wire in gathered.outs.values()]
    names = ("clk", "rst_n", "in_valid", "in_ready", "in_ends", "in_row", "in_column", "in_features", "free", "sent")
    connections = {name: name for name in names}
    connections |= {f"out_{name}": wire for name, wire in _names("gathered").items()}
    connections |= {name: wire for name, (_, wire) in gathered.outs.items()}
    return [*lines, *instance(gathered.module, "gather", gathered.parameters, connections)]


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


def _end(streamed: Streamed, gathered: _Gathered, whole: Field, part: Field, gap: int) -> list[str]:
    """The result of an event, and how often there may be one."""
    count = bits_for(gap)
    # What is gathered is there a clock after it was sent: only then is it known whether it ends the event.
    free = "waits == '0 && !gathered_valid" if gathered.module else "waits == '0 || !in_ends"
    lines = [
        f"  // a result every {gap} clocks at most: no stage behind it waits",
        f"  logic [{count - 1}:0] waits;",
        f"  assign free = {free};",
        "  always_ff @(posedge clk)",
        "    if (!rst_n) waits <= '0;",
        f"    else if ({gathered.valid} && {gathered.ends}) waits <= {count}'d{gap - 1};",
        "    else if (waits != '0) waits <= waits - 1'b1;",
        "  assign out_valid = now_valid && now_ends;",
    ]
    name, width = whole.name, whole.type.width
    if streamed.becomes == "vector":
        height, columns = streamed.grid
        lines += instance(
            "stream_vector",
            "elements",
            {
                "HEIGHT": height,
                "WIDTH": columns,
                "BITS": part.bits,
                "ROW_BITS": gathered.row_bits,
                "COLUMN_BITS": gathered.column_bits,
            },
            {
                **{n: n for n in ("clk", "rst_n")},
                **{f"in_{n}": f"now_{n}" for n in ("valid", "ends", "row", "column")},
                "in_pixel": f"now_{name}",
                "vector": f"out_{name}",
            },
        )
        return lines
    start = ", ".join(f"{width}'h{value % (1 << width):x}" for value in reversed(streamed.start))
    lines += [
        f"  localparam logic [{whole.bits - 1}:0] START = {{{start}}};",
        "  always_ff @(posedge clk)",
        f"    if (!rst_n || (now_valid && now_ends)) out_{name} <= START;",
        "    else if (now_valid)",
        f"      for (int i = 0; i < {whole.size}; i++)",
        f"        out_{name}[i*{width} +: {width}] <= out_{name}[i*{width} +: {width}]",
        f"            + now_{name}[i*{width} +: {width}];",
        *unused(["now_row", "now_column"]),
    ]
    return lines
