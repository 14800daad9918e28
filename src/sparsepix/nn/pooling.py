"""What the layers that merge pixels share: which slots go into which."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparsepix.pixels.sparse_pixels import SparsePixels, pixels_of
from sparsepix.recording.emit import emit_sparse


class Merge(NamedTuple):
    """How the slots of a batch merge under pooling or a strided convolution.

    ``target`` [B, N]: the slot that a pixel goes to, N if it goes nowhere. ``leader`` [B, N]: the
    slots that hold a cell afterwards. ``coords`` [B, N, 2]: the coordinates afterwards.
    """

    target: Tensor
    leader: Tensor
    coords: Tensor
    spatial_shape: tuple[int, int]


def merge_slots(pixels: SparsePixels, kernel_size: tuple[int, int], round_up: bool = False) -> Merge:
    """Send each pixel to the first slot of its cell; those of a partial last cell go nowhere unless ``round_up``."""
    batch, slots, _ = pixels.coords.shape
    rest = [window - 1 if round_up else 0 for window in kernel_size]
    rows, columns = ((s + r) // w for s, r, w in zip(pixels.spatial_shape, rest, kernel_size, strict=True))
    row, column = pixels.coords[..., 0] // kernel_size[0], pixels.coords[..., 1] // kernel_size[1]
    kept = pixels.active & (row < rows) & (column < columns)
    cell = torch.where(kept, row * columns + column, rows * columns)
    slot = torch.arange(slots, dtype=cell.dtype, device=cell.device).expand(batch, slots)
    first = slot.new_full((batch, rows * columns + 1), slots).scatter_reduce(1, cell, slot, "amin")
    target = torch.where(kept, first.gather(1, cell), slots)
    leader = target == slot
    coords = torch.stack((row, column), dim=-1).masked_fill(~leader[..., None], -1)
    return Merge(target, leader, coords, (rows, columns))


def pooled_presence(pixels: SparsePixels, merge: Merge) -> Tensor | None:
    """The presence [B, N] of the cells: dropping a pixel empties its cell only if it is the only one there."""
    if pixels.presence is None:
        return None
    batch, slots = merge.target.shape
    members = pixels.presence.new_zeros(batch, slots + 1)
    members = members.scatter_add(1, merge.target, torch.ones_like(pixels.presence, requires_grad=False))[:, :slots]
    presence = torch.where(members == 1, pixels.presence, pixels.presence.detach())
    return presence.masked_fill(~merge.leader, 0.0)


def emit_pool(
    op: str, pixels: SparsePixels, kernel_size: tuple[int, int], attributes: Mapping[str, Any]
) -> SparsePixels:
    """Record a pooling op of the contract; ``attributes`` are those that only this op has."""
    windows = {"kernel_shape": list(kernel_size), "spatial_shape": list(pixels.spatial_shape)}
    inputs = (pixels.features, pixels.coords)
    slots, channels = pixels.features.shape[1:]
    features, coords = emit_sparse(op, inputs, {**windows, **attributes}, slots, channels)
    shape = tuple(size // window for size, window in zip(pixels.spatial_shape, kernel_size, strict=True))
    return pixels_of(features, coords, shape)
