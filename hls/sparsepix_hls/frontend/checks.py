"""All reasons why a model cannot become firmware, found in one go."""

import onnx
from onnx import TensorProto

from sparsepix_hls.frontend.file_checks import type_text
from sparsepix_hls.frontend.model_view import TRANSPARENT, View, attribute
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.op import Value
from sparsepix_ops.ops.pooling import check_window
from sparsepix_ops.ops.quant import format_of
from sparsepix_ops.ops.sparse_conv2d import check_kernel
from sparsepix_ops.ops.sparse_strided_conv2d import grid_of
from sparsepix_ops.range_analysis import DOUBLE_MANTISSA, FLOAT_MANTISSA, label
from sparsepix_ops.registry import HEADS, RECTIFIERS, find_op

_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)
_CONVS = frozenset({"SparseConv2d", "SparseStridedConv2d"})
# Inputs that are weights and biases.
_WEIGHTED = {**dict.fromkeys(_CONVS, (2, 3)), "Gemm": (1, 2), "MatMul": (1,)}
_POOLS = frozenset({"SparseAvgPool2d", "SparseMaxPool2d"})
_GLOBAL_POOLS = frozenset({"SparseGlobalAvgPool2d", "SparseGlobalMaxPool2d"})
_JOINS = frozenset({"Add", "Concat"})


def check_ends(model: onnx.ModelProto) -> None:
    """Raise SparsePixError unless a model has one image as its input, and an output."""
    problems = []
    inputs = [i.name for i in model.graph.input]
    if len(inputs) != 1:
        problems.append(f"expected one input, the image, found {len(inputs)}: {inputs}")
    elif (element := model.graph.input[0].type.tensor_type.elem_type) not in _FLOATS:
        problems.append(f"{inputs[0]}: expected an image of type FLOAT or DOUBLE, found {type_text(element)}")
    if not model.graph.output:
        problems.append("expected one output or more, found none")
    if problems:
        raise SparsePixError(problems, "the model cannot be translated")


def check(view: View) -> list[str]:
    """Raise SparsePixError with everything about a model that cannot be translated.

    Returns:
        Notices: what can be translated, but may surprise.
    """
    checker = _Checker(view)
    for node in view.model.graph.node:
        checker.visit(node)
    if not checker.reduces and not checker.problems:
        checker.problems.append("expected a SparseInputReduce at the beginning, found none: the model is not sparse")
    if not checker.problems:
        for name in view.outputs:
            output = view.value(name)
            if output is None or output.coords or len(output.shape) not in (2, 3):
                checker.problems.append(f"{name}: expected features or a vector as an output of the model")
    problems = list(dict.fromkeys(checker.problems))
    if problems:
        raise SparsePixError(problems, "the model cannot be translated")
    return _notices(view)


