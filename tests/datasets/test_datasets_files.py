"""LHC jets and MNIST from small files in their formats: preparation against plain loops, splits, wrong files."""

import gzip

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import sparsepix as sp
from data_files import CLASSES, idx_bytes, jet_images, parts_of, write_jets, write_mnist
from sparsepix.datasets import idx_files, jets, lhc_jets, mnist, sources


def inflated(image, factor):
    side = len(image)
    result = np.zeros_like(image)
    for y, x in np.argwhere(image):
        to_y, to_x = (round((place - (side - 1) / 2) * factor + (side - 1) / 2) for place in (y, x))
        result[min(max(to_y, 0), side - 1), min(max(to_x, 0), side - 1)] = image[y, x]
    return result


def plain_jet(image):
    """The recipe pixel by pixel."""
    cut = np.zeros((56, 56))
    for row in range(56):
        for column in range(56):
            value = min(image[row + 22, column + 22] / 1200, 1)
            cut[row, column] = 0 if value <= 0.003 else value
    return np.float32(inflated(cut, 2))


def plain_digit(image):
    pooled = np.zeros((9, 9))
    for row in range(9):
        for column in range(9):
            pooled[row, column] = (image[3 * row : 3 * row + 3, 3 * column : 3 * column + 3] / 255).sum() / 9
    placed = np.zeros((48, 48), dtype=np.float32)
    placed[19:28, 19:28] = pooled
    if placed.max() > 0:
        placed /= placed.max()
    spread = inflated(placed, 3.5)
    return np.where(spread < np.float32(0.4), 0, spread)


def test_jets_are_the_plain_recipe(tmp_path):
    images, labels = jet_images(0, 40)
    images[3] = 0
    images[4, 22, 22], images[4, 77, 77], images[4, 21, 50], images[4, 78, 50] = 500, 600, 700, 800
    images[5, 40, 40], images[5, 40, 41], images[5, 40, 42], images[5, 40, 43] = 3.6, 3.61, 1200, 5000
    write_jets(tmp_path / "jetImage_7_150p_0_1.h5", images[:25], labels[:25])
    # The other file has its columns in another order.
    names = ["j_undef", *reversed(CLASSES), *(f"j_feature{i}" for i in range(53))]
    write_jets(tmp_path / "jetImage_7_150p_1_2.h5", images[25:], labels[25:], names)
    data = jets(tmp_path, cache=tmp_path / "cache")
    assert data.classes == ("g", "q", "W", "Z", "t")
    expected = sorted((plain_jet(image).tobytes(), label) for image, label in zip(images, labels, strict=True))
    found = sorted(
        (i.tobytes(), label) for part in parts_of(data) for i, label in zip(part.images, part.labels, strict=True)
    )
    # Each jet comes once: the parts are disjoint, and with fewer jets than asked for all are used.
    assert found == expected
    assert [len(part) for part in parts_of(data)] == [25, 2, 13]
    assert data.train.images.shape[1:] == (1, 56, 56)
    assert data.train.images.dtype == np.float32
    assert data.train.labels.dtype == np.int64


def test_thresholds_of_a_jet():
    momenta = np.zeros((1, 56, 56))
    momenta[0, 20, 20:25] = [3.6, 3.61, 1200, 5000, -7]
    values = lhc_jets.prepare_images(momenta)
    assert_array_equal(values[values > 0], np.float32([3.61 / 1200, 1, 1]))


@pytest.mark.parametrize("chunks", [None, 4])
def test_jets_are_the_same_in_blocks_of_any_size(tmp_path, monkeypatch, chunks):
    images, labels = jet_images(1, 31)
    path = write_jets(tmp_path / "jets.h5", images, labels, chunks=chunks)
    whole = jets(path, cache=tmp_path / "whole")
    monkeypatch.setattr(sources, "_BLOCK", 3 * 80_000)
    blocks = jets(path, cache=tmp_path / "blocks")
    for one, two in zip(parts_of(whole), parts_of(blocks), strict=True):
        assert_array_equal(one.images, two.images)
        assert_array_equal(one.labels, two.labels)


