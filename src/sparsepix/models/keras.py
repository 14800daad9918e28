"""Bringing models over from Keras."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sparsepix.models.torch_files import require_file
from sparsepix.nn.quant_conv2d import QuantConv2d
from sparsepix.nn.quant_linear import QuantLinear
from sparsepix.nn.sparse_conv2d import SparseConv2d
from sparsepix.util.extras import needed_for
from sparsepix_ops.errors import SparsePixError

_MOST = 1 << 31  # bytes of one array


def load_keras(model: nn.Module, arrays: Mapping[str, np.ndarray] | str | Path) -> None:
    """Fill a model with the weights of a Keras model of the same architecture.

    Args:
        model: its convolutions and linear layers are filled; all or none.
        arrays: ``conv1_kernel`` (h, w, in, out), ``conv1_bias`` (out,), ``dense1_kernel`` (in, out),
            ``dense1_bias`` (out,), ... by the names of the model's layers; or the path of a Keras file
            ('.h5' or '.weights.h5'), whose layers are matched by name, or else by kind and order.

    Raises:
        SparsePixError: every array that is missing, left over, of another shape, or not finite.
    """
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, SparseConv2d | QuantConv2d | QuantLinear)
    }
    if isinstance(arrays, str | Path):
        source = str(arrays)
        arrays = _by_layer(read_keras_file(arrays), layers, source)
    else:
        source = "the given arrays"
    problems, filled = [], []
    expected_names = set()
    for name, module in layers.items():
        for role, parameter in (("kernel", module.weight), ("bias", module.bias)):
            if parameter is None:
                continue
            key = f"{name}_{role}"
            expected_names.add(key)
            shape = _keras_shape(parameter)
            if key not in arrays:
                problems.append(f"{key}: expected an array of shape {shape}, found none")
                continue
            array = np.asarray(arrays[key])
            if array.dtype.kind not in "iuf":
                problems.append(f"{key}: expected numbers, found {array.dtype}")
            elif array.shape != shape:
                problems.append(f"{key}: expected shape {shape}, found {array.shape}")
            elif not np.isfinite(array).all():
                problems.append(f"{key}: expected finite values, found NaN or infinity")
            else:
                filled.append((parameter, array))
    problems += [f"{key}: the model has no such layer" for key in sorted(set(arrays) - expected_names)]
    if problems:
        raise SparsePixError(problems, f"{source} do not fit the model")
    with torch.no_grad():
        for parameter, array in filled:
            axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]
            parameter.copy_(torch.from_numpy(array.transpose(axes).copy()))


def _keras_shape(parameter: torch.Tensor) -> tuple[int, ...]:
    axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[parameter.dim()]
    return tuple(parameter.shape[a] for a in axes)


def read_keras_file(path: str | Path) -> dict[str, dict[str, np.ndarray]]:
    """The kernels and biases of a Keras file: {layer: {'kernel': ..., 'bias': ...}}, in natural order of names.

    Both layouts are read: 'layer/.../kernel:0' of whole models and Keras 2 weights, and
    'layers/layer/vars/0' of Keras 3 weights.

    Raises:
        SparsePixError: no such file, no HDF5 file, or no weights in it.
    """
    with needed_for("reading a Keras file"):
        import h5py

    require_file(path)
    layers: dict[str, dict[str, np.ndarray]] = {}

    def values(name: str, item: "h5py.Dataset") -> np.ndarray:
        if item.shape is None or item.dtype.kind not in "iuf" or item.nbytes > _MOST:
            raise SparsePixError(
                f"{path}: {name}: expected weights, found the type {item.dtype} and the shape {item.shape}"
            )
        return item[()]

    def visit(name: str, item: "h5py.Dataset | h5py.Group") -> None:
        if not isinstance(item, h5py.Dataset) or "optimizer" in name:
            return
        parts = name.split("/")
        role = parts[-1].split(":")[0]
        if role in ("kernel", "bias") and len(parts) >= 2:
            layers.setdefault(parts[-2], {})[role] = values(name, item)
        elif len(parts) >= 3 and parts[-2] == "vars" and role in ("0", "1"):
            layer = str(item.parent.attrs.get("name", parts[-3]))
            layers.setdefault(layer, {})[("kernel", "bias")[int(role)]] = values(name, item)

    if zipfile.is_zipfile(path):
        raise SparsePixError(
            f"{path}: expected a Keras file in HDF5, found an archive; unpack it, and give the model.weights.h5 in it"
        )
    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except SparsePixError:
        raise
    except Exception as error:  # h5py raises many kinds for damaged files
        raise SparsePixError(
            f"{path}: expected a Keras file in HDF5, found something else or a damaged one ({error})"
        ) from None
    if not layers:
        raise SparsePixError(f"{path}: found no kernel and no bias in it; expected a Keras model or its weights")
    return {name: layers[name] for name in sorted(layers, key=_natural)}


def _natural(name: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _by_layer(
    found: dict[str, dict[str, np.ndarray]], layers: Mapping[str, nn.Module], source: str
) -> dict[str, np.ndarray]:
    """Rename the layers of a file to those of the model: by name, or else by kind (rank of the kernel) and order."""
    if set(found) != set(layers):
        renamed = {}
        for rank, kind in ((4, "convolutions"), (2, "dense layers")):
            theirs = [name for name, roles in found.items() if roles.get("kernel", np.empty(0)).ndim == rank]
            ours = [name for name, module in layers.items() if module.weight.dim() == rank]
            if len(theirs) != len(ours):
                raise SparsePixError(f"{source}: expected {len(ours)} {kind} {ours}, found {len(theirs)} {theirs}")
            renamed.update({mine: found[name] for mine, name in zip(ours, theirs, strict=True)})
        found = renamed
    return {f"{layer}_{role}": array for layer, roles in found.items() for role, array in roles.items()}
