"""Files of torch: written with checksums, and read only when these are right, without running what a file names."""

import hashlib
import io
import pickle
import re
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.files import atomic_write
from sparsepix_ops.version import __version__

_IS_FOLDER = 0x10  # attribute of MS-DOS
# A file that unpacks to more than this, and to many times its own size, is no model.
_UNPACKED, _TIMES = 64 << 20, 100
# Much more than any model or checkpoint of ours.
_PARTS, _BYTES = 1_000_000, 16 << 30
_FORMAT = re.compile(r"(sparsepix-\w+)-(\d+)")
_CUT_SHORT = "expected a whole model file, found one that is cut short or damaged; get it again"

# What other files begin with, and what to do about them.
_SIGNATURES = (
    (
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file; the weights of a Keras model are read with sparsepix.compat.load_keras(model, path)",
    ),
    (b"\x93NUMPY", "an array of numpy; a state_dict is written with torch.save(model.state_dict(), path)"),
    (b"\x1f\x8b", "a file packed with gzip; unpack it first"),
)


def dump(content: Mapping[str, Any]) -> bytes:
    """The file of some plain data and tensors, with a digest that ``read_own`` compares."""
    content = {**content, "digest": digest(content)}
    buffer = io.BytesIO()
    # A program may have turned them off for its own files; then a damaged one could not be told.
    checksums = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(True)
    try:
        torch.save(content, buffer)
    finally:
        torch.serialization.set_crc32_options(checksums)
    return buffer.getvalue()


