"""Weights by name: found in whatever a training script wrapped around them, checked, and put into a module."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sparsepix.models.torch_files import tensor_problem
from sparsepix_ops.errors import SparsePixError

# What DataParallel, torch.compile and Lightning put in front of the names.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
# Where training scripts put the weights.
_USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
# What averaged models and DataParallel keep beside the weights.
_BESIDE = ("n_averaged",)


def find_state(content: Any, expected: Collection[str], source: str) -> dict[str, Tensor]:
    """The state_dict of a model in the content of a file.

    A state_dict itself is taken, one inside of a dict ('model', 'state_dict', ...) if it is the only one there, or the
    only one whose names fit; prefixes of wrappers are taken off the names.

    Args:
        content: of the file.
        expected: the names that the model has.
        source: of the content, for messages.

    Raises:
        SparsePixError: there is none, or several that could be meant; names them.
    """
    if isinstance(content, nn.Module):
        content = content.state_dict()
    found = dict(_states(content))
    if not found:
        kind = type(content).__name__
        held = (
            f" with {', '.join(map(repr, list(content)[:8])) or 'nothing in it'}" if isinstance(content, dict) else ""
        )
        raise SparsePixError(f"{source}: expected a state_dict, found a {kind}{held}")
    plain = {name: _without_prefixes(state, expected) for name, state in found.items()}
    if len(plain) > 1:
        fitting = {name: state for name, state in plain.items() if set(state) == set(expected)}
        usual = {name: state for name, state in plain.items() if name.rpartition("/")[2] in _USUAL}
        # Where none fits, what does not fit is said of the one that is meant.
        fitting = usual if not fitting and len(usual) == 1 else fitting
        if len(fitting) != 1:
            listed = ", ".join(repr(name) for name in (fitting or plain))
            first = next(iter(fitting or plain))
            keys = "".join(f"[{key!r}]" for key in first.split("/"))
            raise SparsePixError(
                f"{source}: expected one state_dict, found several: {listed}; write the one that is meant into a file "
                f"of its own, as torch.save(torch.load({source!r}){keys}, 'weights.pt')"
            )
        plain = fitting
    return next(iter(plain.values()))


def _states(content: Any, name: str = "", depth: int = 0) -> list[tuple[str, dict[str, Tensor]]]:
    """The state_dicts in a dict, and in dicts in it, by where they are ('checkpoint/model')."""
    if not isinstance(content, Mapping) or not content or depth > 3:
        return []
    named = all(isinstance(key, str) for key in content)
    if named and any(isinstance(value, Tensor) for value in content.values()):
        whole = all(isinstance(value, Tensor) for value in content.values())
        # 'epoch', 'loss' and the like may be tensors beside the dicts.
        if whole or not any(isinstance(value, Mapping) for value in content.values()):
            return [(name, dict(content))]
    inner = [(f"{name}/{key}" if name else str(key), value) for key, value in content.items()]
    # An optimizer keeps tensors by the number of the parameter.
    return [state for key, value in inner for state in _states(value, key, depth + 1) if "optim" not in key]


def _without_prefixes(state: dict[str, Tensor], expected: Collection[str]) -> dict[str, Tensor]:
    while True:
        if set(state) == set(expected):
            return state
        names = [name for name in state if name not in _BESIDE]
        prefix = next((p for p in PREFIXES if names and all(name.startswith(p) for name in names)), None)
        if prefix is not None:
            state = {name.removeprefix(prefix): state[name] for name in names}
        elif any("_orig_mod." in name for name in names):  # of a part that was compiled by itself
            state = {name.replace("_orig_mod.", ""): value for name, value in state.items()}
        else:
            return state


def load_state(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Fill a module from a state_dict, in the dtype that the state_dict has if that is float32 or float64.

    Args:
        model: the module.
        state: its parameters by name.
        source: where they come from, for messages.

    Raises:
        SparsePixError: names, shapes or kinds of numbers differ; values that are not finite.
    """
    heading = f"{source}: the weights do not fit the model"
    if not isinstance(state, Mapping):
        raise SparsePixError(f"{source}: expected a state_dict, found a {type(state).__name__}")
    expected = model.state_dict()
    if problems := _state_problems(state, expected):
        problems += [f"{name}: it is missing" for name in expected if name not in state]
        problems += [f"{name}: the model has nothing of this name" for name in state if name not in expected]
        raise SparsePixError(problems, heading)
    floats = _float_types(state)
    if floats in ({torch.float64}, {torch.float32}):
        model.to(next(iter(floats)))
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError, KeyError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        raise SparsePixError(lines, heading) from None


def _state_problems(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """What torch would not report, or only after it has filled some of the tensors."""
    problems = []
    mixed = len(_float_types(state)) > 1
    for name, tensor in state.items():
        if not isinstance(name, str):
            problems.append(f"expected names, found {name!r}")
            continue
        ours = expected.get(name)
        if ours is None or not isinstance(ours, Tensor):
            continue
        if not isinstance(tensor, Tensor):
            problems.append(f"{name}: expected a tensor, found a {type(tensor).__name__}")
        elif (problem := tensor_problem(tensor)) and "fewer values" not in problem:
            problems.append(f"{name}: expected plain numbers, found {problem}")
        elif tensor.is_floating_point() != ours.is_floating_point() or (ours.dtype == torch.bool) != (
            tensor.dtype == torch.bool
        ):
            problems.append(f"{name}: expected {ours.dtype}, found {tensor.dtype}")
        elif tensor.shape != ours.shape:
            problems.append(f"{name}: expected the shape {tuple(ours.shape)}, found {tuple(tensor.shape)}")
        elif tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            problems.append(f"{name}: expected finite values, found NaN or infinity; the training has diverged")
        elif mixed and tensor.is_floating_point() and tensor.dtype.itemsize > ours.dtype.itemsize:
            problems.append(f"{name}: expected {ours.dtype} as other tensors are, found {tensor.dtype}")
    return problems


def _float_types(state: Mapping[str, Tensor]) -> set[torch.dtype]:
    return {tensor.dtype for tensor in state.values() if isinstance(tensor, Tensor) and tensor.is_floating_point()}
