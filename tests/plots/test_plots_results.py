"""Pictures of trainings, bit widths and decisions show what they should: lines, bars, numbers, names."""

import io
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from torch import nn

import sparsepix as sp
from sparsepix.plots import (
    against_max_pixels,
    auc,
    bit_width_table,
    bit_widths,
    confusion,
    roc,
    training_curve,
    training_history,
)
from sparsepix.training import History


def histories():
    first = History([2.0, 1.0, 0.5], [2.1, 1.2, 0.9], [0.2, 0.7, 0.6])
    return {"float": first, "8 bit": History([0.6, 0.4], [0.8, 0.7], [0.6, 0.8])}


@pytest.mark.parametrize("consecutive", [False, True])
def test_training_curve_draws_every_epoch_and_marks_the_best(consecutive):
    loss, accuracy = training_curve(histories(), consecutive).axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == [
        "float, train",
        "float, validation",
        "8 bit, train",
        "8 bit, validation",
    ]
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["float, best 70.0%", "8 bit, best 80.0%"]
    second = [4, 5] if consecutive else [1, 2]
    lines = {line.get_label(): line.get_xydata().tolist() for line in loss.lines}
    assert lines["float, train"] == [[1, 2.0], [2, 1.0], [3, 0.5]]
    assert lines["8 bit, validation"] == [[second[0], 0.8], [second[1], 0.7]]
    marked = [line.get_xydata().tolist() for line in accuracy.lines if line.get_marker() == "o"]
    assert marked == [[[2, 0.7]], [[second[1], 0.8]]]


COLUMNS = {
    "epoch": [1, 2, 3],
    "train_loss": [0.9, 0.6, 0.5],
    "penalty_budget": [0.3, 0.2, 0.1],
    "penalty_ebops": [0.2, 0.2, 0.2],
    "validation_loss": [1.0, 0.8, 0.7],
    "validation_accuracy": [0.5, 0.6, 0.7],
    "budget": [20, 18, 12],
    "threshold": [0.0, 0.1, 0.2],
    "ebops": [9e4, 8e4, 7e4],
    "seconds": [1.0, 1.0, 1.0],
}


def test_training_history_stacks_the_penalties_on_the_task_loss():
    loss, *others = training_history(COLUMNS).axes
    tops = [[bar.get_y() + bar.get_height() for bar in part] for part in loss.containers]
    np.testing.assert_allclose(tops, [[0.9, 0.6, 0.5], [1.2, 0.8, 0.6], [1.4, 1.0, 0.8]])
    names = [text.get_text() for text in loss.get_legend().get_texts()]
    assert names == ["train, task", "train, budget", "train, ebops", "validation, task"]
    shown = {axes.get_ylabel(): axes.lines[0].get_ydata().tolist() for axes in others if axes.axison}
    assert shown == {
        "validation accuracy": [0.5, 0.6, 0.7],
        "budget (pixels)": [20, 18, 12],
        "threshold": [0.0, 0.1, 0.2],
        "cost (EBOPs)": [9e4, 8e4, 7e4],
    }


def test_training_history_shows_only_what_was_recorded():
    recorded = ("train_loss", "validation_loss", "validation_accuracy")
    loss, accuracy = training_history({name: COLUMNS[name] for name in recorded}).axes
    assert [line.get_label() for line in loss.lines] == ["train", "validation"]
    assert accuracy.get_ylabel() == "validation accuracy"
    constant = {"budget": [20, 20, 20], "threshold": [0.0, 0.1, 0.1]}
    _, threshold = training_history({"train_loss": [3.0, 2.0, 1.0]} | constant).axes
    assert threshold.get_ylabel() == "threshold"
    (alone,) = training_history({"threshold": [0.5]}).axes
    assert alone.get_ylabel() == "threshold"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "nothing to draw"),
        ({"seconds": [1.0]}, "nothing to draw"),
        ({"train_loss": []}, "train_loss 0"),
        ({"train_loss": [1.0, 2.0], "budget": [3.0]}, "train_loss 2, budget 1"),
        (
            {"train_loss": [1.0, float("nan")], "budget": ["a", "b"]},
            "train_loss holds NaN.*budget holds something else",
        ),
    ],
)
def test_training_history_says_what_is_wrong(columns, message):
    with pytest.raises(sp.SparsePixError, match=message):
        training_history(columns)


