"""Batch normalization, and how it is folded into the weights of the layer in front of it.

Firmware has no batch norm: what it multiplies and adds goes into the weights and the bias. They have to be quantized
after that, or export would change the model. So a layer holds its batch norm and folds it in before its quantizers, in
training as in evaluation: what the quantizers see in training is what firmware gets.
"""

import itertools
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparsepix.pixels.sparse_pixels import SparsePixels, check_pixels
from sparsepix.quant.formats import bias_format_of
from sparsepix.quant.quantizers import Quantizer
from sparsepix.recording.blank import is_blank
from sparsepix.recording.emit import exporting, name_constant
from sparsepix.util.checks import check_channels, check_positive
from sparsepix.util.precision import in_full_precision
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.whole import real_number

NEEDS_ACTIVE_BIAS = (
    "a batch norm shifts every active pixel, so its layer must add the bias to each of them: take bias_on='active'"
)


class SparseBatchNorm2d(nn.BatchNorm1d):
    """Batch normalization of the features over the active pixels; empty slots stay 0.

    It does to the active pixels of a batch what ``nn.BatchNorm1d`` does to rows of features. In training a batch
    with fewer than two active pixels is normalized by the running statistics and does not change them.

    It is for torch only: ``SparseConv2d(..., batch_norm=True)`` holds one of its own, and ``fold_batch_norm`` folds
    those of a model into its convolutions.

    Args:
        num_features: channels of the pixels.
        eps: added to the variance.
        momentum: weight of the new batch in the running statistics; None averages over all batches.

    Raises:
        SparsePixError: a wrong argument; an input with another number of channels.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        count = check_positive("SparseBatchNorm2d", "num_features", num_features)
        small, weight = real_number(eps), None if momentum is None else real_number(momentum)
        if small is None or small < 0:
            raise SparsePixError(f"SparseBatchNorm2d: eps must be a number of at least 0, found {eps!r}")
        if momentum is not None and (weight is None or not 0 <= weight <= 1):
            raise SparsePixError(f"SparseBatchNorm2d: momentum must be None or 0 ... 1, found {momentum!r}")
        super().__init__(count, small, weight)

    def forward(self, pixels: SparsePixels) -> SparsePixels:
        """Normalize the features."""
        check_pixels("SparseBatchNorm2d", pixels)
        check_channels("SparseBatchNorm2d", self.num_features, pixels.channels, "num_features")
        if is_blank(pixels.features):
            raise SparsePixError(
                "SparseBatchNorm2d: firmware has no batch norm of its own; call sparsepix.fold_batch_norm(model) "
                "before the export, or build the convolution with batch_norm=True"
            )
        return pixels.replace(normalized(self, pixels.features, pixels.active))


def normalized(norm: _BatchNorm, values: Tensor, active: Tensor) -> Tensor:
    """Values [..., C] by a batch norm, 0 in the rows that do not count.

    Args:
        norm: see ``batch_statistics``.
        values: [..., C].
        active: [...] bool, which rows count.
    """
    mean, variance = batch_statistics(norm, values, active)
    factor = 1 / (variance + norm.eps).sqrt()
    out = (values - mean) * (factor if norm.weight is None else norm.weight * factor)
    return (out if norm.bias is None else out + norm.bias) * active[..., None]


def batch_statistics(norm: _BatchNorm, values: Tensor, active: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean [C] and variance [C] that a batch norm normalizes by; in training it also updates its running ones.

    Args:
        norm: the batch norm; what it does depends on its own mode, so that ``norm.eval()`` freezes it.
        values: [..., C].
        active: [...] bool, which rows count; None: all.
    """
    if not norm.training:
        return norm.running_mean, norm.running_var
    rows = values.reshape(-1, values.shape[-1])
    mask = rows.new_ones(rows.shape[0], 1) if active is None else active.reshape(-1, 1).to(rows.dtype)
    count = mask.sum()
    enough = count > 1
    mean = torch.where(enough, (rows * mask).sum(0) / count.clamp(min=1), norm.running_mean)
    variance = ((rows - mean).square() * mask).sum(0)
    unbiased = torch.where(enough, variance / (count - 1).clamp(min=1), norm.running_var).detach()
    variance = torch.where(enough, variance / count.clamp(min=1), norm.running_var)
    with torch.no_grad():
        norm.num_batches_tracked.add_(enough)
        share = 1 / norm.num_batches_tracked.clamp(min=1) if norm.momentum is None else norm.momentum
        norm.running_mean.add_((mean - norm.running_mean) * share)
        norm.running_var.add_((unbiased - norm.running_var) * share)
    return mean, variance


