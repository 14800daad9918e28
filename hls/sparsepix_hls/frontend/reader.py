"""From an ONNX file to the intermediate representation: every quantizer becomes a type."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from sparsepix_hls.frontend.checks import check, check_ends
from sparsepix_hls.frontend.identifiers import Names, top_identifier
from sparsepix_hls.frontend.model_file import load, tidy
from sparsepix_hls.frontend.model_view import TRANSPARENT, View, make_view
from sparsepix_hls.ir import graph as ir
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedPoint, FixedRange
from sparsepix_ops.ops.head import exp_thresholds, sigmoid_thresholds
from sparsepix_ops.ops.input_reduce import threshold_raw
from sparsepix_ops.ops.leaky_relu import slope_shift
from sparsepix_ops.registry import HEADS, RECTIFIERS, find_op

_FINEST_HEAD = -50  # exponent of the logits of a head: its thresholds must fit 62 bits


@dataclass(frozen=True, eq=False)
class ReadResult:
    """A model that can be translated.

    Args:
        graph: the model as firmware sees it.
        model: the ONNX model with its constants as initializers and without what nothing uses.
        notices: what the user should know, one line each.
    """

    graph: ir.Graph
    model: onnx.ModelProto
    notices: tuple[str, ...]


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
        graph = _Builder(view, name or path.stem, keep_head).graph()
    except SparsePixError as error:
        raise SparsePixError(error.problems, f"{path}: the model cannot be translated") from None
    if graph.dropped_head:
        notices.append(
            f"the {graph.dropped_head} at the end is left out: the firmware returns the logits, which rank the same; "
            "--keep-head (keep_head=True) translates it as an exact table"
        )
    for layer in graph.layers:
        if isinstance(layer, ir.InputReduce) and layer.threshold_raw >= _scores(layer)[1]:
            notices.append(f"{layer.name}: no pixel can be above the threshold; every output is that of an empty image")
    return ReadResult(graph, model, tuple(notices))


def _scores(layer: ir.InputReduce) -> tuple[int, int]:
    """Smallest and largest score of a pixel, as raw values of the image's type."""
    terms = layer.image.shape[0] if layer.activity == "sum" else 1
    return layer.image.type.raw_min * terms, layer.image.type.raw_max * terms


def _signed(low: int, high: int, exponent: int) -> FixedPoint:
    """Narrowest signed format that holds low ... high, as raw values."""
    return FixedRange(exponent, min(low, -1), high).format()


