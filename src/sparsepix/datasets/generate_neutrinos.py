"""Synthetic LArTPC windows: neutrino-like vertices on top of cosmic rays, against cosmic rays alone."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from sparsepix.datasets.generate import deposit, generate
from sparsepix.datasets.parts import Dataset

if TYPE_CHECKING:
    from rich.console import Console

SHAPE = (1, 63, 63)
CLASSES = ("background", "signal")
_SIDE = SHAPE[1]
# As in the real windows: 700 of 3200.
THRESHOLD = 700 / 3200
# Mean numbers of cosmic rays and of single pixels in a window. With these the numbers of active pixels are distributed
# most like those of the 100 published events: the cumulative distributions differ by 0.06 at most.
_COSMICS, _SINGLES = 0.7, 0.5
# Lengths are in pixels. A track is drawn in steps of this length.
_STEP = 1 / 3
# Longer than any way across the window.
_ACROSS = 90.0


@dataclass(frozen=True, eq=False)
class _Tracks:
    """Tracks of many events, each field [T]."""

    event: np.ndarray
    y: np.ndarray
    x: np.ndarray
    angle: np.ndarray
    length: np.ndarray
    # Charge for each pixel of length, in the units of the image.
    density: np.ndarray
    # Change of the angle for each pixel of length: multiple scattering, seen from far.
    bend: np.ndarray
    # How many times the density rises towards the end, where a particle stops (Bragg peak).
    rise: np.ndarray


@dataclass(frozen=True, eq=False)
class _Charges:
    """Charges at places, each field [P]."""

    event: np.ndarray
    y: np.ndarray
    x: np.ndarray
    charge: np.ndarray


def synthetic_neutrino(events: int = 20_000, seed: int = 0, console: "Console | None" = None) -> Dataset:
    """Synthetic windows of a LArTPC, made to look like those of ``microboone``.

    Background (0): cosmic muons that cross the window or stop in it, some with a shower of an
    electron that they knocked out, and single pixels. Signal (1): the same cosmic rays, and a vertex with an
    electron's shower or a muon, and short tracks of protons and pions. They come from no physics generator, but the
    numbers of active pixels and their values are like those of real windows.

    Args:
        events: how many in all three parts, the classes equally frequent.
        seed: of everything.
        console: shows progress.

    Returns:
        Images float32 [E, 1, 63, 63] with values 0 ... 1.

    Raises:
        SparsePixError: fewer than 10 events, or a negative seed.
    """
    return generate("synthetic neutrino", CLASSES, SHAPE, _draw, events, seed, console)


def _draw(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    cosmics = _cosmics(rng, len(labels))
    signal = np.flatnonzero(labels)
    vertex = rng.uniform(5, _SIDE - 5, (2, len(signal)))
    charges = [
        _along(rng, cosmics),
        _knocked_out(rng, cosmics),
        _single(rng, len(labels)),
        _along(rng, _hadrons(rng, signal, *vertex)),
        *_leptons(rng, signal, *vertex),
    ]
    joined = (np.concatenate([getattr(c, field.name) for c in charges]) for field in fields(_Charges))
    # A pixel is the sum of 32 that are clipped one by one, so it saturates softly.
    images = -np.expm1(-deposit(len(labels), (_SIDE, _SIDE), *joined))
    return np.where(images < THRESHOLD, 0, images)[:, None]


def _cosmics(rng: np.random.Generator, events: int) -> _Tracks:
    event = np.repeat(np.arange(events), rng.poisson(_COSMICS, events))
    count = len(event)
    angle = rng.uniform(0, 2 * np.pi, count)
    y, x = rng.uniform(0, _SIDE, (2, count))
    # Most cross the window: they begin and end outside of it. The others stop at the drawn place.
    stopping = rng.random(count) < 0.4
    length = np.where(stopping, rng.uniform(10, _ACROSS, count), _ACROSS)
    back = np.where(stopping, length, _ACROSS / 2)
    return _Tracks(
        event,
        y - back * np.sin(angle),
        x - back * np.cos(angle),
        angle,
        length,
        rng.lognormal(np.log(0.26), 0.35, count),
        rng.normal(0, 0.004, count),
        np.where(stopping, 0.8, 0),
    )


def _along(rng: np.random.Generator, tracks: _Tracks) -> _Charges:
    """Charges in steps along tracks."""
    steps = np.ceil(tracks.length / _STEP).astype(np.int64)
    track = np.repeat(np.arange(len(steps)), steps)
    first = np.cumsum(steps) - steps
    way = (np.arange(len(track)) - first[track] + rng.random()) * _STEP
    # A small constant bend: the place across grows with the square of the way.
    sine, cosine = np.sin(tracks.angle)[track], np.cos(tracks.angle)[track]
    across = 0.5 * tracks.bend[track] * way**2
    left = np.maximum(tracks.length[track] - way, 0.5)
    mean = tracks.density[track] * _STEP * (1 + tracks.rise[track] / left)
    return _Charges(
        tracks.event[track],
        tracks.y[track] + way * sine + across * cosine,
        tracks.x[track] + way * cosine - across * sine,
        # Few large losses and many small ones.
        mean * rng.standard_gamma(5.0, len(track)) / 5,
    )


def _shower(
    rng: np.random.Generator, event: np.ndarray, y: np.ndarray, x: np.ndarray, angle: np.ndarray, energy: np.ndarray
) -> _Charges:
    """Showers of the given total charge: it rises and falls along the axis and spreads across."""
    each = 0.1
    shower = np.repeat(np.arange(len(event)), rng.poisson(energy / each))
    depth = rng.standard_gamma(2.0, len(shower)) * 1.9 * np.log1p(energy)[shower]
    across = rng.laplace(0, 1, len(shower)) * (0.2 + 0.1 * depth)
    sine, cosine = np.sin(angle)[shower], np.cos(angle)[shower]
    return _Charges(
        event[shower],
        y[shower] + depth * sine + across * cosine,
        x[shower] + depth * cosine - across * sine,
        each * rng.standard_gamma(2.0, len(shower)) / 2,
    )


def _knocked_out(rng: np.random.Generator, cosmics: _Tracks) -> _Charges:
    """Showers of electrons that some cosmic rays knock out, nearly in their direction."""
    chosen = rng.random(len(cosmics.event)) < 0.25
    count = chosen.sum()
    way = rng.uniform(0, _ACROSS, count)
    angle = cosmics.angle[chosen]
    return _shower(
        rng,
        cosmics.event[chosen],
        cosmics.y[chosen] + way * np.sin(angle),
        cosmics.x[chosen] + way * np.cos(angle),
        angle + rng.normal(0, 0.2, count),
        rng.lognormal(np.log(4), 0.7, count),
    )


def _single(rng: np.random.Generator, events: int) -> _Charges:
    """Single pixels: noise, neutrons, decays."""
    event = np.repeat(np.arange(events), rng.poisson(_SINGLES, events))
    y, x = rng.uniform(0, _SIDE, (2, len(event)))
    bright = rng.random(len(event)) < 0.25
    return _Charges(event, y, x, 0.25 + rng.exponential(np.where(bright, 0.6, 0.06)))


def _hadrons(rng: np.random.Generator, event: np.ndarray, y: np.ndarray, x: np.ndarray) -> _Tracks:
    """Protons (short, dense) and pions (longer, thin) that come out of the vertices."""
    vertex = np.repeat(np.arange(len(event)), 1 + rng.poisson(0.8, len(event)))
    count = len(vertex)
    proton = rng.random(count) < 0.6
    return _Tracks(
        event[vertex],
        y[vertex],
        x[vertex],
        rng.uniform(0, 2 * np.pi, count),
        1.5 + rng.exponential(np.where(proton, 4, 9)),
        np.where(proton, 0.38, 0.3) * rng.lognormal(0, 0.25, count),
        rng.normal(0, 0.02, count),
        np.where(proton, 0.6, 0.2),
    )


def _leptons(rng: np.random.Generator, event: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[_Charges, _Charges]:
    """An electron's shower or a muon for each vertex."""
    count = len(event)
    angle = rng.uniform(0, 2 * np.pi, count)
    electron = rng.random(count) < 0.75
    muon = ~electron
    # Some showers are of a photon that went some way before.
    gap = np.where(rng.random(count) < 0.2, rng.exponential(4, count), 0)[electron]
    shower = _shower(
        rng,
        event[electron],
        y[electron] + gap * np.sin(angle[electron]),
        x[electron] + gap * np.cos(angle[electron]),
        angle[electron],
        rng.lognormal(np.log(10), 0.6, electron.sum()),
    )
    muons = _Tracks(
        event[muon],
        y[muon],
        x[muon],
        angle[muon],
        4 + rng.exponential(20, muon.sum()),
        rng.lognormal(np.log(0.3), 0.25, muon.sum()),
        rng.normal(0, 0.008, muon.sum()),
        np.full(muon.sum(), 0.5),
    )
    return shower, _along(rng, muons)
