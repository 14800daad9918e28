"""Synthetic muons that cross the layers of chambers in a magnetic field."""

from typing import TYPE_CHECKING

import numpy as np

from sparsepix.datasets.generate import deposit, generate
from sparsepix.datasets.parts import Dataset

if TYPE_CHECKING:
    from rich.console import Console

_STATIONS, _LAYERS, _STRIPS = 4, 4, 64
SHAPE = (1, _STATIONS * _LAYERS, _STRIPS)
CLASSES = ("background", "negative", "positive")
# Distance of two layers of a station, and of two stations, in parts of the whole depth.
_LAYER_GAP, _STATION_GAP = 0.03, 0.3
_EFFICIENCY = 0.95
# Transverse momenta in GeV of muons, evenly in 1/pT as bends are.
_LOWEST, _HIGHEST = 3.0, 30.0
# Strips by which a muon of 1 GeV bends over the whole depth.
_BENDING = 60.0
# Half the width of a hit's charge, in strips.
_SPREAD = 0.25
# Charge of a hit below which a strip stays silent.
_THRESHOLD = 0.15


def synthetic_muons(events: int = 20_000, seed: int = 0, console: "Console | None" = None) -> Dataset:
    """Synthetic muon tracks through four stations of chambers with four layers each, in a magnetic field.

    Background (0): hits at random, and short tracks within single stations (particles that came out
    of the shielding) that do not continue in the next. Signal: the same with fewer short tracks, and
    a muon of 3 to 30 GeV through all stations, negative (1) or positive (2), which bends one way or
    the other. A layer misses one muon in twenty, and a hit spreads over neighbouring strips.

    Args:
        events: how many in all three parts, the classes equally frequent.
        seed: of everything.
        console: shows progress.

    Returns:
        Images float32 [E, 1, 16, 64] (layer x strip; layers of a station follow each other) with
        values 0 ... 1, the charge.

    Raises:
        SparsePixError: fewer than 10 events, or a negative seed.
    """
    return generate("synthetic muon", CLASSES, SHAPE, _draw, events, seed, console)


def _draw(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    rows = np.arange(_STATIONS * _LAYERS)
    station, layer = np.divmod(rows, _LAYERS)
    depth = station * _STATION_GAP + layer * _LAYER_GAP
    event = np.flatnonzero(labels)
    charge = np.where(labels[event] == CLASSES.index("positive"), 1, -1)
    curvature = charge * rng.uniform(1 / _HIGHEST, 1 / _LOWEST, len(event))
    muons = _strips(
        rng.uniform(14, _STRIPS - 14, len(event)), rng.normal(0, 8, len(event)), _BENDING * curvature, depth
    )
    muons = muons + rng.normal(0, 0.2, muons.shape)
    stub_event = np.repeat(np.arange(len(labels)), rng.poisson(np.where(labels == 0, 3.5, 0.7)))
    count = len(stub_event)
    stubs = _strips(rng.uniform(0, _STRIPS, count), rng.normal(0, 40, count), np.zeros(count), layer * _LAYER_GAP)
    in_station = station[None] == rng.integers(0, _STATIONS, count)[:, None]
    noise_event = np.repeat(np.arange(len(labels)), rng.poisson(5, len(labels)))
    seen = rng.random(muons.shape) < _EFFICIENCY
    stub_seen = in_station & (rng.random(stubs.shape) < _EFFICIENCY)
    events = np.concatenate(
        [np.repeat(event, seen.sum(axis=1)), np.repeat(stub_event, stub_seen.sum(axis=1)), noise_event]
    )
    layers = np.concatenate(
        [np.nonzero(seen)[1], np.nonzero(stub_seen)[1], rng.integers(0, len(rows), len(noise_event))]
    )
    strips = np.concatenate([muons[seen], stubs[stub_seen], rng.uniform(0, _STRIPS, len(noise_event))])
    return _charges(rng, len(labels), events, layers, strips)


def _strips(start: np.ndarray, slope: np.ndarray, bend: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Where tracks [T] cross layers at depths [L]: strips [T, L]."""
    return start[:, None] + slope[:, None] * depth + bend[:, None] * depth**2


def _charges(
    rng: np.random.Generator, events: int, event: np.ndarray, layer: np.ndarray, strip: np.ndarray
) -> np.ndarray:
    """Images of hits: a quarter of a strip to both sides of each is covered evenly with its charge."""
    charge = rng.uniform(0.6, 1, len(event))
    left, right = strip - _SPREAD, strip + _SPREAD
    # The part on the strip of the right end; all of it where both ends lie on one strip.
    share = np.minimum((right - np.floor(right)) / (2 * _SPREAD), 1)
    images = sum(
        deposit(events, SHAPE[1:], event, layer, place, charge * part)
        for place, part in ((left, 1 - share), (right, share))
    )
    return np.where(images < _THRESHOLD, 0, np.minimum(images, 1))[:, None]
