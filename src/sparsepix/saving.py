"""Model files: the description of the architecture and the state_dict, nothing that could run code."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sparsepix.architecture import Architecture, SparseCNN
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.files import atomic_write
from sparsepix_ops.version import __version__

FILE_FORMAT = "sparsepix-model-1"


def save(model: SparseCNN, path: str | Path) -> None:
    """Write a model to a file that ``load`` reads back, on any machine and without unpickling code.

    Raises:
        SparsePixError: the model is no ``SparseCNN``; its architecture has no description; the file cannot be written.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile has wrapped
    if not isinstance(model, SparseCNN):
        raise SparsePixError(
            f"save: expected a SparseCNN (a preset of sparsepix.models), found {type(model).__name__}; for a module of "
            "your own use torch.save(model.state_dict(), path) and sparsepix-export --model package.module:factory"
        )
    content = {
        "format": FILE_FORMAT,
        "version": __version__,
        "architecture": model.architecture.to_dict(),
        "state_dict": model.state_dict(),
    }
    write_file(path, content)


def write_file(path: str | Path, content: Any) -> None:
    """Write a torch file; an interruption leaves the old one or the new one.

    Raises:
        SparsePixError: the file cannot be written.
    """
    # In memory first: torch's own writing to a file ends in a RuntimeError of its C++ code when the disk is full.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_file(path: str | Path, allow_pickle: bool = False) -> Any:
    """The content of a torch file.

    Args:
        path: of the file.
        allow_pickle: also read files that hold pickled objects. Unpickling runs code that the file
            names: only for files whose origin is trusted.

    Raises:
        SparsePixError: there is no such file, it is no torch file, or it holds pickled objects.
    """
    path = Path(path)
    if not path.is_file():
        raise SparsePixError(f"{path}: there is no such file")
    try:
        return torch.load(path, map_location="cpu", weights_only=not allow_pickle)
    except pickle.UnpicklingError:
        # One exception for two causes: an object that weights_only refuses, or no torch file (a zip) at all.
        if not zipfile.is_zipfile(path):
            raise SparsePixError(f"{path}: expected a model file, found something that torch cannot read") from None
        raise SparsePixError(
            f"{path}: it holds a pickled module, and unpickling runs whatever code the file names. Either build the "
            "model in code and load the state_dict (--model package.module:factory), or, if you trust the file, "
            "pass --allow-pickle"
        ) from None
    except (RuntimeError, EOFError, zipfile.BadZipFile, AttributeError, ImportError, ValueError, KeyError) as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SparsePixError(
            f"{path}: expected a model file, found something that torch cannot read: {message}"
        ) from None


def load(path: str | Path) -> SparseCNN:
    """Read a model that ``save`` wrote.

    Raises:
        SparsePixError: the file is none of ours, or does not fit together.
    """
    content = read_file(path)
    if not isinstance(content, dict) or content.get("format") != FILE_FORMAT:
        raise SparsePixError(
            f"{path}: expected a file of sparsepix.save ({FILE_FORMAT}), found no description of an architecture; "
            "for a state_dict alone use sparsepix-export --model package.module:factory"
        )
    try:
        model = SparseCNN(Architecture.from_dict(content["architecture"]))
    except SparsePixError as error:
        raise SparsePixError(f"{path}: {error}") from None
    load_state(model, content["state_dict"], str(path))
    return model


def load_state(model: nn.Module, state: dict[str, torch.Tensor], source: str) -> None:
    """Fill a module from a state_dict, in the dtype that the state_dict has.

    Args:
        model: the module.
        state: its parameters by name.
        source: where they come from, for messages.

    Raises:
        SparsePixError: names or shapes differ.
    """
    floats = {tensor.dtype for tensor in state.values() if tensor.dtype.is_floating_point}
    if floats == {torch.float64}:
        model.double()
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        raise SparsePixError(lines, f"{source}: the weights do not fit the model") from None
