"""The arrays of a design as ports, and its steps as computations on them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sparsepix_hls.design.options import Design
from sparsepix_hls.design.schedule import Array, PairMap, Step, pair_map
from sparsepix_hls.ir import graph as ir
from sparsepix_hls.rtl.lower import layers, vectors
from sparsepix_hls.rtl.lower.arithmetic import inverse, negative
from sparsepix_hls.rtl.lower.function import Field, unsigned
from sparsepix_hls.rtl.lower.pairs import PairCode, code_of


@dataclass(frozen=True)
class Arrays:
    """What is known of the arrays of a design."""

    design: Design

    @cached_property
    def _extents(self) -> dict[str, tuple[int, int]]:
        """Largest row and column of each list of coordinates, by its name."""
        found = {}
        for layer in self.design.graph.layers:
            if isinstance(layer, ir.InputReduce):
                found[layer.coords.name] = (layer.image.shape[1] - 1, layer.image.shape[2] - 1)
            elif isinstance(layer, ir.Merging):
                found[layer.output_coords.name] = (layer.grid[0] - 1, layer.grid[1] - 1)
        return found

    def code(self, map_: PairMap) -> PairCode:
        """How a pair map is coded: the reduction's list is in row-major order, a pooled one is not."""
        return PairCode(map_.kernel_size, map_.coords == self.design.input_reduce.coords)

    def field(self, array: Array, items: int | None = None, name: str | None = None) -> Field:
        """An array as a port.

        Args:
            array: the array.
            items: of its first axis, if not all.
            name: of the port, if not that of the array.
        """
        if isinstance(array, PairMap):
            return unsigned(array.name, (array.pairs,), self.code(array).bits)
        shape = array.shape if items is None else (items, *array.shape[1:])
        if array.name in self._extents:
            return Field(name or array.name, shape, array.type, -1, self._extents[array.name])
        return Field(name or array.name, shape, array.type)


def pair_index(earlier: int, later: int) -> int:
    """Where a pair stands in its map."""
    return later * (later - 1) // 2 + earlier


def run(step: Step, values: dict[str, np.ndarray], arrays: Arrays) -> None:
    """Compute a whole layer or pair map, fully parallel; its results are put beside its inputs in ``values``."""
    if isinstance(step, PairMap):
        coords, code = values[step.coords.name], arrays.code(step)
        codes = np.full(step.pairs, code.outside, dtype=object)
        for later in range(step.pixels):
            for earlier in range(later):
                codes[pair_index(earlier, later)] = code_of(code, coords[earlier], coords[later])
        values[step.name] = codes
        return
    match step:
        case ir.Activation():
            values[step.output.name] = layers.activation(step, values[step.input.name])
        case ir.SparseConv2d():
            values[step.output.name] = _convolution(step, values, arrays)
        case ir.Merging():
            size = step.features.shape[0]
            coords = values[step.coords.name]
            earlier = np.array([[int(j < k) for j in range(size)] for k in range(size)], dtype=object)
            merged = layers.merging(step, arrays.design.implementation(step))
            pooled, places = merged(values[step.features.name], coords, coords, earlier)
            values[step.output_features.name], values[step.output_coords.name] = pooled, places
        case ir.SparseGlobalAvgPool2d():
            values[step.output.name] = layers.global_avg(step, values[step.features.name])
        case ir.SparseGlobalMaxPool2d():
            values[step.output.name] = layers.global_max(step, values[step.features.name], values[step.coords.name])
        case ir.SparseFlatten():
            values[step.output.name] = vectors.flatten(step, values[step.features.name], values[step.coords.name])
        case ir.SparseFlattenDense():
            sums = vectors.flatten_dense(step, values[step.features.name], values[step.coords.name])
            values[step.output.name] = sums + np.array(layers.bias_of(step), dtype=object)
        case ir.Dense():
            sums = vectors.dense(step, values[step.input.name])
            values[step.output.name] = sums + np.array(layers.bias_of(step), dtype=object)
        case ir.Add():
            values[step.output.name] = layers.add(step, values[step.first.name], values[step.second.name])
        case ir.Concat():
            values[step.output.name] = layers.concat(step, [values[part.name] for part in step.parts])
        case _:
            raise TypeError(f"no RTL for {type(step).__name__}")


def _convolution(layer: ir.SparseConv2d, values: dict[str, np.ndarray], arrays: Arrays) -> np.ndarray:
    map_ = pair_map(layer)
    code, pairs, size = arrays.code(map_), values[map_.name], layer.features.shape[0]
    codes = np.full((size, size), code.center, dtype=object)
    turned = np.zeros((size, size), dtype=object)
    for later in range(size):
        for earlier in range(later):
            codes[earlier, later] = codes[later, earlier] = pairs[pair_index(earlier, later)]
            turned[later, earlier] = 1
    active = np.array([inverse(negative(row)) for row in values[layer.coords.name][:, 0]], dtype=object)
    kernel = layers.conv_gather if arrays.design.implementation(layer) == "gather" else layers.conv_pairs
    return kernel(layer, code, values[layer.features.name], codes, turned, active)


def title(steps: tuple[Step, ...]) -> str:
    """What some steps are, for a comment."""
    return ", ".join(
        f"pair map {s.kernel_size[0]}x{s.kernel_size[1]}"
        if isinstance(s, PairMap)
        else f"{s.name} ({type(s).__name__})"
        for s in steps
    )
