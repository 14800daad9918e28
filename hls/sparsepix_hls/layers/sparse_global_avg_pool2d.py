"""SparseGlobalAvgPool2d: average over the whole image."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsepix_hls.cost.costs import layer_estimate
from sparsepix_hls.cost.primitives import adder_tree, constant_multiplier, tree_levels
from sparsepix_hls.cost.streams import cells_estimate
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Layer, Setting
from sparsepix_hls.ir.kernel import Config, Kernel, sum_type
from sparsepix_hls.ir.streams import MERGED, Cells, Streamed, cells_config
from sparsepix_hls.ir.tensors import Constant, LayerDesign, Tensor


@dataclass(frozen=True)
class SparseGlobalAvgPool2d(Layer):
    """Average over the whole image: the sum of all slots times ``reciprocal`` (a scalar constant []).

    It reads no coordinates, since an empty slot holds zeros.
    """

    name: str
    features: Tensor
    output: Tensor
    spatial_shape: tuple[int, int]
    reciprocal: Constant

    op_types = ("SparseGlobalAvgPool2d",)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The features."""
        return (self.features,)

    @property
    def merges(self) -> Cells:
        """What a stream gathers: the whole image as one cell."""
        return Cells(self.spatial_shape, (1, 1), is_sum=True)

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "SparseGlobalAvgPool2d":
        """See ``Layer.from_onnx``."""
        features, output = builder.tensor(node.input[0]), builder.tensor(node.output[0])
        reciprocal = builder.number(f"{name}_reciprocal", attributes["reciprocal"])
        return cls(name, features, output, attributes["spatial_shape"], reciprocal)

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``."""
        if setting.how.implementation == "stream":
            height, width = self.spatial_shape
            config: Config = cells_config(self.merges, self.features.shape[1], self.spatial_shape)
            kind = sum_type(self.features.type, min(self.features.shape[0], height * width))
            config = {**config, "merged_t": kind}
            title, constants = f"SparseGlobalAvgPool2d of {height}x{width} pixel by pixel", ((self.reciprocal, ()),)
            return Kernel(
                self.name, title, "stream_cells", "mean_of_cell", config, self.inputs, self.outputs, constants
            )
        max_pixels, channels = self.features.shape
        sum_t = sum_type(self.features.type, min(max_pixels, math.prod(self.spatial_shape)))
        return Kernel(
            self.name,
            "SparseGlobalAvgPool2d of {}x{}".format(*self.spatial_shape),
            "sparse_global_avg_pool2d",
            "sparse_global_avg_pool2d",
            {"max_pixels": max_pixels, "channels": channels, "sum_t": sum_t},
            self.inputs,
            self.outputs,
            ((self.reciprocal, ()),),
        )

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """See ``Layer.cost``."""
        slots, channels = self.features.shape
        bits = self.features.type.width
        mean = constant_multiplier(bits + tree_levels(slots), int(self.reciprocal.raw))
        cost = channels * (adder_tree(slots, bits) + mean)
        if how.implementation == "stream":
            return cells_estimate(self.merges, self.features, self.spatial_shape, channels * mean, logic_ns)
        return layer_estimate(cost, logic_ns, how.reuse_factor, slots * channels * bits / 2, channels)

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """See ``Layer.lower``."""
        from sparsepix_hls.rtl.lower.arithmetic import total
        from sparsepix_hls.rtl.lower.cells import times_reciprocal

        del how, ports
        kinds = self.features.type, self.reciprocal, self.output.type
        means = [times_reciprocal(total(column), *kinds) for column in values[self.features.name].T]
        return {self.output.name: np.array(means, dtype=object)}

    def streamed(self) -> Streamed:
        """See ``Layer.streamed``: one cell."""

        def body(values: Mapping[str, np.ndarray], ports: Any) -> dict[str, np.ndarray]:
            from sparsepix_hls.rtl.lower.cells import times_reciprocal

            del ports
            kinds = self.features.type, self.reciprocal, self.output.type
            means = [times_reciprocal(value, *kinds) for value in values[MERGED][0]]
            return {self.output.name: np.array([means], dtype=object)}

        return Streamed(self.merges, body, "vector")
