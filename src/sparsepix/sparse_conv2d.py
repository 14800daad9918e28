"""Sparsity-preserving (submanifold) convolution."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sparsepix.batch_norm import NEEDS_ACTIVE_BIAS, SparseBatchNorm2d, quantized_weights
from sparsepix.checks import as_pair, check_channels, check_choice, check_positive
from sparsepix.neighbours import gather_windows
from sparsepix.quantizers import Format, Quantizer
from sparsepix.recording import emit, exporting
from sparsepix.sparse_pixels import SparsePixels
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.sparse_conv2d import check_groups

BiasOn = Literal["active", "nonzero"]


class SparseConv2d(nn.Module):
    """Convolution whose output pixels are its input pixels (spconv: submanifold convolution).

    ``out[i] = bias + sum over active j in the window around i of weight[:, :, offset] @ in[j]``,
    which is ``nn.Conv2d`` with 'same' padding on the zero-filled image, kept at the active pixels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd int or pair (rows, columns) of odd ints.
        groups: of channels, as in ``nn.Conv2d``: a filter reads the channels of its group only; ``in_channels`` gives a
            depthwise convolution.
        bias: whether there is a bias.
        bias_on: 'active' adds it to every active pixel; 'nonzero' only where the sum is not
            zero, for each pixel and filter, as the published Keras layers do.
        weight_format: format of the weights; None: float.
        bias_format: format of the bias; None: that of the weights.
        batch_norm: whether the layer normalizes its outputs over the active pixels. Its ``SparseBatchNorm2d`` is folded
            into weight and bias before they are quantized, in training too, so that export changes nothing;
            ``conv.batch_norm.eval()`` freezes its statistics.

    The parameters are ``weight`` [out_channels, in_channels / groups, kh, kw] and ``bias`` [out_channels].

    Raises:
        SparsePixError: a wrong argument; an input with another number of channels.
    """

    norm_type = SparseBatchNorm2d  # of its batch norm, if it has one

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        bias: bool = True,
        bias_on: BiasOn = "active",
        weight_format: Format = None,
        bias_format: Format = None,
        batch_norm: bool = False,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.in_channels = check_positive("SparseConv2d", "in_channels", in_channels)
        self.out_channels = check_positive("SparseConv2d", "out_channels", out_channels)
        self.kernel_size = as_pair("SparseConv2d", "kernel_size", kernel_size, odd=True)
        self.bias_on = check_choice("SparseConv2d", "bias_on", bias_on, ("active", "nonzero"))
        self.groups = check_positive("SparseConv2d", "groups", groups)
        try:
            check_groups(groups, in_channels, out_channels)
        except SparsePixError as error:
            raise SparsePixError(f"SparseConv2d: {error}") from None
        # Borrowed for its initial values.
        dense = nn.Conv2d(in_channels, out_channels, self.kernel_size, bias=bias, groups=groups)
        self.weight, self.bias = dense.weight, dense.bias
        self.weight_quantizer = Quantizer(weight_format, "SparseConv2d weight")
        self.bias_quantizer = (
            Quantizer(bias_format or weight_format, "SparseConv2d bias") if bias or batch_norm else None
        )
        self.batch_norm = self.norm_type(out_channels) if batch_norm else None
        if batch_norm and bias_on != "active":
            raise SparsePixError(f"SparseConv2d: {NEEDS_ACTIVE_BIAS}")

    def forward(self, pixels: SparsePixels) -> SparsePixels:
        """Convolve; the coordinates stay."""
        check_channels("SparseConv2d", self.in_channels, pixels.channels)
        weight, bias = quantized_weights(self, lambda: (self._sums(pixels, self.weight, self.bias), pixels.active))
        if exporting():
            # The op always has a bias; one of zeros is free in hardware.
            bias = torch.tensor([0.0] * self.out_channels, dtype=weight.dtype) if bias is None else bias
            inputs = (pixels.features, pixels.coords, weight, bias)
            shape = (*pixels.features.shape[:2], self.out_channels)
            attributes = {"bias_on": self.bias_on, "group": self.groups}
            return pixels.replace(emit("SparseConv2d", inputs, attributes, shape))
        return pixels.replace(self._sums(pixels, weight, bias))

    def _sums(self, pixels: SparsePixels, weight: Tensor, bias: Tensor | None) -> Tensor:
        table = pixels.neighbours(self.kernel_size)
        if bias is None or self.bias_on == "active":
            return _WindowSum.apply(pixels.features, weight, bias, table, pixels.active, self.groups)
        sums = _WindowSum.apply(pixels.features, weight, None, table, None, self.groups)
        return sums + bias * (sums != 0)

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, bias={self.bias is not None}, "
            f"bias_on={self.bias_on!r}, groups={self.groups}, batch_norm={self.batch_norm is not None}"
        )


class _WindowSum(torch.autograd.Function):
    """Gather the windows, multiply by the weight matrix; the same again for the gradient.

    If j lies at an offset from i, then i lies at the opposite offset from j. So the gradient of
    the features is a convolution too, over the same table with the kernel turned by 180 degrees:
    reads instead of the scattered additions that differentiating the gather would give.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        table: Tensor,
        active: Tensor | None,
        groups: int,
    ) -> Tensor:
        batch, slots, channels = features.shape
        windows = gather_windows(features.reshape(batch * slots, channels).t(), table)
        if groups == 1:
            matrix = weight.reshape(weight.shape[0], -1)
        else:  # side by side, a matrix product each
            windows = windows.view(groups, -1, batch * slots)
            matrix = weight.reshape(groups, weight.shape[0] // groups, -1)
        mask = None if bias is None else active.reshape(1, batch * slots).to(features.dtype)
        if bias is None or groups > 1:
            out = (matrix @ windows).view(weight.shape[0], batch * slots)
            out = out if bias is None else out.addcmul_(bias[:, None], mask)
        else:
            out = torch.addmm(bias[:, None] * mask, matrix, windows)
        ctx.save_for_backward(windows, weight, table, mask)
        ctx.groups = groups
        return out.t().reshape(batch, slots, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None, None]:
        windows, weight, table, mask = ctx.saved_tensors
        groups = ctx.groups
        batch, slots, filters = grad.shape
        grad = grad.reshape(batch * slots, filters).t()
        grad_features = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            around = gather_windows(grad, table)
            if groups == 1:
                turned = weight.flip(2, 3).transpose(0, 1).reshape(weight.shape[1], -1)
            else:
                turned = weight.flip(2, 3).view(groups, filters // groups, *weight.shape[1:]).transpose(1, 2)
                turned = turned.reshape(groups, weight.shape[1], -1)
                around = around.view(groups, -1, batch * slots)
            grad_features = (turned @ around).view(-1, batch * slots).t().reshape(batch, slots, -1)
        if ctx.needs_input_grad[1]:
            by_group = grad if groups == 1 else grad.reshape(groups, filters // groups, batch * slots)
            grad_weight = (by_group @ windows.mT).view(weight.shape)
        if mask is not None and ctx.needs_input_grad[2]:
            grad_bias = (grad @ mask.t()).view(filters)
        return grad_features, grad_weight, grad_bias, None, None, None
