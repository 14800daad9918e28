"""The kernel map of a list: where each pixel lies in the windows of the others; a design makes it for convolutions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparsepix_hls.cost.costs import layer_estimate
from sparsepix_hls.cost.matrices import window_position
from sparsepix_hls.cost.primitives import register
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.ir.tensors import KernelMap, LayerDesign, Tensor


@dataclass(frozen=True)
class MakeKernelMap(Layer):
    """Makes a kernel map; no model has it."""

    map: KernelMap

    @property
    def name(self) -> str:
        """That of the map."""
        return self.map.name

    @property
    def title(self) -> str:
        """See ``Layer.title``."""
        return "kernel map {}x{}".format(*self.map.kernel_size)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The coordinates."""
        return (self.map.coords,)

    @property
    def outputs(self) -> tuple[KernelMap, ...]:
        """The map."""
        return (self.map,)

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """Implementation 'scan' if a scan makes it on the way, else ''."""
        one, bits = window_position(self.map.coords.type.width, self.map.kernel_size), self.map.bits
        if how.implementation == "scan":
            # A row of it with each pixel that comes, in the same clock as everything else; then it waits in registers.
            cost = how.parallel * max(self.map.pixels - 1, 0) * one | register(bits)
            return replace(layer_estimate(cost, logic_ns, how.reuse_factor, 0, owns_loop=False), latency_cycles=0)
        return layer_estimate(self.map.pairs * one, logic_ns, how.reuse_factor, bits)

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """See ``Layer.lower``."""
        from sparsepix_hls.rtl.lower.pairs import code_of, pair_index

        coords, code = values[self.map.coords.name], ports.code(self.map)
        codes = np.full(self.map.pairs, code.outside, dtype=object)
        for later in range(self.map.pixels):
            for earlier in range(later):
                codes[pair_index(earlier, later)] = code_of(code, coords[earlier], coords[later])
        return {self.map.name: codes}
