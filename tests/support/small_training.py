"""A small data set and model that train in a fraction of a second."""

import numpy as np
import torch

import sparsepix as sp
from sparsepix.datasets import Dataset, Split

# What the folder of a finished run holds, of more than two classes.
RUN_FILES = [
    ".sparsepix.json",
    "checkpoint.pt",
    "confusion.png",
    "history.csv",
    "history.png",
    "model.pt",
    "options.json",
    "summary.json",
]


def every(step, data):
    """A data set of each step-th image of another one."""
    parts = (Split(part.images[::step], part.labels[::step]) for part in (data.train, data.validation, data.test))
    return Dataset(f"every {step}th of {data.name}", data.classes, *parts)


def toy(count=96, seed=0):
    """Two classes of 9x9 images: four active pixels above or below the middle."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, 1, 9, 9), dtype=np.float32)
    labels = rng.integers(0, 2, count)
    for image, label in zip(images, labels, strict=True):
        image[0, rng.integers(0, 4, 4) + 5 * label, rng.integers(0, 9, 4)] = 1
    third = count // 3
    parts = (Split(images[i : i + third], labels[i : i + third]) for i in range(0, 3 * third, third))
    return Dataset("toy", ("above", "below"), *parts)


def toy_model(outputs=2, dropout=0.0):
    torch.manual_seed(1)  # some seeds start with both filters below zero everywhere
    return torch.nn.Sequential(
        sp.SparseInputReduce(4),
        sp.SparseConv2d(1, 2, 3),
        sp.SparseReLU(),
        sp.SparseFlatten(),
        torch.nn.Dropout(dropout),
        torch.nn.Linear(162, outputs),
    )


def same_state(one, other):
    """Whether two state_dicts hold the same bits."""
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)