class _Builder:
    """Builds the layers of a checked model; names are handed out layer by layer, then tensors."""

    def __init__(self, view: View, name: str, keep_head: bool) -> None:
        self.view = view
        self.names = Names()
        inner = [text for node in view.model.graph.node for text in (node.name.strip("/").split("/")[0], *node.output)]
        inner += [view.image, *(output.name for output in view.model.graph.output)]
        self.name = self.names.unique(top_identifier(name, inner))
        self.tensors: dict[str, ir.Tensor] = {}
        ends = [view.producers[name] for name in view.outputs]
        self.dropped = [node for node in ends if node.op_type in HEADS and not keep_head]
        self.outputs = [
            view.source(node.input[0]) if node in self.dropped else name
            for node, name in zip(ends, view.outputs, strict=True)
        ]

    def graph(self) -> ir.Graph:
        """The whole graph."""
        named = tuple(output.name for output in self.view.model.graph.output)
        # The results of a model that has several keep their names, whatever its layers are called.
        ports = [self.names.unique(name) for name in named] if len(named) > 1 else []
        steps: list[tuple[onnx.NodeProto, str]] = []
        for node in self.view.model.graph.node:
            if self._becomes_a_layer(node):
                relu = self.view.relu_of(node) if node.op_type == "Quant" else None
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
        return ir.Graph(self.name, image, tuple(outputs), (*layers, *copies), dropped_head, named if ports else ())

    def _outputs(self, ports: list[str]) -> tuple[list[ir.Tensor], list[ir.Activation]]:
        """Arrays of several results, and the copies of those that a layer reads or that are returned twice.

        Args:
            ports: their names.
        """
        outputs, copies = [], []
        for source, port in zip(self.outputs, ports, strict=True):
            readers = [node for node in self.view.consumers.get(source, []) if node not in self.dropped]
            value = self.view.value(source)
            tensor = ir.Tensor(port, tuple(value.shape[1:]), value.format)
            outputs.append(tensor)
            if readers or self.outputs.count(source) > 1:
                copies.append(ir.Activation(self.names.unique(f"{port}_copy"), self.tensor(source), tensor, relu=False))
            else:
                self.tensors[source] = tensor
        return outputs, copies

    def _becomes_a_layer(self, node: onnx.NodeProto) -> bool:
        view, kind = self.view, node.op_type
        if kind in TRANSPARENT or all(n in view.constants for n in node.output):
            return False
        if kind == "Add":
            return not view.adds_constant(node)  # a bias is part of its dense layer
        if kind == "Quant":
            return view.source(node.input[0]) != view.image
        if kind in RECTIFIERS:
            reader = view.only_consumer(node.output[0])
            return not (reader is not None and reader.op_type == "Quant")
        return node not in self.dropped

    def _layer_name(self, node: onnx.NodeProto) -> str:
        kind = node.op_type.lower()
        scope = node.name.strip("/").split("/")[0] or kind
        return self.names.unique(scope, f"{scope}_{kind}")

    def tensor(self, value_name: str, name: str | None = None) -> ir.Tensor:
        """The tensor of an ONNX value; called ``name`` if it is new and that is given."""
        source = self.view.source(value_name)
        if source not in self.tensors:
            value = self.view.value(source)
            fmt = value.range.format() if value.coords else value.format
            self.tensors[source] = ir.Tensor(self.names.unique(name or source), tuple(value.shape[1:]), fmt)
        return self.tensors[source]

    def constant(self, value_name: str, name: str) -> tuple[FixedArray, FixedPoint, str]:
        """Raw values on the grid of their quantizer, its format, and a name."""
        value = self.view.value(value_name)
        fmt = value.format
        if fmt is None:  # a bias of zeros needs no quantizer
            return FixedArray(value.constant.raw, 0), FixedPoint(1, 1), name
        return value.constant.at(fmt.exponent), fmt, name

    def _weight(self, value_name: str, layer: str, order: tuple[int, ...]) -> ir.Constant:
        values, fmt, name = self.constant(value_name, f"{layer}_weight")
        raw = np.ascontiguousarray(values.raw.transpose(order))
        return ir.Constant(self.names.unique(name), raw, fmt)

    def _bias(self, value_name: str, layer: str, size: int) -> ir.Constant | None:
        values, fmt, name = self.constant(value_name, f"{layer}_bias")
        if not values.raw.any():
            return None
        raw = np.broadcast_to(values.raw.reshape(-1), (size,)).copy()
        return ir.Constant(self.names.unique(name), raw, fmt)

    def _layer(self, node: onnx.NodeProto, name: str) -> ir.Layer:
        attributes = find_op(node).read_attributes(node)
        makers: dict[str, Callable[[onnx.NodeProto, str, dict], ir.Layer]] = {
            "InputReduce": self._input_reduce,
            "SparseConv2d": self._conv,
            "SparseStridedConv2d": self._strided_conv,
            "Relu": self._activation,
            "LeakyRelu": self._activation,
            "Quant": self._activation,
            "SparseAvgPool2d": self._pool,
            "SparseMaxPool2d": self._pool,
            "SparseGlobalAvgPool2d": self._global_avg,
            "SparseGlobalMaxPool2d": self._global_max,
            "SparseFlatten": self._flatten,
            "Gemm": self._dense,
            "MatMul": self._dense,
            "Add": self._add,
            "Concat": self._concat,
            "Sigmoid": self._head,
            "Softmax": self._head,
        }
        return makers[node.op_type](node, name, attributes)

    def _input_reduce(self, node: onnx.NodeProto, name: str, attributes: dict) -> ir.InputReduce:
        image = self.tensor(node.input[0])
        layer = ir.InputReduce(
            name=name,
            image=image,
            features=self.tensor(node.output[0]),
            coords=self.tensor(node.output[1]),
            max_pixels=attributes["max_pixels"],
            threshold_raw=threshold_raw(attributes["threshold"], image.type.exponent),
            activity=attributes["activity"],
            selection=attributes["selection"],
        )
        low, high = _scores(layer)
        # A threshold beyond all scores says the same as one just beyond them.
        return ir.InputReduce(**{**vars(layer), "threshold_raw": min(max(layer.threshold_raw, low - 1), high)})

    def _conv(self, node: onnx.NodeProto, name: str, attributes: dict) -> ir.SparseConv2d:
        weight = self._weight(node.input[2], name, (2, 3, 1, 0))
        return ir.SparseConv2d(
            name=name,
            features=self.tensor(node.input[0]),
            coords=self.tensor(node.input[1]),
            output=self.tensor(node.output[0]),
            kernel_size=weight.raw.shape[:2],
            weight=weight,
            bias=self._bias(node.input[3], name, weight.raw.shape[3]),
            bias_on=attributes["bias_on"],
            groups=attributes["group"],
        )

    def _strided_conv(self, node: onnx.NodeProto, name: str, attributes: dict) -> ir.SparseStridedConv2d:
        weight = self._weight(node.input[2], name, (2, 3, 1, 0))
        return ir.SparseStridedConv2d(
            name=name,
            features=self.tensor(node.input[0]),
            coords=self.tensor(node.input[1]),
            output_features=self.tensor(node.output[0]),
            output_coords=self.tensor(node.output[1]),
            kernel_size=weight.raw.shape[:2],
            spatial_shape=attributes["spatial_shape"],
            strides=attributes["strides"],
            weight=weight,
            bias=self._bias(node.input[3], name, weight.raw.shape[3]),
            groups=attributes["group"],
        )

    def _activation(self, node: onnx.NodeProto, name: str, _: dict) -> ir.Activation:
        rectifier = node if node.op_type in RECTIFIERS else self.view.relu_of(node)
        first = rectifier if rectifier is not None else node
        leaky = first.op_type == "LeakyRelu"
        shift = slope_shift(find_op(first).read_attributes(first)["alpha"]) if leaky else 0
        source, result = self.tensor(first.input[0]), self.tensor(node.output[0])
        return ir.Activation(name, source, result, first.op_type == "Relu", shift)

    def _pool(self, node: onnx.NodeProto, name: str, attributes: dict) -> ir.SparseAvgPool2d | ir.SparseMaxPool2d:
        shared = {
            "name": name,
            "features": self.tensor(node.input[0]),
            "coords": self.tensor(node.input[1]),
            "output_features": self.tensor(node.output[0]),
            "output_coords": self.tensor(node.output[1]),
            "kernel_size": attributes["kernel_shape"],
            "spatial_shape": attributes["spatial_shape"],
        }
        if node.op_type == "SparseMaxPool2d":
            return ir.SparseMaxPool2d(**shared, over=attributes["over"])
        return ir.SparseAvgPool2d(**shared, reciprocal=self._reciprocal(name, attributes))

    def _reciprocal(self, layer: str, attributes: dict) -> ir.Constant:
        factor = FixedArray.from_real(np.float64(attributes["reciprocal"]))
        return ir.Constant(self.names.unique(f"{layer}_reciprocal"), np.asarray(factor.raw), factor.range.format())

    def _global_avg(self, node: onnx.NodeProto, name: str, attributes: dict) -> ir.SparseGlobalAvgPool2d:
        features, output = self.tensor(node.input[0]), self.tensor(node.output[0])
        reciprocal = self._reciprocal(name, attributes)
        return ir.SparseGlobalAvgPool2d(name, features, output, attributes["spatial_shape"], reciprocal)

    def _global_max(self, node: onnx.NodeProto, name: str, attributes: dict) -> ir.SparseGlobalMaxPool2d:
        features, coords = self.tensor(node.input[0]), self.tensor(node.input[1])
        output = self.tensor(node.output[0])
        return ir.SparseGlobalMaxPool2d(name, features, coords, output, attributes["spatial_shape"], attributes["over"])

    def _flatten(self, node: onnx.NodeProto, name: str, attributes: dict) -> ir.SparseFlatten:
        features, coords = self.tensor(node.input[0]), self.tensor(node.input[1])
        return ir.SparseFlatten(name, features, coords, self.tensor(node.output[0]), attributes["spatial_shape"])

    def _dense(self, node: onnx.NodeProto, name: str, attributes: dict) -> ir.Dense:
        transposed = node.op_type == "Gemm" and attributes["transB"]
        weight = self._weight(node.input[1], name, (1, 0) if transposed else (0, 1))
        add = self.view.bias_add_of(node) if node.op_type == "MatMul" else None
        biases = [i for i in add.input if i in self.view.constants] if add is not None else list(node.input[2:])
        bias = self._bias(biases[0], name, weight.raw.shape[1]) if biases and biases[0] else None
        return ir.Dense(name, self.tensor(node.input[0]), self.tensor((add or node).output[0]), weight, bias)

    def _add(self, node: onnx.NodeProto, name: str, _: dict) -> ir.Add:
        first, second = (self.tensor(i) for i in node.input)
        return ir.Add(name, first, second, self.tensor(node.output[0]))

    def _concat(self, node: onnx.NodeProto, name: str, _: dict) -> ir.Concat:
        return ir.Concat(name, tuple(self.tensor(i) for i in node.input), self.tensor(node.output[0]))

    def _head(self, node: onnx.NodeProto, name: str, _: dict) -> ir.Head:
        logits = self.tensor(node.input[0])
        exponent = logits.type.exponent
        if exponent < _FINEST_HEAD:
            raise SparsePixError(
                f"{name} ({node.op_type}): its logits have a last place of 2**{exponent}, finer than the "
                f"2**{_FINEST_HEAD} of its table; quantize the logits, or leave out --keep-head"
            )
        softmax = node.op_type == "Softmax"
        steps = exp_thresholds(exponent) if softmax else sigmoid_thresholds(exponent)
        span = logits.type.raw_max - logits.type.raw_min if softmax else logits.type.raw_max
        low = min(int(steps[0]), -span if softmax else logits.type.raw_min)
        thresholds = ir.Constant(
            self.names.unique(f"{name}_thresholds"), steps, _signed(low, max(int(steps[-1]), span), exponent)
        )
        return ir.Head(name, node.op_type, logits, self.tensor(node.output[0]), thresholds)
