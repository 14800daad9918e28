"""Rounding and clipping with their gradients; ``quantizers`` decides which."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparsepix_ops.fixed_point import Rounding


def round_straight(x: Tensor) -> Tensor:
    """Half to even; the gradient passes."""
    return x + (x.round() - x).detach()


class FixedQuantize(torch.autograd.Function):
    """Brevitas's quantizer for a constant scale, values and gradients bit for bit, in a tenth of its time.

    The gradient passes where the rounded value was inside of the range.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, inverse: Tensor, low: int, high: int, floor: bool) -> Tensor:
        """Values on the grid; see ``FixedPoint``."""
        steps = x * inverse
        steps = steps.floor_() if floor else steps.round_()
        if not ctx.needs_input_grad[0]:  # as of images, the largest of all
            return steps.clamp_(low, high).mul_(scale)
        clipped = steps.clamp(low, high)
        ctx.save_for_backward(clipped == steps)
        return clipped.mul_(scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        """Gradient of the values alone."""
        (inside,) = ctx.saved_tensors
        return grad * inside, None, None, None, None, None


class AnyQuantize(torch.autograd.Function):
    """Every rounding and overflow, and formats along the last axis.

    The gradient passes where a value is not clipped; values that wrap pass it too, as they do in HGQ2. Places without
    bits pass none.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, low: Tensor, high: Tensor, rounding: Rounding, wraps: bool
    ) -> Tensor:
        """Values on the grid of each place; see ``FixedPoints``."""
        scaled = x / scale
        steps = scaled.round() if rounding == "ROUND" else scaled.floor()
        if rounding == "HALF_UP":
            steps = steps + (scaled - steps >= 0.5)
        if wraps:
            span = high - low + 1
            rest = steps - (steps / span).floor() * span  # exact however large the value is
            raw = torch.where(rest > high, rest - span, rest)
            ctx.save_for_backward((high > low).expand_as(x))
        else:
            raw = torch.minimum(torch.maximum(steps, low), high)
            ctx.save_for_backward((raw == steps) & (high > low))
        return raw * scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        """Gradient of the values alone."""
        (inside,) = ctx.saved_tensors
        return grad * inside, None, None, None, None, None


def _sum_to(x: Tensor, shape: torch.Size) -> Tensor:
    return x.sum_to_size(shape) if shape else x.sum()


class LearnedQuantize(torch.autograd.Function):
    """Brevitas's quantizer for a learned scale and width, values bit for bit, in a fraction of its time.

    Scale and width may be those of each place: tensors that broadcast against the values. A width of 0 leaves 0.

    The gradients are its own too, up to rounding. With y the result, s the step and e the exponent of the range, inside
    of the range dy/de = ln 2 * (y - x) and dy/dwidth = -ln 2 * (y - x), the error of rounding; where a value is clipped
    dy/de = ln 2 * y, and at the upper end dy/dwidth = ln 2 * s, since a finer step moves that end.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, exponent: Tensor, width: Tensor, signed: bool, floor: bool) -> Tensor:
        """Values on the grid of this moment."""
        magnitude_bits = width - int(signed)
        scale = 2.0 ** (exponent.round() - magnitude_bits)
        levels = 2.0**magnitude_bits
        steps = x * (1.0 / scale)
        steps = steps.floor_() if floor else steps.round_()
        low, high = -levels if signed else torch.zeros_like(levels), levels - 1
        if width.dim():
            low, high = (end.masked_fill(width < 1, 0.0) for end in (low, high))
        clipped = torch.minimum(torch.maximum(steps, low), high)
        inside, above = clipped == steps, clipped < steps
        out = clipped.mul_(scale)
        ctx.save_for_backward(x, out, inside, above, scale)
        ctx.shapes = exponent.shape, width.shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None, None]:
        """Gradients of the values, of the exponent and of the width."""
        x, out, inside, above, scale = ctx.saved_tensors
        grad_x = grad * inside
        grad_exponent = grad_width = None
        if ctx.needs_input_grad[1]:
            shape = ctx.shapes[0]
            grad_exponent = math.log(2) * (_sum_to(grad * out, shape) - _sum_to(grad_x * x, shape))
        if ctx.needs_input_grad[2]:
            shape = ctx.shapes[1]
            at_end = grad * above
            at_end = _sum_to(at_end, shape) * scale if scale.shape == shape else _sum_to(at_end * scale, shape)
            grad_width = math.log(2) * (_sum_to(grad_x * (x - out), shape) + at_end)
        return grad_x, grad_exponent, grad_width, None, None
