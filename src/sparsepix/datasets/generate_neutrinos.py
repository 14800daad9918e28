"""Synthetic LArTPC windows: neutrino-like vertices on top of cosmic rays, against cosmic rays alone."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from sparsepix.datasets import lartpc, wire_events
from sparsepix.datasets.generate import deposit, generate
from sparsepix.datasets.parts import Dataset

if TYPE_CHECKING:
    from rich.console import Console

SHAPE = lartpc.SHAPE
CLASSES = lartpc.CLASSES
# As in the real windows: 700 of 3200.
THRESHOLD = lartpc.THRESHOLD / lartpc.SCALE
# Mean numbers of cosmic rays and of single pixels in a window. With these the numbers of active pixels are distributed
# most like those of the 100 published events: the cumulative distributions differ by 0.06 at most.
_COSMICS, _SINGLES = 0.7, 0.5
# Of a whole window: pixels in a length of 1, since a cell of 4 x 8 is as large as a square of that side; how the charge
# that a wire collects is spread in time, pixel by pixel: the signals of wires are some 10 ticks of 0.5 us wide; and
# more charge, since of small ones a part is cut: cells of these windows have as many active pixels as those of 63 x 63.
_PIXELS = (lartpc.CELL[0] * lartpc.CELL[1]) ** 0.5
_SPREAD = (0.06, 0.24, 0.4, 0.24, 0.06)
_GAIN = 1.3
_WHOLE_BLOCK = 50


@dataclass(frozen=True)
class _Window:
    """A window and how finely it is drawn; lengths are in pixels of 63 x 63.

    Args:
        height: of the window.
        width: of the window.
        across: longer than any way across it.
        step: length in which tracks are drawn.
        each: charge in which showers are drawn.
    """

    height: float
    width: float
    across: float
    step: float
    each: float

    @property
    def sides(self) -> np.ndarray:
        """Height and width, [2, 1]."""
        return np.array([[self.height], [self.width]])


_POOLED = _Window(63.0, 63.0, 90.0, 1 / 3, 0.1)
# A wire and a pixel of time are 3 mm, so the whole window is twice as wide as high. Three steps a pixel.
_WHOLE = _Window(lartpc.WINDOW[0] / _PIXELS, lartpc.WINDOW[1] / _PIXELS, 105.0, 1 / 16, 0.02)


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


def synthetic_neutrino(
    events: int = 20_000, seed: int = 0, console: "Console | None" = None, whole: bool = False
) -> Dataset:
    """Synthetic windows of a LArTPC, made to look like those of ``microboone``.

    Background (0): cosmic muons that cross the window or stop in it, some with a shower of an
    electron that they knocked out, and single pixels. Signal (1): the same cosmic rays, and a vertex with an
    electron's shower or a muon, and short tracks of protons and pions. They come from no physics generator, but the
    numbers of active pixels and their values are like those of real windows.

    Args:
        events: how many in all three parts, the classes equally frequent.
        seed: of everything.
        console: shows progress.
        whole: windows of 256 x 512 as the wires see them, values 0.1 ... 1: tracks a few pixels wide, several hundred
            active pixels. Other events than those of the same seed in 63 x 63; ``lartpc.pool_windows`` makes cells.

    Returns:
        Images float32 [E, 1, 63, 63], whole ones [E, 1, 256, 512], with values 0 ... 1.

    Raises:
        SparsePixError: fewer than 10 events, or a negative seed.
    """
    if whole:
        name = "synthetic whole neutrino"
        return generate(name, CLASSES, lartpc.WHOLE_SHAPE, _draw_whole, events, seed, console, _WHOLE_BLOCK)
    return generate("synthetic neutrino", CLASSES, SHAPE, _draw_pooled, events, seed, console)


def _draw_pooled(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    charges = _draw(rng, labels, _POOLED)
    # A pixel is the sum of 32 that are clipped one by one, so it saturates softly.
    summed = deposit(len(labels), SHAPE[1:], charges.event, charges.y, charges.x, charges.charge)
    images = -np.expm1(-summed)
    return np.where(images < THRESHOLD, 0, images)[:, None]


def _draw_whole(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    charges = _draw(rng, labels, _WHOLE)
    y, x = charges.y * _PIXELS, charges.x * _PIXELS
    middle = len(_SPREAD) // 2
    spread = (
        deposit(len(labels), lartpc.WINDOW, charges.event, y + time - middle, x, share * charges.charge)
        for time, share in enumerate(_SPREAD)
    )
    summed = sum(spread) * lartpc.SCALE * _GAIN
    # As the charge of wires is read from files.
    return lartpc.scale_windows(np.where(summed < wire_events.LOWEST, 0, np.minimum(summed, wire_events.HIGHEST)))


def _draw(rng: np.random.Generator, labels: np.ndarray, window: _Window) -> _Charges:
    cosmics = _cosmics(rng, len(labels), window)
    signal = np.flatnonzero(labels)
    vertex = rng.uniform(5, window.sides - 5, (2, len(signal)))
    charges = [
        _along(rng, cosmics, window),
        _knocked_out(rng, cosmics, window),
        _single(rng, len(labels), window),
        _along(rng, _hadrons(rng, signal, *vertex), window),
        *_leptons(rng, signal, *vertex, window),
    ]
    return _Charges(*(np.concatenate([getattr(c, field.name) for c in charges]) for field in fields(_Charges)))


def _cosmics(rng: np.random.Generator, events: int, window: _Window) -> _Tracks:
    event = np.repeat(np.arange(events), rng.poisson(_COSMICS, events))
    count = len(event)
    angle = rng.uniform(0, 2 * np.pi, count)
    y, x = rng.uniform(0, window.sides, (2, count))
    # Most cross the window: they begin and end outside of it. The others stop at the drawn place.
    stopping = rng.random(count) < 0.4
    length = np.where(stopping, rng.uniform(10, window.across, count), window.across)
    back = np.where(stopping, length, window.across / 2)
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


def _along(rng: np.random.Generator, tracks: _Tracks, window: _Window) -> _Charges:
    """Charges in steps along tracks."""
    steps = np.ceil(tracks.length / window.step).astype(np.int64)
    track = np.repeat(np.arange(len(steps)), steps)
    first = np.cumsum(steps) - steps
    way = (np.arange(len(track)) - first[track] + rng.random()) * window.step
    # A small constant bend: the place across grows with the square of the way.
    sine, cosine = np.sin(tracks.angle)[track], np.cos(tracks.angle)[track]
    across = 0.5 * tracks.bend[track] * way**2
    left = np.maximum(tracks.length[track] - way, 0.5)
    mean = tracks.density[track] * window.step * (1 + tracks.rise[track] / left)
    return _Charges(
        tracks.event[track],
        tracks.y[track] + way * sine + across * cosine,
        tracks.x[track] + way * cosine - across * sine,
        # Few large losses and many small ones, in a length of 1 as many in each window.
        mean * rng.standard_gamma(15.0 * window.step, len(track)) / (15 * window.step),
    )


def _shower(
    rng: np.random.Generator,
    event: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    angle: np.ndarray,
    energy: np.ndarray,
    each: float,
) -> _Charges:
    """Showers of the given total charge, in parts of ``each``: it rises and falls along the axis and spreads across."""
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


def _knocked_out(rng: np.random.Generator, cosmics: _Tracks, window: _Window) -> _Charges:
    """Showers of electrons that some cosmic rays knock out, nearly in their direction."""
    chosen = rng.random(len(cosmics.event)) < 0.25
    count = chosen.sum()
    way = rng.uniform(0, window.across, count)
    angle = cosmics.angle[chosen]
    return _shower(
        rng,
        cosmics.event[chosen],
        cosmics.y[chosen] + way * np.sin(angle),
        cosmics.x[chosen] + way * np.cos(angle),
        angle + rng.normal(0, 0.2, count),
        rng.lognormal(np.log(4), 0.7, count),
        window.each,
    )


def _single(rng: np.random.Generator, events: int, window: _Window) -> _Charges:
    """Single pixels: noise, neutrons, decays."""
    event = np.repeat(np.arange(events), rng.poisson(_SINGLES, events))
    y, x = rng.uniform(0, window.sides, (2, len(event)))
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


def _leptons(
    rng: np.random.Generator, event: np.ndarray, y: np.ndarray, x: np.ndarray, window: _Window
) -> tuple[_Charges, _Charges]:
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
        window.each,
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
    return shower, _along(rng, muons, window)
