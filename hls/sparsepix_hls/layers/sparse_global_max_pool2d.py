"""SparseGlobalMaxPool2d: maximum over the whole image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsepix_hls.cost.costs import layer_estimate
from sparsepix_hls.cost.primitives import Cost, maximum_tree, popcount
from sparsepix_hls.cost.streams import cells_estimate
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Layer, Setting
from sparsepix_hls.ir.kernel import Config, Kernel
from sparsepix_hls.ir.streams import MERGED, WHOLE, Cells, Streamed, cells_config
from sparsepix_hls.ir.tensors import LayerDesign, Tensor


@dataclass(frozen=True)
class SparseGlobalMaxPool2d(Layer):
    """Maximum over the whole image, see ``SparseMaxPool2d``; 0 where no pixel is active."""

    name: str
    features: Tensor
    coords: Tensor
    output: Tensor
    spatial_shape: tuple[int, int]
    over: str

    op_types = ("SparseGlobalMaxPool2d",)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Features and coords."""
        return self.features, self.coords

    @property
    def merges(self) -> Cells:
        """What a stream gathers: the whole image as one cell."""
        return Cells(self.spatial_shape, (1, 1), is_sum=False)

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "SparseGlobalMaxPool2d":
        """See ``Layer.from_onnx``."""
        tensors = [builder.tensor(value) for value in (*node.input[:2], node.output[0])]
        return cls(name, *tensors, attributes["spatial_shape"], attributes["over"])

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``."""
        if setting.how.implementation == "stream":
            height, width = self.spatial_shape
            config: Config = cells_config(self.merges, self.features.shape[1], self.spatial_shape)
            config = {**config, "merged_t": self.features.type, "clips": self.over == "cell"}
            title = f"SparseGlobalMaxPool2d of {height}x{width} pixel by pixel"
            return Kernel(self.name, title, "stream_cells", "max_of_cell", config, self.inputs, self.outputs)
        (max_pixels, channels), (height, width) = self.features.shape, self.spatial_shape
        config = {"max_pixels": max_pixels, "channels": channels, "height": height, "width": width}
        return Kernel(
            self.name,
            f"SparseGlobalMaxPool2d of {height}x{width}",
            "sparse_global_max_pool2d",
            "sparse_global_max_pool2d",
            config | {"over": f"MaxOver::{self.over}"},
            self.inputs,
            self.outputs,
        )

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """See ``Layer.cost``."""
        slots, channels = self.features.shape
        bits = self.features.type.width
        members = popcount(slots) if self.over == "cell" else Cost()
        cost = channels * maximum_tree(slots, bits + 1) | members  # an empty slot loses by a bit more
        if how.implementation == "stream":
            return cells_estimate(self.merges, self.features, self.spatial_shape, Cost(), logic_ns)
        return layer_estimate(cost, logic_ns, how.reuse_factor, slots * channels * bits / 2)

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """See ``Layer.lower``."""
        from sparsepix_hls.rtl.lower.arithmetic import aligned_all, any_of, inverse, negative, select
        from sparsepix_hls.rtl.lower.cells import maximum

        del how, ports
        features, coords = values[self.features.name], values[self.coords.name]
        active = [inverse(negative(row)) for row in coords[:, 0]]
        area = self.spatial_shape[0] * self.spatial_shape[1] if self.over == "cell" else None
        found = [maximum(active, column, self.features.type.raw_min, area) for column in features.T]
        some = any_of(active)
        chosen = np.array([select(some, value, 0) for value in found], dtype=object)
        return {self.output.name: aligned_all(chosen, self.features.type.exponent, self.output.type.exponent)}

    def streamed(self) -> Streamed:
        """See ``Layer.streamed``: one cell, which leaves the vector 0 where nothing is active."""

        def body(values: Mapping[str, np.ndarray], ports: Any) -> dict[str, np.ndarray]:
            from sparsepix_hls.rtl.lower.arithmetic import aligned_all
            from sparsepix_hls.rtl.lower.cells import with_inactive

            del ports
            whole, found = values[WHOLE].item(), values[MERGED]
            if self.over == "cell":
                found = np.array([[with_inactive(value, whole) for value in found[0]]], dtype=object)
            return {self.output.name: aligned_all(found, self.features.type.exponent, self.output.type.exponent)}

        return Streamed(self.merges, body, "vector")
