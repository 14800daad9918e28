"""Draws the reasons in design.md: ``python docs/reasons.py`` writes the pictures in docs/reasons.

What they show is computed by the layers and the translator themselves, or read from docs/results; the two circuits, the
scan and the gate, are followed clock by clock as ``reduce_scan.sv`` and ``event_gate.sv`` say.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import sparsepix as sp
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.layers.activation import Activation
from sparsepix_hls.rtl.emit.cycles import Pace

DOCS = Path(__file__).parent
INK, QUIET, GRID, BLUE, RED, PALE = "#222222", "#666666", "#bbbbbb", "#1f5fb4", "#d55e00", "#dfe9f6"
CELLS = ("#a9cdee", "#f7c59b", "#a8dcc6", "#e3bcd9", "#f3e39a", "#cccccc")  # a colour for each cell of a pool
WIDTH = 10.0  # inches of every picture


def sheet(height: float) -> tuple[Figure, Axes]:
    """An empty picture; its coordinates are inches from the upper left corner."""
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    axes.axis("off")
    return figure, axes


def write(axes: Axes, x: float, y: float, text: str, bold: bool = False, **style: object) -> None:
    """Words around a point, in the middle of it if not told otherwise."""
    style = {"size": 10.5, "color": INK, "ha": "center", "weight": "bold" if bold else "normal"} | style
    axes.text(x, y, text, va="center", linespacing=1.3, **style)


def box(axes: Axes, x: float, y: float, width: float, height: float, **style: object) -> None:
    """A rectangle, white with a thin grey edge if not told otherwise."""
    axes.add_patch(Rectangle((x, y), width, height, **({"fc": "white", "ec": GRID, "lw": 0.8} | style)))


def arrow(axes: Axes, begin: tuple[float, float], end: tuple[float, float], colour: str = INK) -> None:
    """An arrow."""
    style = {"arrowstyle": "-|>", "lw": 1.6, "color": colour, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, begin, arrowprops=style)


def grid_of_slots(
    axes: Axes, x: float, y: float, side: float, pixels: sp.SparsePixels, colours: Sequence[str], cell: int
) -> None:
    """An image whose pixels carry the number of their slot; ``cell``: pixels beside each other that merge."""
    height, width = pixels.spatial_shape
    for row in range(height):
        for column in range(width):
            box(axes, x + side * column, y + side * row, side, side)
    for slot, (row, column) in enumerate(pixels.coords[0].tolist()):
        if row >= 0:
            left, top = x + side * column, y + side * row
            box(axes, left, top, side, side, fc=colours[slot])
            write(axes, left + side / 2, top + side / 2, str(slot), size=min(11, 42 * side), bold=True)
    for row in range(0, height, cell):
        for column in range(0, width, cell):
            box(axes, x + side * column, y + side * row, cell * side, cell * side, fc="none", ec=QUIET, lw=1.3)


def table_of_slots(axes: Axes, x: float, y: float, pixels: sp.SparsePixels, colours: Sequence[str]) -> None:
    """The list: slot, row, column, value."""
    for place, name in ((0.2, "slot"), (0.72, "row"), (1.18, "col"), (1.72, "value")):
        write(axes, x + place, y, name, size=9.5, color=QUIET)
    for slot, (row, column) in enumerate(pixels.coords[0].tolist()):
        middle = y + 0.3 + 0.27 * slot
        there = row >= 0
        write(axes, x + 0.2, middle, str(slot), color=INK if there else QUIET, bold=there)
        box(axes, x + 0.42, middle - 0.12, 1.6, 0.24, fc=colours[slot] if there else "white", ls="-" if there else ":")
        texts = (str(row), str(column), f"{float(pixels.features[0, slot, 0]):g}")
        for place, text in zip((0.72, 1.18, 1.72), texts, strict=True):
            write(axes, x + place, middle, text, color=INK if there else GRID)


def one_list() -> Figure:
    """A list through a convolution, a pool and back."""
    image = torch.zeros(1, 1, 6, 8)
    for row, column, value in ((0, 3, 2), (1, 0, 1), (1, 2, 3), (1, 6, 1), (2, 1, 2), (3, 0, 4), (4, 7, 5)):
        image[0, 0, row, column] = value
    with torch.no_grad():
        listed = sp.SparseInputReduce(8)(image)
        conv = sp.SparseConv2d(1, 1, 3, bias=False)
        conv.weight.fill_(1.0)
        summed = conv(listed)
        pooled = sp.SparseMaxPool2d(2, over="active")(summed)
        back = sp.SparseUnpool2d(2)(pooled, summed)
    cells = [(row // 2, column // 2) for row, column in listed.coords[0].tolist()]
    order = list(dict.fromkeys(cells))
    colours = [CELLS[order.index(cell)] for cell in cells]
    figure, axes = sheet(5.35)
    steps = (
        (listed, "SparseInputReduce", "raster order;\nthe free slot is at the end"),
        (summed, "SparseConv2d 3x3", "the same slots,\nnew features"),
        (pooled, "SparseMaxPool2d 2x2", "a cell is in the first slot of its\npixels: gaps, no raster order"),
        (back, "SparseUnpool2d", "the slots of before;\na pixel has what its cell has"),
    )
    for number, (pixels, title, words) in enumerate(steps):
        left = 0.22 + 2.46 * number
        side = 1.92 / pixels.spatial_shape[1]
        write(axes, left + 1.1, 0.25, title, size=11.5, bold=True)
        grid_of_slots(axes, left + 0.15, 0.5, side, pixels, colours, 1 if pixels is pooled else 2)
        table_of_slots(axes, left, 2.3, pixels, colours)
        write(axes, left + 1.1, 4.98, words, size=9.8, color=QUIET)
        if number:
            arrow(axes, (left - 0.3, 1.25), (left + 0.05, 1.25))
    return figure


def numbers() -> Figure:
    """The bits of each value of the neutrino preset, from the image to the result."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        sp.export_onnx(sp.models.neutrino(max_pixels=20, bits=8), Path(folder, "neutrino.onnx"))
        graph = read_model(Path(folder, "neutrino.onnx")).graph
    rows = [("image", graph.input.type, True)]
    for layer in graph.layers:
        kind, quantized = layer.outputs[0].type, isinstance(layer, Activation)
        if quantized or kind != rows[-1][1]:  # a layer that only moves values keeps the format
            rows.append((layer.name if quantized else layer.title, kind, quantized))
    step, side, zero, top = 0.38, 0.19, 3.6, 0.9
    figure, axes = sheet(top + step * len(rows) + 0.75)
    lowest = min(kind.integer - kind.width for _, kind, _ in rows)
    write(axes, 0.2, 0.3, "value", ha="left", bold=True)
    write(axes, zero + 1.4, 0.3, "its bits, by what each is worth", bold=True)
    for power in range(4, lowest, -4):
        write(axes, zero - side * (power + 0.5), 0.68, f"$2^{{{power}}}$", size=10, color=QUIET)
    before = None
    for number, (title, kind, quantized) in enumerate(rows):
        y = top + step * number
        colour = RED if quantized else BLUE
        write(axes, 0.2, y + side / 2, title, ha="left")
        bits = set(range(kind.integer - kind.width, kind.integer))
        for power in sorted(bits | (before if quantized and before else set())):
            left = zero - side * (power + 1)
            if power in bits:
                box(axes, left, y, side, side, fc="#fbe3d2" if quantized else PALE, ec=colour, lw=1.1)
            else:
                box(axes, left, y, side, side, ec=GRID, ls=":")
                axes.plot((left, left + side), (y + side, y), color=GRID, lw=0.8)
        if kind.signed:
            write(axes, zero - side * (kind.integer - 0.5), y + side / 2, "±", size=9)
        words = f"{kind.width} bits: rounded" if quantized else f"{kind.width} bits: exact"
        write(axes, 8.1, y + side / 2, words, ha="left", color=colour)
        before = bits
    axes.plot((zero, zero), (top - 0.1, top + step * len(rows) - 0.1), color=INK, lw=1.2, ls="--")
    last = top + step * len(rows) + 0.2
    write(axes, zero, last - 0.15, "binary point", size=10, color=INK)
    words = "crossed out: bits that a quantizer takes away, by rounding (right) and by saturation (left)"
    write(axes, WIDTH / 2, last + 0.25, words, color=QUIET)
    return figure


