"""Prepared data on disk: used again, made again when something changed, refused where it cannot be written."""

import io
import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from rich.console import Console

import sparsepix as sp
from data_files import jet_images, write_jets
from sparsepix.datasets import active_pixels, cache, jets, lhc_jets


@pytest.fixture
def path(tmp_path):
    return write_jets(tmp_path / "jetImage_0.h5", *jet_images(0, 40))


@pytest.fixture
def prepared_counts(monkeypatch):
    """How often the files were read."""
    calls = []
    plain = lhc_jets._prepare
    monkeypatch.setattr(lhc_jets, "_prepare", lambda *arguments: calls.append(1) or plain(*arguments))
    return calls


def same(one, two):
    return all(
        np.array_equal(getattr(one, part).images, getattr(two, part).images)
        and np.array_equal(getattr(one, part).labels, getattr(two, part).labels)
        for part in ("train", "validation", "test")
    )


def test_the_second_call_does_not_read_the_files(path, tmp_path):
    first = jets(path, cache=tmp_path / "cache")
    stat = path.stat()
    path.write_bytes(b"x" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert same(jets(path, cache=tmp_path / "cache"), first)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_cache_is_compact(path, tmp_path):
    data = jets(path, cache=tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    active = sum(np.count_nonzero(part.images) for part in (data.train, data.validation, data.test))
    # Six bytes a pixel, nine an image, and the names and headers of the arrays.
    assert file.stat().st_size < 6 * active + 9 * 40 + 6000


@pytest.mark.parametrize("change", ["time", "content"])
def test_a_changed_file_makes_the_cache_stale(path, tmp_path, prepared_counts, change):
    folder = tmp_path / "cache"
    first = jets(path, cache=folder)
    if change == "time":
        os.utime(path, ns=(0, 0))
    else:
        write_jets(path, *jet_images(1, 40))
    second = jets(path, cache=folder)
    assert len(prepared_counts) == 2
    assert same(first, second) == (change == "time")
    # The stale one is replaced, not kept beside.
    assert len(list(folder.iterdir())) == 1
    jets(path, cache=folder)
    assert len(prepared_counts) == 2


def test_another_version_of_the_preparation_makes_the_cache_stale(path, tmp_path, prepared_counts, monkeypatch):
    jets(path, cache=tmp_path / "cache")
    plain = lhc_jets.Recipe
    monkeypatch.setattr(lhc_jets, "Recipe", lambda name, version, *rest: plain(name, version + 1, *rest))
    jets(path, cache=tmp_path / "cache")
    assert len(prepared_counts) == 2
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_other_parameters_have_their_own_cache(path, tmp_path, prepared_counts):
    for _ in range(2):
        jets(path, cache=tmp_path / "cache", seed=0)
        jets(path, cache=tmp_path / "cache", seed=1)
        jets(path, (5, 5, 5), cache=tmp_path / "cache")
    assert len(prepared_counts) == 3
    assert len(list((tmp_path / "cache").iterdir())) == 3


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text", "another file", "pickle"])
def test_a_damaged_cache_is_made_again(path, tmp_path, prepared_counts, damage):
    folder = tmp_path / "cache"
    first = jets(path, cache=folder)
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    if damage == "empty":
        file.write_bytes(b"")
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        # In the middle of the largest array, the values of the training images.
        content[content.index(b"train_values.npy") + 300] ^= 255
        file.write_bytes(content)
    elif damage == "text":
        file.write_text("not a cache")
    elif damage == "another file":
        np.savez(file.open("wb"), something=np.zeros(3))
    else:
        np.save(file.open("wb"), np.array([{"a": 1}], dtype=object), allow_pickle=True)
    text = io.StringIO()
    second = jets(path, cache=folder, console=Console(file=text, width=200))
    assert same(first, second)
    assert len(prepared_counts) == 2
    assert "damaged" in text.getvalue()
    jets(path, cache=folder)
    assert len(prepared_counts) == 2


def test_the_console_says_what_happens(path, tmp_path):
    text = io.StringIO()
    console = Console(file=text, width=80)
    jets(path, cache=tmp_path / "cache", console=console)
    assert "preparing jet into" in text.getvalue()
    jets(path, cache=tmp_path / "cache", console=console)
    assert "prepared data: " in text.getvalue()


def test_an_interrupted_preparation_leaves_nothing(path, tmp_path, monkeypatch):
    def fails(file, **arrays):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", fails)
    with pytest.raises(sp.SparsePixError, match=r"npz: cannot be written: no space left.*give another folder"):
        jets(path, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_folder_that_cannot_be_is_refused_before_the_work(path, tmp_path, prepared_counts):
    (tmp_path / "file").write_text("")
    with pytest.raises(sp.SparsePixError, match="the folder of the cache cannot be made"):
        jets(path, cache=tmp_path / "file")
    assert not prepared_counts


def test_the_default_folder_is_the_users(path, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    jets(path)
    assert len(list((tmp_path / "mine" / "sparsepix").glob("jet-*.npz"))) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.default_folder() == tmp_path / ".cache" / "sparsepix"


def test_large_images_are_memory_mapped(path, tmp_path, monkeypatch):
    plain = jets(path, cache=tmp_path / "cache")
    monkeypatch.setattr(active_pixels, "IN_MEMORY", 30 * 56 * 56)
    mapped = jets(path, cache=tmp_path / "cache")
    assert isinstance(mapped.train.images, np.memmap)
    assert not isinstance(mapped.validation.images, np.memmap)
    assert same(plain, mapped)


def test_training_on_memory_mapped_images(path, tmp_path, monkeypatch):
    from sparsepix import models, training

    monkeypatch.setattr(active_pixels, "IN_MEMORY", 0)
    data = jets(path, cache=tmp_path / "cache")
    model = models.jet(max_pixels=8)
    history = training.fit(model, data, epochs=1)
    assert np.isfinite(history.train_loss).all()
    assert training.predict(model, data.test.images).shape == (len(data.test), 5)


def test_pack_and_dense_are_inverse(monkeypatch):
    monkeypatch.setattr(active_pixels, "_BLOCK", 3)
    rng = np.random.default_rng(0)
    images = (rng.normal(size=(10, 2, 5, 7)) * (rng.random((10, 2, 5, 7)) < 0.3)).astype(np.float32)
    images[[0, 4, 9]] = 0
    images[5, 0, 0, 0] = images[5, 1, 4, 6] = -1
    labels = rng.integers(0, 256, 10)
    packed = active_pixels.pack(images, labels)
    assert_array_equal(packed.dense((2, 5, 7)), images)
    assert_array_equal(packed.labels, labels)
    joined = active_pixels.concatenate([packed, active_pixels.pack(images[:0], labels[:0]), packed])
    assert_array_equal(joined.dense((2, 5, 7)), np.concatenate([images, images]))
    order = np.array([9, 3, 3, 0, 13])
    assert_array_equal(joined.take(order).dense((2, 5, 7)), images[order % 10])
    assert_array_equal(joined.take(order).labels, labels[order % 10])
    assert joined.take(order[:0]).dense((2, 5, 7)).shape == (0, 2, 5, 7)


@pytest.mark.parametrize(("width", "places"), [(256, np.uint16), (257, np.uint32)])
def test_the_last_place_of_an_image(width, places):
    image = np.zeros((1, 1, 256, width), dtype=np.float32)
    image[0, 0, 255, width - 1] = 1
    packed = active_pixels.pack(image, np.zeros(1))
    assert packed.places.dtype == places
    assert_array_equal(packed.dense((1, 256, width)), image)


def test_a_cache_whose_arrays_do_not_fit_together_is_made_again(path, tmp_path, prepared_counts):
    folder = tmp_path / "cache"
    first = jets(path, cache=folder)
    (file,) = folder.iterdir()
    with np.load(file) as archive:
        whole = dict(archive)
    changes = [
        {"train_places": whole["train_places"] + np.uint16(60000)},
        {"train_offsets": whole["train_offsets"][::-1]},
        {"test_labels": whole["test_labels"] + np.uint8(9)},
        {"validation_values": whole["validation_values"][:-1]},
        {"validation_values": whole["validation_values"] * np.float32(np.nan)},
        {"train_labels": whole["train_labels"].astype(object)},
    ]
    for number, change in enumerate(changes, start=2):
        np.savez(file, **whole | change)
        assert same(jets(path, cache=folder), first)
        assert len(prepared_counts) == number