def test_sizes_and_seed_of_jets(tmp_path):
    images, labels = jet_images(2, 50)
    path = write_jets(tmp_path / "jets.h5", images, labels)
    first, again, other = (jets(path, (20, 5, 10), tmp_path / str(i), seed) for i, seed in enumerate((0, 0, 1)))
    assert [len(part) for part in parts_of(first)] == [20, 5, 10]
    assert len({image.tobytes() for part in parts_of(first) for image in part.images}) == 35
    assert_array_equal(first.test.images, again.test.images)
    assert (first.test.images != other.test.images).any()
    with pytest.raises(sp.SparsePixError, match=r"sizes: expected three numbers of at least 1, found \(5, 0, 1\)"):
        jets(path, (5, 0, 1))


def test_missing_jets_say_where_they_are(tmp_path):
    with pytest.raises(sp.SparsePixError, match="no such file") as caught:
        jets([tmp_path / "a.h5", tmp_path / "b.h5"])
    assert len(caught.value.problems) == 3
    assert "10.5281/zenodo.3602260" in str(caught.value)


def test_the_same_file_twice_is_refused(tmp_path):
    path = write_jets(tmp_path / "jetImage.h5", *jet_images(0, 5))
    with pytest.raises(sp.SparsePixError, match="comes twice"):
        jets([path, tmp_path], cache=tmp_path / "cache")


def test_jet_files_that_are_not_right_are_all_named(tmp_path):
    images, labels = jet_images(0, 10)
    names = [f"j_feature{i}" for i in range(54)] + [name for name in CLASSES if name != "j_w"]
    for letter in "abcd":
        write_jets(tmp_path / f"{letter}.h5", images, labels)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["jets"]
        del file["jetImage"]
        file["jetImage"] = np.zeros((10, 25, 25))
    with h5py.File(tmp_path / "b.h5", "a") as file:
        del file["jetFeatureNames"]
        file["jetFeatureNames"] = np.array([*names, "x"], dtype="S")
    with h5py.File(tmp_path / "c.h5", "a") as file:
        del file["jetFeatureNames"]
    with h5py.File(tmp_path / "d.h5", "a") as file:
        del file["jets"]
        file["jets"] = np.zeros((9, 59))
    (tmp_path / "e.h5").write_bytes((tmp_path / "b.h5").read_bytes()[:5000])
    with pytest.raises(sp.SparsePixError) as caught:
        jets([tmp_path / f"{letter}.h5" for letter in "abcde"], cache=tmp_path / "cache")
    text = str(caught.value)
    for expected in (
        "a.h5: jetImage: expected shape (rows, 100, 100), found (10, 25, 25)",
        "a.h5: jets: expected numbers of shape (rows, 59), found no such column",
        "b.h5: jetFeatureNames: expected j_w among the names",
        "c.h5: jetFeatureNames: expected the names of the 59 columns",
        "d.h5: expected as many rows in each of these columns, found jetImage 10, jets 9",
        "e.h5: expected a whole HDF5 file",
    ):
        assert expected in text
    assert not list((tmp_path / "cache").glob("*"))


@pytest.mark.parametrize("kind", ["no class", "two classes", "half", "nan"])
def test_jets_that_cannot_be(tmp_path, kind):
    images, labels = jet_images(0, 10)
    if kind == "nan":
        images[7, 40, 40] = np.nan
    path = write_jets(tmp_path / "a.h5", images, labels)
    with h5py.File(path, "a") as file:
        if kind == "no class":
            file["jets"][7] = 0
        elif kind == "two classes":
            file["jets"][7, 53:55] = 1
        elif kind == "half":
            file["jets"][7, 53:58] = [0.5, 0.5, 0, 0, 0]
    expected = "jetImage: expected finite values" if kind == "nan" else "jets: expected exactly one class"
    with pytest.raises(sp.SparsePixError, match=f"{expected}.* in row 7"):
        jets(path, cache=tmp_path / "cache")


@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_is_the_plain_recipe(tmp_path, zipped):
    arrays = write_mnist(tmp_path / "mnist", 0, zipped=zipped)
    data = mnist(tmp_path / "mnist", tmp_path / "cache")
    assert [len(part) for part in parts_of(data)] == [50, 10, 12]
    test = arrays["t10k-images-idx3-ubyte"]
    assert_array_equal(data.test.images[:, 0], [plain_digit(image) for image in test])
    assert_array_equal(data.test.labels, arrays["t10k-labels-idx1-ubyte"])
    expected = sorted(
        (plain_digit(image).tobytes(), label)
        for image, label in zip(arrays["train-images-idx3-ubyte"], arrays["train-labels-idx1-ubyte"], strict=True)
    )
    found = [
        (i.tobytes(), label)
        for part in (data.train, data.validation)
        for i, label in zip(part.images, part.labels, strict=True)
    ]
    assert sorted(found) == expected


