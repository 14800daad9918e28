"""SparseAvgPool2d: average over pooling cells."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsepix_hls.cost.primitives import adder_tree, constant_multiplier, gate, tree_levels
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Setting
from sparsepix_hls.ir.kernel import Kernel, sum_type
from sparsepix_hls.ir.tensors import Constant, LayerDesign
from sparsepix_hls.layers.downsample2d import Pool2d


@dataclass(frozen=True)
class SparseAvgPool2d(Pool2d):
    """Average over pooling cells: the sum times ``reciprocal`` (a scalar constant [])."""

    reciprocal: Constant

    op_types = ("SparseAvgPool2d",)

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "SparseAvgPool2d":
        """See ``Layer.from_onnx``."""
        kernel_size, spatial_shape = attributes["kernel_shape"], attributes["spatial_shape"]
        tensors = [builder.tensor(value) for value in (*node.input[:2], *node.output)]
        reciprocal = builder.number(f"{name}_reciprocal", attributes["reciprocal"])
        return cls(name, *tensors, kernel_size, spatial_shape, reciprocal)

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``."""
        terms = min(self.features.shape[0], math.prod(self.kernel_size))
        constants = ((self.reciprocal, ()),)
        if setting.how.implementation == "stream":
            config = self.stream_config() | {"merged_t": sum_type(self.features.type, terms)}
            title = f"SparseAvgPool2d {self.sizes} pixel by pixel"
            return Kernel(
                self.name, title, "stream_cells", "mean_of_cell", config, self.inputs, self.outputs, constants
            )
        return Kernel(
            self.name,
            f"SparseAvgPool2d {self.sizes}",
            "sparse_avg_pool2d",
            "sparse_avg_pool2d",
            {**self.pool_config(setting), "sum_t": sum_type(self.features.type, terms)},
            self.inputs,
            self.outputs,
            constants,
            in_rounds=True,
        )

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """See ``Layer.cost``."""
        slots, channels = self.features.shape
        b = self.features.type.width
        joined = slots * channels * gate(b) + channels * adder_tree(slots, b)
        bits = b + tree_levels(min(slots, math.prod(self.kernel_size)))
        mean = channels * constant_multiplier(bits, int(self.reciprocal.raw))
        return self.pool_cost(how, logic_ns, joined, mean, how.parallel * channels)

    def pooled(self, members: list[Any], values: np.ndarray) -> Any:
        """See ``Pool2d.pooled``."""
        from sparsepix_hls.rtl.lower.arithmetic import select, total

        return self.of_merged(total([select(key, value, 0) for key, value in zip(members, values, strict=True)]), 0)

    sums_members = True

    def of_merged(self, merged: Any, whole: Any) -> Any:
        """See ``Pool2d.of_merged``."""
        from sparsepix_hls.rtl.lower.cells import times_reciprocal

        del whole
        return times_reciprocal(merged, self.features.type, self.reciprocal, self.output_features.type)
