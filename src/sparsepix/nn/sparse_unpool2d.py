"""Unpooling of sparse pixels: the inverse of a pool or of a stride."""

from collections.abc import Sequence

import torch
from torch import nn

from sparsepix.pixels.sparse_pixels import SparsePixels, check_pixels
from sparsepix.recording.blank import is_blank
from sparsepix.recording.emit import emit
from sparsepix.util.checks import as_pair, check_window
from sparsepix_ops.errors import SparsePixError


class SparseUnpool2d(nn.Module):
    """Gives each pixel the features of the cell that a pool or a strided convolution has merged it into.

    With the pixels from before the pool beside it (``sp.concat``, ``sp.add``) it makes the upward half of a U-Net; the
    list of active pixels stays what it was. A pixel of a partial window that the pool dropped gets 0.

    Args:
        kernel_size: int or pair (rows, columns): that of the pool, or the stride of the convolution.

    Raises:
        SparsePixError: a wrong argument; pixels that do not come from such a pool.
    """

    def __init__(self, kernel_size: int | Sequence[int]) -> None:
        super().__init__()
        self.kernel_size = as_pair("SparseUnpool2d", "kernel_size", kernel_size)

    def forward(self, pixels: SparsePixels, like: SparsePixels) -> SparsePixels:
        """Unpool.

        Args:
            pixels: of the coarse grid, features [B, M, C].
            like: the pixels from before the pool, [B, N, ...]; their features are not read.

        Returns:
            Features [B, N, C] on the pixels of ``like``.
        """
        for given in (pixels, like):
            check_pixels("SparseUnpool2d", given)
        (rows, columns), (height, width) = self.kernel_size, like.spatial_shape
        check_window("SparseUnpool2d", self.kernel_size, like.spatial_shape)
        pooled, strided = (height // rows, width // columns), (-(-height // rows), -(-width // columns))
        if pixels.spatial_shape not in (pooled, strided):
            raise SparsePixError(
                f"SparseUnpool2d: expected pixels of a grid of {pooled} (a pool of {like.spatial_shape} by "
                f"{self.kernel_size}) or {strided} (a stride), found {pixels.spatial_shape}; take kernel_size from the "
                "layer that made them, and for like what went into it"
            )
        batch, slots, channels = like.coords.shape[0], like.coords.shape[1], pixels.channels
        if is_blank(pixels.features):
            attributes = {"kernel_shape": [rows, columns], "spatial_shape": [height, width]}
            inputs = (pixels.features, pixels.coords, like.coords)
            return like.replace(emit("SparseUnpool2d", inputs, attributes, (batch, slots, channels)))
        # A grid of slot numbers, the last one where no coarse pixel is; one cell larger, for pixels of partial windows.
        across, cells = strided[1] + 1, (strided[0] + 1) * (strided[1] + 1)
        none = pixels.coords.shape[1]
        coarse = torch.where(pixels.active, pixels.coords[..., 0] * across + pixels.coords[..., 1], cells)
        slot = torch.where(pixels.active, torch.arange(none, device=coarse.device), none)
        grid = slot.new_full((batch, cells + 1), none).scatter(1, coarse, slot)
        cell = like.coords[..., 0] // rows * across + like.coords[..., 1] // columns
        source = grid.gather(1, torch.where(like.active, cell, cells))
        features = nn.functional.pad(pixels.features, (0, 0, 0, 1))
        found = features.gather(1, source[..., None].expand(batch, slots, channels))
        return like.replace(found)

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return f"{self.kernel_size}"
