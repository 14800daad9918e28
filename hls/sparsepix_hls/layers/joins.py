"""Add and Concat: two lists of the same pixels, or two vectors, in one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparsepix_hls.cost.costs import layer_estimate
from sparsepix_hls.cost.primitives import Cost, adder
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Layer, Setting
from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.streams import Streamed
from sparsepix_hls.ir.tensors import LayerDesign, Tensor


def _pixels(output: Tensor, how: LayerDesign) -> int:
    """Pixels at once; 1 for a vector, or where they come one by one."""
    return output.shape[0] if len(output.shape) == 2 and how.implementation != "stream" else 1


@dataclass(frozen=True)
class Add(Layer):
    """``output = first + second``, elementwise: features on the same pixels, or vectors. The output holds every sum."""

    name: str
    first: Tensor
    second: Tensor
    output: Tensor

    op_types = ("Add",)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Both operands, or the one that is both."""
        return tuple(dict.fromkeys((self.first, self.second)))

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "Add":
        """See ``Layer.from_onnx``."""
        del attributes
        return cls(name, *(builder.tensor(value) for value in (*node.input, node.output[0])))

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``."""
        sparse = len(self.output.shape) == 2
        config = {"max_pixels": _pixels(self.output, setting.how)} if sparse else {}
        config |= {"size": self.output.shape[-1]}
        operands = (self.first, self.second)  # both, even where they are one array
        return Kernel(self.name, "Add", "add", "sparse_add" if sparse else "add", config, operands, self.outputs)

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """See ``Layer.cost``."""
        items, bits = _pixels(self.output, how) * self.output.shape[-1], self.output.type.width
        return layer_estimate(items * adder(bits), logic_ns, how.reuse_factor, items * bits)

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """See ``Layer.lower``."""
        from sparsepix_hls.rtl.lower.arithmetic import aligned_all

        del how, ports
        to = self.output.type.exponent
        terms = [aligned_all(values[t.name], t.type.exponent, to) for t in (self.first, self.second)]
        return {self.output.name: terms[0] + terms[1]}

    def streamed(self) -> Streamed:
        """See ``Layer.streamed``."""
        return Streamed(None, lambda v, ports: self.lower(v, LayerDesign("", 1, 1), ports))


@dataclass(frozen=True)
class Concat(Layer):
    """The channels of ``parts`` side by side: features on the same pixels, or vectors. The output holds all of them."""

    name: str
    parts: tuple[Tensor, ...]
    output: Tensor

    op_types = ("Concat",)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The parts, each once."""
        return tuple(dict.fromkeys(self.parts))

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "Concat":
        """See ``Layer.from_onnx``."""
        del attributes
        return cls(name, tuple(builder.tensor(value) for value in node.input), builder.tensor(node.output[0]))

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``; it is called once for each part."""
        sizes = [part.shape[-1] for part in self.parts]
        slots, total = [_pixels(self.output, setting.how)] * (len(self.output.shape) - 1), sum(sizes)
        parts = tuple((*slots, size, total, sum(sizes[:i])) for i, size in enumerate(sizes))
        function = "sparse_concat" if slots else "concat"
        return Kernel(self.name, "Concat", "concat", function, {}, self.parts, self.outputs, parts=parts)

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """Wires."""
        return replace(layer_estimate(Cost(), logic_ns, how.reuse_factor, 0), latency_cycles=0)

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """See ``Layer.lower``."""
        from sparsepix_hls.rtl.lower.arithmetic import aligned_all

        del how, ports
        to = self.output.type.exponent
        parts = [aligned_all(values[part.name], part.type.exponent, to) for part in self.parts]
        return {self.output.name: np.concatenate(parts, axis=-1)}

    def streamed(self) -> Streamed:
        """See ``Layer.streamed``."""
        return Streamed(None, lambda v, ports: self.lower(v, LayerDesign("", 1, 1), ports))
