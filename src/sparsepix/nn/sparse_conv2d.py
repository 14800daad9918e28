"""Sparsity-preserving (submanifold) convolution, and the same onto a coarser grid."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sparsepix.nn.batch_norm import NEEDS_ACTIVE_BIAS, SparseBatchNorm2d, normalized, quantized_weights
from sparsepix.nn.pooling import Merge, merge_slots, pooled_presence
from sparsepix.pixels.kernel_map import add_windows, gather_windows, kernel_map
from sparsepix.pixels.sparse_pixels import SparsePixels, check_pixels, pixels_of
from sparsepix.quant.formats import Format, bias_format_of
from sparsepix.quant.quantizers import Quantizer, start_above_rounding
from sparsepix.recording.blank import is_blank
from sparsepix.recording.emit import emit, emit_sparse
from sparsepix.util.checks import as_pair, check_channels, check_choice, check_flag, check_positive, check_weights
from sparsepix.util.last_forward import LastForward
from sparsepix.util.precision import full_precision
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.ops.sparse_conv2d import check_groups
from sparsepix_ops.ops.sparse_strided_conv2d import grid_of

BiasOn = Literal["active", "nonzero"]


class SparseConv2d(nn.Module):
    """Convolution whose output pixels are its input pixels (spconv: submanifold convolution).

    ``out[i] = bias + sum over active j in the window around i of weight[:, :, offset] @ in[j]``,
    which is ``nn.Conv2d`` with 'same' padding on the zero-filled image, kept at the active pixels.

    With a stride the output pixels are the cells ``coords // stride`` that hold an active pixel, as after a pool:
    pixels of one cell merge into the first of their slots, the others become empty. It is ``nn.Conv2d(kernel_size,
    stride, padding=kernel_size // 2)`` on the zero-filled image, kept at those cells; every active pixel in a window
    takes part.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd int or pair (rows, columns) of odd ints.
        groups: of channels, as in ``nn.Conv2d``: a filter reads the channels of its group only; ``in_channels`` gives a
            depthwise convolution.
        stride: int or pair (rows, columns); spatial_shape becomes that of the cells that cover the image.
        bias: whether there is a bias.
        bias_on: 'active' adds it to every active pixel; 'nonzero' only where the sum is not
            zero, for each pixel and filter, as the published Keras layers do.
        weight_format: format of the weights; None: float.
        bias_format: format of the bias; None: that of the weights (a learned width stays where it starts).
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
        stride: int | Sequence[int] = 1,
    ) -> None:
        super().__init__()
        self.in_channels = check_positive("SparseConv2d", "in_channels", in_channels)
        self.out_channels = check_positive("SparseConv2d", "out_channels", out_channels)
        self.kernel_size = as_pair("SparseConv2d", "kernel_size", kernel_size, odd=True)
        self.bias_on = check_choice("SparseConv2d", "bias_on", bias_on, ("active", "nonzero"))
        self.stride = as_pair("SparseConv2d", "stride", stride)
        bias, batch_norm = (
            check_flag("SparseConv2d", name, value) for name, value in (("bias", bias), ("batch_norm", batch_norm))
        )
        if self.stride != (1, 1) and bias_on != "active":
            raise SparsePixError(
                f"SparseConv2d: bias_on='nonzero' needs stride 1, found {stride}; take bias_on='active'"
            )
        self.groups = check_positive("SparseConv2d", "groups", groups)
        try:
            check_groups(self.groups, self.in_channels, self.out_channels)
        except SparsePixError as error:
            raise SparsePixError(f"SparseConv2d: {error}") from None
        # A dense convolution, for its initial values.
        check_weights("SparseConv2d", self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        dense = nn.Conv2d(self.in_channels, self.out_channels, self.kernel_size, bias=bias, groups=self.groups)
        self.weight, self.bias = dense.weight, dense.bias
        self.weight_quantizer = Quantizer(weight_format, "SparseConv2d weight", tuple(self.weight.shape))
        start_above_rounding(self, weight_format)
        self.bias_quantizer = (
            Quantizer(bias_format or bias_format_of(weight_format), "SparseConv2d bias") if bias or batch_norm else None
        )
        self.batch_norm = self.norm_type(self.out_channels) if batch_norm else None
        if batch_norm and bias_on != "active":
            raise SparsePixError(f"SparseConv2d: {NEEDS_ACTIVE_BIAS}")
        self.last_forward = LastForward()

    def forward(self, pixels: SparsePixels) -> SparsePixels:
        """Convolve; the coordinates stay, unless there is a stride."""
        check_pixels("SparseConv2d", pixels)
        check_channels("SparseConv2d", self.in_channels, pixels.channels)
        if is_blank(pixels.features):
            return self._emit(pixels)
        merge = None if self.stride == (1, 1) else merge_slots(pixels, self.stride, round_up=True)
        active = pixels.active if merge is None else merge.leader
        tables = self._tables(pixels, merge)
        presence = pixels.presence if merge is None else pooled_presence(pixels, merge)
        self.last_forward.table, self.last_forward.slots = tables[0], pixels.coords.shape[:2]
        self.last_forward.presence = presence

        def sums(weight: Tensor, bias: Tensor | None) -> Tensor:
            if bias is None or self.bias_on == "active":
                return _WindowSum.apply(pixels.features, weight, bias, *tables, active, self.groups)
            found = _WindowSum.apply(pixels.features, weight, None, *tables, None, self.groups)
            return found + bias * (found != 0)

        in_float = self.weight_quantizer.passes and (self.bias_quantizer is None or self.bias_quantizer.passes)
        if self.batch_norm is not None and self.batch_norm.training and in_float:
            # In float the outputs can be normalized as well as the weights, which takes one convolution instead of two.
            features = normalized(self.batch_norm, sums(self.weight, self.bias), active)
        else:
            features = sums(*quantized_weights(self, lambda: (sums(self.weight, self.bias), active)))
        if merge is None:
            return pixels.replace(features)
        return pixels_of(features, merge.coords, merge.spatial_shape, presence)

    def _tables(self, pixels: SparsePixels, merge: Merge | None) -> tuple[Tensor, Tensor | None]:
        """The pixels in the window of each output, and the outputs in whose windows each pixel lies, seen from it.

        The latter is None where it is the same table, or where no gradient of the features is needed.
        """
        if merge is None:
            # If j lies at an offset from i, then i lies at the opposite offset from j: one table is both.
            return pixels.kernel_map(self.kernel_size), None
        corners = torch.where(merge.coords < 0, -1, merge.coords * merge.coords.new_tensor(self.stride))
        table = kernel_map(pixels.coords, pixels.spatial_shape, self.kernel_size, corners)
        if not pixels.features.requires_grad:
            return table, None
        return table, kernel_map(corners, pixels.spatial_shape, self.kernel_size, pixels.coords)

    def _emit(self, pixels: SparsePixels) -> SparsePixels:
        weight, bias = quantized_weights(self)
        # The op always has a bias; one of zeros is free in hardware.
        bias = torch.tensor([0.0] * self.out_channels, dtype=weight.dtype) if bias is None else bias
        inputs = (pixels.features, pixels.coords, weight, bias)
        slots = pixels.features.shape[1]
        if self.stride == (1, 1):
            attributes: dict[str, Any] = {"bias_on": self.bias_on, "group": self.groups}
            shape = (pixels.features.shape[0], slots, self.out_channels)
            return pixels.replace(emit("SparseConv2d", inputs, attributes, shape))
        attributes = {
            "strides": list(self.stride),
            "spatial_shape": list(pixels.spatial_shape),
            "group": self.groups,
        }
        features, coords = emit_sparse("SparseStridedConv2d", inputs, attributes, slots, self.out_channels)
        return pixels_of(features, coords, grid_of(pixels.spatial_shape, self.stride))

    def products(self) -> Tensor:
        """Multiplications an image in the last forward, mean over the batch (0 for none): a scalar.

        One for each output and kept pixel in its window, and each pair of channels in a group.
        The gradient goes to a learned selection: dropping a pixel drops its pairs with itself and its neighbours
        (after a stride: dropping the only pixel of a cell drops those of the cell).
        """
        batch, _ = self.last_forward.slots
        return self._pairs().sum() * (self.in_channels // self.groups * self.out_channels / max(batch, 1))

    def products_of_taps(self) -> Tensor:
        """Those with one weight at each place of the kernel, [1, 1, rows, columns]."""
        batch, _ = self.last_forward.slots
        return (self._pairs() / max(batch, 1)).view(1, 1, *self.kernel_size)

    def _pairs(self) -> Tensor:
        """Outputs and kept pixels in their windows of the last forward, at each place of the kernel: [K]."""
        last = self.last_forward
        there = last.table < last.table.shape[1]
        pairs = there.sum(1).to(self.weight.dtype)
        if last.presence is not None:
            change = there.to(last.presence.dtype) @ (last.presence - last.presence.detach()).view(-1)
            pairs = pairs + change
            if self.stride == (1, 1):
                # Each pair counts for both of its pixels: seen from the other one it lies at the opposite place. Of an
                # output of a stride there is no pixel.
                pairs = pairs + change.flip(0)
        return pairs

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, bias={self.bias is not None}, "
            f"bias_on={self.bias_on!r}, groups={self.groups}, stride={self.stride}, "
            f"batch_norm={self.batch_norm is not None}"
        )


class _WindowSum(torch.autograd.Function):
    """Gather the windows, multiply by the weight matrix; the same again for the gradient.

    If j lies at an offset from i, then i lies at the opposite offset from j. So the gradient of
    the features is a convolution too, over the table that looks back, with the kernel turned by 180 degrees:
    reads instead of the scattered additions that differentiating the gather would give.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        table: Tensor,
        back: Tensor | None,
        active: Tensor | None,
        groups: int,
    ) -> Tensor:
        batch, slots, channels = features.shape
        windows = gather_windows(features.reshape(batch * slots, channels).t(), table)
        if groups == 1:
            matrix = weight.reshape(weight.shape[0], -1)
        else:  # side by side, a matrix product each
            windows = windows.view(groups, len(windows) // groups, batch * slots)
            matrix = weight.reshape(groups, weight.shape[0] // groups, -1)
        mask = None if bias is None else active.reshape(1, batch * slots).to(features.dtype)
        with full_precision(features.device):
            if bias is None or groups > 1:
                out = (matrix @ windows).view(weight.shape[0], batch * slots)
                out = out if bias is None else out.addcmul_(bias[:, None], mask)
            else:
                out = torch.addmm(bias[:, None] * mask, matrix, windows)
        ctx.save_for_backward(windows, weight, table if back is None else back, mask)
        ctx.groups = groups
        return out.t().reshape(batch, slots, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None, None, None]:
        windows, weight, back, mask = ctx.saved_tensors
        groups = ctx.groups
        batch, slots, filters = grad.shape
        grad = grad.reshape(batch * slots, filters).t()
        grad_features = grad_weight = grad_bias = None
        with full_precision(grad.device):
            if ctx.needs_input_grad[0]:
                grad_features = _gradient_of_features(grad, weight, back, groups).t()
                grad_features = grad_features.reshape(batch, slots, grad_features.shape[1])
            if ctx.needs_input_grad[1]:
                by_group = grad if groups == 1 else grad.reshape(groups, filters // groups, batch * slots)
                grad_weight = (by_group @ windows.mT).view(weight.shape)
            if mask is not None and ctx.needs_input_grad[2]:
                grad_bias = (grad @ mask.t()).view(filters)
        return grad_features, grad_weight, grad_bias, None, None, None, None


def _gradient_of_features(grad: Tensor, weight: Tensor, back: Tensor, groups: int) -> Tensor:
    """[C, B * N] from the gradient [F, B * N] of the outputs; ``back`` as in ``_WindowSum``."""
    filters, channels = weight.shape[0] // groups, weight.shape[1]
    turned = weight.flip(2, 3).view(groups, filters, channels, -1)
    # Reading the windows costs most, so that is done on the side with fewer channels.
    if filters <= channels:
        around = gather_windows(grad, back)
        around = around.view(groups, len(around) // groups, grad.shape[1])
        found = turned.transpose(1, 2).reshape(groups, channels, -1) @ around
        return found.view(groups * channels, grad.shape[1])
    padded = F.pad(grad, (0, 1)).view(groups, filters, grad.shape[1] + 1)
    return add_windows((turned.view(groups, filters, -1).mT @ padded).view(-1, padded.shape[-1]), back)
