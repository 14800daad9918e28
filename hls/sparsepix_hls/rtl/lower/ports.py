"""The arrays of a design as ports of modules."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sparsepix_hls.ir.dims import dims
from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.ir.tensors import Array, KernelMap, LayerDesign, Tensor
from sparsepix_hls.rtl.lower.function import Field, unsigned
from sparsepix_hls.rtl.lower.layers import Part
from sparsepix_hls.rtl.lower.pairs import PairCode


@dataclass(frozen=True)
class PortTypes:
    """What is known of the arrays of a design.

    Args:
        layers: of the design.
        listed: coords of the input reduction.
    """

    layers: tuple[Layer, ...]
    listed: Tensor

    @cached_property
    def _grids(self) -> dict[str, tuple[int, int]]:
        """Rows and columns of the grid of each list of coordinates, by its name."""
        return {name: grid for layer in self.layers for name, grid in layer.grids.items()}

    def code(self, map_: KernelMap) -> PairCode:
        """How a kernel map is coded: the reduction's list is in row-major order, a pooled one is not."""
        return PairCode(map_.kernel_size, map_.coords == self.listed)

    def field(self, array: Array, items: int | None = None, name: str | None = None) -> Field:
        """An array as a port.

        Args:
            array: the array.
            items: of its first axis, if not all.
            name: of the port, if not that of the array.
        """
        if isinstance(array, KernelMap):
            return unsigned(array.name, (array.pairs,), self.code(array).bits)
        shape = array.shape if items is None else (items, *array.shape[1:])
        if array.name in self._grids:
            rows, columns = self._grids[array.name]
            return Field(name or array.name, shape, array.type, -1, (rows - 1, columns - 1))
        return Field(name or array.name, shape, array.type)


def title(steps: Iterable[Layer]) -> str:
    """What some steps are, for a comment."""
    return ", ".join(step.title for step in steps)


def described(step: Layer) -> str:
    """What a step is, reads and makes, for a comment."""
    return f"{step.title}: {_arrays(step.inputs)} -> {_arrays(step.outputs)}"


def _arrays(arrays: Iterable[Array]) -> str:
    """Names, shapes and formats."""
    return ", ".join(
        f"{array.name} {dims(array.shape)} {f'of {array.type}' if isinstance(array, Tensor) else 'of codes'}"
        for array in arrays
    )


def part(step: Layer, how: LayerDesign, ports: PortTypes) -> Part:
    """A step that is computed at once, as a part of a function.

    Args:
        step: the step.
        how: its implementation.
        ports: of the design.
    """
    return Part(step.name, described(step), lambda values: step.lower(values, how, ports))
