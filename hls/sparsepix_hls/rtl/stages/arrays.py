"""The arrays of a design as ports."""

from dataclasses import dataclass
from functools import cached_property

from sparsepix_hls.design.layout import Design
from sparsepix_hls.ir.tensors import Array, KernelMap
from sparsepix_hls.rtl.lower.function import Field
from sparsepix_hls.rtl.lower.pairs import PairCode
from sparsepix_hls.rtl.lower.ports import PortTypes


@dataclass(frozen=True)
class Arrays:
    """A design and its arrays as ports, see ``PortTypes``."""

    design: Design

    @cached_property
    def ports(self) -> PortTypes:
        """The arrays of the design."""
        return PortTypes(self.design.graph.layers, self.design.input_reduce.coords)

    def code(self, map_: KernelMap) -> PairCode:
        """See ``PortTypes.code``."""
        return self.ports.code(map_)

    def field(self, array: Array, items: int | None = None, name: str | None = None) -> Field:
        """See ``PortTypes.field``."""
        return self.ports.field(array, items, name)
