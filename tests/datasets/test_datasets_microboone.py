"""The MicroBooNE open samples: tables, labels and windows against plain loops."""

import io
import math
from collections import Counter

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from rich.console import Console

from data_files import Event, neutrino_event, parts_of, write_microboone
from sparsepix import datasets
from sparsepix.datasets import lartpc, microboone, sources, wire_events

WIRES = (2400, 2400, 3456)


def plain_plane(event, plane):
    """Charge and label of a plane, value by value as FORMATS says."""
    charge = np.zeros((WIRES[plane], 1066), dtype=np.float32)
    label = np.zeros((WIRES[plane], 1066), dtype=np.int8)
    for (at, wire), waveform in event.wires.items():
        if at != plane:
            continue
        for time in range(1066):
            total = float(sum(waveform[6 * time : 6 * time + 6].tolist()))
            charge[wire, time] = 0 if total < 10 else min(total, 100)
    is_neutrino = {}
    for hit_id, g4_id, energy in event.deposits:
        if hit_id not in is_neutrino or energy > is_neutrino[hit_id][0]:
            is_neutrino[hit_id] = (energy, g4_id >= 0)
    ticks = {}
    for wanted, value in ((True, 1), (False, -1)):
        for hit_id, at, wire, time, rms in event.hits:
            if at == plane and is_neutrino.get(hit_id, (0, False))[1] == wanted:
                row = ticks.setdefault(wire, [0] * 6400)
                # The file holds float32.
                time, rms = float(np.float32(time)), float(np.float32(rms))
                for tick in range(max(0, math.floor(time - 2 * rms)), min(6399, math.ceil(time + 2 * rms)) + 1):
                    row[tick] = value
    for wire, row in ticks.items():
        for time in range(1066):
            label[wire, time] = np.sign(sum(row[6 * time : 6 * time + 6]))
    return charge, label


def hard_events():
    """Ordinary events, one without hits, one without deposits, one with a single wire, hits over every edge."""
    ordinary = neutrino_event(1, (1, 0, 5))
    no_hits = neutrino_event(2, (1, 0, 6), wires=4)
    no_hits.hits, no_hits.deposits = [], []
    no_deposits = neutrino_event(3, (1, 1, 6), wires=4)
    no_deposits.deposits = []
    edges = Event((2, 0, 0))
    for plane, last in enumerate((2399, 2399, 3455)):
        for wire in (0, last):
            edges.wires[plane, wire] = np.full(6400, 3, dtype=np.float32)
            edges.hits += [
                (2 * wire + plane, plane, wire, 1.0, 3.0),
                (20_000 + 2 * wire + plane, plane, wire, 6399.0, 9.5),
            ]
    edges.deposits = [(hit[0], 1, 1.0) for hit in edges.hits if hit[0] % 2]
    one_wire = Event(
        (2, 0, 1), {(1, 9): np.arange(6400, dtype=np.float32) % 7}, [(0, 1, 9, 100.5, 2.25)], [(0, 0, 1.0)]
    )
    return [ordinary, no_hits, no_deposits, edges, one_wire]


@pytest.fixture(scope="module")
def hard():
    events = hard_events()
    return events, [plain_plane(event, plane) for event in events for plane in (0, 1, 2)]


@pytest.mark.parametrize(("rows_a_block", "chunks"), [(1, None), (7, None), (100_000, None), (10, 4)])
def test_planes_are_the_plain_loops(tmp_path, monkeypatch, hard, rows_a_block, chunks):
    events, plain = hard
    path = write_microboone(tmp_path / "nue_WithWire_1.h5", events, chunks)
    monkeypatch.setattr(sources, "_BLOCK", rows_a_block * 6400 * 4)
    read = []
    found = list(wire_events.planes_of(path, (0, 1, 2), read.append))
    assert sum(read) == sum(len(event.wires) for event in events)
    assert [(plane.event, plane.plane) for plane in found] == [(e.event_id, p) for e in events for p in (0, 1, 2)]
    for plane, (charge, label) in zip(found, plain, strict=True):
        assert_array_equal(plane.charge, charge)
        assert_array_equal(plane.label, label)


