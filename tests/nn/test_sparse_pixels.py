"""Lists of pixels that a user makes are checked, those of the layers are not."""

import pytest
import torch
from numpy.testing import assert_array_equal

import sparsepix as sp
from sparsepix.pixels import sparse_pixels

COORDS = torch.tensor([[[0, 1], [2, 6], [-1, -1]], [[3, 0], [-1, -1], [0, 0]]])
FEATURES = torch.tensor([[[1.0], [2.0], [0.0]], [[3.0], [0.0], [4.0]]])
SHAPE = (4, 7)


def changed(tensor, place, value):
    """A copy with other numbers at one place."""
    tensor = tensor.clone()
    tensor[place] = torch.as_tensor(value, dtype=tensor.dtype)
    return tensor


def test_pixels_lie_where_they_are_said_to(tmp_path):
    dense = sp.SparsePixels(FEATURES, COORDS, SHAPE).to_dense()
    assert dense.shape == (2, 1, 4, 7)
    assert [tuple(place) for place in dense.nonzero()[:, [0, 2, 3]].tolist()] == [
        (0, 0, 1), (0, 2, 6), (1, 0, 0), (1, 3, 0),
    ]  # fmt: skip
    int32 = sp.SparsePixels(FEATURES.double(), COORDS.int(), torch.Size(SHAPE))
    assert int32.spatial_shape == SHAPE
    assert_array_equal(int32.to_dense().numpy(), dense.numpy())


REFUSED = [
    (FEATURES, changed(COORDS, (0, 1), [2, 7]), SHAPE, r"inside of the image \(4, 7\).*\(2, 7\) \(image 0, slot 1\)"),
    (FEATURES, changed(COORDS, (1, 0), [4, 0]), SHAPE, r"inside of the image.*found \(4, 0\) \(image 1, slot 0\)"),
    (FEATURES, changed(COORDS, (0, 2), [-1, 3]), SHAPE, r"or be \(-1, -1\) in an empty slot, found \(-1, 3\)"),
    (FEATURES, changed(COORDS, (0, 2), [3, -1]), SHAPE, r"found \(3, -1\) \(image 0, slot 2\)"),
    (FEATURES, changed(COORDS, (0, 2), [-2, -2]), SHAPE, r"found \(-2, -2\)"),
    (FEATURES, COORDS + 100, SHAPE, r"found \(100, 101\) \(image 0, slot 0\) and 5 more"),
    (FEATURES, COORDS.flip(-1), SHAPE, r"are they \(x, y\)\? coords are \(row, column\): take coords\.flip\(-1\)"),
    (FEATURES, changed(COORDS, (1, 0), [0, 0]), SHAPE, r"listed once, found one again at \(0, 0\) \(image 1, slot 2\)"),
    (changed(FEATURES, (0, 2), 5.0), COORDS, SHAPE, r"features of an empty slot must be 0.*\(image 0, slot 2\)"),
    (changed(FEATURES, (1, 0), torch.nan), COORDS, SHAPE, r"features must be finite, found NaN .*\(3, 0\) \(image 1"),
    (changed(FEATURES, (1, 0), torch.inf), COORDS, SHAPE, "features must be finite"),
    (FEATURES[0], COORDS, SHAPE, r"features must be a floating-point tensor \[B, N, C\], found torch.float32 \(3, 1\)"),
    (FEATURES.int(), COORDS, SHAPE, "features must be a floating-point tensor.*int32"),
    (FEATURES.tolist(), COORDS, SHAPE, "features must be a floating-point tensor.*found list"),
    (FEATURES, COORDS.float(), SHAPE, r"coords must be integers .*float32.*use coords\.long\(\)"),
    (FEATURES, COORDS.bool(), SHAPE, "coords must be integers .*bool"),
    (FEATURES, COORDS.numpy(), SHAPE, "coords must be integers .*ndarray"),
    (FEATURES, COORDS[:1], SHAPE, r"coords must be \[B, N, 2\].*found \(1, 3, 2\)"),
    (FEATURES, COORDS[..., :1], SHAPE, r"coords must be \[B, N, 2\].*found \(2, 3, 1\)"),
    (FEATURES, COORDS.to("meta"), SHAPE, "must be on one device, found cpu and meta"),
    (FEATURES, COORDS, (4, 0), r"spatial_shape must be \(H, W\), two numbers of at least 1, found \(4, 0\)"),
    (FEATURES, COORDS, (4, 7, 1), r"spatial_shape must be \(H, W\)"),
    (FEATURES, COORDS, (4, 7.5), r"spatial_shape must be \(H, W\)"),
    (FEATURES, COORDS, 4, r"spatial_shape must be \(H, W\), .*found 4"),
]  # fmt: skip