def test_against_max_pixels_shows_mean_and_spread_of_the_seeds():
    results = {"raster": {20: [0.9], 8: [0.7, 0.8, 0.9]}, "magnitude": {8: [0.85, 0.95], 20: [0.9, 1.0]}}
    (axes,) = against_max_pixels(results, "AUC", {"standard CNN": [0.95, 0.97]}).axes
    raster, magnitude = axes.containers
    for container, means, spans in (
        (raster, [0.8, 0.9], [(0.7, 0.9), (0.9, 0.9)]),
        (magnitude, [0.9, 0.95], [(0.85, 0.95), (0.9, 1.0)]),
    ):
        line, _, (bars,) = container
        np.testing.assert_allclose(line.get_ydata(), means)
        np.testing.assert_allclose([bar[:, 1] for bar in bars.get_segments()], spans)
    assert axes.get_xticks().tolist() == [8, 20]
    names = {text.get_text() for text in axes.get_legend().get_texts()}
    assert names == {"raster", "magnitude", "standard CNN"}


@pytest.mark.parametrize("results", [{}, {"raster": {}}, {"raster": {8: []}}])
def test_against_max_pixels_wants_results(results):
    with pytest.raises(sp.SparsePixError, match=r"empty|no result for max_pixels = 8"):
        against_max_pixels(results, "AUC")


class Learned(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu = sp.SparseReLU(sp.LearnedFixedPoint(6, signed=False, initial_integer=2))
        self.conv = sp.SparseConv2d(1, 1, 3, weight_format=sp.FixedPoint(4, -1))
        self.free = sp.SparseReLU()


def test_bit_widths_draws_each_bit_at_its_value():
    weights, outputs = bit_widths(Learned()).axes
    assert [label.get_text() for label in weights.get_yticklabels()] == ["conv weight", "conv bias"]
    assert [label.get_text() for label in outputs.get_yticklabels()] == ["relu"]
    # ap_fixed<4, -1>: bits worth 2^-5 ... 2^-3, and the sign at 2^-2. A bar at x is the bit worth 2^x.
    first_row = sorted(round(bar.get_x() - 0.05) for bar in weights.patches if abs(bar.get_center()[1]) < 0.1)
    assert first_row[:4] == [-5, -4, -3, -2]
    bits = sorted(round(bar.get_x() - 0.05) for bar in outputs.patches)
    assert bits == [-4, -3, -2, -1, 0, 1]
    assert [text.get_text() for text in outputs.texts] == ["ap_ufixed<6, 2>"]
    # The largest bit is on the left.
    assert outputs.get_xlim()[0] > outputs.get_xlim()[1]


def test_bit_widths_follow_what_is_learned():
    model = Learned()
    with torch.no_grad():
        model.relu.quantizer.learned.scaling_impl.value.fill_(4.0)
    assert [text.get_text() for text in bit_widths(model).axes[1].texts] == ["ap_ufixed<6, 4>"]


def test_bit_widths_of_learned_widths():
    model = sp.models.neutrino(learn_bits=True)
    with torch.no_grad():
        model.relu1.quantizer.learned.msb_clamp_bit_width_impl.share.fill_(0.5)
    names = [label.get_text() for label in bit_widths(model).axes[1].get_yticklabels()]
    texts = dict(zip(names, (text.get_text() for text in bit_widths(model).axes[1].texts), strict=True))
    assert texts["relu1"] == "ap_ufixed<4, 2>"
    assert texts["relu2"] == "ap_ufixed<8, 2>"


def test_bit_width_table_has_a_row_for_each_layer():
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(bit_width_table(Learned()))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in console.export_text().splitlines()[3:-1]]
    assert rows == [["relu", "", "", "ap_ufixed<6, 2>"], ["conv", "ap_fixed<4, -1>", "ap_fixed<4, -1>", ""]]


def test_a_float_model_has_no_bit_widths():
    with pytest.raises(sp.SparsePixError, match="SparseCNN has no quantizers"):
        bit_widths(sp.models.digits(bits=None))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40))
def test_auc_is_the_chance_that_signal_scores_higher_than_background(events):
    labels, scores = (np.array(column) for column in zip(*events, strict=True))
    if labels.all() or not labels.any():
        with pytest.raises(sp.SparsePixError, match=r"signal \(1\) and background \(0\)"):
            auc(labels, scores)
        return
    pairs = list(itertools.product(scores[labels], scores[~labels]))
    expected = sum((signal > background) + 0.5 * (signal == background) for signal, background in pairs) / len(pairs)
    assert auc(labels.astype(int), scores[:, None] / 4) == pytest.approx(expected, abs=1e-12)