def pairs_and_stream() -> Figure:
    """All pairs of a list, a window from memories, and what both cost."""
    from way import kept

    _, coords, _ = kept(sp.datasets.synthetic_neutrino(events=400, seed=1).test.images)
    slots = len(coords)
    pixels = sp.SparsePixels(torch.ones(1, slots, 1), torch.from_numpy(coords)[None], (63, 63))
    table = pixels.kernel_map((7, 7)).numpy()
    figure = Figure(figsize=(WIDTH, 4.0))
    left = figure.add_axes((0.055, 0.25, 0.255, 0.6375))
    inside = (table[:, :, None] == np.arange(slots)).any(axis=0)  # [i, j]
    left.imshow(inside, cmap="Blues", vmin=0, vmax=1.4)
    left.set_xticks(np.arange(-0.5, slots), minor=True)
    left.set_yticks(np.arange(-0.5, slots), minor=True)
    left.grid(which="minor", color=GRID, lw=0.4)
    left.set(xticks=range(0, slots, 5), yticks=range(0, slots, 5), xlabel="pixel j", ylabel="pixel i")
    left.tick_params(which="both", length=0, labelsize=9, colors=QUIET)
    windows(figure.add_axes((0.365, 0.25, 0.255, 0.6375)), coords)
    costs(figure.add_axes((0.715, 0.25, 0.27, 0.6375)))
    texts = (
        (0.18, "Pairs", f"{slots} x {slots} places, all at once;\nblue: j lies in the 7 x 7 window of i"),
        (0.495, "Stream", "the memory of a pixel, by row and column\nmodulo 3: each once in a window"),
        (0.845, "Area", "of a network with two convolutions\non 64 x 64 pixels"),
    )
    for x, title, words in texts:
        figure.text(x, 0.945, title, ha="center", va="center", fontsize=12.5, weight="bold", color=INK)
        figure.text(x, 0.065, words, ha="center", va="center", fontsize=9.6, color=QUIET, linespacing=1.35)
    return figure


