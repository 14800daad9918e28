"""Pictures of active pixels: how many there are, and which of them a model keeps."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from sparsepix.nn.sparse_input_reduce import Activity, SparseInputReduce, activity_score
from sparsepix.plots.style import PALETTE, check_images, new_figure, nonempty, plain, shades
from sparsepix_ops.errors import SparsePixError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEPT = "#1f6fb4"  # colour of pixels that a model keeps
DROPPED = "#d1495b"  # of active ones that it does not
PANEL = 2.4  # inches


def active_counts(images: np.ndarray, threshold: float = 0.0, activity: Activity = "first") -> np.ndarray:
    """How many pixels of each image [E, C, H, W] are active, int [E].

    Args:
        images: as the input reduction gets them; a model quantizes them first, so that it may count fewer.
        threshold: a pixel is active if its score is larger.
        activity: the score (see ``SparseInputReduce``).
    """
    images = check_images("active_counts", images)
    score = activity_score(torch.from_numpy(images), activity).numpy()
    return (score > np.float32(threshold)).sum(axis=(1, 2))


def pixels_needed(
    images: np.ndarray,
    thresholds: Sequence[float] = (0.0,),
    shares: Sequence[float] = (0.5, 0.9, 0.99),
    activity: Activity = "first",
) -> np.ndarray:
    """The smallest ``max_pixels`` that drops no pixel in a share of the events, int [thresholds, shares].

    Args:
        images: [E, C, H, W].
        thresholds: of the input reduction.
        shares: of the events, each above 0 and at most 1.
        activity: see ``SparseInputReduce``.

    Raises:
        SparsePixError: images of another kind, or a share outside 0 ... 1.
    """
    if any(not 0 < share <= 1 for share in shares):
        raise SparsePixError(f"pixels_needed: shares must be above 0 and at most 1, found {tuple(shares)}")
    counts = [active_counts(images, threshold, activity) for threshold in thresholds]
    return np.array([np.quantile(count, shares, method="inverted_cdf") for count in counts], dtype=np.int64)


def active_pixels(
    images: np.ndarray,
    thresholds: Sequence[float],
    max_pixels: Sequence[int] = (),
    shares: Sequence[float] = (0.5, 0.9, 0.99),
    activity: Activity = "first",
) -> "Figure":
    """How long the list of pixels must be: events kept whole by each length, and the length needed by each threshold.

    Args:
        images: [E, C, H, W].
        thresholds: to compare, at most 8.
        max_pixels: lengths to mark.
        shares: of the events; the right panel shows which length keeps each of them whole.
        activity: see ``SparseInputReduce``.

    Raises:
        SparsePixError: images of another kind, no or too many thresholds, or a share outside 0 ... 1.
    """
    if not 1 <= len(thresholds) <= 8:
        raise SparsePixError(f"active_pixels: expected 1 to 8 thresholds, found {len(thresholds)}")
    ordered = sorted(thresholds)
    needed = pixels_needed(images, ordered, shares, activity)
    figure = new_figure(10, 3.8)
    lengths, limits = figure.subplots(1, 2)
    longest = 0
    for threshold, colour in zip(ordered, shades(len(ordered)), strict=True):
        counts = np.sort(active_counts(images, threshold, activity))
        kept = np.arange(1, len(counts) + 1) / len(counts)
        # From 0 on, so that the share of empty events is seen as well.
        lengths.step(np.append(0, counts), np.append((counts == 0).mean(), kept), where="post", color=colour)
        lengths.plot([], [], color=colour, label=f"{threshold:g}")
        # The last few events would squeeze all others together.
        longest = max(longest, np.quantile(counts, 0.995), *max_pixels, 1)
    for length in max_pixels:
        lengths.axvline(length, color="0.55", linewidth=0.8, linestyle=":", zorder=0)
        lengths.text(length, 1.01, str(length), ha="center", va="bottom", fontsize=8, color="0.4", rotation=90)
    lengths.set(xlabel="max_pixels", ylabel="events with no pixel dropped", xlim=(0, 1.02 * longest), ylim=(0, 1))
    lengths.yaxis.set_major_formatter("{x:.0%}")
    lengths.legend(title="threshold", frameon=False, fontsize=8, loc="lower right")
    for i, share in enumerate(shares):
        style = {"marker": "osD^v"[i % 5], "markersize": 5, "color": PALETTE[i % len(PALETTE)]}
        limits.plot(ordered, needed[:, i], label=f"{100 * share:.4g} %", **style)
    limits.set(xlabel="threshold", ylabel="max_pixels needed", ylim=(0, None))
    for length in max_pixels:
        limits.axhline(length, color="0.55", linewidth=0.8, linestyle=":", zorder=0)
    limits.legend(title="events with no pixel dropped", frameon=False, fontsize=8)
    plain(lengths)
    plain(limits)
    return figure


def kept_pixels(
    images: np.ndarray,
    reduce: SparseInputReduce | Mapping[str, SparseInputReduce],
    titles: Sequence[str] | None = None,
    columns: int = 4,
) -> "Figure":
    """Which active pixels of some images a model keeps and which it drops.

    Args:
        images: [E, C, H, W]; a panel each.
        reduce: the model's input reduction, or several by name: then each has a row of panels of its own.
        titles: of the images.
        columns: panels in a row, if there is one reduction.

    Raises:
        SparsePixError: images of another kind, another number of titles, or no reduction.
    """
    images = check_images("kept_pixels", images)
    names = [f"event {i}" for i in range(len(images))] if titles is None else list(titles)
    if len(names) != len(images):
        raise SparsePixError(f"kept_pixels: expected {len(images)} titles, one for each image, found {len(names)}")
    if isinstance(reduce, Mapping):
        nonempty("kept_pixels", "reduce", reduce)
        columns = len(images)
        panels = [(image, one, name) for one in reduce.values() for image, name in zip(images, names, strict=True)]
    else:
        panels = [(image, reduce, name) for image, name in zip(images, names, strict=True)]
    rows = -(-len(panels) // columns)
    figure = new_figure(PANEL * columns, (PANEL + 0.25) * rows + 0.4)
    figure.get_layout_engine().set(h_pad=0.08)
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for i, axes in enumerate(grid):
        if i < len(panels):
            _kept_and_dropped(axes, *panels[i])
        else:
            axes.axis("off")
    if isinstance(reduce, Mapping):
        for axes, name in zip(figure.axes[::columns], reduce, strict=True):
            axes.set_ylabel(name, fontsize=10)
    handles = [
        figure.axes[0].scatter([], [], s=28, marker="s", color=KEPT, label="kept"),
        figure.axes[0].scatter([], [], s=28, marker="x", color=DROPPED, label="dropped"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _kept_and_dropped(axes: "Axes", image: np.ndarray, reduce: SparseInputReduce, name: str) -> None:
    _, height, width = image.shape
    with torch.no_grad():
        coords = reduce(torch.from_numpy(image[None])).coords[0].numpy()
        score = activity_score(torch.from_numpy(image[None]), reduce.activity)[0].numpy()
    active = score > np.float32(reduce.threshold)
    kept = np.zeros((height, width), dtype=bool)
    kept[tuple(coords[coords[:, 0] >= 0].T)] = True
    # A marker is as large as a pixel, but never too small to be seen. Sizes are areas in points.
    area = max(72 * 0.95 * PANEL / max(height, width), 3) ** 2
    for shown, marker, colour, edge in ((kept, "s", KEPT, 0), (active & ~kept, "x", DROPPED, 1)):
        rows, columns = np.nonzero(shown)
        axes.scatter(columns, rows, s=area, marker=marker, linewidths=edge, color=colour)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal", xticks=[], yticks=[])
    axes.set_title(f"{name}: {kept.sum()} of {active.sum()} kept", fontsize=9)
