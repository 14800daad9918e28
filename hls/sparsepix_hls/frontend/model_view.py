"""A model as the reader looks at it: who makes and who uses each value, and what is known of it."""

from dataclasses import dataclass

import onnx

from sparsepix_ops.op import Value
from sparsepix_ops.range_analysis import Analysis, analyze
from sparsepix_ops.registry import RECTIFIERS, TRANSPARENT
from sparsepix_ops.rules import constant_names


@dataclass(frozen=True, eq=False)
class View:
    """Links between the values of a tidied model with one input.

    Args:
        model: the model.
        analysis: the ranges of its values.
        constants: names of all values that are computed from initializers alone.
        sources: by the name of a Cast's or Identity's output, the value that it hands on.
        producers: by name of a value, its node.
        consumers: by name of a value, the nodes that read it, through Casts too.
    """

    model: onnx.ModelProto
    analysis: Analysis
    constants: frozenset[str]
    sources: dict[str, str]
    producers: dict[str, onnx.NodeProto]
    consumers: dict[str, list[onnx.NodeProto]]

    @property
    def image(self) -> str:
        """Name of the model's input."""
        return self.model.graph.input[0].name

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the values that the model returns, in order; one may come twice."""
        return tuple(self.source(output.name) for output in self.model.graph.output)

    def source(self, name: str) -> str:
        """The value that a chain of Cast and Identity hands on."""
        return self.sources.get(name, name)

    def value(self, name: str) -> Value | None:
        """What is known of a value, None if nothing could be derived."""
        return self.analysis.values.get(name)

    def only_consumer(self, name: str) -> onnx.NodeProto | None:
        """The node that reads a value, if it is the only one and the value is no output."""
        found = self.consumers.get(name, [])
        return found[0] if len(found) == 1 and name not in self.outputs else None

    def relu_of(self, quant: onnx.NodeProto) -> onnx.NodeProto | None:
        """The Relu or LeakyRelu in front of a quantizer that becomes one layer with it; a LeakyRelu only of a Quant."""
        name = self.source(quant.input[0])
        node = self.producers.get(name)
        if node is None or node.op_type not in RECTIFIERS or self.only_consumer(name) is not quant:
            return None
        return node if node.op_type == "Relu" or quant.op_type == "Quant" else None

    def adds_constant(self, add: onnx.NodeProto) -> bool:
        """Whether an Add adds a bias, and not two values of the image."""
        return any(name in self.constants for name in add.input)

    def bias_add_of(self, matmul: onnx.NodeProto) -> onnx.NodeProto | None:
        """The Add after a MatMul that becomes one layer with it."""
        node = self.only_consumer(matmul.output[0])
        fits = node is not None and node.op_type == "Add" and self.adds_constant(node)
        return node if fits else None


def make_view(model: onnx.ModelProto) -> View:
    """Analyze a tidied model and link its values."""
    constants = constant_names(model)
    sources: dict[str, str] = {}
    producers: dict[str, onnx.NodeProto] = {}
    consumers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        inputs = [name for name in node.input if name]
        producers.update({name: node for name in node.output if name})
        if constants.issuperset(inputs):
            continue
        if node.op_type in TRANSPARENT and not node.domain and inputs:
            sources[node.output[0]] = sources.get(inputs[0], inputs[0])
        else:
            for name in dict.fromkeys(sources.get(n, n) for n in inputs):
                consumers.setdefault(name, []).append(node)
    return View(model, analyze(model), constants, sources, producers, consumers)


def attribute(node: onnx.NodeProto, name: str, default: object = None) -> object:
    """Plain attribute of a node."""
    for found in node.attribute:
        if found.name == name:
            return onnx.helper.get_attribute_value(found)
    return default
