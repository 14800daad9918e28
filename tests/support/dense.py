"""The sparse layers as dense layers times a mask: slow, plain, and the oracle of the tests.

Images are [B, C, H, W], zero where no pixel is; masks are bool [B, 1, H, W] and say which pixels are
active. Nothing here is shared with the fast layers.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from sparsepix_ops.ops.sparse_avg_pool2d import reciprocal


def select_mask(
    image: Tensor,
    max_pixels: int,
    threshold: float = 0.0,
    activity: str = "first",
    selection: str = "raster",
) -> Tensor:
    """The mask [B, 1, H, W] of the pixels that are kept, found by sorting."""
    score = {"first": lambda: image[:, 0], "any": lambda: image.amax(1), "sum": lambda: image.sum(1)}[activity]()
    score = score.detach().flatten(1)
    active = score > threshold
    key = (~active).int() if selection == "raster" else torch.where(active, -score, torch.inf)
    chosen = key.argsort(dim=1, stable=True)[:, :max_pixels]
    mask = torch.zeros_like(active).scatter(1, chosen, True) & active
    return mask.view(len(image), 1, *image.shape[2:])


def conv_and_mask(
    image: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None = None, bias_on: str = "active", groups: int = 1
) -> Tensor:
    """Zero-padded convolution, then the mask; ``bias_on`` and ``groups`` as in ``SparseConv2d``."""
    padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    sums = F.conv2d(image, weight, padding=padding, groups=groups)
    if bias is not None:
        shift = bias.view(1, -1, 1, 1)
        sums = sums + (shift if bias_on == "active" else shift * (sums != 0))
    return sums * mask


def strided_conv(
    image: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], groups: int = 1
) -> Tensor:
    """Zero-padded convolution with a stride, kept at the cells that hold an active pixel."""
    padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    return F.conv2d(image, weight, bias, stride, padding, groups=groups) * strided_mask(mask, stride)


def strided_mask(mask: Tensor, stride: tuple[int, int]) -> Tensor:
    """The cells [B, 1, ceil(H / rows), ceil(W / columns)] with at least one active pixel."""
    below, right = (-size % step for size, step in zip(mask.shape[2:], stride, strict=True))
    return F.max_pool2d(F.pad(mask.double(), (0, right, 0, below)), stride) > 0


def pooled_mask(mask: Tensor, kernel_size: tuple[int, int]) -> Tensor:
    """The cells [B, 1, H // rows, W // columns] with at least one active pixel."""
    return F.max_pool2d(mask.double(), kernel_size) > 0


def avg_pool(image: Tensor, kernel_size: tuple[int, int], reciprocal_bits: int | None = 16) -> Tensor:
    """Average pooling; the mask afterwards is ``pooled_mask``."""
    if reciprocal_bits is None:
        return F.avg_pool2d(image, kernel_size)
    factor = float(reciprocal(kernel_size[0] * kernel_size[1], reciprocal_bits).real)
    return F.avg_pool2d(image, kernel_size, divisor_override=1) * factor


def max_pool(image: Tensor, mask: Tensor, kernel_size: tuple[int, int], over: str = "active") -> Tensor:
    """Maximum pooling, with inactive pixels at minus infinity (``over='active'``) or at 0 (``over='cell'``)."""
    if over == "cell":
        return F.max_pool2d(image, kernel_size) * pooled_mask(mask, kernel_size)
    largest = F.max_pool2d(image.masked_fill(~mask, -torch.inf), kernel_size)
    return largest.masked_fill(~pooled_mask(mask, kernel_size), 0.0)


def flatten(image: Tensor) -> Tensor:
    """[B, C, H, W] to [B, H * W * C]: row, column, channel."""
    return image.permute(0, 2, 3, 1).flatten(1)
