"""Parameters that are learned within bounds."""

from typing import Any

from torch import Tensor
from torch.autograd.function import Function, once_differentiable


class _Bounded(Function):
    """Clamp; a gradient that would push further beyond a bound is dropped, one that leads back passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = (low, high)
        return x.clamp(low, high)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        low, high = ctx.bounds
        # A step goes against the gradient.
        outwards = ((x >= high) & (grad < 0)) | ((x <= low) & (grad > 0))
        return grad.masked_fill(outwards, 0.0), None, None


def bounded(x: Tensor, low: float, high: float) -> Tensor:
    """``x`` clamped to low ... high, with a gradient that can always lead back inside."""
    return _Bounded.apply(x, low, high)
