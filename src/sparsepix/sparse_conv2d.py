"""Sparsity-preserving (submanifold) convolution."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sparsepix.checks import as_pair, check_channels, check_choice, check_positive
from sparsepix.last_forward import LastForward
from sparsepix.neighbours import gather_windows
from sparsepix.quantizers import Format, Quantizer, bias_format_of
from sparsepix.recording import emit, exporting
from sparsepix.sparse_pixels import SparsePixels

BiasOn = Literal["active", "nonzero"]


class SparseConv2d(nn.Module):
    """Convolution whose output pixels are its input pixels (spconv: submanifold convolution).

    ``out[i] = bias + sum over active j in the window around i of weight[:, :, offset] @ in[j]``,
    which is ``nn.Conv2d`` with 'same' padding on the zero-filled image, kept at the active pixels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd int or pair (rows, columns) of odd ints.
        bias: whether there is a bias.
        bias_on: 'active' adds it to every active pixel; 'nonzero' only where the sum is not
            zero, for each pixel and filter, as the published Keras layers do.
        weight_format: format of the weights; None: float.
        bias_format: format of the bias; None: that of the weights (a learned width stays where it starts).

    The parameters are ``weight`` [out_channels, in_channels, kh, kw] and ``bias`` [out_channels].

    Raises:
        SparsePixError: a wrong argument; an input with another number of channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        bias: bool = True,
        bias_on: BiasOn = "active",
        weight_format: Format = None,
        bias_format: Format = None,
    ) -> None:
        super().__init__()
        self.in_channels = check_positive("SparseConv2d", "in_channels", in_channels)
        self.out_channels = check_positive("SparseConv2d", "out_channels", out_channels)
        self.kernel_size = as_pair("SparseConv2d", "kernel_size", kernel_size, odd=True)
        self.bias_on = check_choice("SparseConv2d", "bias_on", bias_on, ("active", "nonzero"))
        # Borrowed for its initial values.
        dense = nn.Conv2d(in_channels, out_channels, self.kernel_size, bias=bias)
        self.weight, self.bias = dense.weight, dense.bias
        self.weight_quantizer = Quantizer(weight_format, "SparseConv2d weight")
        self.bias_quantizer = (
            Quantizer(bias_format or bias_format_of(weight_format), "SparseConv2d bias") if bias else None
        )
        self.last_forward = LastForward()

    def forward(self, pixels: SparsePixels) -> SparsePixels:
        """Convolve; the coordinates stay."""
        check_channels("SparseConv2d", self.in_channels, pixels.channels)
        weight = self.weight_quantizer(self.weight)
        bias = None if self.bias is None else self.bias_quantizer(self.bias)
        if exporting():
            # The op always has a bias; one of zeros is free in hardware.
            bias = torch.tensor([0.0] * self.out_channels, dtype=weight.dtype) if bias is None else bias
            inputs = (pixels.features, pixels.coords, weight, bias)
            shape = (*pixels.features.shape[:2], self.out_channels)
            return pixels.replace(emit("SparseConv2d", inputs, {"bias_on": self.bias_on}, shape))

        table = pixels.neighbours(self.kernel_size)
        self.last_forward.table, self.last_forward.slots = table, pixels.coords.shape[:2]
        self.last_forward.presence = pixels.presence
        if bias is None or self.bias_on == "active":
            mask = pixels.active
            return pixels.replace(_WindowSum.apply(pixels.features, weight, bias, table, mask))
        sums = _WindowSum.apply(pixels.features, weight, None, table, None)
        return pixels.replace(sums + bias * (sums != 0))

    def products(self) -> Tensor:
        """Multiplications an image in the last forward, mean over the batch: a scalar.

        One for each pair of kept pixels in the window (a pixel with itself included) and each pair of channels.
        The gradient goes to a learned selection: dropping a pixel drops its pairs with itself and its neighbours.
        """
        last = self.last_forward
        batch, _ = last.slots
        neighbours = (last.table < last.table.shape[1]).sum(0).view(last.slots).to(self.weight.dtype)
        pairs = neighbours.sum()
        if last.presence is not None:
            # Each pair counts for both of its pixels.
            pairs = pairs + 2 * (neighbours * (last.presence - last.presence.detach())).sum()
        return pairs * (self.in_channels * self.out_channels / batch)

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, bias={self.bias is not None}, "
            f"bias_on={self.bias_on!r}"
        )


class _WindowSum(torch.autograd.Function):
    """Gather the windows, multiply by the weight matrix; the same again for the gradient.

    If j lies at an offset from i, then i lies at the opposite offset from j. So the gradient of
    the features is a convolution too, over the same table with the kernel turned by 180 degrees:
    reads instead of the scattered additions that differentiating the gather would give.
    """

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, table: Tensor, active: Tensor | None
    ) -> Tensor:
        batch, slots, channels = features.shape
        windows = gather_windows(features.reshape(batch * slots, channels).t(), table)
        matrix = weight.reshape(weight.shape[0], -1)
        if bias is None:
            out, mask = matrix @ windows, None
        else:
            mask = active.reshape(1, batch * slots).to(features.dtype)
            out = torch.addmm(bias[:, None] * mask, matrix, windows)
        ctx.save_for_backward(windows, weight, table, mask)
        return out.t().reshape(batch, slots, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        windows, weight, table, mask = ctx.saved_tensors
        batch, slots, filters = grad.shape
        grad = grad.reshape(batch * slots, filters).t()
        grad_features = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            turned = weight.flip(2, 3).transpose(0, 1).reshape(weight.shape[1], -1)
            grad_features = (turned @ gather_windows(grad, table)).t().reshape(batch, slots, -1)
        if ctx.needs_input_grad[1]:
            grad_weight = (grad @ windows.t()).view(weight.shape)
        if mask is not None and ctx.needs_input_grad[2]:
            grad_bias = (grad @ mask.t()).view(filters)
        return grad_features, grad_weight, grad_bias, None, None
