"""Pictures of pixels and of what layers compute on them show what they should: panels, titles, markers."""

import io

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from torch import nn

import sparsepix as sp
from sparsepix.plots import DROPPED, KEPT, active_counts, active_pixels, kept_pixels, layer_features, pixels_needed


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


def test_kept_pixels_of_several_reductions_stand_below_each_other():
    reductions = {name: sp.SparseInputReduce(5, selection=name) for name in ("raster", "magnitude")}
    panels = kept_pixels(images_with(7, 12, 3), reductions).axes
    assert [axes.get_title() for axes in panels[2:5]] == [
        "event 2: 3 of 3 kept",
        "event 0: 5 of 7 kept",
        "event 1: 5 of 12 kept",
    ]
    assert [axes.get_ylabel() for axes in panels] == ["raster", "", "", "magnitude", "", ""]
    assert panels[0].get_gridspec().get_geometry() == (2, 3)
    first_five, last_five = {(i, 0) for i in range(5)}, {(i, 0) for i in range(2, 7)}
    assert (markers(panels[0], KEPT), markers(panels[3], KEPT)) == (first_five, last_five)


def test_active_counts_take_the_score_and_compare_as_the_reduction_does():
    images = np.zeros((3, 2, 4, 5), dtype=np.float32)
    images[0, 0, 0, 0] = 0.1  # on the threshold in float32: not above it
    images[0, 1, 3, 4] = 0.5
    images[1, 0, 2, 2], images[1, 1, 2, 2] = 0.3, -0.3
    assert active_counts(images, 0.1).tolist() == [0, 1, 0]
    assert active_counts(images, 0.1, "any").tolist() == [1, 1, 0]
    assert active_counts(images, 0.1, "sum").tolist() == [1, 0, 0]
    for activity in ("first", "any", "sum"):
        reduced = sp.SparseInputReduce(20, 0.1, activity)(torch.from_numpy(images))
        assert active_counts(images, 0.1, activity).tolist() == reduced.active.sum(1).tolist()


def test_pixels_needed_is_the_smallest_length_that_keeps_the_share():
    images = images_with(*range(1, 11))  # event i has i + 1 active pixels
    assert pixels_needed(images, [0.0], (0.1, 0.11, 0.5, 0.9, 1.0)).tolist() == [[1, 2, 5, 9, 10]]
    # Above 0.9 the images keep 1 pixel (the only one of the first is 0.5), or the last fifth of 0.5 ... 1.
    assert pixels_needed(images, [0.9], (0.1, 1.0)).tolist() == [[0, 2]]


@pytest.mark.parametrize("share", [0.0, 1.01])
def test_pixels_needed_refuses_a_share_that_is_none(share):
    with pytest.raises(sp.SparsePixError, match="shares must be above 0 and at most 1"):
        pixels_needed(images_with(1), shares=(share,))


def test_active_pixels_draws_the_share_of_whole_events():
    images = images_with(0, 4, 4, 8)
    lengths, limits = active_pixels(images, [0.6, 0.0], max_pixels=[4], shares=(0.5, 1.0)).axes
    curves = [line.get_xydata().tolist() for line in lengths.lines if len(line.get_xdata()) > 2]
    # The lowest threshold first, whatever the order they are given in.
    assert curves[0] == [[0, 0.25], [0, 0.25], [4, 0.5], [4, 0.75], [8, 1]]
    assert [text.get_text() for text in lengths.get_legend().get_texts()] == ["0", "0.6"]
    assert lengths.get_xlim()[1] > 4
    assert [text.get_text() for text in lengths.texts] == ["4"]
    needed = {line.get_label(): line.get_xydata().tolist() for line in limits.lines if len(line.get_xdata()) == 2}
    assert needed["50 %"] == [[0.0, 4], [0.6, 3]]
    assert needed["100 %"] == [[0.0, 8], [0.6, 6]]


def test_active_pixels_of_empty_images():
    lengths, limits = active_pixels(np.zeros((3, 1, 4, 4), dtype=np.float32), [0.0]).axes
    assert lengths.lines[0].get_ydata().tolist() == [1, 1 / 3, 2 / 3, 1]
    assert limits.lines[0].get_ydata().tolist() == [0]


