"""From sparse pixels to one dense vector an image."""

from torch import Tensor, nn

from sparsepix.recording import emit, exporting
from sparsepix.sparse_pixels import SparsePixels


class SparseFlatten(nn.Module):
    """Scatters the features to [B, H * W * C]: row, column, channel; 0 where no pixel is."""

    def forward(self, pixels: SparsePixels) -> Tensor:
        """Flatten to [B, H * W * C]."""
        height, width = pixels.spatial_shape
        if exporting():
            inputs = (pixels.features, pixels.coords)
            shape = (pixels.features.shape[0], height * width * pixels.channels)
            return emit("SparseFlatten", inputs, {"spatial_shape": [height, width]}, shape)
        return pixels.to_rows().flatten(1)
