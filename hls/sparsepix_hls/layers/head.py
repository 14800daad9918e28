"""Head: a Sigmoid or Softmax at the end, as exact tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparsepix_hls.cost.costs import layer_estimate
from sparsepix_hls.cost.primitives import Cost, adder, adder_tree, index_bits, maximum_tree, tree_levels
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Layer, Setting
from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.tensors import Constant, LayerDesign, Tensor
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedRange
from sparsepix_ops.ops.head import exp_thresholds, sigmoid_thresholds

_FINEST = -50  # exponent of the logits: their thresholds must fit 62 bits


@dataclass(frozen=True)
class Head(Layer):
    """A Sigmoid or Softmax at the end (see ``sparsepix_ops.ops.head``).

    ``thresholds`` [K] is sorted: the table's value at x is the number of thresholds <= x. For a
    Sigmoid x is the logit; for a Softmax the logit minus the largest logit.
    """

    name: str
    kind: str
    input: Tensor
    output: Tensor
    thresholds: Constant

    op_types = ("Sigmoid", "Softmax")

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The logits."""
        return (self.input,)

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "Head":
        """See ``Layer.from_onnx``."""
        del attributes
        logits = builder.tensor(node.input[0])
        exponent = logits.type.exponent
        if exponent < _FINEST:
            raise SparsePixError(
                f"{name} ({node.op_type}): its logits have a last place of 2**{exponent}, finer than the "
                f"2**{_FINEST} of its table; quantize the logits, or leave out --keep-head"
            )
        softmax = node.op_type == "Softmax"
        steps = exp_thresholds(exponent) if softmax else sigmoid_thresholds(exponent)
        span = logits.type.raw_max - logits.type.raw_min if softmax else logits.type.raw_max
        low = min(int(steps[0]), -span if softmax else logits.type.raw_min)
        # The narrowest signed format that holds all of them and every logit.
        type_ = FixedRange(exponent, min(low, -1), max(int(steps[-1]), span)).format()
        thresholds = Constant(builder.names.unique(f"{name}_thresholds"), steps, type_)
        return cls(name, node.op_type, logits, builder.tensor(node.output[0]), thresholds)

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``."""
        del setting
        steps = self.thresholds.raw.size
        config, constants = {"size": self.input.shape[0], "steps": steps}, ((self.thresholds, (steps,)),)
        return Kernel(self.name, self.kind, "head", self.kind.lower(), config, self.inputs, self.outputs, constants)

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """A binary search halves the table of constants level by level."""
        steps, bits, count = self.thresholds.raw.size, self.thresholds.type.width, self.input.shape[0]
        levels, out_bits = 2 * tree_levels(steps + 1), self.output.type.width
        cost = Cost(lut=count * steps * bits / 3, levels=levels)
        if self.kind == "Softmax":
            # The largest logit and the sum of the exponentials; a divider is a subtraction for each bit.
            sum_bits = index_bits(steps + 1) + tree_levels(count)
            divider = Cost(lut=(sum_bits + out_bits) * sum_bits, levels=sum_bits + out_bits)
            logit = self.input.type.width
            largest = maximum_tree(count, logit) + count * adder(logit)
            cost = largest + cost + adder_tree(count, sum_bits) + count * divider
        return layer_estimate(cost, logic_ns, how.reuse_factor, count * out_bits)
