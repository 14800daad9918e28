"""Dense convolution with quantized weights, for the standard CNN that a sparse one is compared with."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsepix.nn.batch_norm import quantized_weights
from sparsepix.quant.formats import Format, bias_format_of
from sparsepix.quant.quantizers import Quantizer, start_above_rounding
from sparsepix.util.checks import as_pair, check_channels, check_flag, check_image, check_positive, check_weights
from sparsepix.util.last_forward import LastForward
from sparsepix.util.precision import full_precision, in_full_precision


class QuantConv2d(nn.Conv2d):
    """Convolution of dense images [B, C, H, W], zero padded to the same size, or to that over the stride, rounded up.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd int or pair (rows, columns) of odd ints.
        bias: whether there is a bias.
        weight_format: format of the weights; None: float.
        bias_format: format of the bias; None: that of the weights (a learned width stays where it starts).
        batch_norm: whether the layer normalizes its outputs; its ``nn.BatchNorm2d`` is folded into weight and bias
            before they are quantized, see ``SparseConv2d``.
        stride: int or pair (rows, columns).

    Raises:
        SparsePixError: a wrong argument; an input with another rank or number of channels.
    """

    norm_type = nn.BatchNorm2d  # of its batch norm, if it has one

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        bias: bool = True,
        weight_format: Format = None,
        bias_format: Format = None,
        batch_norm: bool = False,
        stride: int | Sequence[int] = 1,
    ) -> None:
        in_channels = check_positive("QuantConv2d", "in_channels", in_channels)
        out_channels = check_positive("QuantConv2d", "out_channels", out_channels)
        bias, batch_norm = (
            check_flag("QuantConv2d", name, value) for name, value in (("bias", bias), ("batch_norm", batch_norm))
        )
        window = as_pair("QuantConv2d", "kernel_size", kernel_size, odd=True)
        check_weights("QuantConv2d", out_channels, in_channels, *window)
        steps = as_pair("QuantConv2d", "stride", stride)
        padding = (window[0] // 2, window[1] // 2)
        super().__init__(in_channels, out_channels, window, stride=steps, padding=padding, bias=bias)
        self.weight_quantizer = Quantizer(weight_format, "QuantConv2d weight", tuple(self.weight.shape))
        start_above_rounding(self, weight_format)
        self.bias_quantizer = (
            Quantizer(bias_format or bias_format_of(weight_format), "QuantConv2d bias") if bias or batch_norm else None
        )
        self.batch_norm = self.norm_type(out_channels) if batch_norm else None
        self.last_forward = LastForward()

    def forward(self, image: Tensor) -> Tensor:
        """Convolve [B, in_channels, H, W] to [B, out_channels, H, W]."""
        image = in_full_precision("QuantConv2d", check_image("QuantConv2d", image))
        check_channels("QuantConv2d", self.in_channels, image.shape[1])
        self.last_forward.spatial_shape = tuple(image.shape[2:])
        # oneDNN takes several times as long for the gradient of few channels in the other order.
        image = image.to(memory_format=torch.channels_last)

        def plain() -> tuple[Tensor, None]:
            return F.conv2d(image, self.weight, self.bias, self.stride, self.padding).movedim(1, -1), None

        with full_precision(image.device):
            weight, bias = quantized_weights(self, plain)
            return F.conv2d(image, weight, bias, self.stride, self.padding)

    def products(self) -> Tensor:
        """Multiplications of one image in the last forward, those with the padding left out: a scalar."""
        rows, columns = self._places()
        return self.weight.new_tensor(float(sum(rows) * sum(columns) * self.in_channels * self.out_channels))

    def products_of_taps(self) -> Tensor:
        """Those with one weight at each place of the kernel, [1, 1, rows, columns]."""
        rows, columns = (self.weight.new_tensor([float(count) for count in axis]) for axis in self._places())
        return (rows[:, None] * columns)[None, None]

    def _places(self) -> list[list[int]]:
        """Along each axis, for each tap: from how many places of the image it lies inside of it."""
        sizes = zip(self.last_forward.spatial_shape, self.kernel_size, self.stride, strict=True)
        return [
            [sum(0 <= place + tap - window // 2 < size for place in range(0, size, step)) for tap in range(window)]
            for size, window, step in sizes
        ]
