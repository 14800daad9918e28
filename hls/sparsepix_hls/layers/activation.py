"""Activation: a quantizer, with the ReLU or leaky ReLU before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from sparsepix_hls.cost.costs import layer_estimate
from sparsepix_hls.cost.primitives import Cost, adder, mux
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Layer, Setting
from sparsepix_hls.ir.kernel import Config, Kernel
from sparsepix_hls.ir.streams import Streamed
from sparsepix_hls.ir.tensors import LayerDesign, Tensor
from sparsepix_hls.kernels.constants import fill
from sparsepix_hls.kernels.text import comment
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.fixed_points import FixedPoints
from sparsepix_ops.ops.leaky_relu import slope_shift
from sparsepix_ops.ops.quant import formats_of
from sparsepix_ops.registry import QUANTIZERS, RECTIFIERS, find_op


@dataclass(frozen=True)
class Activation(Layer):
    """Optional ReLU, then rounding and clipping to the output's type, elementwise.

    Args:
        name: of the layer.
        input: what comes in.
        output: what goes out.
        relu: negative values become 0.
        slope_shift: k of a leaky ReLU, which multiplies negative values by 2**-k; 0 where there is none.
        formats: one for each place of the last axis, each held by the output's type; None: that type for all.
    """

    name: str
    input: Tensor
    output: Tensor
    relu: bool
    slope_shift: int = 0
    formats: FixedPoints | None = None

    op_types = (*QUANTIZERS, "Relu", "LeakyRelu")
    by_pixel = True
    joins = True

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What comes in."""
        return (self.input,)

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "Activation":
        """See ``Layer.from_onnx``; a rectifier and the quantizer after it are one layer."""
        del attributes
        rectifier = node if node.op_type in RECTIFIERS else builder.view.relu_of(node)
        first = rectifier if rectifier is not None else node
        leaky = first.op_type == "LeakyRelu"
        shift = slope_shift(find_op(first).read_attributes(first)["alpha"]) if leaky else 0
        source, result = builder.tensor(first.input[0]), builder.tensor(node.output[0])
        formats = None
        if node.op_type == "FixedPointQuant":
            found = formats_of([builder.view.value(value) for value in node.input], find_op(node).read_attributes(node))
            formats = found if isinstance(found, FixedPoints) else None
        return cls(name, source, result, first.op_type == "Relu", shift, formats)

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``."""
        sparse = len(self.input.shape) == 2
        config: Config = {"max_pixels": setting.how.parallel} if sparse else {}
        config = {**config, "size": self.input.shape[-1]}
        if self.formats is not None:
            title = f"{'ReLU and ' * self.relu}a format for each {'channel' if sparse else 'element'}"
            function, source = f"{self.name}_formats", self._source(setting.how.parallel)
            return Kernel(self.name, title, "activation", function, {}, self.inputs, self.outputs, generated=source)
        if self.slope_shift:
            kernel, title = "leaky_activation", f"leaky ReLU of slope 2^-{self.slope_shift} and quantization"
            config = {**config, **self._leaky_types()}
        else:
            kernel, title = "activation", "ReLU and quantization" if self.relu else "quantization"
            config = {**config, "relu": self.relu}
        function = f"sparse_{kernel}" if sparse else kernel
        return Kernel(self.name, title, kernel, function, config, self.inputs, self.outputs)

    def _source(self, pixels: int) -> str:
        """The C++ function ``<name>_formats(input, output)``: a line for each place of the last axis."""
        sparse, formats = len(self.input.shape) == 2, self.formats
        assert formats is not None
        shape, at = (f"[{pixels}]" * sparse + f"[{self.input.shape[-1]}]", "[i]" * sparse)
        arguments = [f"const {self.input.name}_t input{shape}", f"{self.output.name}_t output{shape}"]
        lines = [
            comment(f"{self.name}: rounds and clips to {formats}"),
            fill(f"inline void {self.name}_formats", arguments, " {"),
            "#pragma HLS INLINE",
        ]
        if sparse:
            lines += [f"  for (int i = 0; i < {pixels}; i++) {{", "#pragma HLS UNROLL"]
        for place, element in enumerate(formats.elements):
            value, result = f"input{at}[{place}]", "0"
            if element is not None:
                value = f"{value} < 0 ? {self.input.name}_t(0) : {value}" if self.relu else value
                result = f"sparsepix::cast<{element}>({value})"
            lines.append(f"  {'  ' * sparse}output{at}[{place}] = {result};")
        return "\n".join([*lines, *["  }"] * sparse, "}\n"])

    def _leaky_types(self) -> Config:
        """Negative values have the same bits, worth 2**-k as much."""
        type_, shift = self.input.type, self.slope_shift
        return {
            "scaled_t": FixedPoint(type_.width, type_.integer - shift, type_.signed, "FLOOR", "WRAP"),
            "exact_t": FixedPoint(type_.width + shift, type_.integer, type_.signed, "FLOOR", "WRAP"),
        }

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """Rounding is an adder over the kept bits; saturation and ReLU are a LUT for each bit of the output."""
        items = how.parallel * self.output.shape[1] if len(self.output.shape) == 2 else self.output.shape[0]
        bits = self.output.type.width
        if self.formats is not None:
            widths = [element.width for element in self.formats.elements if element is not None]
            lists = items // len(self.formats.elements)
            side_by_side = (lists * (adder(width) + Cost(lut=width, levels=1)) for width in widths)
            cost = reduce(or_, side_by_side, Cost())
            return layer_estimate(cost, logic_ns, how.reuse_factor, lists * sum(widths), owns_loop=False)
        copies = self.input.type == self.output.type and not self.relu and not self.slope_shift
        cost = Cost() if copies else items * (adder(bits) + Cost(lut=bits, levels=1))
        if self.slope_shift:
            cost = items * mux(2, self.input.type.width + self.slope_shift) + cost
        return layer_estimate(cost, logic_ns, how.reuse_factor, items * bits, owns_loop=False)

    def streamed(self) -> Streamed:
        """See ``Layer.streamed``."""
        return Streamed(None, lambda v, ports: self.lower(v, LayerDesign("", 1, 1), ports))

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """See ``Layer.lower``; of one round too, whose items it is given, and which fold of the channels they are."""
        from sparsepix_hls.rtl.lower.arithmetic import as_variable, negative, quantize, select
        from sparsepix_hls.rtl.lower.folds import fold_of

        del ports
        fold = fold_of(values, how)
        elements = None if self.formats is None else fold.members(self.formats.elements, None)
        source, shift = values[self.input.name], self.slope_shift
        result = np.empty(source.shape, dtype=object)
        for index, value in np.ndenumerate(source):
            # In units of which a negative value has 2**-shift as many, the others change their units.
            scaled = select(negative(value), value, value * 2**shift) if shift else value
            if elements is not None:
                found = {None: as_variable(0)}
                for element in filter(None, dict.fromkeys(elements[index[-1]])):
                    exact = quantize(scaled, self.input.type.exponent, element, self.relu)
                    found[element] = as_variable(exact * 2 ** (element.exponent - self.output.type.exponent))
                result[index] = fold.chosen([found[element] for element in elements[index[-1]]])
                continue
            result[index] = quantize(scaled, self.input.type.exponent - shift, self.output.type, self.relu)
        return {self.output.name: result}
