"""Global maximum pooling of sparse pixels."""

from torch import Tensor, nn

from sparsepix.nn.sparse_max_pool2d import Over, max_pool
from sparsepix.pixels.sparse_pixels import SparsePixels, check_pixels
from sparsepix.recording.blank import is_blank
from sparsepix.recording.emit import emit
from sparsepix.util.checks import check_choice


class SparseGlobalMaxPool2d(nn.Module):
    """Maximum over the whole image, as a vector: ``SparseMaxPool2d`` with the whole image as its one cell.

    Args:
        over: 'active' takes the maximum of the active pixels, so that a negative one survives; 'cell' counts the
            inactive pixels of the image as 0, as a dense maximum over the zero-filled image does.

    Raises:
        SparsePixError: a wrong argument.
    """

    def __init__(self, over: Over = "active") -> None:
        super().__init__()
        self.over = check_choice("SparseGlobalMaxPool2d", "over", over, ("active", "cell"))

    def forward(self, pixels: SparsePixels) -> Tensor:
        """Pool features [B, N, C] to [B, C]; an image without active pixels gives 0."""
        check_pixels("SparseGlobalMaxPool2d", pixels)
        if is_blank(pixels.features):
            inputs = (pixels.features, pixels.coords)
            attributes = {"spatial_shape": list(pixels.spatial_shape), "over": self.over}
            return emit("SparseGlobalMaxPool2d", inputs, attributes, (pixels.features.shape[0], pixels.channels))
        # One slot at most holds the maximum, the others are 0.
        return max_pool(pixels, pixels.spatial_shape, self.over).features.sum(dim=1)

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return f"over={self.over!r}"
