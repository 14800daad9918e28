"""What a stream ends in: the result of all pixels of an event."""

from collections.abc import Sequence

from sparsepix_hls.ir.streams import Streamed
from sparsepix_hls.rtl.lower.function import Field
from sparsepix_hls.rtl.stages.gathering import Gathered
from sparsepix_hls.rtl.stages.text import bits_for, instance, unused


def end_lines(streamed: Streamed, gathered: Gathered, whole: Field, part: Field, gap: int, alone: bool) -> list[str]:
    """The result of an event, and how often there may be one.

    Args:
        streamed: what the layer does.
        gathered: what a pixel's share of the result is computed of.
        whole: the result.
        part: what is computed of a pixel.
        gap: clocks between two results, at least.
        alone: no other layer ends the stream; else there is a signal ``taken``: all have ended the event.
    """
    count = bits_for(gap)
    # What is gathered is there a clock after it was sent: only then is it known whether it ends the event.
    may_end = "waits == '0" if alone else "waits == '0 && !ended"
    free = f"{may_end} && !gathered_valid" if gathered.module else f"({may_end}) || !in_ends"
    lines = [
        f"  // a result every {gap} clocks at most: no stage behind it waits",
        f"  logic [{count - 1}:0] waits;",
        *([] if alone else ["  logic ended;  // an event that another layer has not ended yet"]),
        f"  assign free = {free};",
        "  always_ff @(posedge clk)",
        "    if (!rst_n) waits <= '0;",
        f"    else if ({gathered.valid} && {gathered.ends}) waits <= {count}'d{gap - 1};",
        "    else if (waits != '0) waits <= waits - 1'b1;",
        "  assign out_valid = now_valid && now_ends;",
    ]
    if not alone:
        lines += [
            "  always_ff @(posedge clk)",
            "    if (!rst_n) ended <= 1'b0;",
            f"    else ended <= ({gathered.valid} && {gathered.ends}) || (ended && !taken);",
        ]
    if gathered.module:
        lines += unused(["sent"], "unused_sent")
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


def together(fields: Sequence[Field]) -> list[str]:
    """Several results of an event, ``end<number>_<name>``, at once: each is kept until all are there."""
    lines = [f"  wire [{len(fields) - 1}:0] ends_there;", "  assign taken = &ends_there;"]
    lines += ["  assign out_valid = taken;"]
    for number, field in enumerate(fields):
        connections = {n: n for n in ("clk", "rst_n", "taken")} | {
            "in_valid": f"end{number}_valid",
            "in_word": f"end{number}_{field.name}",
            "there": f"ends_there[{number}]",
            "word": f"out_{field.name}",
        }
        lines += instance("stream_result", f"result{number}", {"BITS": field.bits}, connections)
    return lines
