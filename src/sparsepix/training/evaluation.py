"""What a model says of images, and how often it is right."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsepix.pixels.sparse_pixels import SparsePixels
from sparsepix.util.checks import check_positive
from sparsepix.util.modes import evaluating
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.images import as_array, as_images, check_finite

EVALUATED = 512  # images that a model evaluates at once

Outputs = np.ndarray | dict[str, np.ndarray] | tuple[np.ndarray, ...]


def decisions(output: np.ndarray) -> np.ndarray:
    """Class numbers [E] of logits: the largest of [E, classes], the sign of [E, 1]."""
    return (output[:, 0] > 0).astype(np.int64) if output.shape[1] == 1 else output.argmax(axis=1)


def loss_of(output: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross entropy of logits: [B, classes] against class numbers [B], or [B, 1] against 0 and 1.

    Args:
        output: the logits.
        labels: the true classes.
        label_smoothing: the share of each target that is spread evenly over all classes.
    """
    if output.shape[1] == 1:
        target = labels.to(output.dtype) * (1 - label_smoothing) + label_smoothing / 2
        return F.binary_cross_entropy_with_logits(output[:, 0], target)
    return F.cross_entropy(output, labels, label_smoothing=label_smoothing)


@torch.no_grad()
def predict(model: nn.Module, images: Any, batch_size: int = EVALUATED) -> Outputs:
    """Outputs of a model, in evaluation mode, on the model's device and in its dtype.

    Args:
        model: takes images [B, C, H, W].
        images: numbers [E, C, H, W], E may be 0: an array of any strides and byte order, read-only or memory-mapped
            too, a tensor, or lists; what ``sparsepix_hls.Project.predict`` takes.
        batch_size: images that it evaluates at once.

    Returns:
        The outputs [E, ...]; a dict or a tuple of them, if the model returns one.

    Raises:
        SparsePixError: images of another kind or number of axes, with NaN or infinity; ``batch_size`` < 1; outputs
            that are no tensors.
    """
    check_positive("predict", "batch_size", batch_size)
    images = as_images(images, "images")
    check_finite(images, "images")
    tensors = (tensor for tensor in chain(model.parameters(), model.buffers()) if tensor.is_floating_point())
    like = next(tensors, torch.zeros(0))
    narrow = (images.dtype.kind == "f" and images.dtype.itemsize <= 4) or images.dtype.itemsize <= 2
    exact = np.float32 if narrow else np.float64
    found = []
    with evaluating(model):
        for start in range(0, max(len(images), 1), batch_size):
            # Of this machine's byte order and writable, as torch wants them.
            batch = np.require(images[start : start + batch_size], exact, ["C", "W"])
            found.append(model(torch.from_numpy(batch).to(like)))
    return _joined(found)


def _joined(parts: list[Any]) -> Outputs:
    """The outputs of all batches as arrays."""
    first = parts[0]
    if isinstance(first, Mapping):
        return {name: _joined([part[name] for part in parts]) for name in first}
    if isinstance(first, tuple | list) and not isinstance(first, SparsePixels):
        return tuple(_joined(list(same)) for same in zip(*parts, strict=True))
    if not isinstance(first, Tensor):
        raise SparsePixError(f"predict: expected a model that returns tensors, found a {type(first).__name__}")
    return np.concatenate([as_array(part, "outputs") for part in parts])


def accuracy(output: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of right decisions."""
    return float((decisions(output) == labels).mean())
