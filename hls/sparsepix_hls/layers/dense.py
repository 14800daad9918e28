"""Dense: a fully connected layer, as products or as a graph of adders."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsepix_hls.cost.costs import layer_estimate, scaled
from sparsepix_hls.cost.matrices import MERGED, constant_matrix
from sparsepix_hls.cost.primitives import Cost, adder, adder_tree, multiplier, mux, register, rom
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Layer, Setting
from sparsepix_hls.ir.kernel import Kernel, bias_or_zeros, bias_values
from sparsepix_hls.ir.tensors import Constant, LayerDesign, Tensor


@dataclass(frozen=True)
class Dense(Layer):
    """``output = bias + input @ weight``; weight is [in_features, out_features]."""

    name: str
    input: Tensor
    output: Tensor
    weight: Constant
    bias: Constant | None

    op_types = ("Gemm", "MatMul")
    option = "dense"
    sums = True

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The vector."""
        return (self.input,)

    @property
    def work(self) -> int:
        """The inputs."""
        return self.input.shape[0]

    @property
    def outs(self) -> int:
        """The outputs."""
        return self.output.shape[0]

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "Dense":
        """See ``Layer.from_onnx``; a MatMul and the Add of its bias are one layer."""
        transposed = node.op_type == "Gemm" and attributes["transB"]
        weight = builder.weight(node.input[1], name, (1, 0) if transposed else (0, 1))
        add = builder.view.bias_add_of(node) if node.op_type == "MatMul" else None
        biases = [i for i in add.input if i in builder.view.constants] if add is not None else list(node.input[2:])
        bias = builder.bias(biases[0], name, weight.raw.shape[1]) if biases and biases[0] else None
        return cls(name, builder.tensor(node.input[0]), builder.tensor((add or node).output[0]), weight, bias)

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``."""
        how, shape, ends = setting.how, self.weight.raw.shape, (self.inputs, self.outputs)
        bias = bias_or_zeros(self.bias, self.name, self.output)
        if how.implementation == "adders":
            from sparsepix_hls.kernels.adder_graph import adder_graph, adder_graph_source

            graph, function = adder_graph(self), f"{self.name}_adders"
            source = adder_graph_source(self, graph, bias[0].name)
            title = f"Dense as {graph.adders} adders"
            return Kernel(self.name, title, "adders", function, {}, *ends, (bias,), generated=source)
        config = {"in_features": shape[0], "out_features": shape[1]}
        config |= {"reuse_factor": how.reuse_factor, "parallel": how.parallel}
        constants = ((self.weight, shape), bias)
        return Kernel(self.name, "Dense", "dense", "dense", config, *ends, constants, in_rounds=True)

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """See ``Layer.cost``."""
        outputs = self.weight.raw.shape[1]
        b, w = self.input.type.width, self.weight.type.width
        bias = Cost() if self.bias is None else outputs * adder(self.output.type.width)
        live = outputs * self.output.type.width
        if how.implementation == "adders":
            from sparsepix_hls.kernels.adder_graph import adder_graph

            graph = adder_graph(self)
            return layer_estimate(Cost(lut=graph.lut, levels=graph.depth) + bias, logic_ns, how.reuse_factor, 2 * live)
        if how.reuse_factor == 1:
            matrix = constant_matrix(self.weight.raw, b, w)
            return layer_estimate(matrix + bias, logic_ns, how.reuse_factor, 2 * live, self.weight.raw.size)
        outputs = self.round_outs(how)
        products = how.parallel * outputs
        terms = how.parallel + 1
        read = how.parallel * mux(how.item_rounds, b) | products * rom(how.reuse_factor, w)
        cost = read + scaled(products * multiplier(b, w) + outputs * adder_tree(terms, b + w), MERGED) + bias
        return layer_estimate(cost | register(live), logic_ns, how.reuse_factor, products * (b + w) / 2, products)

    def operations(self, parallel: int) -> int:
        """Each input of a round meets each output."""
        return parallel * self.output.shape[0]

    @property
    def start(self) -> list[int]:
        """The biases."""
        return bias_values(self.bias, self.output)

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """See ``Layer.lower``: a graph of adders."""
        from sparsepix_hls.rtl.lower.arithmetic import matrix

        del how, ports
        terms = [[value] for value in matrix(values[self.input.name], self.weight.raw)]
        return {self.output.name: summed(self, self.input, terms) + np.array(self.start, dtype=object)}

    def lower_round(self, how: LayerDesign, reader: Any) -> Callable[..., dict[str, np.ndarray]]:
        """See ``Layer.lower_round``: the weights of an input are looked up by the number of the round."""
        from sparsepix_hls.rtl.lower.arithmetic import as_variable
        from sparsepix_hls.rtl.lower.folds import fold_of

        reader.items(self.input)
        reader.number("number")
        size, outs = self.weight.raw.shape
        weights = np.zeros((how.item_rounds * how.parallel, outs), dtype=np.int64)
        weights[:size] = self.weight.raw

        def dense(**v: np.ndarray) -> dict[str, np.ndarray]:
            number, fold = v["number"][()], fold_of(v, how)
            terms: list[list[Any]] = [[] for _ in range(self.round_outs(how))]
            lookup = fold.at(number, how.item_rounds)
            for k, value in enumerate(v[self.input.name]):
                of_input = weights[k :: how.parallel].T.tolist()
                for row, tables in zip(terms, fold.members(of_input, [0] * len(of_input[0])), strict=True):
                    row.append(as_variable(lookup(tables)) * value)
            return {self.output.name: summed(self, self.input, terms)}

        return dense


def summed(layer: Any, source: Tensor, terms: list[list[Any]]) -> np.ndarray:
    """Sums of products of inputs and weights, for each output its terms, in units of the output."""
    from sparsepix_hls.rtl.lower.arithmetic import aligned, total

    exponent = source.type.exponent + layer.weight.type.exponent
    return np.array([aligned(total(row), exponent, layer.output.type.exponent) for row in terms], dtype=object)
