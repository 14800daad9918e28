"""ReLU, leaky ReLU and quantized activations, on tensors and on sparse pixels."""

from torch import Tensor, nn
from torch.nn import functional as F

from sparsepix.pixels.sparse_pixels import SparsePixels, check_pixels
from sparsepix.quant.formats import Format
from sparsepix.quant.quantizers import Quantizer
from sparsepix.util.checks import check_positive
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.ops.leaky_relu import slope_shift


def check_tensor(layer: nn.Module, x: Tensor, for_pixels: str) -> None:
    """Check that a layer for tensors is given one.

    Raises:
        SparsePixError: something else; names the layer, and for pixels the one ``for_pixels``.
    """
    if not isinstance(x, Tensor):
        instead = f"; for pixels use {for_pixels}" if isinstance(x, SparsePixels) else ""
        raise SparsePixError(f"{type(layer).__name__}: expected a tensor, found {type(x).__name__}{instead}")


class QuantIdentity(nn.Module):
    """Rounds and clips a tensor [...] to a format; does nothing for None.

    Args:
        format: of the result.
        num_features: channels of the pixels, or elements of the vector; a learned format for each needs it.

    Raises:
        SparsePixError: see ``Quantizer``.
    """

    def __init__(self, format: Format = None, num_features: int | None = None) -> None:
        super().__init__()
        name = type(self).__name__
        features = None if num_features is None else check_positive(name, "num_features", num_features)
        self.quantizer = Quantizer(format, name, features)

    def forward(self, x: Tensor) -> Tensor:
        """Quantize ``x``."""
        check_tensor(self, x, "SparseIdentity")
        return self.quantizer(x)


class QuantReLU(QuantIdentity):
    """ReLU on a tensor [...], then rounding and clipping to a format (None: ReLU alone)."""

    def forward(self, x: Tensor) -> Tensor:
        """Rectify and quantize ``x``."""
        check_tensor(self, x, "SparseReLU")
        return self.quantizer(F.relu(x))


class QuantLeakyReLU(QuantIdentity):
    """Leaky ReLU on a tensor [...], then rounding and clipping to a format (None: leaky ReLU alone).

    Args:
        negative_slope: factor of negative values, a power of two from 2**-16 to 2**-1: hardware shifts.
        format: of the result; a signed one, or the negative values are clipped to 0.
        num_features: see ``QuantIdentity``.

    Raises:
        SparsePixError: the slope is no such power of two.
    """

    def __init__(self, negative_slope: float = 0.125, format: Format = None, num_features: int | None = None) -> None:
        super().__init__(format, num_features)
        try:
            slope_shift(negative_slope)
        except SparsePixError as error:
            raise SparsePixError(f"{type(self).__name__}: {error}") from None
        self.negative_slope = float(negative_slope)

    def forward(self, x: Tensor) -> Tensor:
        """Scale the negative values of ``x`` and quantize."""
        check_tensor(self, x, "SparseLeakyReLU")
        return self.quantizer(F.leaky_relu(x, self.negative_slope))

    def extra_repr(self) -> str:
        """The slope, for ``print(model)``."""
        return f"negative_slope={self.negative_slope}"


class SparseIdentity(QuantIdentity):
    """Rounds and clips the features to a format; does nothing for None. Empty slots stay 0."""

    def forward(self, pixels: SparsePixels) -> SparsePixels:
        """Quantize the features."""
        check_pixels("SparseIdentity", pixels)
        return pixels.replace(self.quantizer(pixels.features))


class SparseReLU(QuantIdentity):
    """ReLU on the features, then rounding and clipping to a format (None: ReLU alone).

    A pixel whose features all become 0 stays active; empty slots stay 0.
    """

    def forward(self, pixels: SparsePixels) -> SparsePixels:
        """Rectify and quantize the features."""
        check_pixels("SparseReLU", pixels)
        return pixels.replace(self.quantizer(F.relu(pixels.features)))


class SparseLeakyReLU(QuantLeakyReLU):
    """Leaky ReLU on the features, then rounding and clipping; arguments as for ``QuantLeakyReLU``.

    Empty slots stay 0.
    """

    def forward(self, pixels: SparsePixels) -> SparsePixels:
        """Scale the negative features and quantize."""
        check_pixels("SparseLeakyReLU", pixels)
        return pixels.replace(super().forward(pixels.features))
