"""Layers of Brevitas in a model, as layers that an export can record.

``QuantLinear``, ``QuantReLU`` and ``QuantIdentity`` with power-of-two scales are carried (per tensor; of weights per
channel too): Brevitas's ``...FixedPoint`` quantizers are of that kind. What they compute in evaluation mode is taken
from Brevitas itself, so any way to find the scales will do.
"""

import contextlib

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsepix.export.module_copy import evaluation_copy
from sparsepix.quant.formats import MAX_FIXED_WIDTH, exact_format
from sparsepix.quant.quantizers import Quantizer
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedPoint

CARRIED = ("QuantLinear", "QuantReLU", "QuantIdentity")
_HOOKS = tuple(name for name in vars(nn.Module()) if name.startswith("_forward"))
_POWER_OF_TWO = "take a ...FixedPoint quantizer of brevitas.quant, or restrict_scaling_type POWER_OF_TWO"


class _Linear(nn.Module):
    """``x @ weight.T + bias``, quantized before and after where Brevitas does."""

    def __init__(self, weight: FixedArray, bias: FixedArray | None, before: Quantizer, after: Quantizer) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(weight.real).float())
        self.weight_quantizer = Quantizer(exact_format(weight), "QuantLinear weight")
        self.bias = None if bias is None else nn.Parameter(torch.from_numpy(bias.real).float())
        self.bias_quantizer = None if bias is None else Quantizer(exact_format(bias), "QuantLinear bias")
        self.before, self.after = before, after

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight_quantizer(self.weight)
        bias = None if self.bias is None else self.bias_quantizer(self.bias)
        return self.after(F.linear(self.before(x), weight, bias))


class _Activation(nn.Module):
    """An activation between two quantizers."""

    def __init__(self, relu: bool, before: Quantizer, after: Quantizer) -> None:
        super().__init__()
        self.relu, self.before, self.after = relu, before, after

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        return self.after(F.relu(x) if self.relu else x)


def without_brevitas(model: nn.Module, images: Tensor) -> tuple[nn.Module, dict[str, list[str]]]:
    """A model whose layers of Brevitas are ours: a copy in evaluation mode, or the model itself if it has none.

    Args:
        model: is left as it is.
        images: [B, C, H, W]; biases that are quantized by the scale of what comes in show theirs when the model runs.

    Returns:
        The model, and by the name of each layer that cannot be carried the reasons.
    """
    if not any(_kind(module) for module in model.modules()):
        return model, {}
    copy, _ = evaluation_copy(model)
    found = [(name, module) for name, module in copy.named_modules() if _kind(module)]
    biases: dict[nn.Module, list[Tensor]] = {}
    hooks = [
        module.bias_quant.register_forward_hook(
            lambda _, __, result, owner=module: biases.setdefault(owner, []).append(result.value.detach())
        )
        for _, module in found
        if _kind(module) == "QuantLinear" and module.bias_quant.is_quant_enabled
    ]
    if hooks:
        # What is wrong with a model that does not run is told when it is recorded.
        with torch.no_grad(), contextlib.suppress(Exception):
            copy(images.to(next(copy.parameters())))
        for hook in hooks:
            hook.remove()
    problems: dict[str, list[str]] = {}
    for name, module in found:
        try:
            ours = _ours(module, biases.get(module, [])).train(False)
        except SparsePixError as error:
            problems[name] = [f"{_kind(module)}: {problem}" for problem in error.problems]
            continue
        for attribute in _HOOKS:
            setattr(ours, attribute, getattr(module, attribute))
        if not name:
            return ours, problems
        parent, _, attribute = name.rpartition(".")
        setattr(copy.get_submodule(parent), attribute, ours)
    return copy, problems


def _kind(module: nn.Module) -> str:
    """The layer of Brevitas that a module is and that is carried, or ''."""
    kind = type(module)
    return kind.__name__ if kind.__module__.startswith("brevitas.nn") and kind.__name__ in CARRIED else ""


