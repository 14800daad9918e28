"""SparseStridedConv2d: convolution onto the grid of cells of its strides."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparsepix_hls.cost.costs import layer_estimate, scaled
from sparsepix_hls.cost.matrices import POOLED, cell_members, window_position
from sparsepix_hls.cost.primitives import constant_multiplier, index_bits
from sparsepix_hls.ir.choices import CHOICES
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Setting
from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.streams import WINDOW, Streamed, Window
from sparsepix_hls.ir.tensors import Constant, LayerDesign
from sparsepix_hls.layers.downsample2d import Downsample2d
from sparsepix_hls.layers.sparse_conv2d import Convolution
from sparsepix_ops.ops.sparse_strided_conv2d import grid_of


@dataclass(frozen=True)
class SparseStridedConv2d(Downsample2d, Convolution):
    """Convolution onto the grid of cells of ``strides``; see ``Convolution``."""

    strides: tuple[int, int]
    weight: Constant
    bias: Constant | None
    groups: int = 1

    op_types = ("SparseStridedConv2d",)

    @property
    def bias_on(self) -> str:
        """Where the bias goes: to every cell that holds a pixel."""
        return "active"

    @property
    def choices(self) -> tuple[str, ...]:
        """Those of a convolution, but 'overlap': its pixels are known when all have come."""
        return tuple(choice for choice in CHOICES[self.option] if choice != "overlap")

    @property
    def cell(self) -> tuple[int, int]:
        """Rows and columns of a cell."""
        return self.strides

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the cells: those that cover the image."""
        return grid_of(self.spatial_shape, self.strides)

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "SparseStridedConv2d":
        """See ``Layer.from_onnx``."""
        weight = builder.weight(node.input[2], name, (2, 3, 1, 0))
        tensors = [builder.tensor(value) for value in (*node.input[:2], *node.output)]
        bias = builder.bias(node.input[3], name, weight.raw.shape[3])
        size, shape, strides = weight.raw.shape[:2], attributes["spatial_shape"], attributes["strides"]
        return cls(name, *tensors, size, shape, strides, weight, bias, attributes["group"])

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``. Its image is as large as its cells, so that a partial last one is one."""
        how = setting.how
        if how.implementation == "stream":
            return self.stream_kernel(Window(self.kernel_size, self.strides, self.grid), self.spatial_shape)
        config = self.window_config(False, how)
        cells = {
            "channels": self.features.shape[1],
            "height": self.grid[0] * self.strides[0],
            "width": self.grid[1] * self.strides[1],
            "cell_height": self.strides[0],
            "cell_width": self.strides[1],
        }
        size, stride = "{}x{}".format(*self.kernel_size), "{}x{}".format(*self.strides)
        return Kernel(
            self.name,
            f"SparseConv2d {size}, stride {stride}, by {how.implementation}",
            "sparse_strided_conv2d",
            "sparse_strided_conv2d",
            {**config, **cells},
            self.inputs,
            self.outputs,
            self.constants,
            in_rounds=True,
        )

    def operations(self, parallel: int) -> int:
        """Those of a convolution."""
        return Convolution.operations(self, parallel)

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """The cells, the position of every pixel in the window of each cell, then the sums of a convolution."""
        if how.implementation == "stream":
            return self.stream_cost(Window(self.kernel_size, self.strides, self.grid), self.spatial_shape, logic_ns)
        slots, bits, cell = self.features.shape[0], self.coords.type.width, self.output_coords.type.width
        height, width = self.kernel_size
        members = cell_members(slots, bits, cell, how.item_rounds, how.parallel)
        first = how.parallel * 2 * constant_multiplier(cell, max(self.strides))
        pairs = how.parallel * slots * window_position(bits, self.kernel_size)
        positions = how.parallel * slots * index_bits(height * width + 1)
        cost = scaled(members + first, POOLED) + pairs
        before = layer_estimate(cost, logic_ns, how.reuse_factor, positions, owns_loop=False)
        sums = self.sums_cost(how, logic_ns)
        return replace(
            sums,
            latency_cycles=sums.latency_cycles + before.latency_cycles,
            lut=sums.lut + before.lut,
            ff=sums.ff + before.ff,
        )

    def merged(
        self,
        implementation: str,
        features: np.ndarray,
        coords: np.ndarray,
        own: np.ndarray,
        earlier: np.ndarray,
        fold: Any,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See ``Downsample2d.merged``: windows around the first places of the cells."""
        from sparsepix_hls.rtl.lower.arithmetic import by_coordinate
        from sparsepix_hls.rtl.lower.cells import merged_cells
        from sparsepix_hls.rtl.lower.convolution import convolve
        from sparsepix_hls.rtl.lower.pairs import PairCode, code_of

        _, firsts, places = merged_cells(self.spatial_shape, self.cell, self.grid, coords, own, earlier)
        code = PairCode(self.kernel_size, raster_order=False)
        height, width = self.spatial_shape
        codes = np.empty((len(own), len(coords)), dtype=object)
        for k, (row, column) in enumerate(own):
            center = np.empty(2, dtype=object)
            center[0] = by_coordinate(row, height, lambda r: r - r % self.strides[0])
            center[1] = by_coordinate(column, width, lambda c: c - c % self.strides[1])
            for j, place in enumerate(coords):
                codes[k, j] = code_of(code, center, place)
        turned = np.zeros(codes.shape, dtype=object)
        active = np.array(firsts, dtype=object)
        return convolve(self, implementation, code, features, codes, turned, active, fold), places

    def streamed(self) -> Streamed | None:
        """See ``Layer.streamed``; cells that reach beyond their windows have none."""
        if any(step > size for step, size in zip(self.strides, self.kernel_size, strict=True)):
            return None

        def body(values: Mapping[str, np.ndarray], ports: Any) -> dict[str, np.ndarray]:
            from sparsepix_hls.rtl.lower.convolution import convolve_window

            del ports
            return {self.outputs[0].name: convolve_window(self, values[WINDOW])}

        return Streamed(Window(self.kernel_size, self.strides, self.grid), body)
