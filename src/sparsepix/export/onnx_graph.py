"""From recorded nodes to the ONNX file of the contract; onnx only, no torch.

Weights are quantized in place, every custom op gets its body, every value its shape, and where
float32 would round, the graph computes in double.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.op import DOMAIN, IR_VERSION, OPSET, QUANT_DOMAIN
from sparsepix_ops.ops.quant import OP as QUANT
from sparsepix_ops.range_analysis import DOUBLE_MANTISSA, FLOAT_MANTISSA, Analysis, analyze
from sparsepix_ops.registry import CUSTOM_OPS, RECTIFIERS, find_op
from sparsepix_ops.version import __version__

INPUT_NAME = "image"


def contract_model(
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    outputs: Mapping[str, str],
    input_shape: tuple[int, int, int],
    name: str,
    problems: Sequence[str] = (),
) -> onnx.ModelProto:
    """The recorded nodes as a file of the contract, in float32 or, where that would round, in double.

    Args:
        nodes: in order; the image is called 'image'.
        constants: by name.
        outputs: by the name that an output gets, the value that it is.
        input_shape: (channels, height, width).
        name: of the graph.
        problems: what is known to be wrong already, to be reported with what is found here.

    Raises:
        SparsePixError: everything in the graph that firmware could not carry, all at once.
    """
    nodes = _with_outputs(_alive(nodes, outputs.values()), constants, outputs)
    model = _assemble(nodes, constants, list(outputs), input_shape, name, TensorProto.FLOAT)
    analysis = analyze(model)
    problems = [*problems, *analysis.problems, *_unquantized(model, analysis)]
    if problems:
        raise SparsePixError(problems, "the model cannot be exported")
    if analysis.partial_bits > DOUBLE_MANTISSA:
        raise SparsePixError(
            f"the sums of the model need {analysis.partial_bits} bits, more than the {DOUBLE_MANTISSA} that double "
            "holds exactly: use fewer bits for weights, activations or the reciprocal"
        )
    # Quantized in place: the Quant node behind a weight then only states its format.
    quantized = dict(constants)
    for node in nodes:
        if node.op_type == "Quant" and node.input[0] in constants:
            quantized[node.input[0]] = analysis.values[node.output[0]].constant.real
    element = TensorProto.FLOAT if analysis.partial_bits <= FLOAT_MANTISSA else TensorProto.DOUBLE
    model = _assemble(nodes, quantized, list(outputs), input_shape, name, element)
    onnx.checker.check_model(model)
    return model


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


def _unquantized(model: onnx.ModelProto, analysis: Analysis) -> Iterable[str]:
    """Values that no quantizer has put on a grid, each named where it goes in."""
    for node in model.graph.node:
        op = find_op(node)
        if op is None or op is QUANT or any(i not in analysis.values for i in node.input):
            continue
        for i, name in enumerate(node.input):
            value = analysis.values[name]
            what = op.inputs[i] if i < len(op.inputs) else "input"
            if what in ("weight", "bias"):
                is_zero = value.constant is not None and not value.constant.raw.any()
                if not is_zero and not any(name in n.output for n in model.graph.node):
                    yield f"{node.name}: its {what} has no quantizer; give the layer a weight_format"
            elif name == INPUT_NAME:
                yield f"{node.name}: the image has no quantizer; put a QuantIdentity in front (input_format)"
    quantized = {n.input[0] for n in model.graph.node if n.op_type in ("Quant", *RECTIFIERS)}
    for node in model.graph.node:
        if node.op_type in ("SparseAvgPool2d", "SparseGlobalAvgPool2d") and node.output[0] not in quantized:
            yield (
                f"{node.name}: the pooled average has no quantizer, so each of its products would go on at full "
                "width; give the pool a format (pool_format)"
            )


def _assemble(
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    outputs: Sequence[str],
    input_shape: tuple[int, int, int],
    name: str,
    element: int,
) -> onnx.ModelProto:
    """The model in one floating-point type; the image always comes in float32."""
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
    graph = helper.make_graph(body, name, [graph_input], graph_outputs, tensors)
    functions = [op.function() for op in (*CUSTOM_OPS, QUANT) if any(find_op(n) is op for n in body)]
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1), helper.make_opsetid(QUANT_DOMAIN, 1)]
    model = helper.make_model(
        graph,
        opset_imports=opsets,
        functions=functions,
        ir_version=IR_VERSION,
        producer_name="sparsepix",
        producer_version=__version__,
    )
    for value_name, value in analyze(model).values.items():
        if value_name in constants or value_name == INPUT_NAME or not value.shape:
            continue
        shape = [d if d is not None else "batch" for d in value.shape]
        kind = TensorProto.INT64 if value.coords else element
        info = helper.make_tensor_value_info(value_name, kind, shape)
        if value_name in outputs:
            model.graph.output[list(outputs).index(value_name)].CopyFrom(info)
        else:
            model.graph.value_info.append(info)
    return model
