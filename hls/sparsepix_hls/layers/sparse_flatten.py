"""SparseFlatten: the list to a dense vector; alone, or with the dense layer after it by looked-up weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsepix_hls.cost.costs import layer_estimate, scaled
from sparsepix_hls.cost.matrices import MERGED, SCATTERED
from sparsepix_hls.cost.primitives import (
    adder,
    adder_tree,
    constant_multiplier,
    equal,
    logic,
    multiplier,
    mux,
    register,
    rom,
)
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Layer, Setting
from sparsepix_hls.ir.kernel import Config, Kernel, bias_or_zeros, bias_values
from sparsepix_hls.ir.streams import Streamed
from sparsepix_hls.ir.tensors import Constant, LayerDesign, Tensor
from sparsepix_hls.layers.dense import summed


class _OnGrid(Layer):
    """What both have: a list of pixels on an image of ``spatial_shape``, whose rounds add to the same results."""

    features: Tensor
    coords: Tensor
    output: Tensor
    spatial_shape: tuple[int, int]

    sums = True

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Features and coords."""
        return self.features, self.coords

    @property
    def work(self) -> int:
        """The slots."""
        return self.features.shape[0]

    def grid_config(self, how: LayerDesign, **more: int) -> dict[str, int]:
        """Members of the parameter struct: those that both have, and more."""
        (max_pixels, channels), (height, width) = self.features.shape, self.spatial_shape
        sizes = {"max_pixels": max_pixels, "channels": channels, "height": height, "width": width}
        return sizes | more | {"reuse_factor": how.reuse_factor, "parallel": how.parallel}

    def lower_round(self, how: LayerDesign, reader: Any) -> Callable[..., dict[str, np.ndarray]]:
        """See ``Layer.lower_round``."""
        from sparsepix_hls.rtl.lower.folds import fold_of

        reader.items(self.features)
        reader.items(self.coords)
        return lambda **v: {self.output.name: self.share(v[self.features.name], v[self.coords.name], fold_of(v, how))}

    def share(self, features: np.ndarray, coords: np.ndarray, fold: Any) -> np.ndarray:
        """What some slots add to the results of a fold, a ``rtl.lower.folds.Fold``."""
        raise NotImplementedError


