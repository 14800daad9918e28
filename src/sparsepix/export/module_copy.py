"""Copies of models, to run them in evaluation mode without a trace on the model itself.

Another thread may train, evaluate or export the same model meanwhile. ``copy.deepcopy`` would not do: it refuses
computed tensors, as old weight norms keep them, and takes along whatever else a module refers to, as a trainer.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import MethodType
from typing import Any

from torch import Tensor, nn

from sparsepix.util.last_forward import LastForward

_CONTAINERS = (dict, OrderedDict, list, tuple, set)


def unwrapped(module: nn.Module) -> nn.Module:
    """The module itself, not what torch.compile or data parallelism has wrapped around it."""
    while True:
        if "_orig_mod" in module._modules:
            module = module._modules["_orig_mod"]
        elif isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = module.module
        else:
            return module


def evaluation_copy(model: nn.Module, own_tensors: bool = True) -> tuple[nn.Module, dict[nn.Module, nn.Module]]:
    """Copy the modules of a model, in evaluation mode.

    Modules are copied wherever the model refers to them: as children, in lists and dicts, and as the objects of bound
    methods. Everything else is shared.

    Args:
        model: is left as it is.
        own_tensors: copy parameters, buffers and other tensors too, so that the copy may change them.

    Returns:
        The copy, and the copy of each module of the model.
    """
    memo: dict[int, Any] = {}
    copied = _copy(unwrapped(model), memo, own_tensors)
    copies = {module: memo[id(module)] for module in unwrapped(model).modules() if id(module) in memo}
    for module in memo.values():
        if isinstance(module, nn.Module):
            module.training = False
            module._compiled_call_impl = None
    return copied, copies


@contextmanager
def without_hooks(copy: nn.Module) -> Iterator[None]:
    """Inside the block the modules of a copy run without hooks, those on all modules of the process included."""
    modules = list(copy.modules())
    # What torch.compile sets to take the place of a call with its hooks.
    for module in modules:
        module._compiled_call_impl = module.forward
    try:
        yield
    finally:
        for module in modules:
            module._compiled_call_impl = None


def _copy(value: Any, memo: dict[int, Any], own_tensors: bool) -> Any:
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, nn.Module):
        inner = unwrapped(value)
        if inner is not value:
            memo[id(value)] = _copy(inner, memo, own_tensors)
            return memo[id(value)]
        found = memo[id(value)] = value.__class__.__new__(value.__class__)
        # Into the dict, past __setattr__.
        vars(found).update({name: _copy(item, memo, own_tensors) for name, item in list(vars(value).items())})
        return found
    if isinstance(value, Tensor):
        found = _copy_tensor(value) if own_tensors else value
    elif isinstance(value, LastForward):
        found = LastForward()
    elif isinstance(value, MethodType) and isinstance(value.__self__, nn.Module):
        found = MethodType(value.__func__, _copy(value.__self__, memo, own_tensors))
    elif type(value) is partial:
        parts = [_copy(part, memo, own_tensors) for part in (value.func, value.args, value.keywords)]
        found = partial(parts[0], *parts[1], **parts[2])
    elif type(value) in _CONTAINERS:
        return _copy_container(value, memo, own_tensors)
    else:
        return value
    memo[id(value)] = found
    return found


def _copy_tensor(value: Tensor) -> Tensor:
    found = value.detach().clone()
    if isinstance(value, nn.Parameter):
        return nn.Parameter(found, requires_grad=value.requires_grad)
    return found


def _copy_container(value: Any, memo: dict[int, Any], own_tensors: bool) -> Any:
    if isinstance(value, tuple | set):
        memo[id(value)] = found = type(value)(_copy(item, memo, own_tensors) for item in value)
        return found
    found = memo[id(value)] = type(value)()
    if isinstance(value, dict):
        found.update({key: _copy(item, memo, own_tensors) for key, item in list(value.items())})
    else:
        found.extend(_copy(item, memo, own_tensors) for item in list(value))
    return found