def write_file(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write the file of ``dump``: an interruption leaves the old one or the new one.

    Raises:
        SparsePixError: it cannot be written.
    """
    write_bytes(dump(content), path)


def write_bytes(data: bytes, path: str | Path) -> None:
    """Write a file beside ``path`` and rename it.

    Raises:
        SparsePixError: it cannot be written; what was there stays.
    """
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def read_own(path: str | Path, file_format: str, kind: str, otherwise: str = "") -> dict[str, Any]:
    """The content of a file of ``write_file``, or of one that older versions wrote without a digest.

    Args:
        path: of the file.
        file_format: what it must say under 'format': a name, and the version of the format.
        kind: of file, for messages.
        otherwise: what a file without that may be good for, for messages.

    Raises:
        SparsePixError: it is another file, or damaged, or of a newer version.
    """
    content = read_file(path)
    return own_content(content, str(path), file_format, kind, otherwise)


def own_content(content: Any, source: str, file_format: str, kind: str, otherwise: str = "") -> dict[str, Any]:
    """The content of a file of ours, format and digest taken off; arguments and errors as for ``read_own``."""
    found = content.get("format") if isinstance(content, dict) else None
    if found != file_format:
        problem = f"{source}: expected {kind} ({file_format}), found "
        ours, theirs = _FORMAT.fullmatch(file_format), _FORMAT.fullmatch(found) if isinstance(found, str) else None
        if theirs and ours[1] == theirs[1] and int(theirs[2]) > int(ours[2]):
            raise SparsePixError(
                f"{problem}{found}, which a newer version wrote ({content.get('version', 'unknown')}; this is "
                f"{__version__}); update SparsePix"
            )
        if theirs and theirs[1] == "sparsepix-checkpoint":
            raise SparsePixError(
                f"{problem}the checkpoint of a training; the same sparsepix-train command goes on from it and writes "
                "model.pt beside it"
            )
        raise SparsePixError(
            f"{problem}{f'a file of sparsepix ({found})' if theirs else otherwise or 'something else'}"
        )
    content = {name: value for name, value in content.items() if name != "format"}
    expected = content.pop("digest", None)
    try:
        actual = digest({"format": found} | content)  # also where none is expected: it refuses what is no plain data
    except SparsePixError as error:
        raise SparsePixError(f"{source}: {error}") from None
    if expected is not None and expected != actual:
        raise SparsePixError(f"{source}: the file is damaged: its content is not what was written; get it again")
    return content


def digest(content: Any) -> str:
    """SHA-256 of plain data and tensors: another one means other values, types, shapes or names.

    Raises:
        SparsePixError: it holds something else, or a tensor that is no plain array of numbers.
    """
    found = hashlib.sha256()
    # A list of what is to come in place of recursion: files may be nested deeper than Python can call.
    waiting: list[Any] = [content]
    parts = size = 0
    while waiting:
        value = waiting.pop()
        parts += 1
        if isinstance(value, Tensor):
            if problem := tensor_problem(value):
                raise SparsePixError(f"expected plain tensors, found {problem}")
            size += value.numel() * value.element_size()
        # Lists in a file may hold each other, and so a few bytes hold any number of parts.
        if parts > _PARTS or size > _BYTES:
            raise SparsePixError(f"expected a model, found more than {_PARTS:,} parts or {_BYTES:,} bytes")
        if isinstance(value, Tensor):
            found.update(f"tensor {value.dtype} {tuple(value.shape)}".encode())
            found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        elif isinstance(value, Mapping):
            found.update(f"dict {len(value)}".encode())
            waiting += [part for item in reversed(value.items()) for part in reversed(item)]
        elif isinstance(value, list | tuple):
            found.update(f"list {len(value)}".encode())
            waiting += reversed(value)
        elif value is None or isinstance(value, bool | int | float | str):
            # Python turns no int of 4,300 digits into decimals.
            text = hex(value) if type(value) is int else repr(value)
            found.update(f"{type(value).__name__} {len(text)} {text}".encode("utf-8", "surrogatepass"))
        else:
            raise SparsePixError(f"expected numbers, text and tensors, found a {type(value).__name__}")
    return found.hexdigest()


def tensor_problem(tensor: Tensor) -> str:
    """Why a tensor is no plain array of numbers in memory; '' if it is one."""
    kind = ""
    if tensor.is_nested:  # first: torch raises where one is asked for its shape
        kind = "a nested tensor; save a tensor of each part"
    elif tensor.is_quantized:
        kind = "a tensor quantized by torch; save its .dequantize()"
    elif tensor.layout != torch.strided:
        kind = f"a tensor of layout {tensor.layout}; save its .to_dense()"
    elif tensor.device.type == "meta":
        kind = "a tensor without values (device meta)"
    elif tensor.is_complex():
        kind = f"complex numbers ({tensor.dtype})"
    elif tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        kind = f"a tensor of shape {tuple(tensor.shape)} with fewer values than places; save its .contiguous()"
    return kind


def read_file(path: str | Path, allow_pickle: bool = False) -> Any:
    """The content of a torch file, after a look at its checksums.

    Args:
        path: of the file.
        allow_pickle: also read files that hold pickled objects. Unpickling runs code that the file
            names: only for files whose origin is trusted.

    Raises:
        SparsePixError: there is no such file, it is no torch file, it is damaged, or it holds pickled objects.
    """
    path = Path(path)
    require_file(path)
    try:
        with path.open("rb") as file:
            start = file.read(64)
        _require_torch(path, start)
        if start.startswith(b"PK"):
            _check_archive(path)
    except OSError as error:
        raise SparsePixError(f"{path}: the file cannot be read: {error.strerror or error}") from None
    try:
        return torch.load(path, map_location="cpu", weights_only=not allow_pickle)
    except pickle.UnpicklingError as error:
        raise SparsePixError(f"{path}: {_unpickling_problem(str(error))}") from None
    except Exception as error:  # whatever the bytes make of torch, and with pickles whatever their code raises
        message = str(error).strip().splitlines() or [type(error).__name__]
        raise SparsePixError(
            f"{path}: expected a model file, found something that torch cannot read: {message[0]}"
        ) from None


def require_file(path: str | Path) -> None:
    """Refuse what is no file to read.

    Raises:
        SparsePixError: a folder, a device, a pipe, or nothing at all.
    """
    path = Path(path)
    if path.is_dir():
        raise SparsePixError(f"{path}: expected a file, found a folder; name the file in it, as {path / 'model.pt'}")
    if path.exists() and not path.is_file():
        raise SparsePixError(f"{path}: expected a file, found a device or a pipe")
    if not path.is_file():
        raise SparsePixError(f"{path}: there is no such file")


def _require_torch(path: Path, start: bytes) -> None:
    """Raises SparsePixError for a file whose first bytes are those of another kind."""
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            raise SparsePixError(f"{path}: expected a model file, found {kind}")
    if len(start) >= 10 and start[8:9] == b"{" and struct.unpack("<Q", start[:8])[0] < 1 << 30:
        raise SparsePixError(
            f"{path}: expected a model file, found one of safetensors; convert it with torch.save("
            f"safetensors.torch.load_file({str(path)!r}), 'state.pt'), then sparsepix-export state.pt --model "
            "package.module:factory"
        )
    if _is_onnx(path, start):
        raise SparsePixError(
            f"{path}: expected a model file of torch, found an ONNX file; sparsepix-hls takes that as it is"
        )
    # A zip, or a pickle (torch before 1.6 wrote several in a row).
    if not start.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\x80")):
        found = "an empty file" if not start else f"something that torch cannot read: it begins with {start[:8]!r}"
        raise SparsePixError(f"{path}: expected a model file, found {found}")


def _is_onnx(path: Path, start: bytes) -> bool:
    """Whether this is a protobuf message that begins as ONNX models do: the version of the format, then a name."""
    return start[:1] == b"\x08" and (path.suffix == ".onnx" or start[2:3] in (b"\x12", b"\x3a"))


def _check_archive(path: Path) -> None:
    """Raises SparsePixError unless the zip is one of torch's, and every checksum in it is right."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            files = archive.infolist()
            names = [file.filename for file in files]
            unpacked = sum(file.file_size for file in files)
            if other := _other_archive(names, path):
                raise SparsePixError(f"{path}: expected a model file, found {other}")
            if unpacked > max(_UNPACKED, _TIMES * size):
                raise SparsePixError(
                    f"{path}: it would unpack from {size:,} to {unpacked:,} bytes, which is no model; write it anew "
                    "with torch.save"
                )
            # torch reads nothing where this says 'folder', zipfile does not look at it.
            folders = [file.filename for file in files if file.external_attr & _IS_FOLDER]
            wrong = archive.testzip() or next(iter(folders), None)
    except SparsePixError:
        raise
    except Exception:  # zipfile raises a dozen kinds for damaged headers
        raise SparsePixError(f"{path}: {_CUT_SHORT}") from None
    if wrong is not None:
        raise SparsePixError(
            f"{path}: the file is damaged: {wrong} in it is not what its checksum says; get it again (a file that was "
            "written after torch.serialization.set_crc32_options(False) has none: write it anew)"
        )


def _other_archive(names: Sequence[str], path: Path) -> str:
    """What a zip with these files is if not one of torch.save; '' if it is."""
    inner = [name.partition("/")[2] for name in names]
    if "constants.pkl" in inner or any(part.startswith("code/") for part in inner):
        return (
            "one of TorchScript; save the state_dict of the module that it was made from, and use --model "
            "package.module:factory"
        )
    if "data.pkl" in inner:
        return ""
    if "model.weights.h5" in names:
        return (
            "an archive of Keras; unpack it, and read the model.weights.h5 in it with "
            "sparsepix.compat.load_keras(model, path)"
        )
    if names and all(name.endswith(".npy") for name in names):
        return "arrays of numpy (.npz); a state_dict is written with torch.save(model.state_dict(), path)"
    return f"a zip of {', '.join(names[:3]) or 'nothing'}{', ...' if len(names) > 3 else ''}"


def _unpickling_problem(message: str) -> str:
    """What to say where torch refuses to unpickle."""
    named = re.search(r"(?:Unsupported global: GLOBAL|Unsupported class|GLOBAL) ([\w.]+)", message)
    if named is None:
        return (
            "expected a model file, found something that torch cannot read; write the weights with "
            "torch.save(model.state_dict(), path)"
        )
    if named[1].startswith("numpy"):
        return (
            f"it holds objects of numpy ({named[1]}) beside the tensors; write the weights alone: "
            "torch.save(model.state_dict(), path)"
        )
    return (
        f"it holds a pickled module or object ({named[1]}), and unpickling runs whatever code the file names. Either "
        "build the model in code and load the state_dict (--model package.module:factory), or, if you trust the file, "
        "pass --allow-pickle"
    )
