"""Weights of Keras for a model of ours; ``from_keras`` brings whole models over."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sparsepix.models.hgq import read_quantizer
from sparsepix.models.keras_files import array_of, is_archive, natural_order, read_variables
from sparsepix.nn.quant_conv2d import QuantConv2d
from sparsepix.nn.quant_linear import QuantLinear
from sparsepix.nn.sparse_conv2d import SparseConv2d
from sparsepix.quant.quantizers import Quantizer
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray
from sparsepix_ops.system.tools import needed_for


def load_keras(model: nn.Module, arrays: Mapping[str, np.ndarray] | str | Path) -> None:
    """Fill a model with the weights of a Keras model of the same architecture.

    Args:
        model: its convolutions and linear layers are filled; all or none.
        arrays: ``conv1_kernel`` (h, w, in, out), ``conv1_bias`` (out,), ``dense1_kernel`` (in, out),
            ``dense1_bias`` (out,), ... by the names of the model's layers; or the path of a Keras file
            ('.h5' or '.weights.h5'), whose layers are matched by name, or else by kind and order. Weights with
            quantizers of HGQ2 come as these quantize them (rounding 'RND', overflow 'SAT_SYM', or none where their
            bits follow them), and the formats of the model have to hold them exactly.

    Raises:
        SparsePixError: every array that is missing, left over, of another shape, or not finite; quantized weights that
            the model would round; quantizers of values in the file, which say more than weights.
    """
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, SparseConv2d | QuantConv2d | QuantLinear)
    }
    exact = False
    if isinstance(arrays, str | Path):
        source = str(arrays)
        found, exact = _read(arrays)
        arrays = _by_layer(found, layers, source)
    else:
        source = "the given arrays"
    problems, filled, moved = [], [], []
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
            elif exact and (integer := _integer(module, role, array)) is None:
                needed = FixedArray.from_real(array).range.format()
                problems.append(f"{key}: expected weights that its format holds, found some that need {needed}")
            else:
                filled.append((parameter, array))
                if exact and (quantizer := _quantizer(module, role)).adapts:
                    moved.append((quantizer, integer))
    problems += [f"{key}: the model has no such layer" for key in sorted(set(arrays) - expected_names)]
    if problems:
        raise SparsePixError(problems, f"{source} do not fit the model")
    with torch.no_grad():
        for parameter, array in filled:
            axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]
            parameter.copy_(torch.from_numpy(array.transpose(axes).copy()))
    for quantizer, integer in moved:
        quantizer.set_integer(integer)


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

    layers: dict[str, dict[str, np.ndarray]] = {}

    def visit(name: str, item: "h5py.Dataset | h5py.Group") -> None:
        if not isinstance(item, h5py.Dataset) or "optimizer" in name:
            return
        parts = name.split("/")
        role = parts[-1].split(":")[0]
        if role in ("kernel", "bias") and len(parts) >= 2:
            layers.setdefault(parts[-2], {})[role] = array_of(item, f"{path}: {name}")
        elif len(parts) >= 3 and parts[-2] == "vars" and role in ("0", "1"):
            layer = str(item.parent.attrs.get("name", parts[-3]))
            layers.setdefault(layer, {})[("kernel", "bias")[int(role)]] = array_of(item, f"{path}: {name}")

    if is_archive(path):
        raise SparsePixError(
            f"{path}: expected a Keras file in HDF5, found an archive; sparsepix.compat.from_keras(path) reads it"
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
    return {name: layers[name] for name in natural_order(layers)}


def _read(path: str | Path) -> tuple[dict[str, dict[str, np.ndarray]], bool]:
    """Kernels and biases by layer, and whether they are those that HGQ2 quantizes."""
    found = read_keras_file(path)
    # Only names of quantizers tell that the file is one of HGQ2.
    if not any("quantizer" in name for name in found):
        return found, False
    layers, problems = {}, []
    for name, variables in read_variables(path, str(path)).items():
        conv = variables.parts.get("conv") or variables
        kernels, biases = conv.parts.get("kq"), variables.parts.get("_bq") or variables.parts.get("bq")
        if kernels is None:
            continue
        if conv.parts.get("iq") is not None or conv.parts.get("oq") is not None:
            problems.append(
                f"{name}: it quantizes values too, which weights alone do not say; read the file with "
                "sparsepix.compat.from_keras(path, like=ARCHIVE)"
            )
        try:
            arrays = {"kernel": read_quantizer(None, kernels).quantize(conv.own[0])}
            if biases is not None:
                bias = variables.own[0] if conv is not variables else variables.own[1]
                arrays["bias"] = read_quantizer(None, biases).quantize(bias)
        except (SparsePixError, IndexError) as error:
            problems.append(f"{name}: {error}")
            continue
        layers[name] = arrays
    if problems:
        raise SparsePixError(problems, str(path))
    return layers, True


def _quantizer(module: nn.Module, role: str) -> Quantizer:
    return module.weight_quantizer if role == "kernel" else module.bias_quantizer


def _integer(module: nn.Module, role: str, array: np.ndarray) -> int | None:
    """Integer bits of a format that holds an array exactly: the layer's, or any if it adapts; None: none does."""
    quantizer = _quantizer(module, role)
    if quantizer.format is None:
        return 0
    if quantizer.adapts:
        needed, width = FixedArray.from_real(array).range.format(), quantizer.fixed_point.width
        return needed.exponent + width if needed.width + (not needed.signed) <= width else None
    values = torch.from_numpy(np.asarray(array, dtype=np.float64))
    return quantizer.fixed_point.integer if bool((quantizer.quantize(values) == values).all()) else None


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
