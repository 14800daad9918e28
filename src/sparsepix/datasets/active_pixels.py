"""Images as lists of their active pixels: compact on disk, made dense for training."""

import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparsepix_ops.errors import SparsePixError

# Dense images of more bytes than this lie in a temporary file that is mapped into memory.
IN_MEMORY = 2 << 30
# Images that are made dense at a time, so that the index arrays stay small.
_BLOCK = 8192


@dataclass(frozen=True, eq=False)
class ActivePixels:
    """The non-zero pixels of E images, one image after another.

    Args:
        offsets: int64 [E + 1]; image e has the pixels offsets[e] to offsets[e + 1].
        places: uint16 [P], uint32 for images of more than 65,536 pixels: index of each pixel in its flattened image.
        values: float32 [P].
        labels: uint8 [E].
    """

    offsets: np.ndarray
    places: np.ndarray
    values: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, images: np.ndarray) -> "ActivePixels":
        """Those images, in that order."""
        counts = np.diff(self.offsets)[images]
        offsets = _offsets(counts)
        pixels = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][images] - offsets[:-1], counts)
        return ActivePixels(offsets, self.places[pixels], self.values[pixels], self.labels[images])

    def dense(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Images float32 [E, C, H, W] of that shape (C, H, W); memory-mapped where they are large."""
        images = new_images(len(self), shape)
        flat = images.reshape(len(self), math.prod(shape))
        for start in range(0, len(self), _BLOCK):
            stop = min(start + _BLOCK, len(self))
            image = np.repeat(np.arange(start, stop), np.diff(self.offsets[start : stop + 1]))
            pixels = slice(self.offsets[start], self.offsets[stop])
            flat[image, self.places[pixels]] = self.values[pixels]
        return images


def places_type(shape: Sequence[int]) -> np.dtype:
    """The type of the places of pixels in images of a shape (C, H, W)."""
    return np.dtype(np.uint16 if math.prod(shape) <= 1 << 16 else np.uint32)


def pack(images: np.ndarray, labels: np.ndarray) -> ActivePixels:
    """The active pixels of images [E, ...], with labels [E] of 0 ... 255."""
    flat = images.reshape(len(images), math.prod(images.shape[1:]))
    image, place = np.nonzero(flat)
    counts = np.bincount(image, minlength=len(images))
    values = flat[image, place].astype(np.float32)
    return ActivePixels(
        _offsets(counts), place.astype(places_type(images.shape[1:])), values, np.asarray(labels, dtype=np.uint8)
    )


def concatenate(parts: Sequence[ActivePixels]) -> ActivePixels:
    """The images of all parts (one at least), in order."""
    return ActivePixels(
        _offsets(np.concatenate([np.diff(part.offsets) for part in parts])),
        np.concatenate([part.places for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def new_images(events: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Zeros float32 [events, C, H, W]: in memory, or if larger than ``IN_MEMORY`` in a file without a name.

    The file lies in the folder for temporary files (TMPDIR), and the system removes it when the array
    is gone.

    Raises:
        SparsePixError: there is no room for them.
    """
    size = 4 * events * math.prod(shape)
    if size <= IN_MEMORY:
        return np.zeros((events, *shape), dtype=np.float32)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if size > free:
        raise SparsePixError(
            f"{events:,} images of {shape} take {size >> 30:,} GiB, {folder} has {free >> 30:,} GiB free; "
            "take fewer, or set TMPDIR to a larger disk"
        )
    file = tempfile.TemporaryFile(prefix="sparsepix-")  # noqa: SIM115 (the array keeps it open)
    return np.memmap(file, dtype=np.float32, mode="w+", shape=(events, *shape))


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
