"""All reasons why a model cannot become firmware, found in one go."""

import onnx
from onnx import TensorProto

from sparsepix_hls.frontend.file_checks import type_text
from sparsepix_hls.frontend.model_view import TRANSPARENT, View, attribute
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.op import Kind, Op, Value
from sparsepix_ops.range_analysis import FLOAT_MANTISSA, label
from sparsepix_ops.registry import find_op
from sparsepix_ops.rules import PixelLists, too_wide, unquantized_image, unquantized_weights

_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)


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
    """Walks through the nodes; what depends on a broken value is not reported a second time."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.problems: list[str] = []
        self.reduces = 0
        self.image_quants: set[str] = set()
        self._lists = PixelLists(view.analysis)
        self._broken = {name for name in view.analysis.problem_of if name in view.constants}
        inner = {name for node in view.model.graph.node for name in node.output}
        self.problems += [m for name, m in view.analysis.problem_of.items() if name not in inner]

    def visit(self, node: onnx.NodeProto) -> None:
        """Check one node."""
        op = find_op(node)
        found = self.view.analysis.problem_of.get(node.output[0])
        inputs = [name for name in node.input if name]
        broken = any(n in self._broken or self.view.value(n) is None for n in inputs)
        messages = [] if op is None else unquantized_weights(node, op, self._unbroken, self.view.constants)
        if messages:
            messages += self._alone(node, op)
        elif found is not None:
            messages = [found.removeprefix(f"{label(node)}: ")]
        elif broken:
            messages = self._alone(node, op)
        elif len([n for n in node.output if n]) != len(op.outputs):
            messages = [f"it must have {len(op.outputs)} outputs, found {len(node.output)}"]
        elif not all(name in self.view.constants for name in node.output) or node.op_type in TRANSPARENT:
            messages = self._rules(node, op)
        if messages or broken:
            self._broken |= set(node.output)
        self.problems += [f"{label(node)}: {message}" for message in messages]

    def _unbroken(self, name: str) -> Value | None:
        return None if name in self._broken else self.view.value(name)

    def _alone(self, node: onnx.NodeProto, op: Op) -> list[str]:
        """What is wrong with a node whatever its inputs are."""
        try:
            attributes = op.read_attributes(node)
            if op.check is not None:
                op.check([self.view.value(name) or Value() for name in node.input], attributes)
        except SparsePixError as error:
            return [str(error)]
        return []

    def _rules(self, node: onnx.NodeProto, op: Op) -> list[str]:
        """What the firmware requires beyond the contract of the ops; also follows the lists of pixels."""
        if op.kind is Kind.CAST and (to := attribute(node, "to")) not in _FLOATS:
            return [f"a Cast to {type_text(to)} changes values; only FLOAT and DOUBLE do not"]
        if op.kind in (Kind.CAST, Kind.COPY):
            return self._lists.visit(node, op)
        sources = [self.view.source(name) for name in node.input]
        value = self.view.value(sources[0])
        if op.kind is Kind.INPUT:
            messages = self._input(op, sources)
        elif len(value.shape) == 4:
            if op.kind is Kind.QUANTIZER and sources[0] == self.view.image:
                return []
            messages = ["it works on the image; only one quantizer may be in front of the SparseInputReduce"]
        elif value.range is None:
            messages = ["its input has no quantizer; put one in front of it"]
        elif op.kind is Kind.HEAD:
            at_end = node.output[0] in self.view.outputs and not self.view.consumers.get(node.output[0])
            messages = [] if at_end else [f"a {op.name} can only be at the very end of a model"]
        else:
            messages = self._join(node, sources) if op.kind is Kind.JOIN else []
        messages = messages or self._lists.visit(node, op)
        return messages or self._width(self.view.value(node.output[0]))

    def _input(self, op: Op, sources: list[str]) -> list[str]:
        self.reduces += 1
        messages = unquantized_image(op, sources, self.view.image)
        if messages:
            return messages
        quant = self.view.producers.get(sources[0])
        makes = None if quant is None else find_op(quant)
        if makes is None or makes.kind is not Kind.QUANTIZER or self.view.source(quant.input[0]) != self.view.image:
            return ["one quantizer, and nothing else, must be between the image and the SparseInputReduce"]
        self.image_quants.add(sources[0])
        if len(self.image_quants) > 1:
            return [f"the image must have one quantizer, found {sorted(self.image_quants)}"]
        return []

    def _join(self, node: onnx.NodeProto, sources: list[str]) -> list[str]:
        if self.view.adds_constant(node):
            matmul = self.view.producers.get(self._data_input(node))
            if matmul is None or matmul.op_type != "MatMul" or self.view.bias_add_of(matmul) is not node:
                return ["a constant may only be added as the bias after a MatMul"]
        elif any(self.view.value(source).range is None for source in sources):
            return ["one of its inputs has no quantizer; put one in front of it"]
        return []

    def _data_input(self, add: onnx.NodeProto) -> str:
        return self.view.source(next(n for n in add.input if n not in self.view.constants))

    def _width(self, value: Value) -> list[str]:
        if value.range is None:
            return ["its result lies on no fixed-point grid; put a quantizer in front of it"]
        return too_wide(value)


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
