"""The synthetic data sets: seeds, shapes, what they look like beside real events; and data sets by name."""

import io
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from rich.console import Console
from sklearn.metrics import roc_auc_score

import sparsepix as sp
from data_files import jet_images, write_jets, write_mnist
from needs import EVENTS
from published_events import images_of, read_events
from sparsepix import datasets
from sparsepix.datasets import generate, generate_jets, generate_muons, lartpc

WHOLE = partial(datasets.synthetic_neutrino, whole=True)
GENERATORS = {
    "neutrino": (datasets.synthetic_neutrino, (1, 63, 63), 2),
    "jet": (datasets.synthetic_jets, (1, 56, 56), 5),
    "muon": (datasets.synthetic_muons, (1, 16, 64), 3),
}


@pytest.fixture(scope="module", params=list(GENERATORS))
def generator(request):
    return GENERATORS[request.param]


@pytest.fixture(scope="module")
def neutrinos():
    data = datasets.synthetic_neutrino(4000)
    return everything(data)


def everything(data):
    parts = (data.train, data.validation, data.test)
    return np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts])


def active(images):
    return np.count_nonzero(images, axis=(1, 2, 3))


def test_shapes_values_and_parts(generator):
    make, shape, classes = generator
    data = make(2000, seed=1)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [1400, 200, 400]
    assert len(data.classes) == classes
    images, labels = everything(data)
    assert images.shape == (2000, *shape)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    assert images.min() == 0
    assert 0.5 < images.max() <= 1
    assert np.ptp(np.bincount(labels, minlength=classes)) <= 2
    assert np.bincount(data.train.labels, minlength=classes).min() > 0.8 * 1400 / classes
    # Sparse: far from every pixel is active, and hardly two images are alike.
    assert 5 < np.median(active(images)) < 40
    assert len({image.tobytes() for image in images if image.any()}) > 0.95 * (active(images) > 0).sum()


def test_a_seed_gives_the_same_events_in_sets_of_any_size(generator):
    make, _, _ = generator
    small, large, other = (everything(make(events, seed)) for events, seed in ((300, 5), (1300, 5), (300, 6)))
    assert_array_equal(small[0], large[0][:300])
    assert_array_equal(small[1], large[1][:300])
    assert (small[0] != other[0]).any()
    # Neither are the blocks of one seed alike.
    assert (large[0][:300] != large[0][1000:]).any()


@pytest.mark.parametrize(("events", "seed", "problems"), [(9, 0, 1), (10, -1, 1), (0, -5, 2)])
def test_too_few_events_and_negative_seeds(generator, events, seed, problems):
    make, _, _ = generator
    with pytest.raises(sp.SparsePixError) as caught:
        make(events, seed)
    assert len(caught.value.problems) == problems


def test_progress_is_shown_on_request():
    text = io.StringIO()
    data = datasets.synthetic_muons(10, console=Console(file=text, force_terminal=True, width=80))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [7, 1, 2]
    assert "drawing synthetic muon" in text.getvalue()


def test_deposits_are_summed_by_pixel_and_lost_outside():
    event = np.array([0, 0, 1, 1, 1, 1, 1])
    y = np.array([0.0, 0.9, 2.999, -0.01, 3.0, 1.0, 1.0])
    x = np.array([3.0, 3.9, 0.0, 0.0, 0.0, -0.5, 4.0])
    images = generate.deposit(2, (3, 4), event, y, x, np.arange(1.0, 8))
    expected = np.zeros((2, 3, 4))
    expected[0, 0, 3] = 3
    expected[1, 2, 0] = 3
    assert_array_equal(images, expected)


def test_neutrinos_have_the_threshold_of_the_real_windows(neutrinos):
    images, _ = neutrinos
    assert images[images > 0].min() >= np.float32(700 / 3200)


