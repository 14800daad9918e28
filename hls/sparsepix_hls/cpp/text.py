"""Small pieces of C++ that the generated stages are made of."""

from collections.abc import Iterable, Mapping

from sparsepix_hls.ir.dims import dims
from sparsepix_hls.ir.tensors import Array, KernelMap, Tensor
from sparsepix_hls.kernels.text import call


def array_type(array: Array, scope: str = "") -> str:
    """Type of an array's elements."""
    if isinstance(array, KernelMap):
        return f"sparsepix::Position<{array.kernel_size[0]} * {array.kernel_size[1]}>"
    return f"{scope}{array.name}_t"


def array_dims(array: Array, rows: int | None = None) -> str:
    """Extents of an array; ``rows`` instead of its first one, if given.

    An image is one row of values, [channel][row][column] one after the other: so is the port of other tools' functions.
    """
    if isinstance(array, KernelMap):
        return f"[sparsepix::pair_count({array.pixels})]"
    if len(array.shape) == 3:
        return f"[{' * '.join(map(str, array.shape))}]"
    return dims(array.shape if rows is None else (rows, *array.shape[1:]))


def partition(name: str) -> str:
    """An array whose elements are registers of their own."""
    return f"#pragma HLS ARRAY_PARTITION variable = {name} type = complete dim = 0"


def parameter(array: Array, const: bool = False, name: str | None = None) -> str:
    """An array as the parameter of a function."""
    return f"{'const ' if const else ''}{array_type(array)} {name or array.name}{array_dims(array)}"


def declarations(
    arrays: Iterable[Array],
    rename: Mapping[str, str] | None = None,
    indent: str = "  ",
    rows: int | None = None,
    scope: str = "",
) -> list[str]:
    """Local arrays, each element a register of its own; ``scope`` is that of their types."""
    lines = []
    for array in arrays:
        name = (rename or {}).get(array.name, array.name)
        lines += [f"{indent}{array_type(array, scope)} {name}{array_dims(array, rows)};", partition(name)]
    return lines


def forward(array: Array, source: str, target: str, indent: str) -> str:
    """Copy an array."""
    sizes = ", ".join(map(str, array.shape))
    return call(f"sparsepix::forward<{sizes}>", [source, target], indent)


def next_name(array: Array) -> str:
    """The parameter through which a stage hands an array on."""
    return f"{array.name}_next"


def port_name(tensor: Tensor) -> str:
    """A streaming port of the top function."""
    return f"{tensor.name}_stream"


def send(results: Iterable[Tensor], indent: str) -> list[str]:
    """Each result goes to its stream."""
    lines = []
    for result in results:
        sizes = ", ".join(map(str, result.shape))
        lines.append(call(f"sparsepix::send<{sizes}>", [result.name, port_name(result)], indent))
    return lines
