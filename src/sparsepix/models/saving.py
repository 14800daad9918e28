"""Model files: the description of the architecture and the state_dict, nothing that could run code."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sparsepix.export.module_copy import unwrapped
from sparsepix.models import reading_back
from sparsepix.models.architecture import Architecture
from sparsepix.models.sparse_cnn import SparseCNN
from sparsepix.models.state_dicts import load_state
from sparsepix.models.torch_files import dump, own_content, read_own, write_bytes
from sparsepix.util.numbers_given import shown
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.version import __version__

FILE_FORMAT = "sparsepix-model-1"

# A model of up to so many weights is built even if the file holds fewer: its message names them.
_FEW = 1 << 20

_KIND = "a file of sparsepix.save"
_INSTEAD = (
    "for a module of your own use torch.save(model.state_dict(), path) and sparsepix-export --model "
    "package.module:factory"
)


def save(model: SparseCNN, path: str | Path) -> None:
    """Write a model to a file that ``load`` reads back, on any machine and without unpickling code.

    The file holds the description of the model's architecture, its values (float32 or float64), and which of its
    parameters are frozen (``requires_grad=False``). What is read back is compared with the model first: every layer and
    its settings, every value, and the outputs for a few images, for which the model runs once, in evaluation mode and
    with its hooks. It takes milliseconds.

    Args:
        model: a preset or another ``SparseCNN``, also inside of torch.compile, DataParallel or AveragedModel.
        path: of the file.

    Raises:
        SparsePixError: the model is no ``SparseCNN``; the file would read back as another model (all differences are
            listed); it cannot be written.
    """
    model = unwrapped(model)
    while isinstance(model, torch.optim.swa_utils.AveragedModel):
        model = unwrapped(model.module)
    if type(model) is not SparseCNN:
        kind = "a subclass of it, whose code no file holds" if isinstance(model, SparseCNN) else "no such module"
        raise SparsePixError(
            f"save: expected a SparseCNN (a preset of sparsepix.models), found {kind} ({type(model).__name__}); "
            f"{_INSTEAD}"
        )
    problems, data = [], b""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            plain = SparseCNN(Architecture.from_dict(model.architecture.to_dict()))
        problems = reading_back.structure_problems(model, plain) or reading_back.format_problems(model)
        if not problems:
            data = dump(
                {
                    "format": FILE_FORMAT,
                    "version": __version__,
                    "architecture": model.architecture.to_dict(),
                    "state_dict": {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
                    "frozen": [name for name, value in model.named_parameters() if not value.requires_grad],
                }
            )
            content = torch.load(io.BytesIO(data), weights_only=True)
            again = _from_content(own_content(content, "the file", FILE_FORMAT, _KIND), "the file")
            problems = reading_back.value_problems(model, again)
    except (RuntimeError, AttributeError, TypeError, ValueError) as error:  # of a model without values or description
        problems = list(getattr(error, "problems", [str(error)]))
    if problems:
        raise SparsePixError(
            [*problems, _INSTEAD],
            "save: the file holds the description of the architecture, and would read back as another model",
        )
    write_bytes(data, path)


def load(path: str | Path) -> SparseCNN:
    """Read a model that ``save`` wrote, in training mode.

    Raises:
        SparsePixError: the file is none of ours, damaged, of a newer version, or does not fit together.
    """
    otherwise = (
        "no description of an architecture; for a state_dict alone use sparsepix-export --model package.module:factory"
    )
    return _from_content(read_own(path, FILE_FORMAT, _KIND, otherwise), str(path))


def _from_content(content: Mapping[str, Any], source: str) -> SparseCNN:
    missing = [name for name in ("architecture", "state_dict") if not isinstance(content.get(name), dict)]
    if missing:
        raise SparsePixError(f"{source}: expected {' and '.join(missing)} as a dict; the file is not complete")
    state, frozen = content["state_dict"], content.get("frozen", [])
    try:
        architecture = Architecture.from_dict(content["architecture"])
        # Before anything is allocated: a small file can describe a huge model.
        held = sum(tensor.numel() for tensor in state.values() if isinstance(tensor, torch.Tensor))
        if architecture.weights > max(held, _FEW):
            raise SparsePixError(
                f"the description is of a model of {architecture.weights:,} weights, the state_dict holds {held:,}"
            )
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            model = SparseCNN(architecture)
    except SparsePixError as error:
        newer = _newer(content.get("version"))
        raise SparsePixError(error.problems, f"{source}{newer}") from None
    load_state(model, state, source)
    problems = [f"{name}: it is missing" for name in model.state_dict() if name not in state]
    if problems := problems or reading_back.format_problems(model):
        raise SparsePixError(problems, f"{source}: the weights do not fit the model")
    parameters = dict(model.named_parameters())
    if not isinstance(frozen, list) or not all(isinstance(name, str) and name in parameters for name in frozen):
        raise SparsePixError(
            f"{source}: expected names of the model's parameters under 'frozen', found {shown(frozen)}"
        )
    for name in frozen:
        parameters[name].requires_grad_(False)
    return model


def _newer(version: Any) -> str:
    """What to add to a message about a description if a newer version wrote the file."""
    if not isinstance(version, str):
        return ""
    try:
        theirs, ours = (tuple(int(part) for part in text.split(".")[:3]) for text in (version, __version__))
    except ValueError:
        return ""
    return f": written by SparsePix {version}, this is {__version__}: update it" if theirs > ours else ""
