"""Pictures; each function returns its figure and saves nothing."""

from typing import TYPE_CHECKING

import numpy as np

from sparsepix.sparse_input_reduce import SparseInputReduce
from sparsepix.training import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEPT, DROPPED = "#1f6fb4", "#d1495b"
PANEL = 2.4  # inches


def kept_pixels(
    images: np.ndarray, reduce: SparseInputReduce, titles: list[str] | None = None, columns: int = 4
) -> "Figure":
    """Which active pixels of some images a model keeps and which it drops.

    Args:
        images: [E, C, H, W]; a panel each.
        reduce: the model's input reduction.
        titles: of the panels.
        columns: panels in a row.
    """
    import torch
    from matplotlib.figure import Figure

    with torch.no_grad():
        tensor = torch.from_numpy(np.ascontiguousarray(images))
        coords = reduce(tensor).coords.numpy()
        everything = SparseInputReduce(images.shape[2] * images.shape[3], reduce.threshold, reduce.activity)
        active = everything(tensor).coords.numpy()
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(PANEL * columns, (PANEL + 0.25) * rows + 0.4), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)
    # A marker is as large as a pixel, but never too small to be seen. Sizes are areas in points.
    area = max(72 * 0.95 * PANEL / max(images.shape[2:]), 2.5) ** 2
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        if i >= len(images):
            axes.axis("off")
            continue
        kept = coords[i][coords[i][:, 0] >= 0]
        all_active = active[i][active[i][:, 0] >= 0]
        dropped = np.array(sorted({tuple(p) for p in all_active} - {tuple(p) for p in kept})).reshape(-1, 2)
        axes.scatter(*kept.T[::-1], s=area, marker="s", linewidths=0, color=KEPT, label="kept")
        axes.scatter(*dropped.T[::-1], s=area, marker="x", color=DROPPED, label="dropped")
        axes.set(xlim=(-0.5, images.shape[3] - 0.5), ylim=(images.shape[2] - 0.5, -0.5), aspect="equal")
        axes.set_xticks([])
        axes.set_yticks([])
        title = titles[i] if titles else f"event {i}"
        axes.set_title(f"{title}: {len(kept)} of {len(all_active)} kept", fontsize=9)
    handles = [
        figure.axes[0].scatter([], [], s=28, marker="s", color=KEPT, label="kept"),
        figure.axes[0].scatter([], [], s=28, marker="x", color=DROPPED, label="dropped"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def training_curve(histories: dict[str, History], consecutive: bool = False) -> "Figure":
    """Loss and validation accuracy by epoch, one line for each named training; its best epoch is marked.

    Args:
        histories: of each training, by its name.
        consecutive: each training goes on where the one before it ended; otherwise all begin at epoch 1.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    before = 0
    for i, (name, history) in enumerate(histories.items()):
        epochs = before + np.arange(1, len(history.train_loss) + 1)
        loss.plot(epochs, history.train_loss, color=f"C{i}", label=f"{name}, train")
        loss.plot(epochs, history.validation_loss, color=f"C{i}", linestyle="--", label=f"{name}, validation")
        best = history.best_epoch
        highest = history.validation_accuracy[best]
        accuracy.plot(epochs, history.validation_accuracy, color=f"C{i}", label=f"{name}, best {highest:.1%}")
        accuracy.plot(epochs[best], highest, "o", color=f"C{i}")
        before = epochs[-1] if consecutive else 0
    loss.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    accuracy.set(xlabel="epoch", ylabel="validation accuracy")
    for axes in (loss, accuracy):
        axes.legend(frameon=False, fontsize=8)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def confusion(labels: np.ndarray, decisions: np.ndarray, classes: tuple[str, ...]) -> "Figure":
    """How often each true class [E] is decided as each class [E]; mistakes stand out in their own colour."""
    from matplotlib.figure import Figure

    counts = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(counts, (labels, decisions), 1)
    right = int(np.trace(counts))
    figure = Figure(figsize=(4.4, 4.6), layout="constrained")
    axes = figure.subplots()
    # On one scale a few mistakes would be as pale as none.
    diagonal = np.eye(len(classes), dtype=bool)
    mistakes = np.where(diagonal, 0, counts)
    axes.imshow(np.ma.masked_where(~diagonal, counts), cmap="Blues", vmin=0, vmax=2 * max(counts.max(), 1))
    axes.imshow(np.ma.masked_where(mistakes == 0, mistakes), cmap="Reds", vmin=0, vmax=2 * max(mistakes.max(), 1))
    for row, column in np.argwhere(counts):
        axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="decided", ylabel="true")
    axes.set_title(f"{right} of {len(labels)} right ({right / len(labels):.1%})", fontsize=10)
    return figure
