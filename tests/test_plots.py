"""Pictures show what they should: panels, titles, numbers of markers."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgba

import sparsepix as sp
from sparsepix.plots import DROPPED, KEPT, confusion, kept_pixels, training_curve
from sparsepix.training import History


def markers(axes, colour):
    """Positions (column, row) of the markers of one colour."""
    found = [c.get_offsets() for c in axes.collections if np.allclose(c.get_facecolor()[0], to_rgba(colour))]
    return {tuple(int(v) for v in point) for points in found for point in np.ma.filled(points)}


def images_with(*counts):
    """Images [E, 1, 8, 10] whose first pixels in row-major order are active, the last of them the brightest."""
    images = np.zeros((len(counts), 1, 8, 10), dtype=np.float32)
    for image, count in zip(images, counts, strict=True):
        image.reshape(-1)[:count] = np.linspace(0.5, 1, count)
    return images


@pytest.mark.parametrize("selection", ["raster", "magnitude"])
def test_kept_pixels_shows_each_active_pixel_once(selection):
    figure = kept_pixels(
        images_with(3, 12, 0), sp.SparseInputReduce(5, selection=selection), ["a", "b", "c"], columns=2
    )
    panels = figure.axes
    assert [axes.get_title() for axes in panels[:3]] == ["a: 3 of 3 kept", "b: 5 of 12 kept", "c: 0 of 0 kept"]
    assert len(panels) == 4
    assert not panels[3].axison
    assert markers(panels[0], KEPT) == {(0, 0), (1, 0), (2, 0)}
    assert not markers(panels[0], DROPPED)
    places = [(i % 10, i // 10) for i in range(12)]
    kept = places[:5] if selection == "raster" else places[-5:]
    assert markers(panels[1], KEPT) == set(kept)
    assert markers(panels[1], DROPPED) == set(places) - set(kept)
    assert not markers(panels[2], KEPT) | markers(panels[2], DROPPED)
    # Row 0 is at the top, as in an image.
    assert panels[0].get_ylim() == (7.5, -0.5)
    assert panels[0].get_xlim() == (-0.5, 9.5)


def test_kept_pixels_counts_with_the_threshold_of_the_model():
    figure = kept_pixels(images_with(11), sp.SparseInputReduce(80, threshold=0.75))
    assert figure.axes[0].get_title() == "event 0: 5 of 5 kept"
    assert len(markers(figure.axes[0], KEPT)) == 5


def test_kept_pixels_has_one_legend():
    figure = kept_pixels(images_with(3, 6), sp.SparseInputReduce(4))
    assert [[text.get_text() for text in legend.get_texts()] for legend in figure.legends] == [["kept", "dropped"]]


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


def test_confusion_writes_every_count_that_is_not_zero():
    figure = confusion(np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 2, 0]), ("a", "b", "c"))
    (axes,) = figure.axes
    assert axes.get_title() == "4 of 6 right (66.7%)"
    written = {tuple(int(v) for v in text.get_position()): text.get_text() for text in axes.texts}
    # (decided, true)
    assert written == {(0, 0): "1", (1, 0): "1", (1, 1): "1", (2, 2): "2", (0, 2): "1"}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "figure",
    [
        lambda: kept_pixels(images_with(3, 12), sp.SparseInputReduce(5)),
        lambda: training_curve(histories()),
        lambda: confusion(np.array([0, 1]), np.array([0, 1]), ("a", "b")),
    ],
    ids=["kept_pixels", "training_curve", "confusion"],
)
def test_figures_can_be_saved(figure):
    file = io.BytesIO()
    figure().savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")
