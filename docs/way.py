"""Draws the way from a detector image to a chip: ``python docs/way.py`` writes docs/way.png.

The event is a synthetic one, the network the neutrino preset; the figures of the chip are those of
docs/results/neutrino_rtl.json.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sparsepix_hls.project.parts import find_part

DOCS = Path(__file__).parent
INK, QUIET, BLUE, RED, PALE = "#222222", "#666666", "#1f5fb4", "#d55e00", "#eef3fa"
MAX_PIXELS = 20
PART = "xcu250"  # for which benchmarks/neutrino_rtl.py builds it


def kept(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An event with about as many active pixels as slots: image [H, W], coords [N, 2], features [N] of its list."""
    import torch

    import sparsepix as sp

    torch.manual_seed(0)
    model = sp.models.neutrino(max_pixels=MAX_PIXELS, bits=8).eval()
    active = images[:, 0] > model.reduce.threshold
    few = np.flatnonzero(np.abs(active.sum(axis=(1, 2)) - MAX_PIXELS) <= 1)
    spread = [np.prod(np.std(np.nonzero(active[event]), axis=1)) for event in few]
    event = int(few[np.argmax(spread)])  # one that fills the picture
    with torch.no_grad():
        pixels = model.reduce(torch.from_numpy(images[event : event + 1]))
    there = pixels.coords[0, :, 0] >= 0
    return images[event, 0], pixels.coords[0][there].numpy(), pixels.features[0][there][:, 0].numpy()


def panel(figure: Figure, left: float, width: float, title: str, text: str) -> Axes:
    """A part of the picture with its title above and a line below."""
    axes = figure.add_axes((left, 0.17, width, 0.66))
    axes.set_axis_off()
    middle = left + width / 2
    figure.text(middle, 0.93, title, ha="center", va="center", fontsize=13, weight="bold", color=INK)
    figure.text(middle, 0.075, text, ha="center", va="center", fontsize=10.5, color=QUIET, linespacing=1.35)
    return axes


def draw_image(axes: Axes, image: np.ndarray, coords: np.ndarray) -> None:
    """The image, its active pixels dark."""
    height, width = image.shape
    axes.add_patch(Rectangle((-0.5, -0.5), width, height, fc="white", ec=QUIET, lw=1))
    shown = np.ma.masked_less_equal(image, 0)
    axes.imshow(shown, cmap="Blues", vmin=-0.6, vmax=max(float(image.max()) * 0.8, 0.1), interpolation="nearest")
    axes.scatter(coords[:, 1], coords[:, 0], s=9, marker="s", color=BLUE, zorder=3)
    axes.set_xlim(-1, width)
    axes.set_ylim(height, -1)


def draw_list(axes: Axes, coords: np.ndarray, features: np.ndarray, shown: int = 7) -> None:
    """The list: row, column and value of its first slots."""
    axes.set_xlim(0, 1)
    axes.set_ylim(shown + 2.2, 0)
    head = {"fontsize": 10, "color": QUIET, "va": "center"}
    for x, name in ((0.34, "row"), (0.62, "col"), (0.97, "value")):
        axes.text(x, 0.5, name, ha="right", **head)
    for slot in range(shown):
        y = slot + 1.5
        axes.add_patch(Rectangle((0, y - 0.42), 1, 0.84, fc=PALE, ec="none"))
        texts = (str(int(coords[slot, 0])), str(int(coords[slot, 1])), f"{features[slot]:.2f}")
        for x, text in zip((0.34, 0.62, 0.97), texts, strict=True):
            axes.text(x, y, text, ha="right", va="center", fontsize=10.5, family="monospace", color=INK)
    axes.text(0.5, shown + 1.5, f"... {MAX_PIXELS} slots", ha="center", va="center", fontsize=10, color=QUIET)