def test_planes_of_integer_waveforms(tmp_path):
    events = [neutrino_event(4, (1, 0, 0), wires=5)]
    path = write_microboone(tmp_path / "a.h5", events, dtype=np.int16)
    (found,) = wire_events.planes_of(path, (1,), lambda _: None)
    assert_array_equal(found.charge, plain_plane(events[0], 1)[0])


def test_a_block_is_all_that_is_read_of_the_waveforms(tmp_path, monkeypatch):
    path = write_microboone(tmp_path / "a.h5", hard_events())
    monkeypatch.setattr(sources, "_BLOCK", 5 * 6400 * 4)
    sizes = []
    plain = h5py.Dataset.__getitem__

    def recorded(self, *arguments, **options):
        values = plain(self, *arguments, **options)
        sizes.append((self.name, values.nbytes))
        return values

    monkeypatch.setattr(h5py.Dataset, "__getitem__", recorded)
    list(wire_events.planes_of(path, (2,), lambda _: None))
    waveforms = [size for name, size in sizes if name == "/wire_table/adc"]
    assert len(waveforms) > 20
    assert max(waveforms) <= 5 * 6400 * 4


def test_charge_is_cut_below_10_and_clipped_above_100(tmp_path):
    waveform = np.zeros(6400, dtype=np.float32)
    for time, total in enumerate((9.75, 10, 100, 101, -50)):
        waveform[6 * time + 2] = total
    waveform[6396:] = 90
    path = write_microboone(tmp_path / "a.h5", [Event((0, 0, 0), {(0, 3): waveform})])
    (plane,) = wire_events.planes_of(path, (0,), lambda _: None)
    assert_array_equal(plane.charge[3, :6], [0, 10, 100, 100, 0, 0])
    assert plane.charge[3, -1] == 0
    assert plane.charge.sum() == 210


def label_of(tmp_path, hits, deposits):
    event = Event((0, 0, 0), {(0, 0): np.zeros(6400, dtype=np.float32)}, hits, deposits)
    (plane,) = wire_events.planes_of(write_microboone(tmp_path / "a.h5", [event]), (0,), lambda _: None)
    return plane.label[0]


@pytest.mark.parametrize(
    ("deposits", "expected"),
    [
        ([(0, 5, 0.4), (0, -1, 0.6)], -1),
        ([(0, -1, 0.4), (0, 0, 0.6)], 1),
        ([(0, 5, 0.5), (0, -1, 0.5)], 1),
        ([(0, -1, 0.5), (0, 5, 0.5)], -1),
        ([(9, 5, 1.0)], -1),
        ([], -1),
    ],
)
def test_the_largest_deposit_decides(tmp_path, deposits, expected):
    label = label_of(tmp_path, [(0, 0, 0, 20.0, 1.0)], deposits)
    # Ticks 18 to 22.
    assert_array_equal(np.flatnonzero(label), [3])
    assert label[3] == expected


def test_cosmic_is_painted_over_neutrino_and_equal_ticks_cancel(tmp_path):
    # Neutrino on ticks 0 to 23, cosmic on 9 to 13 whatever the order: pixels 1 (3 of each) and 2 (4 to 2).
    hits = [(1, 0, 0, 11.0, 1.0), (0, 0, 0, 11.5, 5.75)]
    label = label_of(tmp_path, hits, [(0, 1, 1.0)])
    assert_array_equal(label[:5], [1, 0, 1, 1, 0])


def counts_by_loop(mask, height, width):
    return np.array(
        [
            [mask[row : row + height, column : column + width].sum() for column in range(mask.shape[1] - width + 1)]
            for row in range(mask.shape[0] - height + 1)
        ]
    )


@pytest.mark.parametrize("density", [0.0, 0.02, 0.2, 0.9])
def test_windows_are_the_best_of_all_places(monkeypatch, density):
    monkeypatch.setattr(lartpc, "WINDOW", (4, 6))
    seen = Counter()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        mask = rng.random((13, 25)) < density
        counts = counts_by_loop(mask, 4, 6)
        places = lartpc.choose_windows(mask, rng, 5)
        assert counts[places[0]] == counts.max()
        free = np.ones_like(counts, dtype=bool)
        for i, place in enumerate(places):
            if i:
                assert free[place]
                assert counts[place] == counts[free].min()
            for row in range(counts.shape[0]):
                for column in range(counts.shape[1]):
                    if abs(row - place[0]) < 4 and abs(column - place[1]) < 6:
                        free[row, column] = False
        assert len(places) == 6 or not free.any()
        seen[len(places)] += 1
    assert seen[6] > 0


