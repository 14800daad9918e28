"""Draws the pictures of design.md: ``python docs/pictures.py`` writes docs/pipeline.png and docs/neutrino_rtl.png.

The second one needs torch, for the model, and nothing else than what ``sparsepix-hls`` itself says of the design.
"""

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon

import sparsepix_hls as hls
from sparsepix_hls.design.layout import Design
from sparsepix_hls.design.options_file import read_options
from sparsepix_hls.flow.backends import backend_design, find_backend
from sparsepix_hls.flow.report import read_report
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.ir.tensors import Array
from sparsepix_hls.rtl.lower.ports import PortTypes

DOCS = Path(__file__).parent
TRAIN, CONTRACT, FIRMWARE, PAPER = "#0072b2", "#009e73", "#d55e00", "#555555"  # a colour for each package
PALE = {TRAIN: "#dcebf5", CONTRACT: "#dbf1ea", FIRMWARE: "#fae6d9", PAPER: "#ffffff"}
CLOCK_NS = 5.0


class Sheet:
    """A figure whose coordinates are those of its axes, from 0 to the given size."""

    def __init__(self, inches: tuple[float, float], size: tuple[float, float]) -> None:
        self.figure = Figure(figsize=inches)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_xlim(0, size[0])
        self.axes.set_ylim(size[1], 0)  # rows are counted from the top
        self.axes.axis("off")

    def band(self, x: float, y: float, width: float, height: float, colour: str, title: str, note: str) -> None:
        """The area of a package."""
        shape = "round,pad=0,rounding_size=1"
        self.axes.add_patch(FancyBboxPatch((x, y), width, height, shape, fc=PALE[colour], ec=colour, lw=0, zorder=0))
        self.axes.text(x + 1.2, y + 2.2, title, color=colour, fontsize=13, weight="bold", va="center")
        self.axes.text(x + 24, y + 2.2, note, color=colour, fontsize=10, va="center")

    def box(
        self, x: float, y: float, width: float, height: float, colour: str, title: str, text: str = "", size: float = 11
    ) -> None:
        """A room."""
        shape = "round,pad=0,rounding_size=0.8"
        self.axes.add_patch(FancyBboxPatch((x, y), width, height, shape, fc="white", ec=colour, lw=1.6, zorder=2))
        self._words(x, y, width, height, title, text, size)

    def document(self, x: float, y: float, width: float, height: float, title: str, text: str = "") -> None:
        """A file or a folder, with a corner that is turned down."""
        fold = 1.6
        edge = [(x, y), (x + width - fold, y), (x + width, y + fold), (x + width, y + height), (x, y + height)]
        self.axes.add_patch(Polygon(edge, fc="#fffbe6", ec=PAPER, lw=1.3, zorder=2))
        corner = [(x + width - fold, y), (x + width - fold, y + fold), (x + width, y + fold)]
        self.axes.add_patch(Polygon(corner, fc="#e8dfb5", ec=PAPER, lw=1.0, zorder=2))
        self._words(x, y, width, height, title, text)

    def _words(self, x: float, y: float, width: float, height: float, title: str, text: str, size: float = 11) -> None:
        middle = x + width / 2
        if not text:
            self.axes.text(
                middle, y + height / 2, title, fontsize=size, weight="bold", ha="center", va="center", zorder=3
            )
            return
        self.axes.text(middle, y + 1.0, title, fontsize=11, weight="bold", ha="center", va="top", zorder=3)
        self.axes.text(
            middle, y + 3.4, text, fontsize=9.5, ha="center", va="top", zorder=3, linespacing=1.25, color="#222222"
        )

    def arrow(self, *points: tuple[float, float], colour: str = "#222222", dashed: bool = False) -> None:
        """A line through some points with its head at the last one."""
        style = (0, (3, 2)) if dashed else "-"
        for begin, end in pairwise(points[:-1]):
            self.axes.plot(*zip(begin, end, strict=True), color=colour, lw=1.5, ls=style, zorder=1)
        head = FancyArrowPatch(
            points[-2], points[-1], arrowstyle="-|>", mutation_scale=13, color=colour, lw=1.5, ls=style,
            shrinkA=0, shrinkB=0, zorder=1,
        )  # fmt: skip
        self.axes.add_patch(head)

    def note(self, x: float, y: float, text: str, colour: str = "#222222", ha: str = "center") -> None:
        """Small words beside an arrow."""
        self.axes.text(x, y, text, fontsize=9.5, color=colour, ha=ha, va="center", zorder=3, style="italic")

    def save(self, name: str) -> None:
        """Write the picture; the same bytes each time."""
        self.figure.savefig(DOCS / name, dpi=130, metadata={"Software": None})


