"""Average pooling of sparse pixels."""

from collections.abc import Sequence

from torch import nn

from sparsepix.nn.pooling import emit_pool, merge_slots, pooled_presence
from sparsepix.pixels.sparse_pixels import SparsePixels, check_pixels, pixels_of
from sparsepix.quant.formats import Format
from sparsepix.quant.quantizers import Quantizer
from sparsepix.recording.blank import is_blank
from sparsepix.util.checks import as_pair, check_positive, check_window
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.ops.sparse_avg_pool2d import MAX_RECIPROCAL_BITS, real_reciprocal


class SparseAvgPool2d(nn.Module):
    """Average over windows, as ``nn.AvgPool2d`` on the zero-filled image.

    Pixels of one window merge into the first of their slots; the others become empty. Pixels in
    a partial last window are dropped.

    Args:
        kernel_size: int or pair (rows, columns); the stride is the same.
        reciprocal_bits: significant bits (2 ... 24) of the fixed-point number that is used for 1 / (rows * columns);
            None divides truly, which no firmware does.
        format: format that the averages are rounded and clipped to; None: left as they are.
        num_features: channels of the pixels; a learned format for each channel needs it.

    Raises:
        SparsePixError: a wrong argument; a window larger than the image.
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        reciprocal_bits: int | None = 16,
        format: Format = None,
        num_features: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = as_pair("SparseAvgPool2d", "kernel_size", kernel_size)
        self.reciprocal_bits = None
        if reciprocal_bits is not None:
            self.reciprocal_bits = check_positive("SparseAvgPool2d", "reciprocal_bits", reciprocal_bits)
        self._factor = None if reciprocal_bits is None else _factor(self.kernel_size, self.reciprocal_bits)
        self.quantizer = Quantizer(format, "SparseAvgPool2d", num_features)

    def forward(self, pixels: SparsePixels) -> SparsePixels:
        """Pool; spatial_shape becomes (H // rows, W // columns)."""
        check_pixels("SparseAvgPool2d", pixels)
        check_window("SparseAvgPool2d", self.kernel_size, pixels.spatial_shape)
        if is_blank(pixels.features):
            # True division is refused by the exporter, which names the module and goes on looking for other problems.
            factor = _factor(self.kernel_size, MAX_RECIPROCAL_BITS) if self._factor is None else self._factor
            pooled = emit_pool("SparseAvgPool2d", pixels, self.kernel_size, {"reciprocal": factor})
            return pooled.replace(self.quantizer(pooled.features))
        merge = merge_slots(pixels, self.kernel_size)
        batch, slots, channels = pixels.features.shape
        target = merge.target[..., None].expand(batch, slots, channels)
        sums = pixels.features.new_zeros(batch, slots + 1, channels).scatter_add(1, target, pixels.features)[:, :slots]
        area = self.kernel_size[0] * self.kernel_size[1]
        means = sums / area if self._factor is None else sums * self._factor
        return pixels_of(self.quantizer(means), merge.coords, merge.spatial_shape, pooled_presence(pixels, merge))

    def export_problems(self) -> list[str]:
        """Why firmware cannot have this layer (see ``export_onnx``)."""
        return true_division(self.reciprocal_bits)

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return f"{self.kernel_size}, reciprocal_bits={self.reciprocal_bits}"


def reciprocal_factor(layer: str, area: int, bits: int) -> float:
    """1 / area to so many significant bits.

    Raises:
        SparsePixError: no such number of bits; names the layer.
    """
    check_positive(layer, "reciprocal_bits", bits)
    try:
        return real_reciprocal(area, bits)
    except SparsePixError as error:
        raise SparsePixError(f"{layer}: {error}") from error


def true_division(reciprocal_bits: int | None) -> list[str]:
    """What an export says against an average that divides truly."""
    if reciprocal_bits is not None:
        return []
    return ["reciprocal_bits = None divides truly, which firmware does not; set reciprocal_bits"]


def _factor(kernel_size: tuple[int, int], bits: int) -> float:
    return reciprocal_factor("SparseAvgPool2d", kernel_size[0] * kernel_size[1], bits)
