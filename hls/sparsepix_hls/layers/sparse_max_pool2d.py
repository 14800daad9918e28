"""SparseMaxPool2d: maximum over pooling cells."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsepix_hls.cost.primitives import maximum_tree, popcount
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Setting
from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.tensors import LayerDesign
from sparsepix_hls.layers.downsample2d import Pool2d


@dataclass(frozen=True)
class SparseMaxPool2d(Pool2d):
    """Maximum over pooling cells: of the active pixels (``over='active'``), or with the inactive ones as 0."""

    over: str

    op_types = ("SparseMaxPool2d",)

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "SparseMaxPool2d":
        """See ``Layer.from_onnx``."""
        kernel_size, spatial_shape = attributes["kernel_shape"], attributes["spatial_shape"]
        tensors = [builder.tensor(value) for value in (*node.input[:2], *node.output)]
        return cls(name, *tensors, kernel_size, spatial_shape, attributes["over"])

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``."""
        if setting.how.implementation == "stream":
            config = self.stream_config() | {"merged_t": self.features.type, "clips": self.over == "cell"}
            title = f"SparseMaxPool2d {self.sizes} pixel by pixel"
            return Kernel(self.name, title, "stream_cells", "max_of_cell", config, self.inputs, self.outputs)
        return Kernel(
            self.name,
            f"SparseMaxPool2d {self.sizes}",
            "sparse_max_pool2d",
            "sparse_max_pool2d",
            {**self.pool_config(setting), "over": f"MaxOver::{self.over}"},
            self.inputs,
            self.outputs,
            in_rounds=True,
        )

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """See ``Layer.cost``."""
        slots, channels = self.features.shape
        joined = channels * maximum_tree(slots, self.features.type.width)
        return self.pool_cost(how, logic_ns, joined, popcount(slots))

    def pooled(self, members: list[Any], values: np.ndarray) -> Any:
        """See ``Pool2d.pooled``."""
        from sparsepix_hls.rtl.lower.arithmetic import aligned
        from sparsepix_hls.rtl.lower.cells import maximum

        area = self.kernel_size[0] * self.kernel_size[1]
        result = maximum(members, values, self.features.type.raw_min, area if self.over == "cell" else None)
        return aligned(result, self.features.type.exponent, self.output_features.type.exponent)

    sums_members = False

    def of_merged(self, merged: Any, whole: Any) -> Any:
        """See ``Pool2d.of_merged``."""
        from sparsepix_hls.rtl.lower.arithmetic import aligned
        from sparsepix_hls.rtl.lower.cells import with_inactive

        found = with_inactive(merged, whole) if self.over == "cell" else merged
        return aligned(found, self.features.type.exponent, self.output_features.type.exponent)