def draw_network(axes: Axes) -> None:
    """The layers of the preset, one below the other."""
    layers = (
        ("SparseConv2d 7x7, ReLU", BLUE), ("SparseConv2d 7x7, ReLU", BLUE), ("SparseAvgPool2d", BLUE),
        ("SparseFlatten", BLUE), ("QuantLinear, ReLU", RED), ("QuantLinear", RED),
    )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(len(layers), 0)
    for place, (name, colour) in enumerate(layers):
        axes.add_patch(Rectangle((0.03, place + 0.14), 0.94, 0.64, fc="white", ec=colour, lw=1.6))
        axes.text(0.5, place + 0.46, name, ha="center", va="center", fontsize=10.5, color=INK)
        if place:
            axes.plot((0.5, 0.5), (place - 0.22, place + 0.14), color=QUIET, lw=1.2)


def draw_chip(axes: Axes, share: float) -> None:
    """The die, and how much of its LUTs the design takes."""
    axes.set_xlim(-0.12, 1.12)
    axes.set_ylim(1.12, -0.12)
    axes.set_aspect("equal")
    for k in range(9):
        at = 0.1 + 0.1 * k
        for x, y, w, h in ((at, -0.07, 0.03, 0.07), (at, 1, 0.03, 0.07), (-0.07, at, 0.07, 0.03), (1, at, 0.07, 0.03)):
            axes.add_patch(Rectangle((x, y), w, h, fc=QUIET, ec="none"))
    axes.add_patch(Rectangle((0, 0), 1, 1, fc="#f4f4f4", ec=INK, lw=1.5))
    side = share**0.5
    axes.add_patch(Rectangle((0.12, 0.12), side, side, fc=RED, ec="none"))
    axes.text(
        0.12 + side + 0.05, 0.12 + side / 2, "the whole network,\ntrue to scale", va="center", fontsize=10, color=INK
    )


def arrow(figure: Figure, left: float, right: float, text: str) -> None:
    """An arrow between two panels."""
    axes = figure.add_axes((left, 0.42, right - left, 0.16))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.annotate("", (1, 0.35), (0, 0.35), arrowprops={"arrowstyle": "-|>", "lw": 2, "color": INK})
    axes.text(0.48, 0.78, text, ha="center", va="center", fontsize=9.5, color=QUIET)


def picture(result: dict[str, Any]) -> Figure:
    """The whole way; ``result``: of docs/results/neutrino_rtl.json."""
    import sparsepix as sp

    image, coords, features = kept(sp.datasets.synthetic_neutrino(events=400, seed=1).test.images)
    design = result["figures"]["stream"]
    share = design["lut"] / find_part(PART).luts
    figure = Figure(figsize=(13, 3.9))
    figure.patch.set_facecolor("white")
    height, width = image.shape
    active = len(coords) / image.size
    there = f"{height} x {width} pixels,\n{active:.1%} of them active"
    draw_image(panel(figure, 0.01, 0.2, "detector image", there), image, coords)
    rest = "row, column, features;\nthe rest is never computed"
    draw_list(panel(figure, 0.275, 0.15, "list of active pixels", rest), coords, features)
    trained = "trained in PyTorch, 8 bits;\nthe same bits everywhere"
    draw_network(panel(figure, 0.495, 0.19, "network on the list", trained))
    interval = round(design["interval_cycles_mean"])
    text = f"{design['lut']:,} LUT, {share:.1%} of an {PART};\nan event every {interval} clocks in the mean"
    draw_chip(panel(figure, 0.765, 0.225, "chip", text), share)
    arrow(figure, 0.215, 0.27, "reduce")
    arrow(figure, 0.432, 0.488, "train")
    arrow(figure, 0.692, 0.76, "translate")
    return figure


if __name__ == "__main__":
    found = json.loads((DOCS / "results" / "neutrino_rtl.json").read_text(encoding="utf-8"))
    picture(found).savefig(DOCS / "way.png", dpi=120, metadata={"Software": None})