def test_whole_windows():
    """Several hundred active pixels, as the wires see them; in cells they are like the windows of 63 x 63."""
    images, labels = everything(WHOLE(120, seed=2))
    assert images.shape == (120, 1, 256, 512)
    assert images.dtype == np.float32
    assert images[images > 0].min() >= np.float32(0.1)
    assert images.max() == 1
    assert 300 < np.median(active(images)) < 1500
    small, small_labels = everything(WHOLE(20, seed=2))
    assert_array_equal(small, images[:20])
    assert_array_equal(small_labels, labels[:20])
    assert (small != everything(WHOLE(20, seed=3))[0]).any()
    cells = active(lartpc.pool_windows(images[:, 0] * 100))
    plain, _ = everything(datasets.synthetic_neutrino(1000, seed=2))
    for quantile in (0.5, 0.75, 0.9):
        assert np.quantile(cells, quantile) == pytest.approx(np.quantile(active(plain), quantile), rel=0.5)
    assert set(datasets.load("neutrino_large", events=10).classes) == {"background", "signal"}


@pytest.mark.events
def test_neutrinos_look_like_the_published_events(neutrinos):
    images, _ = neutrinos
    real = images_of(read_events(EVENTS))
    # The 100 events alone know each of these fractions to 0.05.
    for count in (0, 1, 8, 12, 16, 20, 40, 60):
        assert (active(images) <= count).mean() == pytest.approx((active(real) <= count).mean(), abs=0.08)
    for quantile in (0.1, 0.5, 0.9):
        ours, theirs = (np.quantile(some[some > 0], quantile) for some in (images, real))
        assert ours == pytest.approx(theirs, rel=0.1)


def test_no_single_number_tells_neutrinos_from_background(neutrinos):
    images, labels = neutrinos
    for number in (active(images), images.sum(axis=(1, 2, 3)), images.max(axis=(1, 2, 3))):
        assert 0.6 < roc_auc_score(labels, number) < 0.91


def test_jets_have_the_angle_of_their_mass():
    rng = np.random.default_rng(0)
    mass, momentum = np.full(5000, 80.4), rng.normal(1000, 50, 5000)
    share, first, second = generate_jets._decay(rng, mass, momentum)
    # The invariant mass of two prongs at a small angle: m^2 = z (1 - z) p^2 angle^2.
    angle = np.linalg.norm(first - second, axis=1)
    np.testing.assert_allclose(np.sqrt(share * (1 - share)) * momentum * angle, mass)
    balance = share[:, None] * first + (1 - share)[:, None] * second
    np.testing.assert_allclose(balance, 0, atol=1e-15)


def test_jets_keep_their_momentum():
    rng = np.random.default_rng(1)
    labels = np.arange(1000) % 5
    momentum = rng.normal(1000, 60, 1000)
    shares, places = generate_jets._prongs(rng, labels, momentum)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert_array_equal((shares > 0).sum(axis=1), np.array([1, 1, 2, 2, 3])[labels])
    clusters, directions = generate_jets._radiate(rng, shares * momentum[:, None], places, labels == 0)
    particles, _ = generate_jets._fragment(rng, clusters, directions)
    assert clusters.min() >= 0
    np.testing.assert_allclose(particles.sum(axis=1), momentum)


def test_jets_of_more_prongs_are_wider():
    images, labels = everything(datasets.synthetic_jets(3000))
    y, x = np.mgrid[:56, :56] - 27.5
    width = (images[:, 0] * np.hypot(y, x)).sum(axis=(1, 2)) / images.sum(axis=(1, 2, 3))
    quark, gluon, w, z, top = (np.median(width[labels == label]) for label in (1, 0, 2, 3, 4))
    assert quark < gluon < w < z < top


