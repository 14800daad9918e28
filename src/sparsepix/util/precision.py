"""Full precision inside torch.autocast: a product in bfloat16 would not be the one that firmware computes."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sparsepix_ops.errors import SparsePixError

_HALF = (torch.float16, torch.bfloat16)


def full_precision(device: torch.device) -> AbstractContextManager:
    """No autocast inside the block."""
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def in_full_precision(layer: str, x: Tensor, what: str = "an input") -> Tensor:
    """``x`` itself, or in float32 if autocast has narrowed it.

    Raises:
        SparsePixError: 16-bit floats outside of autocast; names the layer.
    """
    if x.dtype not in _HALF:
        return x
    if torch.is_autocast_enabled(x.device.type):
        return x.float()
    owner = "model" if what == "weights" else "x"
    raise SparsePixError(
        f"{layer}: expected {what} of float32 or float64, found {x.dtype}, which rounds what fixed-point numbers hold; "
        f"use {owner}.float() (torch.autocast may stay: the layers compute in full precision)"
    )


class _Linear(torch.autograd.Function):
    """``F.linear`` whose backward pass is in full precision too, wherever it is called."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        with full_precision(x.device):
            return F.linear(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        rows = grad.reshape(-1, grad.shape[-1])
        with full_precision(grad.device):
            return (
                (rows @ weight).view(x.shape) if ctx.needs_input_grad[0] else None,
                rows.t() @ x.reshape(-1, x.shape[-1]) if ctx.needs_input_grad[1] else None,
                rows.sum(0) if ctx.needs_input_grad[2] else None,
            )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``F.linear`` in full precision."""
    if torch.is_autocast_enabled(x.device.type):
        return _Linear.apply(x, weight, bias)
    return F.linear(x, weight, bias)