def test_no_room_for_five_background_windows(monkeypatch):
    monkeypatch.setattr(lartpc, "WINDOW", (4, 6))
    assert len(lartpc.choose_windows(np.zeros((5, 7), dtype=bool), np.random.default_rng(0), 5)) == 1


def test_equally_good_places_are_drawn_at_random(monkeypatch):
    monkeypatch.setattr(lartpc, "WINDOW", (4, 6))
    mask = np.zeros((20, 20), dtype=bool)
    mask[10, 10] = True
    places = {lartpc.choose_windows(mask, np.random.default_rng(seed), 0)[0] for seed in range(300)}
    assert places == {(row, column) for row in range(7, 11) for column in range(5, 11)}


def test_pooling_is_the_plain_sum():
    rng = np.random.default_rng(5)
    windows = (rng.integers(10, 101, (3, 256, 512)) * (rng.random((3, 256, 512)) < 0.35)).astype(np.float32)
    windows[0, 0:4, 0:8] = 0
    windows[0, 0, 0:7] = 100  # exactly 700
    windows[0, 0:4, 8:16] = 0
    windows[0, 0, 8:15] = [100] * 6 + [99]
    windows[0, 4:8, 0:8] = 100
    windows[2] = 0
    images = lartpc.pool_windows(windows)
    assert images.shape == (3, 1, 63, 63)
    assert images.dtype == np.float32
    for image, window in zip(images[:, 0], windows, strict=True):
        for row in range(63):
            for column in range(63):
                total = window[4 * row : 4 * row + 4, 8 * column : 8 * column + 8].sum()
                assert image[row, column] == np.float32(0 if total < 700 else total / 3200)
    assert_array_equal(images[0, 0, 0, :2], np.float32([0.21875, 0]))
    assert images[0, 0, 1, 0] == 1


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Two signal files and a background file; one event of each is too small."""
    folder = tmp_path_factory.mktemp("samples")
    events = [neutrino_event(seed, (1, 0, seed)) for seed in range(7)]
    small = neutrino_event(50, (1, 0, 50), wires=10)
    inclusive = [neutrino_event(100 + seed, (7, 0, seed), planes=(2,)) for seed in range(4)]
    write_microboone(folder / "nue_WithWire_00.h5", events[:4], chunks=16)
    write_microboone(folder / "nue_WithWire_01.h5", [*events[4:], small], chunks=16)
    write_microboone(folder / "bnb_WithWire_00.h5", [*inclusive, Event((7, 0, 9))], chunks=16)
    return folder


@pytest.fixture(scope="module")
def windows(samples):
    """Every window by plain sums, as (label, event, image), at seed 3. The planes are tested above."""
    found = []
    for path in sorted(samples.iterdir()):
        label = int(path.name.startswith("nue"))
        for plane in wire_events.planes_of(path, (0, 1, 2) if label else (2,), lambda _: None):
            is_neutrino = (plane.label == 1).T
            if is_neutrino.sum() < 500:
                continue
            rng = np.random.default_rng([3, plane.plane, *plane.event])
            places = lartpc.choose_windows(is_neutrino, rng, 0 if label else 5)
            for row, column in places if label else places[1:]:
                window = plane.charge.T[row : row + 256, column : column + 512]
                pooled = window.reshape(64, 4, 64, 8).sum(axis=(1, 3))[:63, :63]
                found.append((label, plane.event, np.float32(np.where(pooled < 700, 0, pooled / 3200)).tobytes()))
    return found


def load(samples, cache, **options):
    return microboone(sorted(samples.glob("nue*.h5")), samples / "bnb_WithWire_00.h5", cache=cache, **options)


@pytest.fixture(scope="module")
def data(samples, tmp_path_factory):
    return load(samples, tmp_path_factory.mktemp("cache"), seed=3)


def test_windows_of_files_are_those_of_their_planes(data, windows):
    expected = [Counter(image for label, _, image in windows if label == wanted) for wanted in (0, 1)]
    assert [counter.total() for counter in expected] == [20, 21]
    found = [Counter(), Counter()]
    for part in parts_of(data):
        for image, label in zip(part.images, part.labels, strict=True):
            found[label][image.tobytes()] += 1
    # All background windows, and as many of the signal windows.
    assert found[0] == expected[0]
    assert found[1].total() == 20
    assert found[1] <= expected[1]
    assert sum(np.frombuffer(image, np.float32).any() for image in found[1]) > 10


def test_whole_windows(samples, data, tmp_path, windows):
    """The same windows as the wires saw them: their cells are the windows above, and the cache is another one."""
    whole = load(samples, tmp_path, seed=3, whole=True)
    assert sum(map(len, parts_of(whole))) == sum(map(len, parts_of(data)))
    for part, cells in zip(parts_of(whole), parts_of(data), strict=True):
        assert part.images.shape[1:] == (1, 256, 512)
        assert part.images.dtype == np.float32
        assert_array_equal(part.labels, cells.labels)
        assert part.images[part.images > 0].min() >= np.float32(0.1)
        assert part.images.max() <= 1
        pooled = lartpc.pool_windows(part.images[:, 0].astype(np.float64) * 100)
        # Sums of other roundings, and the threshold of the cells.
        assert (np.abs(pooled - cells.images) > 1e-6).mean() < 1e-4
    assert_array_equal(load(samples, tmp_path, seed=3, whole=True).test.images, whole.test.images)
    assert_array_equal(load(samples, tmp_path, seed=3).test.images, data.test.images)
    assert len(list(tmp_path.iterdir())) == 2
    by_name = datasets.load("neutrino_large", samples, seed=3, cache=tmp_path)
    assert by_name.test.images.shape[1:] == (1, 256, 512)


def test_parts_hold_whole_events(data, windows):
    # Images without an active pixel are all alike.
    home = {image: event for _, event, image in windows if np.frombuffer(image, np.float32).any()}
    parts = [{home[image.tobytes()] for image in part.images if image.any()} for part in parts_of(data)]
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert all(len(part) for part in parts_of(data))
    assert len(data.train) > len(data.test)


def test_microboone_is_the_same_every_time_and_differs_by_seed(samples, data, tmp_path):
    again, other = load(samples, tmp_path / "1", seed=3), load(samples, tmp_path / "2", seed=4)
    for one, two in zip(parts_of(data), parts_of(again), strict=True):
        assert_array_equal(one.images, two.images)
        assert_array_equal(one.labels, two.labels)
    assert data.name == "microboone"
    assert data.classes == ("background", "signal")
    first, second = ({image.tobytes() for part in parts_of(d) for image in part.images} for d in (data, other))
    assert first != second


def test_a_folder_and_names_of_files(samples, data, tmp_path):
    (tmp_path / "nue").mkdir()
    for path in samples.glob("nue*.h5"):
        (tmp_path / "nue" / path.name).symlink_to(path)
    by_folder = microboone(tmp_path / "nue", samples / "bnb_WithWire_00.h5", tmp_path / "cache", seed=3)
    assert_array_equal(by_folder.test.images, data.test.images)
    by_name = datasets.load("neutrino", samples, seed=3, cache=tmp_path / "cache")
    assert_array_equal(by_name.test.images, data.test.images)


def test_a_file_for_both_classes(tmp_path):
    path = write_microboone(tmp_path / "both.h5", [neutrino_event(seed, (3, 0, seed)) for seed in range(4)])
    text = io.StringIO()
    data = microboone(path, path, tmp_path / "cache", console=Console(file=text, force_terminal=True, width=200))
    assert "reading wires" in text.getvalue()
    labels = np.concatenate([part.labels for part in parts_of(data)])
    # 12 signal windows; 12 of 20 background windows.
    assert_array_equal(np.bincount(labels), [12, 12])
