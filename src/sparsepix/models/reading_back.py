"""Whether a model that was read back from its file is the model that was saved."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparsepix.export.module_copy import evaluation_copy
from sparsepix.quant.quantizers import Quantizer
from sparsepix.util.last_forward import LastForward
from sparsepix.util.modes import evaluating
from sparsepix.util.numbers_given import shown
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint

# Attributes that need not be the same: modes, hooks (the outputs show what these do), compiled code, names.
_EVERY = frozenset(vars(nn.Module())) | {"_compiled_call_impl", "_is_full_backward_hook", "owner"}


def structure_problems(model: nn.Module, plain: nn.Module) -> list[str]:
    """Every module, setting and parameter of a model that is not as in the one built from its description."""
    ours, theirs = (dict(m.named_modules(remove_duplicate=False)) for m in (model, plain))
    problems: list[str] = []
    told: tuple[str, ...] = ()  # layers whose parts are not reported one by one
    for name in dict.fromkeys([*ours, *theirs]):
        if told and name.startswith(told):
            continue
        if name not in theirs:
            found = [f"it is a {type(ours[name]).__name__}, which the description does not have"]
        elif name not in ours:
            found = [f"the description has a {type(theirs[name]).__name__} here, the model has not"]
        else:
            found = list(_differences(ours[name], theirs[name]))
        if found and name:
            told += (f"{name}.",)
        problems += [f"{name or 'the model'}: {text}" for text in found]
    if not problems and list(ours) != list(theirs):
        problems.append(f"the layers are in the order {', '.join(dict(model.named_children()))}, which is another")
    return problems + list(_shared(model))


def _differences(module: nn.Module, plain: nn.Module) -> Iterator[str]:
    if type(module) is not type(plain):
        yield f"it is a {type(module).__name__}, the description says {type(plain).__name__}"
        return
    mine, theirs = (
        {k: v for k, v in vars(m).items() if k not in _EVERY and not isinstance(v, LastForward)}
        for m in (module, plain)
    )
    for name in dict.fromkeys([*theirs, *mine]):
        if name not in mine:
            yield f"{name} is missing"
        elif name in theirs and not _same(mine[name], theirs[name]):
            yield f"{name} is {_text(mine[name])}, by the description {_text(theirs[name])}"
        elif name not in theirs and hasattr(type(module), name):
            yield f"{name} of {type(module).__name__} is replaced by another"
    for kind in ("_parameters", "_buffers"):
        tensors, expected = vars(module)[kind], vars(plain)[kind]
        for name in dict.fromkeys([*expected, *tensors]):
            yield from _tensor_differences(name, tensors.get(name), expected.get(name))
    kept, expected = module._non_persistent_buffers_set, plain._non_persistent_buffers_set
    if kept != expected:
        yield f"buffers that are not saved: {sorted(kept)}, by the description {sorted(expected)}"
    for name in kept & expected:
        if not _same(vars(module)["_buffers"][name], vars(plain)["_buffers"][name]):
            yield f"{name} has other values than by the description"


def _text(value: Any) -> str:
    return str(value) if isinstance(value, FixedPoint) else shown(value)


def _tensor_differences(name: str, tensor: Tensor | None, expected: Tensor | None) -> Iterator[str]:
    if (tensor is None) != (expected is None):
        yield f"{name} is {'missing' if tensor is None else 'not in the description'}"
    elif tensor is not None:
        if type(tensor) is not type(expected):
            yield f"{name} is a {type(tensor).__name__}, expected a {type(expected).__name__}"
        elif tensor.shape != expected.shape:
            yield f"{name} has the shape {tuple(tensor.shape)}, by the description {tuple(expected.shape)}"
        elif tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64):
            yield f"{name} is {tensor.dtype}; files hold float32 or float64: save model.float()"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        # Buffers take the dtype of the model; what they hold are powers of two.
        return torch.equal(one.detach().cpu().double(), other.detach().cpu().double())
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


def _shared(model: nn.Module) -> Iterator[str]:
    first: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), name) != name:
            yield f"{name}: it is the same parameter as {first[id(parameter)]}; they would be two"


def format_problems(model: nn.Module) -> list[str]:
    """Scales and widths of a model that make no format."""
    problems = []
    for name, module in model.named_modules():
        if isinstance(module, Quantizer):
            try:
                _ = module.fixed_point
            except SparsePixError as error:
                problems += [f"{name}: {problem}" for problem in error.problems]
    return problems


def value_problems(model: nn.Module, again: nn.Module) -> list[str]:
    """Values and outputs of a model that are not bit for bit those of the one that was read back."""
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    read = again.state_dict()
    problems = [
        f"{name}: it is {tensor.dtype}, and would be {read[name].dtype}"
        if tensor.dtype != read[name].dtype
        else f"{name}: its values would be others"
        for name, tensor in state.items()
        if tensor.dtype != read[name].dtype or _bits(tensor) != _bits(read[name])
    ]
    if problems:
        return problems
    images = hard_images(again)
    with torch.no_grad(), evaluating(again):
        expected = again(images)
        try:
            # On the CPU: a GPU may add in another order each time.
            found = evaluation_copy(model)[0].cpu()(images)
        except Exception as error:  # of the user's hooks
            return [f"the model does not run: {type(error).__name__}: {error}"]
    if not isinstance(found, Tensor) or found.shape != expected.shape or _bits(found) != _bits(expected):
        hooked = [name or "the model" for name, m in model.named_modules() if m._forward_hooks or m._forward_pre_hooks]
        why = f"; look at the hooks of {', '.join(hooked)}" if hooked else ""
        problems.append(f"its outputs are others than those of the model that would be read back{why}")
    return problems


def _bits(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().numpy().tobytes()


def hard_images(model: nn.Module) -> Tensor:
    """A few images: empty, with more pixels than there is room for, negative, far out of range, a single pixel.

    They come from a generator of their own, so that torch's is left alone.
    """
    rng = np.random.default_rng(0)
    shape = model.input_shape
    few = rng.random(shape) < 0.05
    images = [np.zeros(shape), rng.random(shape), rng.normal(size=shape), 1000 * rng.normal(size=shape)]
    images += [few * rng.random(shape), few * rng.normal(size=shape), few * 2.0**-12]
    images.append(np.zeros(shape))
    images[-1][..., -1, -1] = 1.0
    return torch.from_numpy(np.stack(images)).to(next(model.parameters()))
