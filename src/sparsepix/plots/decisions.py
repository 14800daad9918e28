"""Pictures of decisions: ROC curves and confusion matrices."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sparsepix.plots.style import LINES, PALETTE, new_figure, nonempty, plain
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.tools import needed_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a signal event scores higher than a background event.

    Equal scores count half. Quantized models give few different scores, so that this matters.

    Args:
        labels: [E] or [E, 1], 1 (or true) for signal and 0 for background.
        scores: [E] or [E, 1], larger for signal: logits or probabilities.

    Raises:
        SparsePixError: other labels, labels of one class only, scores that are not finite, or another number of them.
    """
    with needed_for("a ROC curve"):
        from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(_scored("auc", labels, {"scores": scores}), _flat(scores)))


def roc(
    labels: np.ndarray,
    scores: np.ndarray | Mapping[str, np.ndarray],
    signal: str = "signal",
    background: str = "background",
) -> "Figure":
    """Background efficiency (logarithmic) against signal efficiency, a line for each model, its AUC in the legend.

    The axis ends where a single background event is left: below that the sample says nothing.

    Args:
        labels: [E] or [E, 1], 1 (or true) for signal and 0 for background; for one class of several, ``labels == c``.
        scores: [E] or [E, 1] of a model, or of several by name; larger for signal: logits or probabilities.
        signal: what class 1 is.
        background: what class 0 is.

    Raises:
        SparsePixError: see ``auc``.
    """
    with needed_for("a ROC curve"):
        from sklearn.metrics import roc_curve

    named = scores if isinstance(scores, Mapping) else {"": scores}
    truth = _scored("roc", labels, named)
    figure = new_figure(5.2, 4.2)
    axes = figure.subplots()
    for i, (name, values) in enumerate(named.items()):
        false_positive, true_positive, _ = roc_curve(truth, _flat(values))
        label = f"{name}: AUC {auc(truth, values):.4f}" if name else f"AUC {auc(truth, values):.4f}"
        style = {"color": PALETTE[i % len(PALETTE)], "linestyle": LINES[i // len(PALETTE) % len(LINES)]}
        axes.plot(true_positive, false_positive, label=label, linewidth=1.5, **style)
    least = min(1 / np.count_nonzero(truth == 0), 0.5)
    axes.set(xlabel=f"signal efficiency ({signal})", ylabel=f"background efficiency ({background})")
    axes.set(yscale="log", xlim=(0, 1), ylim=(least, 1))
    axes.legend(frameon=False, fontsize=8)
    plain(axes)
    return figure


def confusion(labels: np.ndarray, decisions: np.ndarray | Mapping[str, np.ndarray], classes: Sequence[str]) -> "Figure":
    """How often each true class is decided as each class; mistakes have a colour of their own.

    Args:
        labels: [E], the number of the true class of each event.
        decisions: [E] of a model, or of several by name: then the matrices are drawn side by side.
        classes: their names, by number.

    Raises:
        SparsePixError: a number that is no class, another number of decisions than of labels, no model, or no event.
    """
    named = decisions if isinstance(decisions, Mapping) else {"": decisions}
    nonempty("confusion", "decisions", named)
    counts = {}
    truth = _classes("confusion", "labels", labels, len(classes))
    for name, values in named.items():
        decided = _classes("confusion", f"decisions of {name!r}" if name else "decisions", values, len(classes))
        if len(decided) != len(truth):
            raise SparsePixError(
                f"confusion: expected {len(truth)} decisions{name and f' of {name!r}'}, one for each label, "
                f"found {len(decided)}"
            )
        counts[name] = np.zeros((len(classes), len(classes)), dtype=int)
        np.add.at(counts[name], (truth, decided), 1)
    figure = new_figure(0.4 + 4.0 * len(named), 4.6)
    panels = figure.subplots(1, len(named), squeeze=False)[0]
    for axes, (name, matrix) in zip(panels, counts.items(), strict=True):
        _matrix(axes, matrix, classes, name)
        axes.set(xlabel="decided")
    panels[0].set(ylabel="true")
    return figure


def _matrix(axes: "Axes", counts: np.ndarray, classes: Sequence[str], name: str) -> None:
    right, total = int(np.trace(counts)), int(counts.sum())
    # On one scale a few mistakes would be as pale as none.
    diagonal = np.eye(len(classes), dtype=bool)
    mistakes = np.where(diagonal, 0, counts)
    axes.imshow(np.ma.masked_where(~diagonal, counts), cmap="Blues", vmin=0, vmax=2 * max(counts.max(), 1))
    axes.imshow(np.ma.masked_where(mistakes == 0, mistakes), cmap="Reds", vmin=0, vmax=2 * max(mistakes.max(), 1))
    roomy = len(classes) <= 5
    for row, column in np.argwhere(counts):
        # With room: the share of the true class too, on the diagonal its efficiency.
        share = f"\n{counts[row, column] / counts[row].sum():.1%}" if roomy else ""
        text = f"{counts[row, column]}{share}"
        axes.text(column, row, text, ha="center", va="center", fontsize=11 if roomy else 8)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    title = f"{right} of {total} right ({right / total:.1%})"
    axes.set_title(f"{name}\n{title}" if name else title, fontsize=10)


def _flat(values: np.ndarray) -> np.ndarray:
    found = np.asarray(values)
    return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found


def _scored(caller: str, labels: np.ndarray, scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """The labels as bool [E], if they and the scores can be drawn."""
    nonempty(caller, "scores", scores)
    truth = _flat(labels)
    if truth.ndim != 1 or not np.isin(truth, (0, 1)).all():
        raise SparsePixError(
            f"{caller}: expected labels [E] of 0 and 1, found {truth.dtype} {truth.shape} with values "
            f"{np.unique(truth)[:6]}; for one class of several give labels == c"
        )
    present = np.unique(truth)
    if len(present) != 2:
        raise SparsePixError(f"{caller}: expected signal (1) and background (0) among the labels, found {present} only")
    problems = []
    for name, values in scores.items():
        found = _flat(values)
        if found.shape != truth.shape:
            problems.append(f"{name!r} has the shape {found.shape}, and the labels {truth.shape}")
        elif not np.isfinite(found).all():
            problems.append(f"{name!r} has {np.count_nonzero(~np.isfinite(found))} scores that are not finite")
    if problems:
        raise SparsePixError(f"{caller}: expected a finite score for each label, found that " + "; ".join(problems))
    return truth.astype(bool)


def _classes(caller: str, argument: str, values: np.ndarray, count: int) -> np.ndarray:
    found = np.asarray(values)
    if found.ndim != 1 or not len(found) or not np.issubdtype(found.dtype, np.integer):
        raise SparsePixError(f"{caller}: expected {argument} as class numbers [E], found {found.dtype} {found.shape}")
    if found.min() < 0 or found.max() >= count:
        raise SparsePixError(
            f"{caller}: expected {argument} from 0 to {count - 1}, found {found.min()} ... {found.max()}"
        )
    return found
