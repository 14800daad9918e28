"""Synthetic jets of five classes, as images of transverse momentum."""

from typing import TYPE_CHECKING

import numpy as np

from sparsepix.datasets.generate import deposit, generate
from sparsepix.datasets.lhc_jets import CLASSES, SHAPE, prepare_images
from sparsepix.datasets.parts import Dataset

if TYPE_CHECKING:
    from rich.console import Console

# Side of a pixel in rapidity and azimuth: 100 pixels span -0.8 ... 0.8.
_PIXEL = 0.016
_SIDE = SHAPE[1]
# Masses in GeV of what decays into prongs, and how far the measured one varies (width and resolution).
_MASSES = {"W": 80.4, "Z": 91.2, "t": 172.8}
_SPREAD = 0.04
_PRONGS = 3
# Gluons that a prong radiates at most, and particles of each cluster at most.
_RADIATED, _PARTICLES = 4, 10
# Momentum across the axis that a particle gets when it forms, in GeV.
_ACROSS = 0.6


def synthetic_jets(events: int = 20_000, seed: int = 0, console: "Console | None" = None) -> Dataset:
    """Synthetic jets of gluons, light quarks, W, Z and top (0 to 4), made to look like those of ``jets``.

    Jets of about 1 TeV. Gluons and quarks have one prong, W and Z two at an angle that follows from their mass,
    top three, two of them from a W. Each prong radiates gluons at small angles and with small momenta,
    a gluon more of them, and all of them turn into particles. They come from no physics generator.
    The image is then prepared as that of a real jet.

    Args:
        events: how many in all three parts, the classes equally frequent.
        seed: of everything.
        console: shows progress.

    Returns:
        Images float32 [E, 1, 56, 56] with values 0 ... 1.

    Raises:
        SparsePixError: fewer than 10 events, or a negative seed.
    """
    return generate("synthetic jet", CLASSES, SHAPE, _draw, events, seed, console)


def _draw(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    momentum = rng.normal(1000, 60, len(labels))
    shares, angles = _prongs(rng, labels, momentum)
    momenta = shares * momentum[:, None]
    clusters, directions = _radiate(rng, momenta, angles, is_gluon=labels == CLASSES.index("g"))
    particles, places = _fragment(rng, clusters, directions)
    # The axis of a jet is where its momentum points on average.
    axis = (particles[..., None] * places).sum(axis=1, keepdims=True) / particles.sum(axis=1)[:, None, None]
    y, x = np.moveaxis((places - axis) / _PIXEL + _SIDE / 2, 2, 0)
    event = np.repeat(np.arange(len(labels)), particles.shape[1])
    images = deposit(len(labels), (_SIDE, _SIDE), event, y.ravel(), x.ravel(), particles.ravel())
    return prepare_images(images)


def _decay(
    rng: np.random.Generator, mass: np.ndarray, momentum: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decay into two: the share z of the first, and the places [E, 2] of both about the parent.

    The angle between them is m / (p sqrt(z (1 - z))), and the momenta balance.
    """
    share = rng.uniform(0.15, 0.85, len(mass))
    apart = mass / (momentum * np.sqrt(share * (1 - share)))
    turn = rng.uniform(0, 2 * np.pi, len(mass))
    direction = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    return share, direction * ((1 - share) * apart)[:, None], -direction * (share * apart)[:, None]


def _prongs(rng: np.random.Generator, labels: np.ndarray, momentum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the momentum [E, 3] (0: no such prong) and places [E, 3, 2] of the prongs."""
    shares = np.zeros((len(labels), _PRONGS))
    places = np.zeros((len(labels), _PRONGS, 2))
    shares[:, 0] = 1

    def masses(name: str, count: int) -> np.ndarray:
        return _MASSES[name] * rng.normal(1, _SPREAD, count)

    for name in ("W", "Z"):
        of = np.flatnonzero(labels == CLASSES.index(name))
        share, places[of, 0], places[of, 1] = _decay(rng, masses(name, len(of)), momentum[of])
        shares[of, 0], shares[of, 1] = share, 1 - share
    of = np.flatnonzero(labels == CLASSES.index("t"))
    share, boson, places[of, 2] = _decay(rng, masses("t", len(of)), momentum[of])
    inner, first, second = _decay(rng, masses("W", len(of)), momentum[of] * share)
    places[of, 0], places[of, 1] = boson + first, boson + second
    shares[of] = np.stack([share * inner, share * (1 - inner), 1 - share], axis=1)
    return shares, places


def _radiate(
    rng: np.random.Generator, momenta: np.ndarray, places: np.ndarray, is_gluon: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Each prong and the gluons it radiates, as clusters: momenta [E, C] and places [E, C, 2]."""
    shape = (*momenta.shape, _RADIATED)
    # A gluon's colour charge is 9/4 of a quark's.
    mean = np.where(is_gluon, 2.25, 1.0)[:, None]
    exists = np.arange(_RADIATED) < rng.poisson(np.broadcast_to(mean, momenta.shape))[..., None]
    # Soft and collinear: momentum share and angle evenly on a logarithmic scale.
    share = np.where(exists, np.exp(rng.uniform(np.log(0.02), np.log(0.4), shape)), 0)
    share /= np.maximum(share.sum(axis=2, keepdims=True) / 0.6, 1)
    angle = np.exp(rng.uniform(np.log(0.01), np.log(0.3), shape))
    turn = rng.uniform(0, 2 * np.pi, shape)
    radiated = places[:, :, None] + angle[..., None] * np.stack([np.sin(turn), np.cos(turn)], axis=3)
    kept = momenta * (1 - share.sum(axis=2))
    everything = np.concatenate([kept[..., None], momenta[..., None] * share], axis=2)
    where = np.concatenate([places[:, :, None], radiated], axis=2)
    return everything.reshape(len(momenta), -1), where.reshape(len(momenta), -1, 2)


def _fragment(rng: np.random.Generator, momenta: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Particles of clusters: momenta [E, P] and places [E, P, 2]."""
    shape = (*momenta.shape, _PARTICLES)
    # Shares like those of a Dirichlet distribution: few particles carry most of the momentum.
    parts = rng.standard_gamma(0.5, shape) + 1e-9
    each = momenta[..., None] * parts / parts.sum(axis=2, keepdims=True)
    # The momentum across is the same for all, so soft particles lie further out.
    spread = _ACROSS / np.maximum(each, 1)
    scattered = places[:, :, None] + rng.standard_normal((*shape, 2)) * spread[..., None]
    return each.reshape(len(momenta), -1), scattered.reshape(len(momenta), -1, 2)