@pytest.mark.parametrize(("features", "coords", "shape", "message"), REFUSED)
def test_wrong_lists_are_refused(features, coords, shape, message):
    with pytest.raises(sp.SparsePixError, match=message):
        sp.SparsePixels(features, coords, shape)


def test_all_problems_at_once():
    with pytest.raises(sp.SparsePixError) as error:
        sp.SparsePixels(changed(FEATURES, (0, 2), torch.nan), changed(COORDS, (0, 0), [2, 6]) + 0, (2, 7))
    kinds = ["coords must lie inside", "features of an empty slot", "features must be finite"]
    assert all(kind in str(error.value) for kind in kinds)
    with pytest.raises(sp.SparsePixError) as error:
        sp.SparsePixels(FEATURES[0], COORDS.float(), (0, 1))
    assert len(error.value.problems) == 4


def test_swapped_coordinates_of_a_square_image_cannot_be_told():
    assert sp.SparsePixels(FEATURES, COORDS.flip(-1), (7, 7)).to_dense().sum() == 10


def test_layers_check_nothing_again(monkeypatch):
    def checked(*_):
        raise AssertionError("in the way of a training step")

    image = torch.rand(3, 1, 6, 6)
    pixels = sp.SparsePixels(FEATURES, COORDS, SHAPE)
    monkeypatch.setattr(sparse_pixels, "_check_numbers", checked)
    conv, pool = sp.SparseConv2d(1, 2, 3, stride=2), sp.SparseMaxPool2d(2)
    pool(sp.SparseReLU()(conv(pixels)))
    sp.SparseFlatten()(pool(sp.SparseAvgPool2d(1)(sp.concat([pixels, pixels.replace(FEATURES * 2)]))))
    sp.SparseInputReduce(9)(image)


def test_other_features_on_the_same_pixels():
    pixels = sp.SparsePixels(FEATURES, COORDS, SHAPE)
    assert pixels.replace(torch.zeros(2, 3, 5)).channels == 5
    with pytest.raises(sp.SparsePixError, match=r"features must be \[B, N, C\] .*found \(2, 4, 5\)"):
        pixels.replace(torch.zeros(2, 4, 5))


@pytest.mark.parametrize("compiled", [True, False])
def test_a_list_may_be_made_in_a_compiled_forward(compiled):
    torch._dynamo.reset()

    def forward(features):
        return sp.SparsePixels(features * 2, COORDS, SHAPE).to_dense()

    run = torch.compile(forward, backend="aot_eager", fullgraph=True) if compiled else forward
    assert_array_equal(run(FEATURES).numpy(), sp.SparsePixels(FEATURES, COORDS, SHAPE).to_dense().numpy() * 2)


def test_what_pixels_have_not():
    pixels = sp.SparsePixels(FEATURES, COORDS, SHAPE)
    assert not hasattr(pixels, "mean")
    assert not hasattr(pixels, "no_such_thing")
    with pytest.raises(AttributeError, match="SparsePixels has no attribute 'no_such_thing'"):
        _ = pixels.no_such_thing
