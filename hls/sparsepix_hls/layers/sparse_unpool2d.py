"""SparseUnpool2d: coarse features go back to the pixels that a pool or a strided convolution has merged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsepix_hls.cost.costs import Estimate, layer_estimate, scaled
from sparsepix_hls.cost.matrices import POOLED
from sparsepix_hls.cost.primitives import equal, mux, one_hot_mux, rom
from sparsepix_hls.cost.streams import unpooled_estimate
from sparsepix_hls.ir.graph import Layer, Setting
from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.streams import MERGED, Streamed, Unpooled
from sparsepix_hls.ir.tensors import LayerDesign, Tensor


@dataclass(frozen=True)
class SparseUnpool2d(Layer):
    """Each pixel of ``fine_coords``, on an image of ``spatial_shape``, gets the features of its cell; 0 without one."""

    name: str
    features: Tensor
    coords: Tensor
    fine_coords: Tensor
    output: Tensor
    kernel_size: tuple[int, int]
    spatial_shape: tuple[int, int]

    op_types = ("SparseUnpool2d",)
    by_pixel = True

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Features, their coords, and those of the result."""
        return self.features, self.coords, self.fine_coords

    @property
    def work(self) -> int:
        """The slots of the result."""
        return self.output.shape[0]

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "SparseUnpool2d":
        """See ``Layer.from_onnx``."""
        tensors = [builder.tensor(value) for value in (*node.input, node.output[0])]
        return cls(name, *tensors, attributes["kernel_shape"], attributes["spatial_shape"])

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``. Its image is as large as its cells, so that a partial last one has a number too."""
        (slots, channels), (height, width), (rows, columns) = self.features.shape, self.spatial_shape, self.kernel_size
        title = f"SparseUnpool2d {rows}x{columns} to {height}x{width}"
        if setting.how.implementation == "stream":
            assert setting.grid is not None
            config = {"channels": channels, "height": height, "width": width, "cell_height": rows}
            config |= {"cell_width": columns, "grid_height": setting.grid[0], "grid_width": setting.grid[1]}
            title, kernel = f"{title} pixel by pixel", "features_of_cell"
            return Kernel(self.name, title, "stream_unpool", kernel, config, self.inputs, self.outputs)
        config = {
            "max_pixels": slots,
            "fine_pixels": self.work,
            "channels": channels,
            "height": -(-height // rows) * rows,
            "width": -(-width // columns) * columns,
            "cell_height": rows,
            "cell_width": columns,
            "reuse_factor": setting.how.reuse_factor,
            "parallel": setting.how.parallel,
        }
        kernel = "sparse_unpool2d"
        return Kernel(self.name, title, kernel, kernel, config, self.inputs, self.outputs, in_rounds=True)

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """The cells of the fine pixels, a comparison with each coarse one, and a choice among these."""
        (slots, channels), bits = self.features.shape, self.features.type.width
        if how.implementation == "stream":
            cells, grid = Unpooled(self.kernel_size), self.spatial_shape
            return unpooled_estimate(cells, channels * bits, self.work, grid, logic_ns)
        fine, coarse = self.fine_coords.type.width, self.coords.type.width
        cells = 2 * self.work * rom(2 ** (fine - 1), coarse) + how.parallel * mux(how.reuse_factor, 2 * coarse)
        members = how.parallel * slots * equal(2 * coarse)
        cost = scaled(cells + members + how.parallel * one_hot_mux(slots, channels * bits), POOLED)
        live = slots * (channels * bits + 2 * coarse) + how.parallel * slots
        return layer_estimate(cost, logic_ns, how.reuse_factor, live)

    def operations(self, parallel: int) -> int:
        """Each slot of a round meets each coarse pixel."""
        return parallel * self.features.shape[0]

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """See ``Layer.lower``."""
        del how, ports
        return self._unpooled(*(values[tensor.name] for tensor in self.inputs))

    def lower_round(self, how: LayerDesign, reader: Any) -> Callable[..., dict[str, np.ndarray]]:
        """See ``Layer.lower_round``."""
        del how
        reader.whole(self.features)
        reader.whole(self.coords)
        reader.items(self.fine_coords, "own")
        return lambda **v: self._unpooled(v[self.features.name], v[self.coords.name], v["own"])

    def _unpooled(self, features: np.ndarray, coords: np.ndarray, own: np.ndarray) -> dict[str, np.ndarray]:
        from sparsepix_hls.rtl.lower.arithmetic import aligned_all, both, by_coordinate, equal, selected

        (height, width), (rows, columns) = self.spatial_shape, self.kernel_size
        found = np.empty((len(own), features.shape[1]), dtype=object)
        for k, (row, column) in enumerate(own):
            # An empty slot is in a cell that no pixel has; an empty coarse slot holds zeros.
            cell = (
                by_coordinate(row, height, lambda r: r // rows, empty=-2),
                by_coordinate(column, width, lambda c: c // columns, empty=-2),
            )
            here = [both(equal(cell[0], place[0]), equal(cell[1], place[1])) for place in coords]
            found[k] = [selected(here, features[:, channel]) for channel in range(features.shape[1])]
        return {self.output.name: aligned_all(found, self.features.type.exponent, self.output.type.exponent)}

    def streamed(self) -> Streamed | None:
        """See ``Layer.streamed``; a list that is its own cells has none."""
        if self.coords == self.fine_coords:
            return None

        def body(values: Mapping[str, np.ndarray], ports: Any) -> dict[str, np.ndarray]:
            from sparsepix_hls.rtl.lower.arithmetic import aligned_all

            del ports
            kinds = self.features.type.exponent, self.output.type.exponent
            return {self.output.name: aligned_all(values[MERGED], *kinds)}

        return Streamed(Unpooled(self.kernel_size), body)