@dataclass(frozen=True)
class SparseFlatten(_OnGrid):
    """Scatter to a dense vector: row, column, channel."""

    name: str
    features: Tensor
    coords: Tensor
    output: Tensor
    spatial_shape: tuple[int, int]

    op_types = ("SparseFlatten",)
    option = "flatten"

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "SparseFlatten":
        """See ``Layer.from_onnx``."""
        tensors = [builder.tensor(value) for value in (*node.input[:2], node.output[0])]
        return cls(name, *tensors, attributes["spatial_shape"])

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``."""
        if setting.how.implementation == "stream":
            (height, width), channels = self.spatial_shape, self.features.shape[1]
            config: Config = {"channels": channels, "height": height, "width": width}
            title = "SparseFlatten pixel by pixel"
            return Kernel(self.name, title, "pixel_stream", "put_elements", config, self.inputs, self.outputs)
        config, kernel = self.grid_config(setting.how), "sparse_flatten"
        return Kernel(self.name, "SparseFlatten", kernel, kernel, config, self.inputs, self.outputs, in_rounds=True)

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """See ``Layer.cost``."""
        channels, bits = self.features.shape[1], self.features.type.width
        (height, width), cell = self.spatial_shape, self.coords.type.width
        read = how.parallel * mux(how.reuse_factor, channels * bits + 2 * cell)
        match = how.parallel * (height * equal(cell) | width * equal(cell))
        cells = height * width
        keep = 1 if how.reuse_factor > 1 else 0
        # Row and column meet in the LUTs that mask the features.
        write = cells * (how.parallel * logic(2) | channels * bits * logic(2 * how.parallel + 2 * keep))
        cost = scaled(read + match + write, SCATTERED) | register(cells * channels * bits)
        return layer_estimate(cost, logic_ns, how.reuse_factor, how.parallel * (height + width))

    def operations(self, parallel: int) -> int:
        """Each slot of a round meets each element."""
        return parallel * self.output.shape[0]

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """See ``Layer.lower``."""
        from sparsepix_hls.rtl.lower.folds import Fold

        del how, ports
        return {self.output.name: self.share(values[self.features.name], values[self.coords.name], Fold())}

    def streamed(self) -> Streamed:
        """See ``Layer.streamed``."""

        def body(values: Mapping[str, np.ndarray], ports: Any) -> dict[str, np.ndarray]:
            from sparsepix_hls.rtl.lower.arithmetic import aligned_all

            del ports
            kinds = self.features.type.exponent, self.output.type.exponent
            return {self.output.name: aligned_all(values[self.features.name], *kinds)}

        return Streamed(None, body, "vector", self.spatial_shape)

    def share(self, features: np.ndarray, coords: np.ndarray, fold: Any) -> np.ndarray:
        """Some slots scattered to the vector [height * width * channels]."""
        from sparsepix_hls.rtl.lower.arithmetic import aligned, both, by_coordinate, selected

        del fold
        height, width = self.spatial_shape
        kinds = self.features.type.exponent, self.output.type.exponent
        result = np.empty((height, width, features.shape[1]), dtype=object)
        rows = [[by_coordinate(p[0], height, lambda r, y=y: int(r == y)) for y in range(height)] for p in coords]
        columns = [[by_coordinate(p[1], width, lambda c, x=x: int(c == x)) for x in range(width)] for p in coords]
        for y in range(height):
            for x in range(width):
                here = [both(rows[i][y], columns[i][x]) for i in range(len(features))]
                for channel in range(features.shape[1]):
                    result[y, x, channel] = aligned(selected(here, features[:, channel]), *kinds)
        return result.ravel()


@dataclass(frozen=True)
class SparseFlattenDense(_OnGrid):
    """A flatten and the dense layer after it in one; weight is [height * width, channels, out_features].

    No model has it: a design puts it in the place of the two, see ``design.rewrites``.
    """

    name: str
    features: Tensor
    coords: Tensor
    output: Tensor
    spatial_shape: tuple[int, int]
    weight: Constant
    bias: Constant | None

    @property
    def outs(self) -> int:
        """The outputs."""
        return self.output.shape[0]

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``."""
        kernel, streams = "sparse_flatten_dense", setting.how.implementation == "stream"
        config = self.grid_config(setting.how, out_features=self.output.shape[0])
        return Kernel(
            self.name,
            "SparseFlatten and Dense, weights looked up by position",
            kernel,
            "add_looked_up" if streams else kernel,
            config | ({"max_pixels": 1} if streams else {}),
            self.inputs,
            self.outputs,
            ((self.weight, self.weight.raw.shape), bias_or_zeros(self.bias, self.name, self.output)),
            in_rounds=True,
        )

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """See ``Layer.cost``."""
        channels = self.features.shape[1]
        outputs, (height, width) = self.round_outs(how), self.spatial_shape
        b, w, cell = self.features.type.width, self.weight.type.width, self.coords.type.width
        place = constant_multiplier(cell, width) + adder(2 * cell)
        read = how.parallel * (mux(how.item_rounds, channels * b + 2 * cell) + place)
        products = how.parallel * channels * outputs
        looked_up = products * (rom(how.folds * height * width, w) + multiplier(b, w))
        terms = how.parallel * channels + (how.reuse_factor > 1) + (self.bias is not None)
        cost = read + scaled(looked_up + outputs * adder_tree(terms, b + w), MERGED)
        cost = cost | register(self.output.bits)
        return layer_estimate(cost, logic_ns, how.reuse_factor, products * (b + w) / 2, products)

    def operations(self, parallel: int) -> int:
        """Each channel of a slot of a round meets each output."""
        return parallel * self.features.shape[1] * self.output.shape[0]

    @property
    def start(self) -> list[int]:
        """The biases."""
        return bias_values(self.bias, self.output)

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """See ``Layer.lower``."""
        from sparsepix_hls.rtl.lower.folds import Fold

        del how, ports
        found = self.share(values[self.features.name], values[self.coords.name], Fold())
        return {self.output.name: found + np.array(self.start, dtype=object)}

    def streamed(self) -> Streamed:
        """See ``Layer.streamed``."""

        def body(values: Mapping[str, np.ndarray], ports: Any) -> dict[str, np.ndarray]:
            from sparsepix_hls.rtl.lower.folds import Fold

            del ports
            return {self.output.name: self.share(values[self.features.name], values[self.coords.name], Fold())[None]}

        return Streamed(None, body, "sums", start=tuple(self.start))

    def share(self, features: np.ndarray, coords: np.ndarray, fold: Any) -> np.ndarray:
        """What some slots add to the outputs of a fold; without the bias."""
        from sparsepix_hls.rtl.lower.arithmetic import as_variable, by_coordinate

        height, width = self.spatial_shape
        places, channels, _ = self.weight.raw.shape
        tables = [fold.members(self.weight.raw[:, c].T.tolist(), [0] * places) for c in range(channels)]
        terms: list[list[Any]] = [[] for _ in tables[0]]
        for i, (row, column) in enumerate(coords):
            start = by_coordinate(row, height, lambda r: r * width)
            place = start + by_coordinate(column, width, lambda c: c)
            lookup = fold.at(place, places)
            for channel in range(channels):
                for row_of, of_output in zip(terms, tables[channel], strict=True):
                    row_of.append(as_variable(lookup(of_output)) * features[i, channel])
        return summed(self, self.features, terms)
