"""Images of a data set, kept as lists of their non-zero pixels and made dense a batch at a time."""

import hashlib

import numpy as np
import torch
from torch import Tensor

_CHUNK = 4096  # images whose non-zero pixels are looked for at once


class ImageStore:
    """Images [E, C, H, W] of which few pixels are not zero.

    A batch is filled into zeros as fast as it is copied from a dense array, and the list is about a hundred times
    smaller: it fits beside the model on a GPU, and several processes may each hold it.

    Args:
        images: [E, C, H, W] numbers.
        like: of its device and dtype the batches are.
    """

    def __init__(self, images: np.ndarray, like: Tensor) -> None:
        self.shape = images.shape[1:]
        self._pixels = int(np.prod(self.shape))
        places, values, counts = [], [], [np.zeros(1, dtype=np.int64)]
        for start in range(0, len(images), _CHUNK):
            chunk = _flat(images[start : start + _CHUNK])
            event, place = chunk.nonzero()
            places.append(place.astype(np.int32))
            values.append(chunk[event, place].astype(chunk.dtype.newbyteorder("="), copy=False))
            counts.append(np.bincount(event, minlength=len(chunk)))
        self.offsets = torch.from_numpy(np.cumsum(np.concatenate(counts))).to(like.device)
        self.places = torch.from_numpy(np.concatenate(places or [np.zeros(0, np.int32)])).to(like.device)
        self.values = torch.from_numpy(np.concatenate(values or [np.zeros(0, np.float32)])).to(like)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, events: Tensor) -> Tensor:
        """Images [B, C, H, W] of the events int64 [B]."""
        events = events.to(self.offsets.device)
        start = self.offsets[events]
        count = self.offsets[events + 1] - start
        end = count.cumsum(0)
        # Entry k of the batch is entry k - (end - count) of its image's part of the list.
        source = torch.repeat_interleave(start - end + count, count)
        source += torch.arange(len(source), device=source.device)
        row = torch.repeat_interleave(torch.arange(len(events), device=source.device) * self._pixels, count)
        dense = self.values.new_zeros(len(events) * self._pixels)
        dense[row + self.places[source]] = self.values[source]
        return dense.view(len(events), *self.shape)


def _flat(images: np.ndarray) -> np.ndarray:
    """A block of images as rows; a copy where they do not lie side by side, so only ever of a block."""
    return images.reshape(len(images), -1)


def fingerprint(images: np.ndarray, labels: np.ndarray) -> str:
    """A short hash of images [E, C, H, W] and labels [E]: another one means other data."""
    found = hashlib.sha256(repr((images.shape, labels.shape)).encode())
    for start in range(0, len(images), _CHUNK):
        chunk = _flat(images[start : start + _CHUNK])
        event, place = chunk.nonzero()
        for part in (event, place, chunk[event, place]):
            found.update(np.ascontiguousarray(part).tobytes())
    found.update(np.ascontiguousarray(labels).tobytes())
    return found.hexdigest()[:16]