def pipeline() -> Sheet:
    """From model.pt to the results of a project: the rooms, and what passes between them."""
    sheet = Sheet((12.5, 8.6), (125, 86))
    sheet.band(2, 2, 121, 18, TRAIN, "sparsepix", "src/sparsepix: needs torch")
    sheet.box(
        5,
        7,
        27,
        10,
        TRAIN,
        "nn, quant, pixels, models",
        "layers, quantizers, SparsePixels,\npresets; or your own nn.Module",
    )
    sheet.box(38, 7, 22, 10, TRAIN, "training", "fit, runs, search\n(with datasets, cost, plots)")
    sheet.document(66, 7, 14, 10, "model.pt", "description,\nweights")
    sheet.box(
        87,
        7,
        33,
        10,
        TRAIN,
        "recording, export",
        "one run on a blank image gives the\nnodes; the file has to equal the\nmodel on three images",
    )
    sheet.arrow((32, 12), (38, 12))
    sheet.arrow((60, 12), (66, 12))
    sheet.arrow((80, 12), (87, 12))

    sheet.band(2, 27, 121, 18, CONTRACT, "sparsepix_ops", "onnx_ops/sparsepix_ops: numpy and onnx")
    sheet.document(13, 32, 17, 10, "model.onnx", "runs in stock\nonnxruntime")
    sheet.box(36, 32, 26, 10, CONTRACT, "op, ops, registry", "one file an op: body, shapes,\nranges, exact arithmetic")
    sheet.box(66, 32, 24, 10, CONTRACT, "range_analysis, rules", "formats of all values;\nwhat a model has to obey")
    sheet.box(94, 32, 26, 10, CONTRACT, "reference", "the whole model in integers:\nevery build has to equal it")
    sheet.arrow((92, 17), (92, 24), (21.5, 24), (21.5, 32))
    sheet.note(56, 22.7, "nodes, bodies of the ops, constants rounded by their quantizers")
    sheet.arrow((114, 27), (114, 17), colour=CONTRACT, dashed=True)
    sheet.note(113, 24, "used by the export", CONTRACT, "right")

    sheet.band(2, 52, 121, 32, FIRMWARE, "sparsepix_hls", "hls/sparsepix_hls: no torch")
    sheet.box(5, 61, 18, 11, FIRMWARE, "frontend", "checks the file; every\nquantizer becomes\na type")
    sheet.box(27, 61, 16, 11, FIRMWARE, "ir, layers", "a Graph of layers;\none file a layer:\nC++, RTL, cost")
    sheet.box(47, 61, 17, 11, FIRMWARE, "design", "select: kernels and\nreuse, by cost;\nschedule: stages")
    sheet.box(68, 57, 17, 8.2, FIRMWARE, "cpp, kernels", "HLS C++, headers")
    sheet.box(68, 67.8, 17, 8.2, FIRMWARE, "rtl", "lower, then emit")
    sheet.document(89.5, 60.5, 14, 12, "a folder", "sources, events,\nMakefile,\nreport.json")
    for row, name in enumerate(("predict", "csim (C++)", "simulate (RTL)", "synthesize (RTL)")):
        y = 57 + 4.9 * row
        sheet.box(107.5, y, 14, 4.0, FIRMWARE, name, size=9.5)
        sheet.arrow((103.5, 66.5), (107.5, y + 2))
    sheet.note(114.5, 55, "project", FIRMWARE)
    words = "flow: translate() reads, designs, and asks a Backend (hls or rtl): problems, lower, estimate, write, open"
    sheet.box(5, 78.2, 98.5, 3.8, FIRMWARE, words, size=10)
    sheet.arrow((20, 42), (20, 61))
    for begin in (23, 43):
        sheet.arrow((begin, 66.5), (begin + 4, 66.5))
    sheet.arrow((64, 66.5), (68, 61.1))
    sheet.arrow((64, 66.5), (68, 71.9))
    sheet.arrow((85, 61.1), (89.5, 64.5))
    sheet.arrow((85, 71.9), (89.5, 68.5))
    sheet.arrow((40, 45), (40, 49), (21.7, 49), (21.7, 61), colour=CONTRACT, dashed=True)
    sheet.note(41, 49, "used by the frontend", CONTRACT, "left")
    sheet.arrow((107, 42), (107, 49), (96.5, 49), (96.5, 60.5), colour=CONTRACT, dashed=True)
    sheet.note(95.5, 49, "expected results of the testbench", CONTRACT, "right")
    return sheet


def described(array: Array, ports: PortTypes) -> str:
    """An array as a line of text."""
    field = ports.field(array)
    return f"{array.name}: {' x '.join(map(str, field.shape))} of {field.type.width} bits"


