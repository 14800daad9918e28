"""From recorded nodes to the ONNX file of the contract; onnx only, no torch.

Weights are quantized in place, every custom op gets its body, every value its shape, and where
float32 would round, the graph computes in double.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.op import DOMAIN, IR_VERSION, OPSET, QUANT_DOMAIN, Kind
from sparsepix_ops.ops.quant import OP as QUANT
from sparsepix_ops.range_analysis import FLOAT_MANTISSA, Analysis, analyze
from sparsepix_ops.registry import CUSTOM_OPS, find_op
from sparsepix_ops.rules import (
    PixelLists,
    constant_names,
    too_wide,
    unquantized_image,
    unquantized_result,
    unquantized_weights,
)
from sparsepix_ops.version import __version__

INPUT_NAME = "image"


def contract_model(
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    outputs: Mapping[str, str],
    input_shape: tuple[int, int, int],
    name: str,
    problems: Sequence[str] = (),
) -> tuple[onnx.ModelProto, Analysis]:
    """The recorded nodes as a file of the contract, in float32 or, where that would round, in double.

    Args:
        nodes: in order; the image is called 'image'.
        constants: by name.
        outputs: by the name that an output gets, the value that it is.
        input_shape: (channels, height, width).
        name: of the graph.
        problems: what is known to be wrong already, to be reported with what is found here.

    Returns:
        The model, and what is known of its values.

    Raises:
        SparsePixError: everything in the graph that firmware could not carry, all at once.
    """
    nodes = _with_outputs(_alive(nodes, outputs.values()), constants, outputs)
    recorded = onnx.ModelProto(graph=_graph(nodes, constants, outputs, input_shape, name, TensorProto.FLOAT))
    analysis = analyze(recorded)
    problems = [*problems, *analysis.problems, *_problems(recorded, analysis)]
    if problems:
        raise SparsePixError(problems, "the model cannot be exported")
    # Quantized in place: the Quant node after a weight then only states its format.
    quantized = dict(constants)
    for node in nodes:
        if find_op(node).kind is Kind.QUANTIZER and node.input[0] in constants:
            quantized[node.input[0]] = analysis.values[node.output[0]].constant.real
    element = TensorProto.FLOAT if analysis.partial_bits <= FLOAT_MANTISSA else TensorProto.DOUBLE
    model = _model(_graph(nodes, quantized, outputs, input_shape, name, element))
    # Once more, of the file as it is written.
    analysis = analyze(model)
    _state_types(model, analysis, element)
    onnx.checker.check_model(model)
    return model, analysis


def _alive(nodes: Sequence[onnx.NodeProto], outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on."""
    used, alive = set(outputs), []
    for node in reversed(nodes):
        if used & set(node.output):
            alive.append(node)
            used |= set(node.input)
    return alive[::-1]


def _with_outputs(
    nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray], outputs: Mapping[str, str]
) -> list[onnx.NodeProto]:
    """The nodes with the values that are outputs called so; a value that is returned twice is copied.

    Raises:
        SparsePixError: an output has the name of another value.
    """
    names: dict[str, str] = {}
    for output, value in outputs.items():
        names.setdefault(value, output)
    values = {INPUT_NAME, *constants, *(o for node in nodes for o in node.output)} - set(names)
    problems = [
        f"the output {output!r} has the name of another value of the model: give the dict that it returns another key"
        for output in outputs
        if output in values
    ]
    if problems:
        raise SparsePixError(problems, "the model cannot be exported")
    copies = [
        helper.make_node("Identity", [names[value]], [output], name=f"{output}/Identity")
        for output, value in outputs.items()
        if names[value] != output
    ]
    return [*_renamed(nodes, names), *copies]


def _renamed(nodes: Sequence[onnx.NodeProto], names: dict[str, str]) -> list[onnx.NodeProto]:
    """Copies of nodes with some values renamed."""
    copies = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [names.get(i, i) for i in node.input]
        copy.output[:] = [names.get(o, o) for o in node.output]
        copies.append(copy)
    return copies


def _problems(model: onnx.ModelProto, analysis: Analysis) -> Iterator[str]:
    """What the rules of the contract say against each node."""
    values, constants = analysis.values, constant_names(model)
    nodes = [(node, op) for node in model.graph.node if (op := find_op(node)) is not None]
    quantized = {n.input[0] for n, op in nodes if op.kind in (Kind.QUANTIZER, Kind.RECTIFIER)}
    lists = PixelLists(analysis)
    unlisted: set[str] = set()  # values whose pixels are not known, since something is wrong before them
    for node, op in nodes:
        messages = unquantized_result(node, op, quantized)
        if all(name in values for name in node.input):
            messages += unquantized_weights(node, op, values.get, constants)
            messages += unquantized_image(op, node.input, INPUT_NAME)
        if all(name in values for name in node.output) and not constants.issuperset(node.output):
            messages += too_wide(values[node.output[0]])
            wrong = [] if unlisted.intersection(node.input) else lists.visit(node, op)
            messages += wrong
            if wrong or unlisted.intersection(node.input):
                unlisted |= set(node.output)
        else:
            unlisted |= set(node.output) - constants
        yield from (f"{node.name}: {message}" for message in messages)


def _graph(
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    outputs: Iterable[str],
    input_shape: tuple[int, int, int],
    name: str,
    element: int,
) -> onnx.GraphProto:
    """The nodes in one floating-point type; the image always comes in float32."""
    body = list(nodes)
    dtype = helper.tensor_dtype_to_np_dtype(element)
    if element == TensorProto.DOUBLE:
        wide = f"{INPUT_NAME}_double"
        cast = helper.make_node("Cast", [INPUT_NAME], [wide], name="to_double/Cast", to=TensorProto.DOUBLE)
        body = [cast, *_renamed(nodes, {INPUT_NAME: wide})]
    used = {i for node in body for i in node.input}
    tensors = [numpy_helper.from_array(np.asarray(a, dtype=dtype), n) for n, a in constants.items() if n in used]
    graph_input = helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["batch", *input_shape])
    graph_outputs = [helper.make_tensor_value_info(output, element, ["batch", None]) for output in outputs]
    return helper.make_graph(body, name, [graph_input], graph_outputs, tensors)


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    """A graph with the bodies of its ops."""
    used = {find_op(node) for node in graph.node}
    functions = [op.function() for op in (*CUSTOM_OPS, QUANT) if op in used]
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1), helper.make_opsetid(QUANT_DOMAIN, 1)]
    return helper.make_model(
        graph,
        opset_imports=opsets,
        functions=functions,
        ir_version=IR_VERSION,
        producer_name="sparsepix",
        producer_version=__version__,
    )


def _state_types(model: onnx.ModelProto, analysis: Analysis, element: int) -> None:
    """Write the types of all computed values into a model."""
    outputs = {output.name: output for output in model.graph.output}
    given = {INPUT_NAME, *(i.name for i in model.graph.initializer)}
    for name, value in analysis.values.items():
        if name in given or not value.shape:
            continue
        shape = [d if d is not None else "batch" for d in value.shape]
        info = helper.make_tensor_value_info(name, TensorProto.INT64 if value.coords else element, shape)
        if name in outputs:
            outputs[name].CopyFrom(info)
        else:
            model.graph.value_info.append(info)