def test_muons_bend_by_their_charge():
    images, labels = everything(datasets.synthetic_muons(3000))
    # The mean strip of each station, outer ones against inner ones: the sagitta has the sign of the charge.
    strips = np.arange(64)
    stations = images[:, 0].reshape(-1, 4, 4, 64).sum(axis=2)
    centre = (stations * strips).sum(axis=2) / np.maximum(stations.sum(axis=2), 1e-9)
    sagitta = centre[:, 0] - centre[:, 1] - centre[:, 2] + centre[:, 3]
    assert np.median(sagitta[labels == 2]) > 1
    assert np.median(sagitta[labels == 1]) < -1
    assert abs(np.median(sagitta[labels == 0])) < 1
    # The number of hits says nothing about the charge.
    of_muons = labels > 0
    assert roc_auc_score(labels[of_muons] == 2, active(images)[of_muons]) == pytest.approx(0.5, abs=0.05)


def test_a_hit_keeps_its_charge():
    rng = np.random.default_rng(0)
    strip = np.array([0.25, 3.5, 3.9, 4.0, 4.1, 63.75])
    images = generate_muons._charges(rng, 6, np.arange(6), np.full(6, 3), strip)
    expected = [[0], [3], [3, 4], [3, 4], [3, 4], [63]]
    assert [np.flatnonzero(image[0, 3]).tolist() for image in images] == expected
    sums = images.sum(axis=(1, 2, 3))
    assert sums.min() >= 0.6
    assert sums.max() <= 1
    assert images[3, 0, 3, 3] == pytest.approx(images[3, 0, 3, 4])


@pytest.mark.parametrize("given", [None, "synthetic", ["synthetic"]])
def test_synthetic_data_by_name(given):
    for name, (make, _, _) in GENERATORS.items():
        data = datasets.load(name, given, events=20, seed=3)
        assert_array_equal(data.train.images, make(20, seed=3).train.images)


@pytest.mark.parametrize("name", ["neutrino", "jet", "digits"])
def test_data_fit_their_preset(name):
    import torch

    data = datasets.load(name, events=None if name == "digits" else 20)
    model = getattr(sp.models, name)(max_pixels=8)
    output = model(torch.from_numpy(data.test.images[:4]))
    assert len(output) == 4
    assert output.shape[1] == (1 if len(data.classes) == 2 else len(data.classes))


def test_files_by_name(tmp_path):
    path = write_jets(tmp_path / "jetImage_1.h5", *jet_images(0, 20))
    by_name = datasets.load("jet", [path], cache=tmp_path / "cache", seed=2)
    assert_array_equal(by_name.train.images, datasets.jets(path, cache=tmp_path / "cache", seed=2).train.images)
    write_mnist(tmp_path / "mnist", 0)
    for files in (tmp_path / "mnist", [tmp_path / "mnist"], list((tmp_path / "mnist").iterdir())):
        assert len(datasets.load("mnist", files, cache=tmp_path / "cache").test) == 12


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cifar", {}, "cifar: there is no such data set; expected one of digits, jet, mnist, muon, neutrino"),
        ("mnist", {}, "mnist: it is not made synthetically; give the folder of its files"),
        ("digits", {"files": "synthetic"}, "leave 'synthetic' out"),
        ("digits", {"events": 5}, "fixed size, found events 5"),
        ("digits", {"files": "a.h5"}, "digits: this data set reads no files, found a.h5"),
        ("muon", {"files": ["a.h5"], "events": 9}, r"(?s)muon: this data set reads no files.*is for synthetic data"),
        ("jet", {"files": "nothing.h5"}, "nothing.h5: there is no such file"),
        ("neutrino", {"files": ["nue.h5", "bnb.h5"]}, r"(?s)nue.h5: there is no .*bnb.h5: there is no .*10.5281"),
    ],
)
def test_names_and_files_that_do_not_fit(name, options, message):
    with pytest.raises(sp.SparsePixError, match=message):
        datasets.load(name, **options)


def test_neutrino_files_of_other_names(tmp_path):
    for name in ("nue_1.h5", "events.h5"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(sp.SparsePixError) as caught:
        datasets.load("neutrino", tmp_path)
    assert "events.h5: expected a name that begins with nue" in caught.value.problems[0]
    assert "expected at least one file bnb*.h5 for background" in caught.value.problems[1]
