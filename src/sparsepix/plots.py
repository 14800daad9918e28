"""Pictures; each function returns its figure and saves nothing."""

from typing import TYPE_CHECKING

import numpy as np

from sparsepix.sparse_input_reduce import SparseInputReduce
from sparsepix.training import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEPT, DROPPED = "#1f6fb4", "#d1495b"


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
    figure = Figure(figsize=(2.6 * columns, 2.9 * rows), layout="constrained")
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        if i >= len(images):
            axes.axis("off")
            continue
        kept = coords[i][coords[i][:, 0] >= 0]
        all_active = active[i][active[i][:, 0] >= 0]
        dropped = np.array(sorted({tuple(p) for p in all_active} - {tuple(p) for p in kept})).reshape(-1, 2)
        axes.scatter(*kept.T[::-1], s=14, marker="s", color=KEPT, label="kept")
        axes.scatter(*dropped.T[::-1], s=18, marker="x", color=DROPPED, label="dropped")
        axes.set(xlim=(-0.5, images.shape[3] - 0.5), ylim=(images.shape[2] - 0.5, -0.5), aspect="equal")
        axes.set_xticks([])
        axes.set_yticks([])
        title = titles[i] if titles else f"event {i}"
        axes.set_title(f"{title}: {len(kept)} of {len(all_active)} kept", fontsize=9)
    handles = [
        figure.axes[0].scatter([], [], s=14, marker="s", color=KEPT, label="kept"),
        figure.axes[0].scatter([], [], s=18, marker="x", color=DROPPED, label="dropped"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def training_curve(histories: dict[str, History]) -> "Figure":
    """Loss and validation accuracy by epoch, one line for each named training; its best epoch is marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for i, (name, history) in enumerate(histories.items()):
        epochs = np.arange(1, len(history.train_loss) + 1)
        loss.plot(epochs, history.train_loss, color=f"C{i}", label=f"{name}, train")
        loss.plot(epochs, history.validation_loss, color=f"C{i}", linestyle="--", label=f"{name}, validation")
        accuracy.plot(epochs, history.validation_accuracy, color=f"C{i}", label=name)
        best = history.best_epoch
        accuracy.plot(epochs[best], history.validation_accuracy[best], "o", color=f"C{i}")
    loss.set(xlabel="epoch", ylabel="loss", yscale="log")
    accuracy.set(xlabel="epoch", ylabel="validation accuracy")
    loss.legend(frameon=False, fontsize=8)
    accuracy.legend(frameon=False, fontsize=8)
    for axes in (loss, accuracy):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def confusion(labels: np.ndarray, decisions: np.ndarray, classes: tuple[str, ...]) -> "Figure":
    """How often each true class [E] is decided as each class [E]."""
    from matplotlib.figure import Figure

    counts = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(counts, (labels, decisions), 1)
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues")
    for row, column in np.argwhere(counts):
        dark = counts[row, column] > counts.max() / 2
        axes.text(column, row, counts[row, column], ha="center", va="center", color="w" if dark else "k", fontsize=8)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="decided", ylabel="true")
    return figure