def test_an_empty_digit_and_blocks(tmp_path, monkeypatch):
    images = np.zeros((3, 28, 28), dtype=np.uint8)
    images[1, 27, 27] = 255  # in the row and column that the pooling cuts
    images[2, 0, 0] = 1
    prepared = idx_files.prepare_images(images)
    assert not prepared[:2].any()
    assert prepared[2].max() == 1
    write_mnist(tmp_path / "mnist", 1)
    whole = mnist(tmp_path / "mnist", tmp_path / "a")
    monkeypatch.setattr(idx_files, "_BLOCK", 7)
    assert_array_equal(mnist(tmp_path / "mnist", tmp_path / "b").train.images, whole.train.images)
    assert (mnist(tmp_path / "mnist", tmp_path / "b", seed=1).train.images != whole.train.images).any()


def test_mnist_from_torchvisions_folder_and_from_files(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.parent.mkdir()
    write_mnist(raw, 2)
    # torchvision leaves the zipped files beside the others.
    write_mnist(raw, 2, zipped=True)
    by_folder = mnist(tmp_path, tmp_path / "cache")
    by_files = mnist(sorted(raw.glob("*.gz"), reverse=True), tmp_path / "cache")
    assert_array_equal(by_folder.train.images, by_files.train.images)


def test_missing_mnist_files_are_all_named(tmp_path):
    folder = tmp_path / "mnist"
    write_mnist(folder, 0)
    (folder / "train-labels-idx1-ubyte").unlink()
    (folder / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(sp.SparsePixError) as caught:
        mnist(folder, tmp_path / "cache")
    assert "train-labels-idx1-ubyte" in caught.value.problems[0]
    assert "t10k-images-idx3-ubyte" in caught.value.problems[1]
    assert "https://" in caught.value.problems[2]
    with pytest.raises(sp.SparsePixError, match="no such file"):
        mnist(tmp_path / "nothing")


def test_mnist_files_that_are_not_right_are_all_named(tmp_path):
    folder = tmp_path / "mnist"
    arrays = write_mnist(folder, 0)
    zipped = gzip.compress((folder / "train-images-idx3-ubyte").read_bytes())
    (folder / "train-images-idx3-ubyte").write_bytes(zipped[: len(zipped) // 2])
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(arrays["t10k-images-idx3-ubyte"]))
    whole = (folder / "t10k-images-idx3-ubyte").read_bytes()
    (folder / "t10k-images-idx3-ubyte").write_bytes(whole[:-1])
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"<html>")
    with pytest.raises(sp.SparsePixError) as caught:
        mnist(folder, tmp_path / "cache")
    for problem, (name, message) in zip(
        caught.value.problems,
        (
            ("train-images-idx3-ubyte", "expected a whole gzip file, found a damaged one"),
            ("train-labels-idx1-ubyte", "expected an IDX file that begins with 2049, found 2051"),
            ("t10k-images-idx3-ubyte", "expected 9408 bytes after the header for the shape (12, 28, 28), found 9407"),
            ("t10k-labels-idx1-ubyte", "expected an IDX file that begins with 2049"),
        ),
        strict=True,
    ):
        assert str(folder / name) in problem
        assert message in problem


def test_mnist_arrays_that_do_not_fit(tmp_path):
    folder = tmp_path / "mnist"
    arrays = write_mnist(folder, 0)
    labels = arrays["train-labels-idx1-ubyte"].copy()
    labels[3] = 10
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((11, 28, 27), dtype=np.uint8)))
    with pytest.raises(sp.SparsePixError) as caught:
        mnist(folder, tmp_path / "cache")
    text = str(caught.value)
    assert "expected labels 0 ... 9, found 10" in text
    assert "expected images of 28x28, found 28x27" in text
    assert "expected 11 labels, as many as images, found 12" in text


@pytest.mark.parametrize("kind", ["crc", "header", "garbage after header"])
def test_a_damaged_gzip_file(tmp_path, kind):
    content = bytearray(gzip.compress(idx_bytes(np.arange(40, dtype=np.uint8) % 10)))
    if kind == "crc":
        content[-6] ^= 1
    elif kind == "header":
        content[2] = 99
    else:
        content[14] ^= 255
    path = tmp_path / "labels.gz"
    path.write_bytes(bytes(content))
    with pytest.raises(sp.SparsePixError, match="damaged"):
        idx_files.read_idx(path, 1)