@torch.no_grad()
def _ours(module: nn.Module, biases: list[Tensor]) -> nn.Module:
    problems: list[str] = []

    def quantizer(part: str) -> Quantizer:
        proxy, relu = getattr(module, part), part == "act_quant" and _kind(module) == "QuantReLU"
        try:
            ours = Quantizer(_activation_format(proxy), f"{_kind(module)} {part}")
            _compare(proxy, ours, relu)
            return ours
        except (SparsePixError, AttributeError, TypeError) as error:
            found = getattr(error, "problems", (f"no quantizer to whole numbers ({error})",))
            problems.extend(f"its {part}: {problem}" for problem in found)
            return Quantizer(None)

    if _kind(module) != "QuantLinear":
        before, after = quantizer("input_quant"), quantizer("act_quant")
        if problems:
            raise SparsePixError(problems)
        return _Activation(_kind(module) == "QuantReLU", before, after)
    before, after = quantizer("input_quant"), quantizer("output_quant")
    weight = bias = None
    if not module.weight_quant.is_quant_enabled:
        problems.append("its weight has no quantizer; give it a weight_quant such as Int8WeightPerTensorFixedPoint")
    else:
        weight = _values("weight", [module.quant_weight().value], problems)
    if module.bias is not None:
        if not module.bias_quant.is_quant_enabled:
            problems.append(
                "its bias has no quantizer; give it a bias_quant such as Int8BiasPerTensorFixedPointInternalScaling"
            )
        elif not biases:
            problems.append("its bias is quantized by the scale of what comes in, and the layer did not run")
        else:
            bias = _values("bias", biases, problems)
    if problems:
        raise SparsePixError(problems)
    return _Linear(weight, bias, before, after)


def _values(role: str, tensors: list[Tensor], problems: list[str]) -> FixedArray | None:
    """A quantized constant exactly, if it lies on a grid that a format of ours has."""
    if any(not torch.equal(tensor, tensors[0]) for tensor in tensors):
        problems.append(f"its {role} is quantized by another scale each time the layer is used; take one of its own")
        return None
    try:
        exact = FixedArray.from_real(tensors[0].double().cpu().numpy())
        if exact_format(exact).width <= MAX_FIXED_WIDTH:
            return exact
        found = f"values that need {exact_format(exact).width} bits"
    except SparsePixError:
        found = "values on no common grid"
    problems.append(
        f"its {role}: expected a power-of-two scale and at most {MAX_FIXED_WIDTH} bits, found {found}; {_POWER_OF_TWO}"
    )
    return None


def _activation_format(proxy: nn.Module) -> FixedPoint | None:
    """The format of a quantizer of values; None if it is turned off."""
    if not proxy.is_quant_enabled:
        return None
    scale, zero, width = (np.asarray(torch.as_tensor(v).double().cpu()) for v in
                          (proxy.scale(), proxy.zero_point(), proxy.bit_width()))  # fmt: skip
    if scale.size != 1 or np.frexp(scale.reshape(()))[0] != 0.5:
        found = f"{float(scale.reshape(-1)[0]):.4g}" if scale.size == 1 else f"{scale.size} of them"
        raise SparsePixError(f"expected one power-of-two scale, found {found}; {_POWER_OF_TWO}")
    if zero.any():
        raise SparsePixError(f"expected the zero point 0, found {float(zero.reshape(-1)[0]):g}")
    rounding = {"ROUND": "ROUND", "FLOOR": "FLOOR"}.get(str(proxy.rounding_mode).upper())
    if rounding is None:
        raise SparsePixError(f"expected the rounding ROUND or FLOOR, found {proxy.rounding_mode}")
    if proxy.is_narrow_range and not proxy.is_signed:
        raise SparsePixError("expected the whole range of unsigned values, found narrow_range")
    bits = int(width)
    integer = bits + int(np.frexp(scale.reshape(()))[1]) - 1
    return FixedPoint(bits, integer, bool(proxy.is_signed), rounding, "SAT_SYM" if proxy.is_narrow_range else "SAT")


def _compare(proxy: nn.Module, ours: Quantizer, relu: bool) -> None:
    """Both quantize the same way: on and between the steps, at the ends and beyond."""
    format = ours.fixed_point
    if format is None:
        return
    steps = torch.linspace(1.5 * format.raw_min - 2, 1.5 * format.raw_max + 2, 4001)
    near = torch.cat([torch.arange(-9, 10) / 4 + end for end in (0, format.raw_min, format.raw_max)])
    x = (torch.cat([steps, near]) * format.scale).to(torch.as_tensor(proxy.scale()).device)
    if not torch.equal(proxy(x).value, ours(F.relu(x) if relu else x).to(x)):
        raise SparsePixError("it does something else than rounding and clipping to a fixed-point format")
