"""The state of a training in a file, from which it goes on as if it had never stopped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparsepix.models.torch_files import read_own, tensor_problem, write_file
from sparsepix.util.history import History
from sparsepix.util.numbers_given import require_plain, shown
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.whole import real_number

FILE_FORMAT = "sparsepix-checkpoint-1"


@dataclass
class Checkpoint:
    """A training between two steps.

    Args:
        settings: what the training was asked for, as plain data.
        epoch: index of the epoch that it is in.
        step: index of the next step in that epoch.
        seconds: spent in that epoch.
        sums: of this epoch's steps so far: images, task loss, each penalty.
        history: of the epochs before.
        best: weights of the best epoch; empty before the first has ended.
        model: state_dict.
        optimizer: state_dict.
        schedule: state_dict of the learning rate.
    """

    settings: dict[str, Any]
    epoch: int
    step: int
    seconds: float
    sums: Tensor
    history: History
    best: dict[str, Tensor]
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write the file; an interruption leaves the old one or the new one."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        write_file(path, {"format": FILE_FORMAT} | plain | {"history": asdict(self.history)})


def read_checkpoint(path: Path, settings: Mapping[str, Any]) -> Checkpoint:
    """Read the file of a training that was asked for the same.

    Raises:
        SparsePixError: the file is none of ours; other settings, all of which are listed.
    """
    content = read_own(path, FILE_FORMAT, "a checkpoint of sparsepix")
    try:
        found = Checkpoint(**content | {"history": History(**content["history"])})
    except (KeyError, TypeError) as error:
        raise SparsePixError(f"{path}: the checkpoint is not complete: {error}") from None
    if not isinstance(found.settings, dict):
        raise SparsePixError(f"{path}: the checkpoint is not complete: settings: expected a dict")
    require_plain(found.settings, f"{path}: the settings")
    numbers = {"epoch": found.epoch, "step": found.step}
    if wrong := [name for name, value in numbers.items() if type(value) is not int or not 0 <= value < 1 << 62]:
        raise SparsePixError(f"{path}: expected a number of at least 0 as {' and '.join(wrong)}")
    require_same_settings(found.settings, settings, str(path))
    return found


def require_fitting(
    found: Checkpoint, fresh: Checkpoint, parameters: Sequence[Tensor], steps: int, source: str
) -> None:
    """Refuse a checkpoint with which a training could not go on.

    Args:
        found: of a file.
        fresh: of the same training, before its first step.
        parameters: that are trained, in the order of the optimizer.
        steps: of an epoch.
        source: of the checkpoint, for messages.

    Raises:
        SparsePixError: lists everything that is not of the kind, shape or length of its counterpart.
    """
    epochs, count = fresh.settings["epochs"], found.epoch
    problems = [
        f"{name}: expected a whole number 0 ... {most}, found {shown(value)}"
        for name, value, most in (("epoch", count, epochs), ("step", found.step, steps))
        if value > most
    ]
    problems += _unlike(found.seconds, 0.0, "seconds")
    problems += _unlike(found.sums, fresh.sums.cpu(), "sums")
    problems += _schedule_problems(found.schedule, fresh.schedule, count * steps + found.step)
    problems += _unlike(found.model, fresh.model, "model")
    problems += _unlike(found.best, fresh.model if count else {}, "best")
    if not problems:
        problems += _history_problems(found.history, fresh.history, count)
        problems += _optimizer_problems(found.optimizer, fresh.optimizer, parameters)
    if problems:
        raise SparsePixError(problems, f"{source}: the checkpoint does not fit the training")


def _unlike(value: Any, like: Any, where: str) -> Iterator[str]:
    """Where a value differs from another one in types, shapes or names."""
    number = isinstance(like, int | float) and not isinstance(like, bool)
    if isinstance(like, Tensor):
        if not isinstance(value, Tensor) or tensor_problem(value) or value.shape != like.shape:
            found = f"one of {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            yield f"{where}: expected a tensor {tuple(like.shape)}, found {found}"
        elif value.dtype != like.dtype:
            yield f"{where}: expected {like.dtype}, found {value.dtype}"
    elif isinstance(like, Mapping):
        if not isinstance(value, Mapping) or list(value) != list(like):
            yield f"{where}: expected {', '.join(map(str, like)) or 'nothing'}, found {_names(value)}"
        else:
            for name, part in like.items():
                yield from _unlike(value[name], part, f"{where}.{name}")
    elif isinstance(like, list | tuple):
        if not isinstance(value, list | tuple) or len(value) != len(like):
            yield f"{where}: expected a list of {len(like)}, found {shown(value)}"
        else:
            for i, (part, counterpart) in enumerate(zip(value, like, strict=True)):
                yield from _unlike(part, counterpart, f"{where}[{i}]")
    elif number and (type(value) not in (int, float) or real_number(value) is None):
        yield f"{where}: expected a finite number, found {shown(value)}"
    elif not number and type(value) is not type(like):
        yield f"{where}: expected {shown(like)}, found {shown(value)}"


def _names(value: Any) -> str:
    return ", ".join(map(str, list(value)[:20])) if isinstance(value, Mapping) else type(value).__name__


def _history_problems(found: History, fresh: History, epochs: int) -> Iterator[str]:
    if not isinstance(found.penalties, dict) or list(found.penalties) != list(fresh.penalties):
        yield f"history.penalties: expected {_names(fresh.penalties)}, found {_names(found.penalties)}"
        return
    given = ("monitor", "float_epochs")
    for name in given:
        value, like = getattr(found, name), getattr(fresh, name)
        if type(value) is not type(like) or value != like:
            yield f"history.{name}: expected {like!r}, found {shown(value)}"
    optional = ("budget", "threshold", "ebops")
    lists = {name: value for name, value in vars(found).items() if name not in ("penalties", *given)}
    for name, values in (lists | found.penalties).items():
        if name in optional and values == []:
            continue
        # A loss of the validation images may be infinite or NaN: training goes on then.
        if not isinstance(values, list) or len(values) != epochs or not all(isinstance(v, float) for v in values):
            yield f"history.{name}: expected {epochs} numbers, one an epoch, found {shown(values)}"


# What changes as a training goes: of a schedule, and of the settings of its optimizer.
_SCHEDULE_MOVES = ("last_epoch", "_step_count", "_last_lr", "_get_lr_called_within_step", "_is_initial")
_OPTIMIZER_MOVES = ("lr", "betas")


def _changed(found: Mapping[str, Any], fresh: Mapping[str, Any], moves: Sequence[str], where: str) -> Iterator[str]:
    for name, value in found.items():
        problems = list(_unlike(value, fresh[name], f"{where}.{name}"))
        yield from problems
        if not problems and name not in moves and value != fresh[name]:
            yield f"{where}.{name}: expected {shown(fresh[name])}, found {shown(value)}"


def _schedule_problems(found: Any, fresh: Mapping[str, Any], steps: int) -> Iterator[str]:
    # Versions of torch differ in what they keep: what is missing stays as it is.
    if not isinstance(found, Mapping) or not set(found) <= set(fresh) or "last_epoch" not in found:
        yield f"schedule: expected {', '.join(fresh)}, found {_names(found)}"
        return
    yield from _changed(found, fresh, _SCHEDULE_MOVES, "schedule")
    if not isinstance(found["last_epoch"], Tensor) and found["last_epoch"] != steps:
        yield f"schedule.last_epoch: expected {steps}, the steps that were taken, found {shown(found['last_epoch'])}"


def _optimizer_problems(found: Any, fresh: Mapping[str, Any], parameters: Sequence[Tensor]) -> Iterator[str]:
    if not isinstance(found, Mapping) or set(found) != {"state", "param_groups"}:
        yield f"optimizer: expected state and param_groups, found {_names(found)}"
        return
    problems = list(_unlike(found["param_groups"], fresh["param_groups"], "optimizer.param_groups"))
    yield from problems
    if not problems:
        # They also number the parameters. With other numbers torch gives a parameter the state of another one, and
        # fused Adam, which compares no shapes, writes past its end.
        for i, (group, like) in enumerate(zip(found["param_groups"], fresh["param_groups"], strict=True)):
            yield from _changed(group, like, _OPTIMIZER_MOVES, f"optimizer.param_groups[{i}]")
    state = found["state"]
    if not isinstance(state, Mapping):
        yield f"optimizer.state: expected a dict, found {type(state).__name__}"
        return
    for index, values in state.items():
        if type(index) is not int or not 0 <= index < len(parameters):
            yield f"optimizer.state: expected the numbers of {len(parameters)} parameters, found {shown(index)}"
            continue
        like = parameters[index]
        # What Adam keeps of a parameter.
        expected = {"step": torch.tensor(0.0), "exp_avg": like, "exp_avg_sq": like}
        yield from _unlike(values, expected, f"optimizer.state.{index}")


def require_same_settings(old: Mapping[str, Any], new: Mapping[str, Any], source: str) -> None:
    """Refuse to go on with other settings than a training began with.

    Raises:
        SparsePixError: lists every setting that differs.
    """
    differences = [
        f"{name}: {old.get(name, 'not set')} there, {new.get(name, 'not set')} now"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
    if differences:
        raise SparsePixError(
            differences, f"{source} holds a training with other settings; use the same ones, or another place"
        )
