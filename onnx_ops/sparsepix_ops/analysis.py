"""Range analysis: for every value of a model, the integers that it can be.

From it come the widths of the accumulators, the formats of the firmware's arrays, and the answer
to whether floating point computes the model exactly.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray
from sparsepix_ops.op import Value, shape_of_type
from sparsepix_ops.registry import find_op

FLOAT_MANTISSA = 24
DOUBLE_MANTISSA = 53


@dataclass(frozen=True, eq=False)
class Analysis:
    """What is known of a model.

    Args:
        values: by name, for every value that could be derived.
        problems: one message for each node that could not, naming the node.
    """

    values: dict[str, Value]
    problems: tuple[str, ...]

    @property
    def partial_bits(self) -> int:
        """Bits of the largest integer that any sum on the way can reach."""
        return max((v.partial.bit_length() for v in self.values.values()), default=0)


def label(node: onnx.NodeProto) -> str:
    """How messages name a node."""
    return f"{node.name or node.output[0]} ({node.op_type})"


def constants_of(model: onnx.ModelProto) -> tuple[dict[str, FixedArray], list[str]]:
    """Every initializer as exact fixed-point values, and a message for each that holds NaN or infinity."""
    constants, problems = {}, []
    for initializer in model.graph.initializer:
        array = numpy_helper.to_array(initializer)
        if array.dtype.kind not in "fiu":
            continue
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            problems.append(f"{initializer.name}: expected finite weights, found NaN or infinity")
            continue
        # Weights that no grid of 62 bits holds stay unknown: a quantizer is missing behind them.
        try:
            constants[initializer.name] = FixedArray.from_real(array)
        except SparsePixError:
            continue
    return constants, problems


def analyze(model: onnx.ModelProto) -> Analysis:
    """Follow the ranges through a model.

    Never raises for a fault of the model: everything that is wrong is listed in ``problems``.
    """
    constants, problems = constants_of(model)
    values = {name: Value(constant.shape, constant.range, None, constant) for name, constant in constants.items()}
    for graph_input in model.graph.input:
        if graph_input.name not in values:
            values[graph_input.name] = Value(shape_of_type(graph_input.type))
    for initializer in model.graph.initializer:
        values.setdefault(initializer.name, Value(tuple(initializer.dims)))
    for node in model.graph.node:
        op = find_op(node)
        if op is None:
            problems.append(f"{label(node)}: the op {node.domain or 'ai.onnx'}::{node.op_type} is not supported")
            continue
        if any(name not in values for name in node.input):
            continue  # the cause has been reported where it stands
        inputs = [values[name] for name in node.input if name]
        try:
            outputs = op.bound(inputs, op.read_attributes(node))
        except SparsePixError as error:
            problems.append(f"{label(node)}: {error}")
            continue
        values.update(zip(node.output, outputs, strict=False))
    return Analysis(values, tuple(problems))
