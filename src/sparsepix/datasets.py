"""Data sets: real images, prepared as the paper prepares its own."""

from dataclasses import dataclass

import numpy as np

from sparsepix_ops.errors import SparsePixError


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one part of a data set.

    Args:
        images: float32 [E, C, H, W].
        labels: int64 [E].
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in three disjoint parts.

    Args:
        name: of the data set.
        classes: names of the classes, by label.
        train: to fit the weights on.
        validation: to choose an epoch on.
        test: to report on.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split


def place_centred(images: np.ndarray, size: int) -> np.ndarray:
    """Pad images [E, h, w] with zeros to [E, size, size], centred (the larger margin below and to the right)."""
    height, width = images.shape[1:]
    if max(height, width) > size:
        raise SparsePixError(f"expected images of at most {size}x{size}, found {height}x{width}")
    placed = np.zeros((len(images), size, size), dtype=images.dtype)
    top, left = (size - height) // 2, (size - width) // 2
    placed[:, top : top + height, left : left + width] = images
    return placed


def inflate(images: np.ndarray, factor: float) -> np.ndarray:
    """Move every non-zero pixel of images [E, H, W] away from the centre by ``factor``.

    It spreads the pixels apart and keeps their number and values, as the paper does: (y, x) moves to
    round((y - c) * factor + c) with c = (size - 1) / 2, clipped to the image; where two pixels
    meet, the later one in row-major order stays.
    """
    height, width = images.shape[1:]
    event, y, x = np.nonzero(images)
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    to_y = np.clip(np.round((y - centre_y) * factor + centre_y), 0, height - 1).astype(np.int64)
    to_x = np.clip(np.round((x - centre_x) * factor + centre_x), 0, width - 1).astype(np.int64)
    # An index that comes twice would leave the winner to numpy, so all but the last are dropped.
    target = (event * height + to_y) * width + to_x
    _, last_from_end = np.unique(target[::-1], return_index=True)
    keep = len(target) - 1 - last_from_end
    inflated = np.zeros_like(images)
    inflated.reshape(-1)[target[keep]] = images[event[keep], y[keep], x[keep]]
    return inflated


def sparsify(images: np.ndarray, size: int, factor: float, threshold: float) -> np.ndarray:
    """The paper's recipe for MNIST on small dense images [E, h, w] of values >= 0.

    Placed on size x size, divided by the image's maximum, inflated about the centre, values below
    the threshold set to 0.

    Returns:
        float32 [E, 1, size, size], values 0 ... 1.
    """
    placed = place_centred(images.astype(np.float32), size)
    largest = placed.max(axis=(1, 2), keepdims=True)
    scaled = placed / np.where(largest > 0, largest, 1)
    spread = inflate(scaled, factor)
    return np.where(spread < threshold, 0, spread).astype(np.float32)[:, None]


def digits(size: int = 48, factor: float = 3.0, threshold: float = 0.4, seed: int = 0) -> Dataset:
    """The 1,797 handwritten digits (8x8) that scikit-learn ships, sparsified as the paper sparsifies MNIST.

    Args:
        size: side of the images.
        factor: by which the pixels are spread apart. At 3 direct neighbours come to lie 3 pixels
            apart, within the 7x7 kernel of the first convolution.
        threshold: values (of 1) below become 0.
        seed: of the split into 70 % train, 10 % validation, 20 % test, balanced over the classes.

    Returns:
        Images float32 [E, 1, size, size] with values 0 ... 1.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw = load_digits()
    images = sparsify(raw.images, size, factor, threshold)
    labels = raw.target.astype(np.int64)
    everything = np.arange(len(labels))
    rest, test = train_test_split(everything, test_size=0.2, random_state=seed, stratify=labels)
    train, validation = train_test_split(rest, test_size=1 / 8, random_state=seed, stratify=labels[rest])
    parts = (Split(images[part], labels[part]) for part in (train, validation, test))
    return Dataset("digits", tuple(str(d) for d in range(10)), *parts)