class _Checker:
    """Walks through the nodes; what hangs on a broken value is not reported a second time."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.problems: list[str] = []
        self.reduces = 0
        self.image_quants: set[str] = set()
        self._lists: dict[str, str] = {}  # by name of features, the coords that they belong to
        self._spatial: dict[str, tuple[int, ...]] = {}  # by name of coords, height and width
        self._broken = {name for name in view.analysis.problem_of if name in view.constants}
        inner = {name for node in view.model.graph.node for name in node.output}
        self.problems += [m for name, m in view.analysis.problem_of.items() if name not in inner]

    def visit(self, node: onnx.NodeProto) -> None:
        """Check one node."""
        op = find_op(node)
        found = self.view.analysis.problem_of.get(node.output[0])
        inputs = [name for name in node.input if name]
        broken = any(n in self._broken or self.view.value(n) is None for n in inputs)
        messages = self._missing_quantizers(node) if op is not None else []
        if messages:
            messages += self._alone(node)
        elif found is not None:
            messages = [found.removeprefix(f"{label(node)}: ")]
        elif broken:
            messages = self._alone(node)
        elif len([n for n in node.output if n]) != len(op.outputs):
            messages = [f"it must have {len(op.outputs)} outputs, found {len(node.output)}"]
        elif not all(name in self.view.constants for name in node.output) or node.op_type in TRANSPARENT:
            messages = self._rules(node)
        if messages or broken:
            self._broken |= set(node.output)
        self.problems += [f"{label(node)}: {message}" for message in messages]

    def _missing_quantizers(self, node: onnx.NodeProto) -> list[str]:
        messages = []
        places = _WEIGHTED.get(node.op_type, ())
        if node.op_type == "Add":
            places = tuple(i for i, n in enumerate(node.input) if n in self.view.constants)
        for place in places:
            if place >= len(node.input) or not node.input[place] or node.input[place] in self._broken:
                continue
            value = self.view.value(node.input[place])
            is_bias = place == places[-1] and node.op_type != "MatMul"
            what = "bias" if is_bias else "weight"
            if node.input[place] not in self.view.constants:
                if value is not None:
                    messages.append(f"its {what} must be constant, found a computed value")
            elif value is not None and value.format is None and not (is_bias and _all_zero(value)):
                messages.append(f"its {what} has no quantizer; give the layer a {what}_format")
        return messages

    def _alone(self, node: onnx.NodeProto) -> list[str]:
        """What is wrong with a node whatever comes in."""
        op = find_op(node)
        try:
            attributes = op.read_attributes(node)
            known = [self.view.value(name) or Value() for name in node.input]
            if node.op_type in _CONVS and len(known) > 2 and len(known[2].shape) == 4:
                check_kernel(known[2].shape[2:])
            elif node.op_type == "Quant" and len(known) == 4 and all(v.constant is not None for v in known[1:]):
                format_of(known, attributes)
            elif node.op_type in _POOLS:
                check_window(attributes["kernel_shape"], attributes["spatial_shape"])
        except SparsePixError as error:
            return [str(error)]
        return []

    def _rules(self, node: onnx.NodeProto) -> list[str]:
        """What the firmware asks for beyond the contract of the ops; also follows the lists of pixels."""
        kind = node.op_type
        if kind in TRANSPARENT:
            to = attribute(node, "to")
            if kind == "Cast" and to not in _FLOATS:
                return [f"a Cast to {type_text(to)} changes values; only FLOAT and DOUBLE do not"]
            return []
        source = self.view.source(node.input[0])
        value = self.view.value(source)
        if kind == "InputReduce":
            return self._input_reduce(node, source, value)
        if len(value.shape) == 4:
            if kind == "Quant" and source == self.view.image:
                return []
            return ["it works on the image; only one quantizer may stand in front of the SparseInputReduce"]
        if value.range is None:
            return ["its input has no quantizer; put one in front of it"]
        if kind in (*_CONVS, *_POOLS, *_GLOBAL_POOLS, "SparseFlatten"):
            coords = self.view.source(node.input[1])
            if self._lists.get(source) != coords:
                return ["its features and coords do not belong together: take both from the same layer"]
            messages = self._spatial_shape(node, coords)
            if messages:
                return messages
        elif kind in HEADS and (node.output[0] not in self.view.outputs or self.view.consumers.get(node.output[0])):
            return [f"a {kind} can only stand at the very end of a model"]
        elif kind == "Add" and self.view.adds_constant(node):
            matmul = self.view.producers.get(self._data_input(node))
            if matmul is None or matmul.op_type != "MatMul" or self.view.bias_add_of(matmul) is not node:
                return ["a constant may only be added as the bias behind a MatMul"]
        elif kind in _JOINS:
            messages = self._joins(node)
            if messages:
                return messages
        if source in self._lists and kind in ("Quant", *RECTIFIERS, "SparseConv2d", *_JOINS):
            self._lists[node.output[0]] = self._lists[source]
        return self._width(self.view.value(node.output[0]))

    def _input_reduce(self, node: onnx.NodeProto, source: str, value: Value) -> list[str]:
        self.reduces += 1
        quant = self.view.producers.get(source)
        if source == self.view.image:
            return ["the image has no quantizer; give the model an input_format"]
        if quant is None or quant.op_type != "Quant" or self.view.source(quant.input[0]) != self.view.image:
            return ["one quantizer, and nothing else, must stand between the image and the SparseInputReduce"]
        self.image_quants.add(source)
        if len(self.image_quants) > 1:
            return [f"the image must have one quantizer, found {sorted(self.image_quants)}"]
        self._lists[node.output[0]] = node.output[1]
        self._spatial[node.output[1]] = tuple(value.shape[2:])
        return self._width(self.view.value(node.output[0]))

    def _spatial_shape(self, node: onnx.NodeProto, coords: str) -> list[str]:
        if node.op_type == "SparseConv2d":
            return []
        height, width = self._spatial[coords]
        found = tuple(attribute(node, "spatial_shape"))
        if found != (height, width):
            return [f"its spatial_shape is {found}, but its pixels come from a grid of {(height, width)}"]
        if node.op_type in (*_POOLS, "SparseStridedConv2d"):
            self._lists[node.output[0]] = node.output[1]
        if node.op_type in _POOLS:
            kernel = attribute(node, "kernel_shape")
            self._spatial[node.output[1]] = (height // kernel[0], width // kernel[1])
        elif node.op_type == "SparseStridedConv2d":
            self._spatial[node.output[1]] = grid_of((height, width), attribute(node, "strides"))
        return []

    def _joins(self, node: onnx.NodeProto) -> list[str]:
        """Whether the operands of an Add or Concat belong to the same pixels, or are vectors."""
        sources = [self.view.source(name) for name in node.input]
        if any(self.view.value(source).range is None for source in sources):
            return ["one of its inputs has no quantizer; put one in front of it"]
        lists = {self._lists.get(source) for source in sources}
        if len(lists) > 1:
            return [
                "its operands stand on different pixels: take all of them from behind the same SparseInputReduce or "
                "pool, and pool only what is joined already"
            ]
        return []

    def _data_input(self, add: onnx.NodeProto) -> str:
        return self.view.source(next(n for n in add.input if n not in self.view.constants))

    def _width(self, value: Value) -> list[str]:
        if value.range is None:
            return ["its result lies on no fixed-point grid; put a quantizer in front of it"]
        bits = max(value.partial, value.range.largest).bit_length()
        if bits > DOUBLE_MANTISSA:
            return [
                f"its sums need {bits} bits, more than the {DOUBLE_MANTISSA} that a float64 holds exactly; "
                "quantize its input or weights to fewer bits"
            ]
        return []


def _all_zero(value: Value) -> bool:
    return value.constant is not None and not value.constant.raw.any()


def _notices(view: View) -> list[str]:
    casts = [attribute(n, "to") for n in view.model.graph.node if n.op_type == "Cast"]
    double = view.model.graph.input[0].type.tensor_type.elem_type == TensorProto.DOUBLE or TensorProto.DOUBLE in casts
    bits = view.analysis.partial_bits
    if bits > FLOAT_MANTISSA and not double:
        return [
            f"the sums need {bits} bits, but the file computes in float32 ({FLOAT_MANTISSA} bits): "
            "ONNX Runtime may round where the firmware is exact; sparsepix-export writes such models in DOUBLE"
        ]
    return [
        f"{name}: ONNX Runtime returns it as float32, rounded; the firmware returns every bit"
        for name, output in zip(view.outputs, view.model.graph.output, strict=True)
        if output.type.tensor_type.elem_type == TensorProto.FLOAT
        and max(view.value(name).range.largest, 1).bit_length() > FLOAT_MANTISSA
    ]
