"""Calibration: the binary point of each tensor, from the values that it takes."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparsepix.datasets import Split
from sparsepix.nn.batch_norm import SparseBatchNorm2d
from sparsepix.quant.formats import MAX_INTEGER
from sparsepix.quant.functions import FixedQuantize
from sparsepix.quant.quantizers import Quantizer, unquantized
from sparsepix.training.batches import ImageStore
from sparsepix.training.data_checks import checked_images, model_problems
from sparsepix.util.modes import evaluating
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint

IMAGES = 1024
_BATCH = 128
_KEPT = 1 << 16  # values of a tensor in a batch, at most


@torch.no_grad()
def calibrate(model: nn.Module, images: np.ndarray | Tensor) -> dict[str, FixedPoint]:
    """Set the binary point of each format that adapts so that rounding and clipping change its tensor least.

    The model runs in float on the first 1,024 images, in evaluation mode. Of the values that a quantizer would see, the
    sum of squared errors decides; widths, roundings and signs stay. Fixed formats stay as they are. It takes a second
    or two, with weights that have been trained in float for a while (see ``fit``) or at all: batch norms that have seen
    no batch yet take their statistics from the images first.

    Args:
        model: with ``CalibratedFixedPoint`` or ``LearnedFixedPoint`` formats.
        images: [E, C, H, W], as in training.

    Returns:
        The formats, by the names of the quantizers.

    Raises:
        SparsePixError: no such format in the model; images that it does not take; values that are not finite.
    """
    found = adapting(model)
    problems: list[str] = []
    images = checked_images(images, "images", problems)
    if images is not None and not len(images):
        problems.append("images: expected some, found none")
    if not found:
        problems.append(
            "the model: expected formats that adapt, found none; give its layers CalibratedFixedPoint(width) in place "
            "of FixedPoint"
        )
    if not problems:
        problems += model_problems(model, {"calibration": Split(images, np.zeros(len(images), np.int64))})
    if problems:
        raise SparsePixError(problems, "calibrate")
    images = images[:IMAGES]
    new = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    new = [m for m in new if m.num_batches_tracked == 0]
    before = [{name: value.clone() for name, value in norm.named_buffers()} for norm in new]
    try:
        if new:
            _begin_statistics(model, new, images)
        values = _finite_values(model, found, images)
    except BaseException:
        for norm, buffers in zip(new, before, strict=True):
            norm.load_state_dict(buffers, strict=False)
        raise
    for name, quantizer in found.items():
        _fit(quantizer, values[name])
    return {name: quantizer.fixed_point for name, quantizer in found.items()}


def _finite_values(model: nn.Module, found: dict[str, Quantizer], images: np.ndarray) -> dict[str, Tensor]:
    values = _values(model, found, images)
    if wrong := [name for name, seen in values.items() if not seen.isfinite().all()]:
        raise SparsePixError(
            f"calibrate: expected finite values in front of {', '.join(wrong)}, found NaN or infinity; lower the "
            "learning rate of the training before"
        )
    return values


def adapting(model: nn.Module) -> dict[str, Quantizer]:
    """The quantizers of a model whose formats a calibration sets, by name."""
    return {name: m for name, m in model.named_modules() if isinstance(m, Quantizer) and m.adapts}


def _begin_statistics(model: nn.Module, norms: list[_BatchNorm], images: np.ndarray) -> None:
    """What batch norms begin with says nothing of the values: they grow or shrink many times in the first steps."""
    if len(images) < 2 and not all(isinstance(norm, SparseBatchNorm2d) for norm in norms):
        raise SparsePixError("calibrate: expected two images or more for batch norms without statistics, found one")
    momenta = [norm.momentum for norm in norms]
    try:
        with evaluating(model), unquantized(model):
            for norm in norms:
                norm.train()
                norm.momentum = None  # the mean of all batches
            _run(model, images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _run(model: nn.Module, images: np.ndarray) -> None:
    store = ImageStore(images, next(model.parameters()))
    # No batch of one, of which a batch norm has no variance.
    for part in torch.arange(len(images)).tensor_split(-(-len(images) // _BATCH)):
        model(store[part])


def _values(model: nn.Module, quantizers: dict[str, Quantizer], images: np.ndarray) -> dict[str, Tensor]:
    """What each quantizer would see; of many values a part. Zeros are left out: every format holds them."""
    seen: dict[str, list[Tensor]] = {name: [] for name in quantizers}

    def keep(name: str, x: Tensor) -> None:
        places = quantizers[name].places
        rows = places.by_place(x.detach()) if places is not None else x.detach().reshape(-1, 1)
        flat = rows[(rows != 0).any(1)]
        seen[name].append(flat[:: max(1, -(-flat.numel() // _KEPT))])

    hooks = [
        quantizer.register_forward_pre_hook(lambda _, inputs, name=name: keep(name, inputs[0]))
        for name, quantizer in quantizers.items()
    ]
    try:
        with evaluating(model), unquantized(model):
            _run(model, images)
    finally:
        for hook in hooks:
            hook.remove()
    # A layer that an image does not reach has seen nothing.
    return {name: torch.cat(parts) if parts else torch.zeros(0, 1) for name, parts in seen.items()}


def _fit(quantizer: Quantizer, values: Tensor) -> None:
    """Move the binary points to where the squared error is least; of equal ones the largest range.

    Args:
        quantizer: that adapts.
        values: [any, ranges] that it would see.
    """
    format = quantizer.format
    values = values if format.signed else values.clamp(min=0)
    largest = values.abs().amax(0) if len(values) else values.new_zeros(values.shape[1])
    some = largest > 0
    if not some.any():
        return  # nothing to fit to, as in a layer whose values are all 0
    tops = torch.where(some, largest, largest[some].max()).double().log2().ceil().long() + int(format.signed)
    width = quantizer.fixed_point.width if quantizer.places is None else format.width
    best, error = tops.clone(), torch.full_like(tops, math.inf, dtype=torch.float64)
    highest = min(int(tops.max()) + 1, MAX_INTEGER)
    lowest = max(int(tops.min()) - format.width + 1, -MAX_INTEGER)
    for integer in range(highest, lowest - 1, -1):
        trial = FixedPoint(width, integer, format.signed, format.rounding)
        ends = (values.new_tensor(trial.scale), values.new_tensor(1 / trial.scale), trial.raw_min, trial.raw_max)
        rounded = FixedQuantize.apply(values, *ends, format.rounding == "FLOOR")
        now = (rounded - values).double().square().sum(0)
        better = (now < error) & (integer <= tops + 1) & (integer > tops - format.width)
        best[better], error[better] = integer, now[better]
    found = some & error.isfinite()  # else the values are smaller than any format's steps
    if quantizer.places is None:
        if found.all():
            quantizer.set_integer(int(best[0]))
    else:
        before = quantizer.places.exponent.detach().long() + int(format.signed)
        quantizer.places.set_integers(torch.where(found, best, before))


def float_problems(float_epochs: int, epochs: int, model: nn.Module) -> list[str]:
    """What is wrong with a number of epochs in float, of so many in all, before a calibration of the model."""
    if float_epochs >= epochs:
        return [f"float_epochs: expected fewer than the {epochs} epochs, found {float_epochs}"]
    if float_epochs and not any(isinstance(module, Quantizer) and module.format for module in model.modules()):
        return [f"float_epochs: expected 0 for a model without formats, found {float_epochs}"]
    return []
