"""From sparse pixels to one dense vector an image."""

import torch
from torch import Tensor, nn

from sparsepix.pixels.sparse_pixels import SparsePixels, check_pixels
from sparsepix.recording.blank import is_blank
from sparsepix.recording.emit import emit
from sparsepix.util.last_forward import LastForward


class SparseFlatten(nn.Module):
    """Scatters the features to [B, H * W * C]: row, column, channel; 0 where no pixel is."""

    def __init__(self) -> None:
        super().__init__()
        self.last_forward = LastForward()

    def forward(self, pixels: SparsePixels) -> Tensor:
        """Flatten to [B, H * W * C]."""
        check_pixels("SparseFlatten", pixels)
        height, width = pixels.spatial_shape
        if is_blank(pixels.features):
            inputs = (pixels.features, pixels.coords)
            shape = (pixels.features.shape[0], height * width * pixels.channels)
            return emit("SparseFlatten", inputs, {"spatial_shape": [height, width]}, shape)
        last = self.last_forward
        last.active, last.presence, last.channels = pixels.active, pixels.presence, pixels.channels
        last.coords, last.spatial_shape = pixels.coords, pixels.spatial_shape
        return pixels.to_rows().flatten(1)

    def kept_features(self) -> Tensor:
        """Features of kept pixels in a vector of the last forward, mean over the batch (0 for none): a scalar.

        The gradient goes to a learned selection.
        """
        last = self.last_forward
        kept = self._kept()
        return kept.sum() / max(len(kept), 1) * last.channels

    def kept_places(self) -> Tensor:
        """How often each place of the grid has a kept pixel in the last forward, mean over the batch: [H * W].

        The gradient goes to a learned selection.
        """
        last = self.last_forward
        kept = self._kept()
        height, width = last.spatial_shape
        place = last.coords[..., 0] * width + last.coords[..., 1]
        place = torch.where(last.active, place, height * width).view(-1)
        counts = kept.new_zeros(height * width + 1).index_add(0, place, kept.reshape(-1))
        return counts[:-1] / max(len(kept), 1)

    def _kept(self) -> Tensor:
        """Which slots of the last forward have a pixel, [B, N]."""
        last = self.last_forward
        return last.active.to(torch.get_default_dtype()) if last.presence is None else last.presence
