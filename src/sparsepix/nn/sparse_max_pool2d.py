"""Maximum pooling of sparse pixels."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from sparsepix.nn.pooling import Merge, emit_pool, merge_slots, pooled_presence
from sparsepix.pixels.sparse_pixels import SparsePixels, check_pixels, pixels_of
from sparsepix.recording.blank import is_blank
from sparsepix.util.checks import as_pair, check_choice, check_window

Over = Literal["active", "cell"]


class SparseMaxPool2d(nn.Module):
    """Maximum over windows; slots merge as in ``SparseAvgPool2d``.

    The gradient goes to the first maximum in row-major order, as that of ``nn.MaxPool2d`` does.

    Args:
        kernel_size: int or pair (rows, columns); the stride is the same.
        over: 'active' takes the maximum of the active pixels, so that a negative one survives;
            'cell' counts the inactive pixels of the window as 0, as the published layer does.

    Raises:
        SparsePixError: a wrong argument; a window larger than the image.
    """

    def __init__(self, kernel_size: int | Sequence[int], over: Over = "active") -> None:
        super().__init__()
        self.kernel_size = as_pair("SparseMaxPool2d", "kernel_size", kernel_size)
        self.over = check_choice("SparseMaxPool2d", "over", over, ("active", "cell"))

    def forward(self, pixels: SparsePixels) -> SparsePixels:
        """Pool; spatial_shape becomes (H // rows, W // columns)."""
        check_pixels("SparseMaxPool2d", pixels)
        check_window("SparseMaxPool2d", self.kernel_size, pixels.spatial_shape)
        if is_blank(pixels.features):
            return emit_pool("SparseMaxPool2d", pixels, self.kernel_size, {"over": self.over})
        return max_pool(pixels, self.kernel_size, self.over)

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return f"{self.kernel_size}, over={self.over!r}"


def max_pool(pixels: SparsePixels, kernel_size: tuple[int, int], over: Over) -> SparsePixels:
    """What ``SparseMaxPool2d`` computes; spatial_shape becomes (H // rows, W // columns)."""
    merge = merge_slots(pixels, kernel_size)
    winner = first_maximum(pixels, merge)
    best = pixels.features.gather(1, winner)
    if over == "cell":
        whole, ahead = _inactive(pixels, kernel_size)
        # An inactive pixel wins with its 0, or by coming before an active pixel that is 0 too.
        ahead = ahead[..., None].expand_as(best).gather(1, winner)
        beaten = ~whole[..., None] & ((best < 0) | ((best == 0) & ~ahead))
        best = best.masked_fill(beaten, 0.0)
    best = best.masked_fill(~merge.leader[..., None], 0.0)
    return pixels_of(best, merge.coords, merge.spatial_shape, pooled_presence(pixels, merge))


def _inactive(pixels: SparsePixels, kernel_size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Two masks [B, N]: all pixels of the slot's window are active; all pixels of it before the slot are."""
    batch, _, _ = pixels.coords.shape
    height, width = pixels.spatial_shape
    rows, columns = kernel_size
    across, area = -(-width // columns), rows * columns
    cells = -(-height // rows) * across
    row, column = pixels.coords[..., 0], pixels.coords[..., 1]
    cell = (row // rows) * across + column // columns
    order = (row % rows) * columns + column % columns
    place = torch.where(pixels.active, cell * area + order, cells * area)
    taken = torch.zeros(batch, cells * area + 1, dtype=torch.int32, device=place.device)
    taken = taken.scatter(1, place, 1)[:, :-1].reshape(batch, cells, area)
    counted = taken.cumsum(2, dtype=torch.int32).flatten(1)
    place = torch.where(pixels.active, place, 0)
    last = place - place % area + area - 1
    return counted.gather(1, last) == area, counted.gather(1, place) == order + 1


def first_maximum(pixels: SparsePixels, merge: Merge) -> Tensor:
    """The slot [B, N, C] that holds the maximum of each leader's cell, the first in row-major order if several do.

    What it says for other slots is some slot of the image.
    """
    features = pixels.features.detach()
    batch, slots, channels = features.shape
    target = merge.target[..., None].expand(batch, slots, channels)
    best = features.new_full((batch, slots + 1, channels), -math.inf).scatter_reduce(1, target, features, "amax")
    largest = features == best.gather(1, target)
    # Slots are in row-major order at first, but no longer after another pooling.
    place = pixels.coords[..., 0] * pixels.spatial_shape[1] + pixels.coords[..., 1]
    slot = torch.arange(slots, device=place.device)
    key = (place * slots + slot)[..., None]
    none = pixels.spatial_shape[0] * pixels.spatial_shape[1] * slots
    key = torch.where(largest, key, none)
    return key.new_full((batch, slots + 1, channels), none).scatter_reduce(1, target, key, "amin")[:, :slots] % slots
