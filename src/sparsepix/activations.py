"""ReLU and quantized activations, on tensors and on sparse pixels."""

from torch import Tensor, nn
from torch.nn import functional as F

from sparsepix.quantizers import Format, Quantizer
from sparsepix.sparse_pixels import SparsePixels


class QuantIdentity(nn.Module):
    """Rounds and clips a tensor [...] to a format; does nothing for None."""

    def __init__(self, format: Format = None) -> None:
        super().__init__()
        self.quantizer = Quantizer(format, type(self).__name__)

    def forward(self, x: Tensor) -> Tensor:
        """Quantize ``x``."""
        return self.quantizer(x)


class QuantReLU(QuantIdentity):
    """ReLU on a tensor [...], then rounding and clipping to a format (None: ReLU alone)."""

    def forward(self, x: Tensor) -> Tensor:
        """Rectify and quantize ``x``."""
        return self.quantizer(F.relu(x))


class SparseIdentity(QuantIdentity):
    """Rounds and clips the features to a format; does nothing for None. Empty slots stay 0."""

    def forward(self, pixels: SparsePixels) -> SparsePixels:
        """Quantize the features."""
        return pixels.replace(self.quantizer(pixels.features))


class SparseReLU(QuantIdentity):
    """ReLU on the features, then rounding and clipping to a format (None: ReLU alone).

    A pixel whose features all become 0 stays active; empty slots stay 0.
    """

    def forward(self, pixels: SparsePixels) -> SparsePixels:
        """Rectify and quantize the features."""
        return pixels.replace(self.quantizer(F.relu(pixels.features)))
