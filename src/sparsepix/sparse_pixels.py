"""The sparse representation of a batch of images."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from sparsepix.neighbours import neighbour_table
from sparsepix_ops.errors import SparsePixError


class SparsePixels:
    """The active pixels of a batch of images, N slots an image.

    Args:
        features: [B, N, C], the channel values of each kept pixel; 0 in an empty slot.
        coords: [B, N, 2] integers, the (row, column) of each pixel, unique in an image;
            (-1, -1) marks an empty slot, and nothing else does.
        spatial_shape: (H, W) of the images.
        presence: [B, N], 1 for a pixel and 0 for an empty slot, with a gradient to a learned selection
            (see ``soft_selection``); None where nothing is learned.

    Raises:
        SparsePixError: tensors of another rank or dtype, or that do not belong together.
    """

    __slots__ = ("_cache", "coords", "features", "spatial_shape")

    def __init__(
        self, features: Tensor, coords: Tensor, spatial_shape: Sequence[int], presence: Tensor | None = None
    ) -> None:
        if features.dim() != 3 or not features.dtype.is_floating_point:
            raise SparsePixError(
                "SparsePixels: features must be a floating-point tensor [B, N, C], "
                f"found {features.dtype} {tuple(features.shape)}"
            )
        if coords.dim() != 3 or coords.shape[2] != 2 or coords.shape[:2] != features.shape[:2]:
            raise SparsePixError(
                f"SparsePixels: coords must be [B, N, 2] with the B and N of features {tuple(features.shape)}, "
                f"found {tuple(coords.shape)}"
            )
        if coords.dtype not in (torch.int64, torch.int32):
            raise SparsePixError(f"SparsePixels: coords must be integers, found {coords.dtype}; use coords.long()")
        if len(spatial_shape) != 2 or any(size < 1 for size in spatial_shape):
            raise SparsePixError(f"SparsePixels: spatial_shape must be (H, W), found {tuple(spatial_shape)}")
        self.features = features
        self.coords = coords
        self.spatial_shape = (spatial_shape[0], spatial_shape[1])
        self._cache: dict[Any, Tensor] = {} if presence is None else {"presence": presence}

    def replace(self, features: Tensor) -> "SparsePixels":
        """The same pixels with other features [B, N, C']; the neighbour tables stay shared."""
        pixels = SparsePixels(features, self.coords, self.spatial_shape)
        pixels._cache = self._cache
        return pixels

    @property
    def channels(self) -> int:
        """C, the features of a pixel."""
        return self.features.shape[2]

    @property
    def active(self) -> Tensor:
        """[B, N] bool: the slots that hold a pixel."""
        if "active" not in self._cache:
            self._cache["active"] = self.coords[..., 0] >= 0
        return self._cache["active"]

    @property
    def presence(self) -> Tensor | None:
        """[B, N]: 1 for a pixel, 0 for an empty slot, with a gradient; None where nothing is learned."""
        return self._cache.get("presence")

    def neighbours(self, kernel_size: tuple[int, int]) -> Tensor:
        """The neighbour table [kh * kw, B * N] of a kernel size, made on first use (see ``neighbour_table``)."""
        if kernel_size not in self._cache:
            self._cache[kernel_size] = neighbour_table(self.coords, self.spatial_shape, kernel_size)
        return self._cache[kernel_size]

    def to_rows(self) -> Tensor:
        """The features at their places [B, H * W, C], 0 elsewhere."""
        height, width = self.spatial_shape
        batch, slots, channels = self.features.shape
        cells = batch * height * width
        image = torch.arange(batch, device=self.coords.device)[:, None] * (height * width)
        place = image + self.coords[..., 0] * width + self.coords[..., 1]
        # Empty slots go to one more row at the end, which is then cut off.
        place = torch.where(self.active, place, cells).view(-1)
        rows = self.features.new_zeros(cells + 1, channels)
        rows = rows.index_copy(0, place, self.features.reshape(batch * slots, channels))
        return rows[:cells].view(batch, height * width, channels)

    def to_dense(self) -> Tensor:
        """The zero-filled images [B, C, H, W]."""
        return self.to_rows().transpose(1, 2).reshape(-1, self.channels, *self.spatial_shape)

    def __repr__(self) -> str:
        return f"SparsePixels(features={tuple(self.features.shape)}, spatial_shape={self.spatial_shape})"


def _flatten(pixels: SparsePixels) -> tuple[list[Tensor], tuple[int, int]]:
    return [pixels.features, pixels.coords], pixels.spatial_shape


def _unflatten(leaves: Sequence[Any], spatial_shape: tuple[int, int]) -> SparsePixels:
    # Leaves may be placeholders of torch.export that no check understands.
    pixels = SparsePixels.__new__(SparsePixels)
    pixels.features, pixels.coords = leaves
    pixels.spatial_shape = tuple(spatial_shape)
    pixels._cache = {}
    return pixels


# Lets torch.compile and torch.export take SparsePixels as an input or output of a module.
pytree.register_pytree_node(
    SparsePixels, _flatten, _unflatten, serialized_type_name=f"{SparsePixels.__module__}.{SparsePixels.__qualname__}"
)