def test_roc_draws_each_model():
    labels = np.array([0, 0, 0, 0, 1, 1])
    perfect, half = np.array([0, 1, 2, 3, 4, 5.0]), np.array([0, 3, 1, 2, 1.5, 2.5])
    (axes,) = roc(labels, {"perfect": perfect, "half": half}, "neutrino", "cosmic").axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["perfect: AUC 1.0000", "half: AUC 0.6250"]
    best, other = ({tuple(point) for point in line.get_xydata().tolist()} for line in axes.lines)
    # (signal efficiency, background efficiency)
    assert (1, 0) in best
    assert {(0, 0.25), (0.5, 0.25), (0.5, 0.5), (1, 0.5), (1, 1)} <= other
    assert axes.get_yscale() == "log"
    assert axes.get_ylim() == (0.25, 1)  # one background event of four
    assert axes.get_xlabel() == "signal efficiency (neutrino)"


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1, 2], [0.0, 1.0, 2.0], r"labels \[E\] of 0 and 1.*labels == c"),
        ([1, 1], [0.0, 1.0], r"found \[1\] only"),
        ([0, 1], {"a": [0.0, np.inf], "b": [1.0]}, r"'a' has 1 scores that are not finite; 'b' has the shape \(1,\)"),
        ([0, 1], {}, "scores is empty"),
    ],
)
def test_roc_says_what_is_wrong(labels, scores, message):
    with pytest.raises(sp.SparsePixError, match=message):
        roc(np.array(labels), scores)


def test_confusion_writes_every_count_that_is_not_zero():
    figure = confusion(np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 2, 0]), ("a", "b", "c"))
    (axes,) = figure.axes
    assert axes.get_title() == "4 of 6 right (66.7%)"
    written = {tuple(int(v) for v in text.get_position()): text.get_text() for text in axes.texts}
    # (decided, true), and the share of the true class
    assert written == {
        (0, 0): "1\n50.0%",
        (1, 0): "1\n50.0%",
        (1, 1): "1\n100.0%",
        (2, 2): "2\n66.7%",
        (0, 2): "1\n33.3%",
    }
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]


def test_confusion_of_many_classes_has_counts_alone():
    (axes,) = confusion(np.array([0, 5]), np.array([0, 5]), tuple("abcdef")).axes
    assert [text.get_text() for text in axes.texts] == ["1", "1"]


def test_confusion_of_several_models_stands_side_by_side():
    labels = np.array([0, 1, 1])
    left, right = confusion(labels, {"sparse": labels, "standard": 1 - labels}, ("a", "b")).axes
    assert left.get_title() == "sparse\n3 of 3 right (100.0%)"
    assert right.get_title() == "standard\n0 of 3 right (0.0%)"
    assert {text.get_position() for text in right.texts} == {(1, 0), (0, 1)}


@pytest.mark.parametrize(
    ("labels", "decided", "message"),
    [
        (np.array([0, 2]), np.array([0, 1]), "labels from 0 to 1, found 0 ... 2"),
        (np.array([0, 1]), np.array([0, -1]), "decisions from 0 to 1, found -1 ... 0"),
        (np.array([0, 1]), {"m": np.array([0])}, "2 decisions of 'm', one for each label, found 1"),
        (np.array([0, 1]), np.array([0.3, 0.7]), r"class numbers \[E\], found float64"),
        (np.array([], dtype=int), np.array([], dtype=int), "labels as class numbers"),
    ],
)
def test_confusion_says_what_is_wrong(labels, decided, message):
    with pytest.raises(sp.SparsePixError, match=message):
        confusion(labels, decided, ("a", "b"))


@pytest.mark.parametrize(
    "figure",
    [
        lambda: training_curve(histories()),
        lambda: training_history(COLUMNS),
        lambda: against_max_pixels({"raster": {8: [0.9]}}, "AUC"),
        lambda: bit_widths(Learned()),
        lambda: roc(np.array([0, 1]), np.array([0.0, 1.0])),
        lambda: confusion(np.array([0, 1]), np.array([0, 1]), ("a", "b")),
    ],
    ids=["training_curve", "training_history", "against_max_pixels", "bit_widths", "roc", "confusion"],
)
def test_figures_can_be_saved(figure):
    file = io.BytesIO()
    figure().savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")