def planned(folder: Path) -> tuple[dict[str, Any], Design]:
    """The neutrino model as RTL by examples/neutrino_rtl.yaml: the report of its project, and its design."""
    import torch

    import sparsepix as sp

    torch.manual_seed(0)
    sp.export_onnx(sp.models.neutrino(max_pixels=20, bits=8), folder / "neutrino.onnx")
    options = read_options(DOCS.parent / "examples" / "neutrino_rtl.yaml")
    project = hls.translate(folder / "neutrino.onnx", folder / "rtl", clock_ns=CLOCK_NS, options=options, backend="rtl")
    graph = read_model(folder / "neutrino.onnx").graph
    design, _ = backend_design(graph, options, CLOCK_NS, find_backend("rtl"))
    return read_report(project.directory), design


def generated_design() -> Sheet:
    """A generated design: its stages from port to port, the arrays between them, and when each works on an event."""
    with tempfile.TemporaryDirectory() as folder:
        report, design = planned(Path(folder))
    stages, image = design.stages, design.graph.input
    ports = PortTypes(design.graph.layers, design.input_reduce.coords)
    estimate = report["estimate"]
    figures = {stage["name"]: stage for stage in estimate["stages"]}
    luts = {row["stage"]: row["lut"] for row in estimate["rows"]}
    total = estimate["total"]

    step, top, box = 14.5, 12.0, 7.6
    height = top + step * len(stages) + 2
    sheet = Sheet((12.5, height / 10), (125, height))
    left, width = 5, 53
    sheet.axes.text(
        left,
        2.4,
        "The preset neutrino, 20 pixels, 8 bits, as RTL (examples/neutrino_rtl.yaml)",
        fontsize=13,
        weight="bold",
        va="center",
    )
    port = {"x": left + 6, "width": width - 12}
    sheet.document(
        port["x"],
        5.2,
        port["width"],
        3.6,
        f"s_axis: {' x '.join(map(str, image.shape))} pixels of {image.type.width} bits",
    )
    sheet.arrow((left + width / 2, 8.8), (left + width / 2, top))

    scale, origin, begin = 1.02, 66.0, 0
    y = top
    for number, stage in enumerate(stages):
        y = top + step * number
        cycles, every = figures[stage.name]["latency_cycles"], figures[stage.name]["interval_cycles"]
        kind = f"loop of {stage.rounds} rounds" if stage.kind == "loop" else stage.kind
        sheet.box(left, y, width, box, FIRMWARE, f"{stage.name}: {kind}", "\n".join((
            ", ".join(layer.title for layer in stage.steps),
            f"{cycles} cycles, an event every {every}; {luts[stage.name]:,} LUT",
        )))  # fmt: skip
        bottom = y + box
        last = number + 1 == len(stages)
        sheet.arrow((left + width / 2, bottom), (left + width / 2, bottom + 3.6 if last else y + step))
        if not last:
            text = "\n".join(described(array, ports) for array in stage.outputs)
            sheet.axes.text(left + width / 2 + 1.5, (bottom + y + step) / 2, text, fontsize=9.5, va="center")
        for event, colour in enumerate((FIRMWARE, "#f0b48a")):
            start = origin + scale * (begin + event * total["interval_cycles"])
            row = y + 0.7 + 3.3 * event
            sheet.axes.broken_barh([(start, max(scale * cycles, 0.25))], (row, 2.9), color=colour, zorder=3)
        begin += cycles + estimate["hand_over_cycles"]
    end = y + box + 3.6
    sheet.document(
        port["x"],
        end,
        port["width"],
        3.6,
        f"m_axis: {report['output']['shape'][0]} result of {stages[-1].outputs[0].type.width} bits",
    )
    return _clocks(sheet, total, origin, scale, top - 2.0, end)


def _clocks(sheet: Sheet, total: dict[str, int], origin: float, scale: float, top: float, bottom: float) -> Sheet:
    """The axis of time beside the stages."""
    last = total["latency_cycles"] + total["interval_cycles"]
    for clock in range(0, last + 5, 5):
        x = origin + scale * clock
        sheet.axes.plot((x, x), (top, bottom), color="#dddddd", lw=0.8, zorder=0)
        sheet.axes.text(x, top - 1.2, str(clock), fontsize=9, ha="center", va="center", color="#555555")
    sheet.axes.text(origin, top - 4.4, "clock", fontsize=10, ha="left", va="center", color="#555555")
    words = (
        f"dark: an event, {total['latency_cycles']} clocks from port to port; "
        f"pale: the next, {total['interval_cycles']} clocks later"
    )
    sheet.axes.text(origin, bottom + 1.8, words, fontsize=10, va="center")
    return sheet


if __name__ == "__main__":
    pipeline().save("pipeline.png")
    generated_design().save("neutrino_rtl.png")