def windows(axes: Axes, coords: np.ndarray, kernel: int = 3, side: int = 9) -> None:
    """A part of the image: the memory of each pixel, and two windows."""
    axes.set(xlim=(-0.1, side + 0.1), ylim=(side + 0.1, -0.1))
    axes.axis("off")
    active = {(int(row), int(column)) for row, column in coords - coords[4] + side // 2}
    for row in range(side):
        for column in range(side):
            there = (row, column) in active
            box(axes, column, row, 1, 1, fc=BLUE if there else "white", lw=0.6)
            bank = kernel * (row % kernel) + column % kernel
            write(axes, column + 0.5, row + 0.5, str(bank), size=10, color="white" if there else QUIET)
    inside = [place for place in sorted(active) if min(place) > 0 and max(place) < side - 1]
    for row, column in (inside[0], inside[-1]):
        box(axes, column - 1, row - 1, 3, 3, fc="none", ec=RED, lw=2.4, zorder=4)


def costs(axes: Axes) -> None:
    """LUTs against the pixels of the list, by docs/results/many_pixels.json."""
    found = json.loads((DOCS / "results" / "many_pixels.json").read_text(encoding="utf-8"))["figures"]
    sizes = (8, 20, 50, 100, 200, 400, 800, 1024)
    pairs = [found[f"pairs_{size}_64x64"]["lut"] for size in sizes]
    stream = [found[f"stream_{size}_64x64"]["measured_lut"] for size in sizes]
    axes.loglog(sizes, pairs, "o-", color=BLUE, ms=4)
    axes.loglog(sizes, stream, "o-", color=RED, ms=4)
    axes.text(sizes[2] * 0.9, pairs[2] * 1.9, "pairs,\nestimated", color=BLUE, fontsize=10, ha="right", va="center")
    axes.text(sizes[4], stream[4] * 2.6, "stream,\nmeasured", color=RED, fontsize=10, ha="center", va="center")
    axes.set_xticks((10, 100, 1000), ("10", "100", "1,000"))
    axes.set(xlabel="slots N", ylabel="LUT")
    axes.tick_params(labelsize=9.5, colors=QUIET)
    axes.spines[["top", "right"]].set_visible(False)


def scanned(image: np.ndarray, slots: int) -> list[dict[str, object]]:
    """What ``reduce_scan.sv`` holds in each clock, one pixel a clock, until the list is complete."""
    rows_left = [int(row) for row in np.flatnonzero(image.any(axis=1))]
    columns_left: list[int] = []
    waits = row = None
    clocks, listed = [], 0
    while listed < slots:
        clocks.append({"rows": list(rows_left), "waits": waits, "row": row, "columns": list(columns_left)})
        listed += bool(columns_left)
        rest = columns_left[1:]
        moves = not rest
        read = [] if waits is None else [int(column) for column in np.flatnonzero(image[waits])]
        columns_left, row = (read, waits) if moves else (rest, row)
        if waits is None or moves:
            waits = rows_left.pop(0) if rows_left else None
    return clocks


def flags(axes: Axes, x: float, y: float, size: int, on: Sequence[int], down: bool, side: float = 0.15) -> None:
    """Bits side by side or below each other, the first that is set in red."""
    for place in range(size):
        colour = "white" if place not in on else RED if place == min(on) else BLUE
        box(axes, x + (0 if down else side * place), y + (side * place if down else 0), side, side, fc=colour)


def scan() -> Figure:
    """Which row is picked, read and listed in each clock."""
    image = np.zeros((6, 5), dtype=bool)
    for row, column in ((1, 1), (1, 3), (2, 0), (2, 1), (2, 4), (4, 2), (5, 2)):
        image[row, column] = True
    coords = sp.SparseInputReduce(7)(torch.from_numpy(image)[None, None].float()).coords[0].tolist()
    clocks = scanned(image, len(coords))
    listed = [[clock["row"], clock["columns"][0]] for clock in clocks if clock["columns"]]
    assert listed == coords, "the scan lists what the layer lists"
    figure, axes = sheet(4.1)
    write(axes, 1.0, 0.3, "image", bold=True)
    for row in range(6):
        write(axes, 0.22, 0.75 + 0.28 * row, str(row), size=10, color=QUIET)
        for column in range(5):
            colour = BLUE if image[row, column] else "white"
            box(axes, 0.36 + 0.28 * column, 0.61 + 0.28 * row, 0.28, 0.28, fc=colour)
    write(axes, 1.06, 2.5, "column 0 to 4", size=10, color=QUIET)
    box(axes, 0.3, 3.0, 0.15, 0.15, fc=RED)
    write(axes, 0.55, 3.075, "first flag: is next", ha="left", size=10)
    box(axes, 0.3, 3.3, 0.15, 0.15, fc=BLUE)
    write(axes, 0.55, 3.375, "other flags", ha="left", size=10)
    left, step = 3.72, 0.7
    lines = ((0.3, "clock"), (1.15, "flags of rows\nnot yet picked"), (2.0, "row picked, is read"))
    lines += ((2.6, "flags of the columns\nof the row that leaves"), (3.3, "pixel listed:\nrow, column"))
    for y, words in lines:
        write(axes, left - 0.22, y, words, ha="right", size=10, bold=y == 0.3)
    for number, clock in enumerate(clocks):
        x = left + step * number
        middle = x + step / 2 - 0.1
        write(axes, middle, 0.3, str(number), bold=True)
        flags(axes, middle - 0.08, 0.68, 6, clock["rows"], down=True)
        write(axes, middle, 2.0, "-" if clock["waits"] is None else str(clock["waits"]))
        flags(axes, middle - 0.3, 2.53, 5, clock["columns"], down=False, side=0.12)
        if clock["columns"]:
            box(axes, middle - 0.28, 3.13, 0.56, 0.34, fc=PALE, ec="none")
            write(axes, middle, 3.3, f"{clock['row']}, {clock['columns'][0]}")
    for y in (0.5, 1.78, 2.25, 2.95):
        axes.plot((2.2, WIDTH - 0.1), (y, y), color="#dddddd", lw=0.8)
    words = (
        "While the pixels of a row leave, the next row is picked and read: so from clock 2 on a pixel leaves in each."
    )
    write(axes, WIDTH / 2 + 0.9, 3.85, words, size=10, color=QUIET)
    return figure


def let_in(pace: Pace, events: int, pause: tuple[int, int]) -> list[tuple[int, int, int]]:
    """For events of one beat, always offered: clocks in which each is let in, has its result, and is taken.

    As ``event_gate.sv`` counts: an event needs its interval and a place, free two clocks after a result is taken.
    """
    found: list[tuple[int, int, int]] = []
    for event in range(events):
        begin = found[-1][0] + pace.interval_cycles if found else 0
        if event >= pace.places:
            begin = max(begin, found[event - pace.places][2] + 2)
        there = begin + pace.tail_cycles
        taken = max(there, found[-1][2] + 1 if found else 0)
        found.append((begin, there, pause[1] if pause[0] <= taken < pause[1] else taken))
    return found


def gate_and_queue() -> Figure:
    """The blocks of an RTL design, and events that are held back at the gate alone."""
    from pictures import planned

    with tempfile.TemporaryDirectory() as folder:
        report, _ = planned(Path(folder))
    estimate = report["estimate"]
    total, hand_over = estimate["total"], estimate["hand_over_cycles"]
    stages = [(stage["name"], stage["latency_cycles"]) for stage in estimate["stages"] if stage["name"] != "ports"]
    pace = Pace(1, total["latency_cycles"], total["interval_cycles"], 0)
    pause = (48, 104)
    events = let_in(pace, 6, pause)
    figure, axes = sheet(5.75)
    blocks(axes, [name for name, _ in stages], pace.places)
    left, scale, top, row = 1.75, 0.0505, 2.25, 0.33
    names = ["held at the gate", *(name for name, _ in stages), "in the queue"]
    bottom = top + row * len(names)
    stopped = {"fc": "#f0f0f0", "ec": "none", "zorder": 0}
    box(axes, left + scale * pause[0], top - 0.05, scale * (pause[1] - pause[0]), bottom - top + 0.07, **stopped)
    write(axes, left + scale * sum(pause) / 2, top - 0.2, "receiver takes nothing", size=10, color=QUIET)
    for number, name in enumerate(names):
        write(axes, left - 0.15, top + row * (number + 0.5), name, ha="right", size=10)
    for number, (begin, there, taken) in enumerate(events):
        colour = CELLS[number]
        if number:  # offered as soon as the one before is in
            offered = events[number - 1][0] + 1
            bar(axes, left + scale * offered, top, scale * (begin - offered), row, fc="white", ec=colour, hatch="///")
        clock = begin
        for place, (_, cycles) in enumerate(stages, 1):
            lane = (2, number % 2) if cycles > pace.interval_cycles else (1, 0)
            bar(axes, left + scale * clock, top + row * place, scale * cycles, row, lane, fc=colour)
            clock += cycles + hand_over
        waits, lane = scale * max(taken - there, 1), (pace.places, number % pace.places)
        bar(axes, left + scale * there, top + row * (len(names) - 1), waits, row, lane, fc=colour)
    for clock in range(0, 161, 20):
        x = left + scale * clock
        axes.plot((x, x), (bottom + 0.02, bottom + 0.1), color=QUIET, lw=0.8)
        write(axes, x, bottom + 0.24, str(clock), size=9.5, color=QUIET)
    write(axes, left - 0.15, bottom + 0.24, "clock", ha="right", size=10, color=QUIET)
    words = "A colour is an event. Inside the stages all keep their pace; the gate alone holds events back."
    write(axes, WIDTH / 2, bottom + 0.6, words, size=10, color=QUIET)
    return figure


def bar(
    axes: Axes, x: float, y: float, width: float, row: float, lane: tuple[int, int] = (1, 0), **style: object
) -> None:
    """What one event does in a row; ``lane``: of how many, and which."""
    height = (row - 0.08) / lane[0]
    box(axes, x, y + 0.04 + height * lane[1], max(width, 0.03), height, **({"ec": INK, "lw": 0.6, "zorder": 3} | style))


def blocks(axes: Axes, stages: Sequence[str], places: int) -> None:
    """Gate, stages and queue."""
    y, height = 0.75, 0.6
    parts = [("event gate", RED), *((name, BLUE) for name in stages), (f"result queue\n{places} places", RED)]
    widths = [0.92, *(0.76 for _ in stages), 1.12]
    gap = (WIDTH - 1.7 - sum(widths)) / (len(parts) - 1)
    x = 0.85
    for number, ((name, colour), width) in enumerate(zip(parts, widths, strict=True)):
        box(axes, x, y, width, height, ec=colour, lw=1.8)
        write(axes, x + width / 2, y + height / 2, name, size=10)
        arrow(axes, (x - (gap if number else 0.55), y + height / 2), (x, y + height / 2))
        x += width + gap
    arrow(axes, (WIDTH - 0.85, y + height / 2), (WIDTH - 0.3, y + height / 2))
    for x, name in ((0.4, "s_axis"), (WIDTH - 0.4, "m_axis")):
        write(axes, x, y + 0.1, name, size=9.5, color=QUIET)
    first, last = 0.85 + widths[0] / 2, WIDTH - 0.85 - widths[-1] / 2
    axes.plot((last, last, first), (y, 0.35, 0.35), color=RED, lw=1.6)
    arrow(axes, (first, 0.35), (first, y), RED)
    write(axes, WIDTH / 2, 0.2, "a place is free again: the only way back, through a register", size=10, color=RED)
    words = "fixed numbers of clocks: no handshake, no enable, nothing waits"
    write(axes, WIDTH / 2, y + height + 0.25, words, size=10, color=BLUE)


PICTURES = (one_list, numbers, pairs_and_stream, scan, gate_and_queue)

if __name__ == "__main__":
    for draw in PICTURES:
        if len(sys.argv) < 2 or draw.__name__ in sys.argv[1:]:
            path = DOCS / "reasons" / f"{draw.__name__}.png"
            draw().savefig(path, dpi=120, facecolor="white", metadata={"Software": None})
