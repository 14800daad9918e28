"""What a layer of a stream has to see of other pixels, as a module before what it computes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sparsepix_hls.ir.kernel import sum_type
from sparsepix_hls.ir.streams import MERGED, WHOLE, WINDOW, Cells, Streamed, Unpooled, Window, centres
from sparsepix_hls.rtl.lower.function import Field, unsigned
from sparsepix_hls.rtl.stages.links import Link
from sparsepix_hls.rtl.stages.text import bits_for, instance, unused

LUT_WORDS = 64  # a memory of more words is block memory


@dataclass(frozen=True)
class Gathered:
    """What the computation of a pixel is given.

    Args:
        sides: prefixes of the streams that it reads, in order.
        inputs: of the computation.
        values: signals of these.
        valid, ends, row, column: signals beside them.
        row_bits, column_bits: of the place.
        module: that gathers; '' if none does.
        parameters: of that module.
        outs: its outputs, each with its bits and the signal.
        memory: see ``Step``.
    """

    sides: tuple[str, ...]
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


def sides_of(reads: Sequence) -> tuple[str, ...]:
    """Prefixes of the streams that a layer reads."""
    return tuple(f"in{n}" for n in range(len(reads))) if len(reads) > 1 else ("in",)


def gathering(streamed: Streamed, links: Sequence[Link]) -> Gathered:
    """What is gathered for a layer, and how.

    Args:
        streamed: what the layer does.
        links: the streams that it reads; the last one says which pixels it makes.
    """
    taken, sides = links[-1], sides_of(links)
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
                "IS_BLOCK": int(words > LUT_WORDS),
                "LINE_BITS": lines,
                "PLACE_BITS": places,
            }
            window = Field(WINDOW, (rows * columns, channels), taken.features.type)
            return Gathered(
                sides=sides,
                inputs=(window,),
                values={WINDOW: "gathered_window"},
                **_names("gathered"),
                row_bits=lines,
                column_bits=places,
                module="stream_window",
                parameters=parameters | sizes,
                outs={"out_window": (window.bits, "gathered_window")},
                memory=((words > LUT_WORDS, words, word, rows * columns),),
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
                "IS_BLOCK": int(words > LUT_WORDS),
                "LINE_BITS": lines,
                "PLACE_BITS": places,
            }
            merged, whole = Field(MERGED, (1, channels), kind), unsigned(WHOLE, (1,), 1)
            return Gathered(
                sides=sides,
                inputs=(merged, whole),
                values={MERGED: "gathered_merged", WHOLE: "gathered_whole"},
                **_names("gathered"),
                row_bits=lines,
                column_bits=places,
                module="stream_cells",
                parameters=parameters | sizes,
                outs={"out_merged": (merged.bits, "gathered_merged"), "out_whole": (1, "gathered_whole")},
                memory=((words > LUT_WORDS, words, word, 2),),
            )
        case Unpooled(cell):
            cells = links[0]
            words, merged = 1 << cells.column_bits, Field(MERGED, (1, cells.features.shape[1]), cells.features.type)
            parameters = image | {
                "CELL_HEIGHT": cell[0],
                "CELL_WIDTH": cell[1],
                "GRID_WIDTH": cells.grid[1],
                "BITS": merged.bits,
                "IS_BLOCK": int(words > LUT_WORDS),
                "GRID_ROW_BITS": cells.row_bits,
                "GRID_COLUMN_BITS": cells.column_bits,
            }
            return Gathered(
                sides=sides,
                inputs=(merged,),
                values={MERGED: "gathered_merged"},
                **_names("gathered"),
                row_bits=taken.row_bits,
                column_bits=taken.column_bits,
                module="stream_unpool",
                parameters=parameters | sizes,
                outs={"out_merged": (merged.bits, "gathered_merged")},
                memory=((words > LUT_WORDS, words, merged.bits, 1),),
            )
        case _:
            fields = [link.pixel for link in links]
            values = {field.name: f"{side}_features" for field, side in zip(fields, sides, strict=True)}
            return Gathered(
                sides=sides,
                inputs=(*fields, taken.place),
                values=values | {taken.place.name: taken.place_of(f"{sides[-1]}_")},
                **(_names(sides[-1]) | {"valid": "sent"}),
                row_bits=taken.row_bits,
                column_bits=taken.column_bits,
            )


def _names(prefix: str) -> dict[str, str]:
    return {name: f"{prefix}_{name}" for name in ("valid", "ends", "row", "column")}


def front(gathered: Gathered) -> list[str]:
    """The handshake with what comes before, and what gathers."""
    lines = ["  wire free, sent;"]
    if not gathered.module:
        if len(gathered.sides) == 1:
            return [*lines, "  assign in_ready = free;", "  assign sent = in_valid && free;"]
        # All of them have the same pixels: one of each.
        lines += [f"  assign sent = {' && '.join(f'{side}_valid' for side in gathered.sides)} && free;"]
        lines += [f"  assign {side}_ready = sent;" for side in gathered.sides]
        return lines + unused([f"{side}_{n}" for side in gathered.sides[:-1] for n in ("ends", "row", "column")])
    lines += [f"  wire {gathered.valid}, {gathered.ends};"]
    lines += [f"  wire [{gathered.row_bits - 1}:0] {gathered.row};"]
    lines += [f"  wire [{gathered.column_bits - 1}:0] {gathered.column};"]
    lines += [f"  wire [{bits - 1}:0] {wire};" for bits, wire in gathered.outs.values()]
    words = ("valid", "ready", "ends", "row", "column", "features")
    names = ["clk", "rst_n", "free", "sent", *(f"{side}_{word}" for side in gathered.sides for word in words)]
    if len(gathered.sides) > 1:  # of the second stream only the places count
        lines += unused([names.pop()], "unused_features")
    connections = {name: name for name in names}
    connections |= {f"out_{name}": wire for name, wire in _names("gathered").items()}
    connections |= {name: wire for name, (_, wire) in gathered.outs.items()}
    return [*lines, *instance(gathered.module, "gather", gathered.parameters, connections)]
