"""Data sets: the sparsification against plain loops, and the split of the digits."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import sparsepix as sp
from sparsepix.datasets import digits, inflate, place_centred, sparsify


@pytest.fixture(scope="module")
def data():
    return digits()


def inflated_by_loop(image, factor):
    """One image [H, W], pixel by pixel in row-major order, so that a later pixel overwrites an earlier one."""
    height, width = image.shape
    result = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            if image[y, x] == 0:
                continue
            to_y = round((y - (height - 1) / 2) * factor + (height - 1) / 2)
            to_x = round((x - (width - 1) / 2) * factor + (width - 1) / 2)
            result[min(max(to_y, 0), height - 1), min(max(to_x, 0), width - 1)] = image[y, x]
    return result


@pytest.mark.parametrize("factor", [0.3, 1.0, 1.5, 3.0, 3.5, 9.0])
@pytest.mark.parametrize("shape", [(9, 9), (8, 13)])
def test_inflate_is_the_loop(shape, factor):
    rng = np.random.default_rng(1)
    images = rng.uniform(0.1, 1, (6, *shape)) * (rng.uniform(size=(6, *shape)) < 0.4)
    assert_array_equal(inflate(images, factor), [inflated_by_loop(image, factor) for image in images])


def test_inflate_keeps_the_later_pixel_where_two_meet():
    image = np.zeros((1, 3, 3))
    image[0, 0, 0], image[0, 2, 2], image[0, 1, 2] = 5, 7, 6
    assert_array_equal(inflate(image, 0.1)[0], [[0, 0, 0], [0, 7, 0], [0, 0, 0]])


def test_inflate_clips_to_the_image():
    image = np.zeros((1, 5, 5))
    image[0, 1, 2], image[0, 2, 3] = 1, 2
    expected = np.zeros((5, 5))
    expected[0, 2], expected[2, 4] = 1, 2
    assert_array_equal(inflate(image, 10)[0], expected)


def test_inflate_leaves_its_input_and_an_empty_image_alone():
    images = np.zeros((2, 4, 4))
    images[1, 1, 1] = 3
    before = images.copy()
    assert not inflate(images, 2.0)[0].any()
    assert_array_equal(images, before)


def test_place_centred_has_the_larger_margin_below_and_right():
    placed = place_centred(np.array([[[1, 2], [3, 4]]]), 5)
    expected = np.zeros((1, 5, 5), dtype=int)
    expected[0, 1:3, 1:3] = [[1, 2], [3, 4]]
    assert_array_equal(placed, expected)


def test_place_centred_refuses_a_larger_image():
    with pytest.raises(sp.SparsePixError, match="at most 4x4, found 5x3"):
        place_centred(np.zeros((1, 5, 3)), 4)


def test_sparsify_scales_each_image_and_drops_what_is_below_the_threshold():
    images = np.array([[[10, 4], [3.9, 0]], [[2, 0], [1, 0]], [[0, 0], [0, 0]]])
    result = sparsify(images, size=2, factor=1.0, threshold=0.4)
    assert result.dtype == np.float32
    assert result.shape == (3, 1, 2, 2)
    expected = np.array([[[1, 0.4], [0, 0]], [[1, 0], [0.5, 0]], [[0, 0], [0, 0]]], dtype=np.float32)
    assert_array_equal(result[:, 0], expected)


def test_digits_are_the_loop_on_the_shipped_images(data):
    from sklearn.datasets import load_digits

    raw = load_digits().images.astype(np.float32)
    expected = {}
    for i in (0, 100, 1500):
        placed = np.zeros((48, 48), dtype=np.float32)
        placed[20:28, 20:28] = raw[i] / raw[i].max()
        spread = inflated_by_loop(placed, 3.0)
        expected[i] = np.where(spread < 0.4, 0, spread)
    everything = np.concatenate([part.images for part in (data.train, data.validation, data.test)])[:, 0]
    for image in expected.values():
        assert (everything == image).all(axis=(1, 2)).any()


def test_digits_split_is_disjoint_and_complete(data):
    parts = [data.train, data.validation, data.test]
    assert [len(part) for part in parts] == [1257, 180, 360]
    from sklearn.datasets import load_digits

    every = [image.tobytes() for part in parts for image in part.images]
    shipped = sparsify(load_digits().images, 48, 3.0, 0.4)
    # Each shipped image comes once: together with the count, no image can be in two parts.
    assert sorted(every) == sorted(image.tobytes() for image in shipped)


def test_digits_split_is_stratified(data):
    for part in (data.train, data.validation, data.test):
        counts = np.bincount(part.labels, minlength=10)
        assert counts.sum() == len(part.images)
        shares = counts / len(part)
        assert abs(shares - 0.1).max() < 0.01


def test_digits_are_sparse_and_scaled(data):
    images = data.train.images
    assert images.dtype == np.float32
    assert data.train.labels.dtype == np.int64
    assert images.shape[1:] == (1, 48, 48)
    assert_array_equal(images.max(axis=(1, 2, 3)), 1)
    assert images[images > 0].min() >= np.float32(0.4)
    assert 15 < (images > 0).sum(axis=(1, 2, 3)).mean() < 25


def test_digits_are_the_same_every_time_and_differ_by_seed(data):
    again, other = digits(), digits(seed=1)
    assert_array_equal(again.train.images, data.train.images)
    assert_array_equal(again.test.labels, data.test.labels)
    assert (other.test.images != data.test.images).any()


def test_digits_of_another_geometry():
    small = digits(size=24, factor=2.0, threshold=0.6)
    assert small.test.images.shape == (360, 1, 24, 24)
    assert small.test.images[small.test.images > 0].min() >= np.float32(0.6)
