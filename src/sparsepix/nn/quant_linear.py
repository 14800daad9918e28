"""Fully connected layer with quantized weights."""

from torch import Tensor, nn

from sparsepix.nn.batch_norm import quantized_weights
from sparsepix.quant.formats import Format, bias_format_of
from sparsepix.quant.quantizers import Quantizer, start_above_rounding
from sparsepix.util.checks import check_channels, check_flag, check_positive, check_vector, check_weights
from sparsepix.util.precision import in_full_precision, linear


class QuantLinear(nn.Linear):
    """``x @ weight.T + bias`` with quantized weight [out_features, in_features] and bias [out_features].

    Args:
        in_features: size of the input vector.
        out_features: size of the output vector.
        bias: whether there is a bias.
        weight_format: format of the weights; None: float.
        bias_format: format of the bias; None: that of the weights (a learned width stays where it starts).
        batch_norm: whether the layer normalizes its outputs; its ``nn.BatchNorm1d`` is folded into weight and bias
            before they are quantized, see ``SparseConv2d``.

    Raises:
        SparsePixError: a wrong argument; an input of another size.
    """

    norm_type = nn.BatchNorm1d  # of its batch norm, if it has one

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        weight_format: Format = None,
        bias_format: Format = None,
        batch_norm: bool = False,
    ) -> None:
        in_features = check_positive("QuantLinear", "in_features", in_features)
        out_features = check_positive("QuantLinear", "out_features", out_features)
        bias, batch_norm = (
            check_flag("QuantLinear", name, value) for name, value in (("bias", bias), ("batch_norm", batch_norm))
        )
        check_weights("QuantLinear", out_features, in_features)
        super().__init__(in_features, out_features, bias)
        self.weight_quantizer = Quantizer(weight_format, "QuantLinear weight", tuple(self.weight.shape))
        start_above_rounding(self, weight_format)
        self.bias_quantizer = (
            Quantizer(bias_format or bias_format_of(weight_format), "QuantLinear bias") if bias or batch_norm else None
        )
        self.batch_norm = self.norm_type(out_features) if batch_norm else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to [..., in_features]."""
        check_vector("QuantLinear", x)
        check_channels("QuantLinear", self.in_features, x.shape[-1], "in_features")
        x = in_full_precision("QuantLinear", x)
        weight, bias = quantized_weights(self, lambda: (linear(x, self.weight, self.bias), None))
        return linear(x, weight, bias)
