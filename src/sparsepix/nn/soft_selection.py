"""How a hard selection learns: the budget and the threshold of ``SparseInputReduce`` and the shape of their gradient.

The forward pass always selects as the hardware does. A kept pixel carries a factor whose value is 1; its gradient
says what the loss would gain or lose without the pixel, and the surrogates below hand that on to the budget
and the threshold, the more the closer the pixel is to being dropped.

What a loss would gain is estimated from the gradient at the kept pixel, to second order (see ``weighed``). That has the
right sign, but on the digits it was several times too small where pixels matter most: the penalty on masked
intensity is the reliable counterweight to a penalty on the budget.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sparsepix.quant.bounded import bounded
from sparsepix_ops.fixed_point import FixedPoint

# How far the soft rank reaches, in slots: about four pixels at the end of the list give the budget its gradient.
BUDGET_TEMPERATURE = 1.0
# How far the soft threshold reaches, as a share of how far the kept pixels are above it on average.
THRESHOLD_TEMPERATURE = 0.25


class _StraightThrough(torch.autograd.Function):
    """The value of one tensor with the gradient of another."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, surrogate: Tensor) -> Tensor:
        ctx.save_for_backward(value)
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        (value,) = ctx.saved_tensors
        return None, grad * value


class _Weighed(torch.autograd.Function):
    """Features as they are; the gradient of their factors to second order."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, factor: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        return features.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        (features,) = ctx.saved_tensors
        first = (grad * features).sum(2)
        return grad, first - (features.shape[0] / 2) * first.square()


def weighed(features: Tensor, factor: Tensor) -> Tensor:
    """``features`` [B, N, C] times ``factor`` [B, N], which is 1 (0 in an empty slot), for a loss that is a batch mean.

    The gradient of the factor is the estimate of what the loss loses with the pixel. The first order alone is useless:
    weights that have settled leave no gain in scaling the pixels, so over the pixels it adds up to 0. The second order
    takes the squared gradient of an image's loss for its curvature, as Fisher pruning does (Theis et al., arXiv
    1801.05787).
    """
    return _Weighed.apply(features, factor)


class LearnedBudget(nn.Module):
    """A number of pixels that is learned, from 1 to where it starts.

    The parameter ``share`` is the budget as a share of its start, so that learning rates made for weights suit it.

    Args:
        largest: the budget to start from, and the largest that it can become.
    """

    def __init__(self, largest: int) -> None:
        super().__init__()
        self.largest = largest
        self.share = nn.Parameter(torch.tensor(1.0))

    def bounded_share(self) -> Tensor:
        """Budget / largest, a differentiable scalar in float64."""
        # In float64, so that a float and a double model round to the same number.
        return bounded(self.share.double(), 1 / self.largest, 1.0)

    def pixels(self, share: Tensor | None = None) -> Tensor:
        """The budget as a whole number of pixels, a scalar tensor (int64), ties to even.

        Args:
            share: ``bounded_share()`` where it is known already.
        """
        share = self.bounded_share() if share is None else share
        return (share.detach() * self.largest).round().long()


class LearnedThreshold(nn.Module):
    """A threshold that is learned, on the grid of the image's format.

    It stays at 0 or above (or where it starts, if that is below 0), since a pixel of the background is 0, and below
    the largest value of the format, so that a pixel can still be active.

    Args:
        initial: the threshold to start from.
        format: of the image; None holds the threshold as the nearest float32.
    """

    def __init__(self, initial: float, format: FixedPoint | None) -> None:
        super().__init__()
        self.format = format
        self.low = min(initial, 0.0)
        self.high = float(torch.finfo(torch.float32).max)
        if format is not None:
            self.low = max(self.low, (format.raw_min - 1) * format.scale)
            self.high = max(self.low, (format.raw_max - 1) * format.scale)
        self.value = nn.Parameter(torch.tensor(initial))

    def soft(self) -> Tensor:
        """The threshold before it is snapped, a differentiable scalar in float64."""
        return bounded(self.value.double(), self.low, self.high)

    def snapped(self, soft: Tensor | None = None) -> Tensor:
        """The threshold that pixels are compared with, a scalar tensor in float32.

        Args:
            soft: ``soft()`` where it is known already.
        """
        soft = (self.soft() if soft is None else soft).detach()
        if self.format is not None:
            soft = (soft / self.format.scale).round() * self.format.scale
        return soft.float()


def presence(kept: Tensor, score: Tensor, budget: Tensor | None, threshold: Tensor | None, by_score: bool) -> Tensor:
    """1 for a kept pixel, 0 for an empty slot; the gradient goes to the budget and the threshold.

    Only kept pixels are in the list, so only they give a gradient: those within the reach of a surrogate also count for
    the dropped ones just beyond it, which is why their sigmoids count twice.

    Args:
        kept: [B, N] bool, the slots that hold a pixel.
        score: [B, N], their scores; anything in an empty slot.
        budget: in pixels, a scalar with a gradient, to the soft rank ``sigmoid((budget - rank - 0.5) / temperature)``;
            None: not learned.
        threshold: a scalar with a gradient, to the soft threshold ``sigmoid((score - threshold) / temperature)``;
            None: not learned.
        by_score: the pixels with the smallest score go first when the budget shrinks, not the last of the list.

    Returns:
        [B, N] in the dtype of ``score``.
    """
    surrogates = []
    if budget is not None:
        rank = torch.arange(kept.shape[1], device=kept.device)
        if by_score:
            # Ties to the earlier pixel, as in the selection.
            order = score.masked_fill(~kept, -torch.inf).argsort(dim=1, descending=True, stable=True)
            rank = torch.empty_like(order).scatter_(1, order, rank.expand_as(order))
        surrogates.append(2 * torch.sigmoid((budget.to(score.dtype) - rank - 0.5) / BUDGET_TEMPERATURE))
    if threshold is not None:
        excess = score - threshold.to(score.dtype)
        above = excess.detach().masked_fill(~kept, 0.0)
        mean = above.sum() / kept.sum().clamp(min=1)
        temperature = (THRESHOLD_TEMPERATURE * mean).clamp(min=torch.finfo(score.dtype).tiny)
        surrogates.append(2 * torch.sigmoid(excess / temperature))
    value = kept.to(score.dtype)
    # Each factor is 1 where a pixel is kept, so the product's gradient is the sum.
    return _StraightThrough.apply(value, sum(surrogates).expand_as(value))
