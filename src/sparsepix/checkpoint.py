"""The state of a training in a file, from which it goes on as if it had never stopped."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sparsepix.history import History
from sparsepix.saving import read_file, write_file
from sparsepix_ops.errors import SparsePixError

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
    content = read_file(path)
    if not isinstance(content, dict) or content.pop("format", None) != FILE_FORMAT:
        raise SparsePixError(f"{path}: expected a checkpoint of sparsepix ({FILE_FORMAT}), found something else")
    try:
        found = Checkpoint(**content | {"history": History(**content["history"])})
    except (KeyError, TypeError) as error:
        raise SparsePixError(f"{path}: the checkpoint is not complete: {error}") from None
    require_same_settings(found.settings, settings, str(path))
    return found


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
