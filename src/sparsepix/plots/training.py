"""Pictures of training: losses, accuracy and cost by epoch, and results against the number of pixels."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sparsepix.plots.style import LINES, PALETTE, new_figure, nonempty, plain
from sparsepix.util.history import History
from sparsepix_ops.errors import SparsePixError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def training_curve(histories: Mapping[str, History], consecutive: bool = False) -> "Figure":
    """Loss and validation accuracy by epoch, one line for each named training; its best epoch is marked.

    Args:
        histories: of each training, by its name.
        consecutive: each training goes on where the one before it ended; otherwise all begin at epoch 1.

    Raises:
        SparsePixError: no history.
    """
    nonempty("training_curve", "histories", histories)
    figure = new_figure(9, 3.4)
    loss, accuracy = figure.subplots(1, 2)
    before = 0
    for i, (name, history) in enumerate(histories.items()):
        colour = PALETTE[i % len(PALETTE)]
        epochs = before + np.arange(1, len(history.train_loss) + 1)
        loss.plot(epochs, history.train_loss, color=colour, label=f"{name}, train")
        loss.plot(epochs, history.validation_loss, color=colour, linestyle="--", label=f"{name}, validation")
        best = history.best_epoch
        highest = history.validation_accuracy[best]
        accuracy.plot(epochs, history.validation_accuracy, color=colour, label=f"{name}, best {highest:.1%}")
        accuracy.plot(epochs[best], highest, "o", color=colour)
        before = epochs[-1] if consecutive else 0
    loss.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    accuracy.set(xlabel="epoch", ylabel="validation accuracy")
    for axes in (loss, accuracy):
        axes.legend(frameon=False, fontsize=8)
        plain(axes)
    return figure


def training_history(columns: Mapping[str, Sequence[float]]) -> "Figure":
    """One training in all its parts: a panel for each of loss, accuracy, budget, threshold and cost that was recorded.

    The first panel stacks the penalties on the task loss of training, so that its upper edge is what was minimized.
    A budget or threshold beside it is drawn only if it changed.

    Args:
        columns: an entry an epoch, by name, as ``History.columns()`` or the columns of a history.csv:
            ``train_loss``, ``validation_loss``, ``penalty_<name>``, ``validation_accuracy``, ``budget``,
            ``threshold``, ``ebops``; where ``quantized`` turns from 0 to 1 a line says so. Others are not drawn. At
            least one of these.

    Raises:
        SparsePixError: nothing to draw, columns of different lengths, or entries that are not finite numbers.
    """
    fixed = ("budget", "threshold")  # unless they are learned
    known = ("train_loss", "validation_loss", "validation_accuracy", "budget", "threshold", "ebops")
    values = {name: list(column) for name, column in columns.items() if name in known or name.startswith("penalty_")}
    arrays = _columns(values)
    penalties = {name.removeprefix("penalty_"): array for name, array in arrays.items() if name.startswith("penalty_")}
    epochs = np.arange(1, len(next(iter(arrays.values()))) + 1)
    has_loss = any(name in arrays for name in known[:2]) or penalties
    panels = {name: arrays[name] for name in known[2:] if name in arrays}
    if has_loss:
        panels = {name: array for name, array in panels.items() if not (name in fixed and np.ptp(array) == 0)}
    count = len(panels) + bool(has_loss)
    across = min(count, 3)
    figure = new_figure(3.6 * across + 0.4, 2.9 * -(-count // across) + 0.3)
    grid = list(figure.subplots(-(-count // across), across, squeeze=False).flat)
    if has_loss:
        _losses(grid.pop(0), epochs, arrays, penalties)
    labels = {
        "validation_accuracy": "validation accuracy",
        "budget": "budget (pixels)",
        "threshold": "threshold",
        "ebops": "cost (EBOPs)",
    }
    for axes, (name, array) in zip(grid, panels.items(), strict=False):
        axes.plot(epochs, array, color=PALETTE[0], marker="o", markersize=3)
        axes.set(xlabel="epoch", ylabel=labels[name])
        if name in ("budget", "ebops"):
            axes.set_ylim(0, 1.08 * max(array.max(), 1))
            axes.yaxis.get_major_locator().set_params(integer=True)
            axes.yaxis.set_major_formatter("{x:,.0f}")
        plain(axes)
    for axes in grid[len(panels) :]:
        axes.axis("off")
    in_float = list(columns.get("quantized", [])).count(0)
    for axes in figure.axes:
        if in_float:
            axes.axvline(in_float + 0.5, color="0.6", linewidth=0.8)
            axes.annotate(
                "quantized", (in_float + 0.5, 1), (2, 2), axes.get_xaxis_transform(), "offset points", fontsize=7
            )
        axes.set_xlim(0.5, len(epochs) + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def against_max_pixels(
    results: Mapping[str, Mapping[int, Sequence[float]]],
    quantity: str,
    reference: Mapping[str, Sequence[float]] | None = None,
) -> "Figure":
    """A result, as AUC or accuracy, against ``max_pixels``: mean, least and largest of several trainings.

    Args:
        results: by name of the series, then by ``max_pixels``: the results of trainings that differ in their seed.
        quantity: what the results are, for the axis.
        reference: results that do not depend on ``max_pixels``, as of the standard CNN, by name: a line and a band.

    Raises:
        SparsePixError: no series, or one without results.
    """
    nonempty("against_max_pixels", "results", results)
    for name, series in results.items():
        nonempty("against_max_pixels", f"the series {name!r}", series)
        for length, values in series.items():
            if not len(values):
                raise SparsePixError(f"against_max_pixels: {name!r} has no result for max_pixels = {length}")
    figure = new_figure(5.6, 4.0)
    axes = figure.subplots()
    lengths = sorted({length for series in results.values() for length in series})
    gap = min(np.diff(lengths), default=1)
    for i, (name, series) in enumerate(results.items()):
        at = sorted(series)
        mean = np.array([np.mean(series[length]) for length in at])
        low, high = (np.array([bound(series[length]) for length in at]) for bound in (min, max))
        # Beside each other, so that bars do not hide one another.
        places = np.array(at) + 0.06 * gap * (i - (len(results) - 1) / 2)
        style = {"color": PALETTE[i % len(PALETTE)], "marker": "osD^v"[i % 5], "markersize": 5, "capsize": 3}
        axes.errorbar(places, mean, yerr=(mean - low, high - mean), label=name, **style)
    for i, (name, values) in enumerate((reference or {}).items()):
        axes.axhline(np.mean(values), color="0.25", linestyle=LINES[1 + i % 3], linewidth=1.2, label=name)
        axes.axhspan(min(values), max(values), color="0.5", alpha=0.18, linewidth=0)
    axes.set(xlabel="max_pixels", ylabel=quantity)
    axes.set_xticks(lengths)
    axes.legend(frameon=False, fontsize=9)
    plain(axes)
    return figure


def _losses(
    axes: "Axes", epochs: np.ndarray, arrays: Mapping[str, np.ndarray], penalties: Mapping[str, np.ndarray]
) -> None:
    if penalties:
        parts = {"task": arrays.get("train_loss", np.zeros(len(epochs))), **penalties}
        colours = ("#9ecae1", "#fdae6b", "#a1d99b", "#dadaeb", "#d9d9d9")
        colours = [colours[i % len(colours)] for i in range(len(parts))]
        below = np.zeros(len(epochs))
        for (name, part), colour in zip(parts.items(), colours, strict=True):
            axes.bar(epochs, part, width=1, bottom=below, color=colour, label=f"train, {name.replace('_', ' ')}")
            below = below + part
    elif "train_loss" in arrays:
        axes.plot(epochs, arrays["train_loss"], color=PALETTE[0], label="train")
    if "validation_loss" in arrays:
        label = "validation, task" if penalties else "validation"
        axes.plot(epochs, arrays["validation_loss"], color=PALETTE[1], linestyle="--", marker=".", label=label)
    axes.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    # Matplotlib lists lines before bars.
    entries = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=lambda entry: "validation" in entry[1])
    axes.legend(*zip(*entries, strict=True), frameon=False, fontsize=8)
    plain(axes)


def _columns(values: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    if not values:
        raise SparsePixError(
            "training_history: nothing to draw; give columns such as train_loss, validation_accuracy, budget"
        )
    problems, arrays = [], {}
    for name, column in values.items():
        try:
            arrays[name] = np.array(column, dtype=float)
        except (TypeError, ValueError):
            problems.append(f"{name} holds something else than numbers")
            continue
        if not np.isfinite(arrays[name]).all():
            problems.append(f"{name} holds NaN or infinity")
    if len({len(column) for column in values.values()}) > 1 or not all(values.values()):
        problems.append("epochs: " + ", ".join(f"{name} {len(column)}" for name, column in values.items()))
    if problems:
        raise SparsePixError(
            f"training_history: expected the same number of finite entries in each column, found {'; '.join(problems)}"
        )
    return arrays
