"""The published models with trained weights, for benchmarks of firmware: its area depends on the weights.

Neutrinos and jets are trained on our synthetic events, mnist on the digits that scikit-learn ships, which have its
image size and classes. These are short trainings: enough for weights that decide, not the best ones.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

import sparsepix as sp
from sparsepix.datasets import Dataset
from sparsepix.runs import RunOptions, train
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.reference.published_models import PublishedModel, find_published

# Images of each preset, epochs, images a step, pixels by which training images are shifted.
TRAININGS = {"neutrino": ("neutrino", 10, 128, 0), "jet": ("jet", 10, 128, 0), "mnist": ("digits", 60, 64, 3)}


@cache
def _images(name: str) -> Dataset:
    return sp.datasets.load(name)


def name_of(published: PublishedModel) -> str:
    """A short name of a model, as neutrino_20."""
    return f"{published.dataset}_{published.max_pixels}"


@dataclass(frozen=True)
class TrainedModel:
    """A trained model, exported.

    Args:
        path: of the ONNX file.
        images: [E, C, H, W], of the test.
        accuracy: fraction of right decisions on them.
    """

    path: Path
    images: np.ndarray
    accuracy: float


def train_published(published: PublishedModel, folder: Path, console: Console) -> TrainedModel:
    """Train our preset of a published model in ``folder/NAME``, or go on there; ``folder/NAME.onnx`` is its export."""
    data_name, epochs, batch_size, shifts = TRAININGS[published.dataset]
    options = RunOptions(
        published.dataset,
        max_pixels=published.max_pixels,
        bits=published.bits,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=1e-2,
        augment=shifts,
        monitor="accuracy",
        # As the models of docs/results/firmware.csv were trained: area depends on the weights.
        formats="paper",
        batch_norm=False,
        weight_decay=0.0,
    )
    data, run = _images(data_name), folder / name_of(published)
    with console.status(f"{run.name}: training"):
        summary = train(options, data, run, torch.device("cpu"))
    assert summary is not None
    path = folder / f"{run.name}.onnx"
    sp.export_onnx(sp.load(run / "model.pt"), path, data.train.images.shape[1:])
    assert find_published(read_model(path).graph) == published
    return TrainedModel(path, data.test.images, summary.test_accuracy)