@pytest.mark.parametrize(
    ("images", "thresholds", "message"),
    [
        (np.zeros((3, 4, 4), dtype=np.float32), [0.0], r"\[E, C, H, W\].*found float32 \(3, 4, 4\)"),
        (np.zeros((0, 1, 4, 4), dtype=np.float32), [0.0], "at least one image"),
        (np.zeros((3, 1, 4, 4), dtype=np.uint8), [0.0], "found uint8"),
        (images_with(2), [], "1 to 8 thresholds, found 0"),
        (images_with(2), range(9), "1 to 8 thresholds, found 9"),
    ],
)
def test_active_pixels_says_what_is_wrong(images, thresholds, message):
    with pytest.raises(sp.SparsePixError, match=message):
        active_pixels(images, thresholds)


def test_kept_pixels_wants_a_title_for_each_image():
    with pytest.raises(sp.SparsePixError, match="2 titles, one for each image, found 1"):
        kept_pixels(images_with(3, 6), sp.SparseInputReduce(4), ["a"])
    with pytest.raises(sp.SparsePixError, match="reduce is empty"):
        kept_pixels(images_with(3, 6), {})


def small_model():
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("reduce", sp.SparseInputReduce(4))
    model.add_module("conv", sp.SparseConv2d(1, 3, 3))
    model.add_module("relu", sp.SparseReLU(sp.FixedPoint(8, 2, signed=False)))
    model.add_module("block", nn.Sequential(sp.SparseMaxPool2d(2), sp.SparseFlatten()))
    model.add_module("dense", sp.QuantLinear(60, 2, weight_format=sp.FixedPoint(8, 3)))
    return model


def test_layer_features_shows_what_each_layer_returns():
    model, image = small_model(), images_with(6)[0]
    figure = layer_features(model, image)
    panels = [axes for axes in figure.axes if axes.images]
    titles = [axes.get_title() for axes in panels if axes.get_title()]
    assert titles == [
        "reduce\n4 pixels of 80",
        "conv\n4 pixels of 80",
        "relu\n4 pixels of 80",
        "block.0\n2 pixels of 20",
    ]
    with torch.no_grad():
        relu = model[:3](torch.from_numpy(image[None]))
        pooled = model.block[0](relu)
    by_column = {}
    for axes in panels:
        by_column.setdefault(axes.get_subplotspec().colspan.start, []).append(axes.images[0].get_array())
    for column, pixels in ((2, relu), (3, pooled)):
        shown = by_column[column]
        assert len(shown) == 3
        dense = pixels.to_dense()[0].numpy()
        for channel, values in enumerate(shown):
            np.testing.assert_array_equal(values.filled(0), dense[channel])
            # A feature that ReLU set to 0 is shown: only places without a pixel are masked.
            assert (~values.mask).sum() == int(pixels.active.sum())
    assert any((values.compressed() == 0).any() for values in by_column[2])


def test_layer_features_leaves_the_model_as_it_was():
    model = small_model().train()
    layer_features(model, images_with(3)[0])
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_layer_features_shows_chosen_layers_and_an_empty_image():
    figure = layer_features(small_model(), images_with(0)[0], ["relu"], max_channels=2)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == ["relu\n2 of 3 channels\n0 pixels of 80", ""]
    assert all(axes.images[0].get_array().mask.all() for axes in shown)


def test_layer_features_of_a_layer_that_is_called_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.reduce = sp.SparseInputReduce(4)
            self.conv = sp.SparseConv2d(1, 1, 3)

        def forward(self, image):
            return self.conv(self.conv(self.reduce(image)))

    titles = [axes.get_title() for axes in layer_features(Twice(), images_with(3)[0]).axes if axes.images]
    assert [title.split("\n")[0] for title in titles] == ["reduce", "conv", "conv (2)"]


@pytest.mark.parametrize(
    ("model", "layers", "message"),
    [
        (small_model(), ["relu", "flat", "dense"], "'flat' is no layer, 'dense' returns no pixels.*'block.0', 'conv'"),
        (nn.Sequential(nn.Flatten(), nn.Linear(80, 1)), None, "no layer of Sequential returns SparsePixels"),
    ],
)
def test_layer_features_says_what_is_wrong(model, layers, message):
    with pytest.raises(sp.SparsePixError, match=message):
        layer_features(model, images_with(3)[0], layers)


@pytest.mark.parametrize(
    "figure",
    [
        lambda: kept_pixels(images_with(3, 12), sp.SparseInputReduce(5)),
        lambda: active_pixels(images_with(0, 3, 12), [0.0, 0.5], [4]),
        lambda: layer_features(small_model(), images_with(6)[0]),
    ],
    ids=["kept_pixels", "active_pixels", "layer_features"],
)
def test_figures_can_be_saved(figure):
    file = io.BytesIO()
    figure().savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")
