"""What the synthetic data sets share: seeded blocks, and charge drawn into pixels."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sparsepix.datasets.active_pixels import new_images
from sparsepix.datasets.parts import Dataset, Split, cut_in_three
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.progress import step

if TYPE_CHECKING:
    from rich.console import Console

# Events that are drawn at a time: few enough for memory.
_BLOCK = 1000
_SHARES = (70, 10, 20)

Draw = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def generate(
    name: str,
    classes: tuple[str, ...],
    shape: tuple[int, int, int],
    draw: Draw,
    events: int,
    seed: int,
    console: "Console | None",
    block: int = _BLOCK,
) -> Dataset:
    """A synthetic data set: 70 % train, 10 % validation, 20 % test, the classes equally frequent.

    Event number i of a seed is the same in data sets of every size.

    Args:
        name: of the data set.
        classes: by label.
        shape: (C, H, W) of an image.
        draw: images [E, C, H, W] for labels [E], from that generator.
        events: how many in all.
        seed: of everything.
        console: shows progress.
        block: events that are drawn at a time. Another number gives other events.

    Raises:
        SparsePixError: fewer than 10 events, or a negative seed.
    """
    problems = []
    if events < 10:
        problems.append(f"{name}: expected at least 10 events, found {events}")
    if seed < 0:
        problems.append(f"{name}: expected a seed of at least 0, found {seed}")
    if problems:
        raise SparsePixError(problems)
    images = new_images(events, shape)
    labels = np.empty(events, dtype=np.int64)
    with step(console, f"drawing {name}", f"{events:,} events drawn", total=events, unit="events", even=True) as now:
        for number, start in enumerate(range(0, events, block)):
            rng = np.random.default_rng([seed, number])
            size = min(block, events - start)
            drawn = rng.permutation(np.arange(block) % len(classes))
            images[start : start + size] = draw(rng, drawn)[:size]
            labels[start : start + size] = drawn[:size]
            now.advance(size)
    train, validation, _ = cut_in_three(events, _SHARES)
    edges = (0, train, train + validation, events)
    splits = (Split(images[a:b], labels[a:b]) for a, b in itertools.pairwise(edges))
    return Dataset(name, classes, *splits)


def deposit(
    events: int, shape: tuple[int, int], event: np.ndarray, y: np.ndarray, x: np.ndarray, charge: np.ndarray
) -> np.ndarray:
    """Sum charges at places into pixels: pixel (i, j) reaches from i to i + 1 and j to j + 1.

    Args:
        events: number of images.
        shape: (H, W) of an image.
        event: int [P], image of each charge.
        y: float [P]; a charge outside the image is lost.
        x: float [P].
        charge: float [P].

    Returns:
        float64 [events, H, W].
    """
    height, width = shape
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    place = (event[inside] * height + y[inside].astype(np.int64)) * width + x[inside].astype(np.int64)
    return np.bincount(place, charge[inside], events * height * width).reshape(events, height, width)