def freeze_statistics(model: nn.Module) -> None:
    """Let the batch norms that layers hold normalize by their running statistics, until the next ``model.train()``.

    Their factors and shifts are trained on. A step then takes one convolution where it takes two with the statistics of
    the batch, and what is trained is what evaluation and firmware compute.
    """
    for module in model.modules():
        if (norm := getattr(module, "batch_norm", None)) is not None:
            norm.eval()


def _folded(
    norm: _BatchNorm, weight: Tensor, bias: Tensor | None, mean: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Weight [out, ...] and bias [out] of a layer with its batch norm in them."""
    gamma, beta = norm.weight, norm.bias
    factor = 1 / (variance + norm.eps).sqrt()
    factor = factor if gamma is None else gamma.to(factor) * factor
    shift = -mean if bias is None else bias - mean
    folded = shift * factor if beta is None else shift * factor + beta
    return weight * factor.view(-1, *[1] * (weight.dim() - 1)), folded


def _folded_at_rest(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias by the running statistics.

    They are computed in float64 and rounded to float32 in front of a quantizer, so that the float32 and the float64
    copy of a model, and its export, quantize the same numbers.
    """
    norm, dtype = layer.batch_norm, layer.weight.dtype
    bias = None if layer.bias is None else layer.bias.double()
    folded = _folded(norm, layer.weight.double(), bias, norm.running_mean.double(), norm.running_var.double())
    quantizers = (layer.weight_quantizer, layer.bias_quantizer)
    weight, bias = (x if q.format is None else x.float() for x, q in zip(folded, quantizers, strict=True))
    return weight.to(dtype), bias.to(dtype)


def quantized_weights(
    layer: nn.Module, plain: Callable[[], tuple[Tensor, Tensor | None]] | None = None
) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a layer as it uses them: its batch norm folded in, then quantized.

    In training the batch norm is that of the batch at hand, of which ``plain`` gives the values.

    Args:
        layer: with ``weight``, ``bias``, ``batch_norm`` and a quantizer of each of the first two.
        plain: the layer's output [..., out] by its own weights, unquantized, and which rows of it count; not needed
            in evaluation.
    """
    weight, bias = in_full_precision(type(layer).__name__, layer.weight, "weights"), layer.bias
    if layer.batch_norm is not None:
        if layer.batch_norm.training:
            mean, variance = batch_statistics(layer.batch_norm, *plain())
            weight, bias = _folded(layer.batch_norm, weight, bias, mean, variance)
        else:
            weight, bias = _folded_at_rest(layer)
        if exporting():
            # Their names in the file are those of the parameters that they were made of.
            name_constant(weight, layer.weight, "weight")
            name_constant(bias, layer.bias, "bias")
    return layer.weight_quantizer(weight), None if bias is None else layer.bias_quantizer(bias)


def fold_batch_norm(model: nn.Module, pairs: Sequence[tuple[str, str]] | None = None) -> nn.Module:
    """Fold the batch norms of a model into the layers in front of them, in place.

    Each layer takes its batch norm in (as with ``batch_norm=True``), and an ``nn.Identity`` takes its place. The
    model stays trainable, and computes what its export computes. After training with quantized weights call it
    early, so that the quantizers see the folded weights; a model whose weights were float loses nothing by it.

    Args:
        model: with ``SparseBatchNorm2d`` after ``SparseConv2d``, ``nn.BatchNorm2d`` after ``QuantConv2d``,
            ``nn.BatchNorm1d`` after ``QuantLinear``.
        pairs: names of a layer and its batch norm, as ``[("block.conv", "block.norm")]``; left out, those that directly
            follow each other in an ``nn.Sequential``.

    Returns:
        The model.

    Raises:
        SparsePixError: everything that cannot be folded, and batch norms that no pair names; nothing is changed then.
    """
    modules = dict(model.named_modules())
    found = _adjacent(model) if pairs is None else [tuple(pair) for pair in pairs]
    problems = [problem for pair in found for problem in _pair_problems(modules, *pair)]
    held = {id(m.batch_norm) for m in modules.values() if getattr(m, "batch_norm", None) is not None}
    named = {name for _, name in found}
    problems += [
        f"{name}: no layer is known to be directly in front of this {type(norm).__name__}; name it with "
        f"pairs=[(layer, {name!r})], or build the layer with batch_norm=True"
        for name, norm in modules.items()
        if isinstance(norm, _BatchNorm) and id(norm) not in held and name not in named
    ]
    if problems:
        raise SparsePixError(problems, "the batch norms cannot be folded")
    for layer_name, norm_name in found:
        layer, norm = modules[layer_name], modules[norm_name]
        layer.batch_norm = norm
        if layer.bias_quantizer is None:
            layer.bias_quantizer = Quantizer(
                bias_format_of(layer.weight_quantizer.format), f"{type(layer).__name__} bias"
            )
        parent, _, attribute = norm_name.rpartition(".")
        setattr(modules[parent], attribute, nn.Identity())
        _warn_of_clipping(layer_name, layer)
    return model


def _adjacent(model: nn.Module) -> list[tuple[str, str]]:
    """Names of the layers and the batch norms directly after them in a sequence."""
    found = []
    for name, module in model.named_modules():
        children = list(module.named_children()) if isinstance(module, nn.Sequential) else []
        for (before, layer), (here, norm) in itertools.pairwise(children):
            if isinstance(norm, _BatchNorm) and hasattr(layer, "batch_norm"):
                prefix = f"{name}." if name else ""
                found.append((prefix + before, prefix + here))
    return found


def _pair_problems(modules: dict[str, nn.Module], layer_name: str, norm_name: str) -> list[str]:
    """Why a batch norm cannot be folded into a layer."""
    missing = [name for name in (layer_name, norm_name) if name not in modules]
    if missing:
        return [f"{name}: the model has no module of this name" for name in missing]
    layer, norm = modules[layer_name], modules[norm_name]
    if not hasattr(layer, "batch_norm") or not isinstance(norm, layer.norm_type):
        expected = getattr(layer, "norm_type", None)
        kind = f"a {expected.__name__}" if expected else "a SparseConv2d, QuantConv2d or QuantLinear in front of it"
        return [f"{norm_name}: expected {kind}, found {type(norm).__name__} after {type(layer).__name__}"]
    problems = []
    if layer.batch_norm is not None:
        problems.append(f"{layer_name}: it has a batch norm already; leave {norm_name} out of the model")
    if norm.num_features != len(layer.weight):
        problems.append(f"{norm_name}: expected num_features={len(layer.weight)}, found {norm.num_features}")
    if not norm.track_running_stats:
        problems.append(f"{norm_name}: it keeps no running statistics; build it with track_running_stats=True")
    if getattr(layer, "bias_on", "active") != "active":
        problems.append(f"{layer_name}: {NEEDS_ACTIVE_BIAS}")
    return problems


def _warn_of_clipping(name: str, layer: nn.Module) -> None:
    with torch.no_grad():
        folded = _folded_at_rest(layer)
    for what, values, quantizer in zip(
        ("weights", "biases"), folded, (layer.weight_quantizer, layer.bias_quantizer), strict=True
    ):
        format = quantizer.fixed_point
        if format is None:
            continue
        low, high = format.raw_min * format.scale, format.raw_max * format.scale
        clipped = int(((values < low - format.scale / 2) | (values > high + format.scale / 2)).sum())
        if clipped:
            warnings.warn(
                f"{name}: {clipped} of {values.numel()} folded {what} lie outside {format} and are clipped; give the "
                f"layer a wider {what.removesuffix('s').replace('biase', 'bias')}_format, or go on training",
                stacklevel=3,
            )
