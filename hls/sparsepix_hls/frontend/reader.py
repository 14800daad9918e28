"""From an ONNX file to the intermediate representation: every quantizer becomes a type."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from sparsepix_hls.frontend.checks import check, check_ends
from sparsepix_hls.frontend.identifiers import Names, top_identifier
from sparsepix_hls.frontend.model_file import load, tidy
from sparsepix_hls.frontend.model_view import TRANSPARENT, View, make_view
from sparsepix_hls.ir.graph import Graph, Layer
from sparsepix_hls.ir.tensors import Constant, Tensor
from sparsepix_hls.layers import layer_of_op
from sparsepix_hls.layers.activation import Activation
from sparsepix_hls.layers.input_reduce import InputReduce
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedPoint
from sparsepix_ops.op import Value
from sparsepix_ops.registry import HEADS, QUANTIZERS, RECTIFIERS, find_op


@dataclass(frozen=True, eq=False)
class ReadResult:
    """A model that can be translated.

    Args:
        graph: the model as firmware sees it.
        model: the ONNX model with its constants as initializers and without what nothing uses.
        notices: what the user should know, one line each.
        ranges: smallest and largest raw value that each tensor of the graph can hold, by its name.
    """

    graph: Graph
    model: onnx.ModelProto
    notices: tuple[str, ...]
    ranges: Mapping[str, tuple[int, int]]


def read_model(path: Path | str, keep_head: bool = False, name: str | None = None) -> ReadResult:
    """Read an ONNX file.

    Args:
        path: of the file.
        keep_head: translate a Sigmoid or Softmax at the end instead of leaving it out.
        name: of the top function; by default that of the file.

    Raises:
        SparsePixError: not an ONNX file, or everything in it that cannot be translated, each with the
            name of its node, what was found and the fix.
    """
    path = Path(path)
    model, notices = tidy(load(path))
    try:
        check_ends(model)
        view = make_view(model)
        notices += check(view)
        builder = Builder(view, name or path.stem, keep_head)
        graph = builder.graph()
    except SparsePixError as error:
        raise SparsePixError(error.problems, f"{path}: the model cannot be translated") from None
    if graph.dropped_head:
        notices.append(
            f"the {graph.dropped_head} at the end is left out: the firmware returns the logits, which rank the same; "
            "--keep-head (keep_head=True) translates it as an exact table"
        )
    for layer in graph.layers:
        if isinstance(layer, InputReduce) and layer.threshold_raw >= layer.scores[1]:
            notices.append(f"{layer.name}: no pixel can be above the threshold; every output is that of an empty image")
    return ReadResult(graph, model, tuple(notices), builder.ranges)


class Builder:
    """Builds the layers of a checked model; names are handed out layer by layer, then tensors.

    What it has without an underscore is for ``Layer.from_onnx``.
    """

    def __init__(self, view: View, name: str, keep_head: bool) -> None:
        self.view = view
        self.names = Names()
        inner = [text for node in view.model.graph.node for text in (node.name.strip("/").split("/")[0], *node.output)]
        inner += [view.image, *(output.name for output in view.model.graph.output)]
        self.name = self.names.unique(top_identifier(name, inner))
        self.tensors: dict[str, Tensor] = {}
        self.ranges: dict[str, tuple[int, int]] = {}
        ends = [view.producers[name] for name in view.outputs]
        self.dropped = [node for node in ends if node.op_type in HEADS and not keep_head]
        self.outputs = [
            view.source(node.input[0]) if node in self.dropped else name
            for node, name in zip(ends, view.outputs, strict=True)
        ]

    def graph(self) -> Graph:
        """The whole graph."""
        named = tuple(output.name for output in self.view.model.graph.output)
        # The results of a model that has several keep their names, whatever its layers are called.
        ports = [self.names.unique(name) for name in named] if len(named) > 1 else []
        steps: list[tuple[onnx.NodeProto, str]] = []
        for node in self.view.model.graph.node:
            if self._becomes_a_layer(node):
                relu = self.view.relu_of(node) if node.op_type in QUANTIZERS else None
                steps.append((node, self._layer_name(relu or node)))
        if not ports and not self.dropped:
            self.tensor(self.outputs[0], name=named[0])
        outputs, copies = self._outputs(ports) if ports else ([], [])
        reduce = next(n for n, _ in steps if n.op_type == "InputReduce")
        image = self.tensor(reduce.input[0], name=self.view.image)
        layers = [self._layer(node, name) for node, name in steps]
        dropped_head = ", ".join(dict.fromkeys(node.op_type for node in self.dropped)) or None
        if not ports:
            outputs = [self.tensor(self.outputs[0])]
        return Graph(self.name, image, tuple(outputs), (*layers, *copies), dropped_head, named if ports else ())

    def _outputs(self, ports: list[str]) -> tuple[list[Tensor], list[Activation]]:
        """Arrays of several results, and the copies of those that a layer reads or that are returned twice.

        Args:
            ports: their names.
        """
        outputs, copies = [], []
        for source, port in zip(self.outputs, ports, strict=True):
            readers = [node for node in self.view.consumers.get(source, []) if node not in self.dropped]
            value = self.view.value(source)
            tensor = Tensor(port, tuple(value.shape[1:]), value.format)
            outputs.append(tensor)
            self._note_range(tensor, value)
            if readers or self.outputs.count(source) > 1:
                copies.append(Activation(self.names.unique(f"{port}_copy"), self.tensor(source), tensor, relu=False))
            else:
                self.tensors[source] = tensor
        return outputs, copies

    def _becomes_a_layer(self, node: onnx.NodeProto) -> bool:
        view, kind = self.view, node.op_type
        if kind in TRANSPARENT or all(n in view.constants for n in node.output):
            return False
        if kind == "Add":
            return not view.adds_constant(node)  # a bias is part of its dense layer
        if kind in QUANTIZERS:
            return view.source(node.input[0]) != view.image
        if kind in RECTIFIERS:
            reader = view.only_consumer(node.output[0])
            return not (reader is not None and reader.op_type in QUANTIZERS and view.relu_of(reader) is node)
        return node not in self.dropped

    def _layer_name(self, node: onnx.NodeProto) -> str:
        kind = node.op_type.lower()
        scope = node.name.strip("/").split("/")[0] or kind
        return self.names.unique(scope, f"{scope}_{kind}")

    def tensor(self, value_name: str, name: str | None = None) -> Tensor:
        """The tensor of an ONNX value; called ``name`` if it is new and that is given."""
        source = self.view.source(value_name)
        if source not in self.tensors:
            value = self.view.value(source)
            fmt = value.range.format() if value.coords else value.format
            self.tensors[source] = Tensor(self.names.unique(name or source), tuple(value.shape[1:]), fmt)
            self._note_range(self.tensors[source], value)
        return self.tensors[source]

    def _note_range(self, tensor: Tensor, value: Value) -> None:
        found = value.range.at(min(value.range.exponent, tensor.type.exponent))
        shift = tensor.type.exponent - found.exponent  # more than 0 where the range is on a finer grid than the format
        low, high = found.low >> shift, -(-found.high >> shift)
        self.ranges[tensor.name] = max(low, tensor.type.raw_min), min(high, tensor.type.raw_max)

    def number(self, name: str, value: float) -> Constant:
        """An attribute as a constant []."""
        exact = FixedArray.from_real(np.float64(value))
        return Constant(self.names.unique(name), np.asarray(exact.raw), exact.range.format())

    def weight(self, value_name: str, layer: str, order: tuple[int, ...]) -> Constant:
        """The weights of a layer, their axes in another order."""
        values, fmt = self._constant(value_name)
        raw = np.ascontiguousarray(values.raw.transpose(order))
        return Constant(self.names.unique(f"{layer}_weight"), raw, fmt)

    def bias(self, value_name: str, layer: str, size: int) -> Constant | None:
        """The bias of a layer [size]; None if it is 0."""
        values, fmt = self._constant(value_name)
        if not values.raw.any():
            return None
        raw = np.broadcast_to(values.raw.reshape(-1), (size,)).copy()
        return Constant(self.names.unique(f"{layer}_bias"), raw, fmt)

    def _constant(self, value_name: str) -> tuple[FixedArray, FixedPoint]:
        """Raw values on the grid of their quantizer, and its format."""
        value = self.view.value(value_name)
        fmt = value.format
        if fmt is None:  # a bias of zeros needs no quantizer
            return FixedArray(value.constant.raw, 0), FixedPoint(1, 1)
        return value.constant.at(fmt.exponent), fmt

    def _layer(self, node: onnx.NodeProto, name: str) -> Layer:
        attributes = find_op(node).read_attributes(node)
        return layer_of_op()[node.op_type].from_onnx(node, name, attributes, self)
