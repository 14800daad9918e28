"""Global average pooling of sparse pixels."""

from torch import Tensor, nn

from sparsepix.nn.sparse_avg_pool2d import reciprocal_factor, true_division
from sparsepix.pixels.sparse_pixels import SparsePixels, check_pixels
from sparsepix.quant.formats import Format
from sparsepix.quant.quantizers import Quantizer
from sparsepix.recording.blank import is_blank
from sparsepix.recording.emit import emit
from sparsepix.util.checks import check_positive
from sparsepix_ops.ops.sparse_avg_pool2d import MAX_RECIPROCAL_BITS


class SparseGlobalAvgPool2d(nn.Module):
    """Average over the whole image, as ``nn.AdaptiveAvgPool2d(1)`` on the zero-filled image, as a vector.

    The sum of the active pixels is divided by the whole area H * W of the image, not by their number.

    Args:
        reciprocal_bits: significant bits (2 ... 24) of the fixed-point number that is used for 1 / (H * W); None
            divides truly, which no firmware does.
        format: format that the averages are rounded and clipped to; None: left as they are.
        num_features: channels of the pixels; a learned format for each channel needs it.

    Raises:
        SparsePixError: a wrong argument.
    """

    def __init__(
        self, reciprocal_bits: int | None = 16, format: Format = None, num_features: int | None = None
    ) -> None:
        super().__init__()
        if reciprocal_bits is not None:
            reciprocal_bits = check_positive("SparseGlobalAvgPool2d", "reciprocal_bits", reciprocal_bits)
            reciprocal_factor("SparseGlobalAvgPool2d", 1, reciprocal_bits)
        self.reciprocal_bits = reciprocal_bits
        self.quantizer = Quantizer(format, "SparseGlobalAvgPool2d", num_features)

    def forward(self, pixels: SparsePixels) -> Tensor:
        """Pool features [B, N, C] to [B, C]; an empty image gives 0."""
        check_pixels("SparseGlobalAvgPool2d", pixels)
        # Under torch.compile a size that has changed is a symbol, which has no reciprocal; range pins it down.
        height, width = (len(range(size)) for size in pixels.spatial_shape)
        # True division is refused by the exporter, which names the module and goes on looking for other problems.
        bits = (
            MAX_RECIPROCAL_BITS if is_blank(pixels.features) and self.reciprocal_bits is None else self.reciprocal_bits
        )
        factor = None if bits is None else reciprocal_factor("SparseGlobalAvgPool2d", height * width, bits)
        if is_blank(pixels.features):
            inputs = (pixels.features, pixels.coords)
            attributes = {"spatial_shape": [height, width], "reciprocal": factor}
            shape = (pixels.features.shape[0], pixels.channels)
            return self.quantizer(emit("SparseGlobalAvgPool2d", inputs, attributes, shape))
        sums = pixels.features.sum(dim=1)
        return self.quantizer(sums / (height * width) if factor is None else sums * factor)

    def export_problems(self) -> list[str]:
        """Why firmware cannot have this layer (see ``export_onnx``)."""
        return true_division(self.reciprocal_bits)

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return f"reciprocal_bits={self.reciprocal_bits}"
