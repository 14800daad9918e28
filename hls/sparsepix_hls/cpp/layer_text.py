"""What a layer needs before its kernel can be called, as C++: number types, weights, parameters."""

from collections.abc import Iterable
from dataclasses import replace

from sparsepix_hls.ir.dims import dims
from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.tensors import Tensor
from sparsepix_hls.kernels.constants import decimals, type_name
from sparsepix_hls.kernels.text import config_struct


def tensor_types(tensors: Iterable[Tensor], coords: set[str]) -> list[str]:
    """The number type of each tensor; those named in ``coords`` are lists of coordinates, whole numbers."""
    return [
        f"// {tensor.name} {dims(tensor.shape)}\n"
        f"typedef {type_name(tensor.type, tensor.name in coords)} {tensor.name}_t;"
        for tensor in tensors
    ]


def constant_types(layer: Kernel) -> list[str]:
    """The number type of each constant of a layer."""
    lines = []
    for constant, shape in layer.constants:
        lines.append(f"// {constant.name} {dims(shape)}".rstrip())
        # A constant is never rounded: without modes its type says so, and compiles faster.
        plain = replace(constant.type, rounding="FLOOR", overflow="WRAP")
        lines.append(f"typedef {type_name(plain)} {constant.name}_t;")
    return lines


def parameters(layer: Kernel) -> list[str]:
    """The parameter struct of a layer and its constants that are single numbers."""
    scalars = [constant for constant, shape in layer.constants if not shape]
    return [
        *([config_struct(layer)] if layer.config else []),
        *(f"static const {c.name}_t {c.name} = {decimals(c).item()};\n" for c in scalars),
    ]
