"""A format for the image of a model that has none, from images: narrow, and no decision is another one."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from sparsepix.models.sparse_cnn import SparseCNN
from sparsepix.quant.formats import MAX_WIDTH, MIN_WIDTH
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint

_BATCH = 256


@dataclass(frozen=True)
class Tried:
    """What a format of the image does.

    Args:
        format: of the image.
        selections: images of which other pixels are kept.
        decisions: images with another class.
        difference: of an output, the largest.
    """

    format: FixedPoint
    selections: int
    decisions: int
    difference: float

    @property
    def keeps(self) -> bool:
        """Whether no selection and no decision is another one."""
        return self.selections == self.decisions == 0


def with_input_format(model: SparseCNN, format: FixedPoint | None) -> SparseCNN:
    """The same model with another format of the image."""
    changed = SparseCNN(replace(model.architecture, input_format=format))
    changed.load_state_dict(model.state_dict())
    return changed


def try_input_formats(model: SparseCNN, images: np.ndarray) -> list[Tried]:
    """What formats of the image do, of two bits and more; the last is the narrowest from which on nothing changes.

    They hold the largest pixel, and a sign if there is a negative one. If 16 bits still change something they are last.

    Args:
        model: without a format of the image.
        images: [E, C, H, W].

    Raises:
        SparsePixError: images of another shape, none, or values that are not finite.
    """
    _check(model, images)
    signed, largest = bool((images < 0).any()), float(np.abs(images).max())
    integer = (math.floor(math.log2(largest)) + 1 if largest else 0) + int(signed)
    expected, tried = _run(model, images), []
    for width in range(MIN_WIDTH, MAX_WIDTH + 1):
        tried.append(_tried(model, images, FixedPoint(width, integer, signed), expected))
    # A narrow one may change nothing by chance.
    while len(tried) > 1 and tried[-1].keeps and tried[-2].keeps:
        tried.pop()
    return tried


def compare_format(model: SparseCNN, images: np.ndarray, format: FixedPoint) -> Tried:
    """What one format of the image does; arguments and errors as for ``try_input_formats``."""
    _check(model, images)
    return _tried(model, images, format, _run(model, images))


def _check(model: SparseCNN, images: np.ndarray) -> None:
    if images.ndim != 4 or images.shape[1:] != model.input_shape or not len(images) or not np.isfinite(images).all():
        raise SparsePixError(
            f"expected finite images [E, {', '.join(map(str, model.input_shape))}], found the shape {images.shape}"
        )


def _tried(
    model: SparseCNN, images: np.ndarray, format: FixedPoint, expected: tuple[np.ndarray | None, np.ndarray]
) -> Tried:
    kept, outputs = expected
    here, found = _run(with_input_format(model, format), images)
    others = 0 if kept is None else int((here != kept).any(axis=(1, 2)).sum())
    changed = int((_decided(found) != _decided(outputs)).sum())
    return Tried(format, others, changed, float(np.abs(found - outputs).max()))


def _decided(outputs: np.ndarray) -> np.ndarray:
    return outputs.argmax(1) if outputs.shape[1] > 1 else outputs[:, 0] > 0


@torch.no_grad()
def _run(model: SparseCNN, images: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Coordinates of the kept pixels, and logits; in float64."""
    model = with_input_format(model, model.architecture.input_format).double().eval()  # the given one stays as it is
    body = model[:-1] if model.architecture.head else model
    coords, outputs = [], []
    for part in torch.from_numpy(images).double().split(_BATCH):
        if model.architecture.sparse:
            coords.append(model[:2](part).coords.numpy())
        outputs.append(body(part).numpy())
    return np.concatenate(coords) if coords else None, np.concatenate(outputs)
