"""Range analysis: for every value of a model, the integers that it can be.

From it come the widths of the accumulators, the formats of the firmware's arrays, and the answer
to whether floating point computes the model exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray
from sparsepix_ops.op import Kind, Op, Value, is_coords, shape_of_type
from sparsepix_ops.registry import find_op, unsupported

FLOAT_MANTISSA = 24
DOUBLE_MANTISSA = 53


@dataclass(frozen=True, eq=False)
class Analysis:
    """What is known of a model.

    Args:
        values: by name, for every value that could be derived.
        problem_of: by the name of its first output or of the constant, one message for each node that
            could not be derived and each constant that is not finite; the message names it.
    """

    values: dict[str, Value]
    problem_of: dict[str, str]

    @property
    def problems(self) -> tuple[str, ...]:
        """All messages, in the order of the graph."""
        return tuple(self.problem_of.values())

    @property
    def partial_bits(self) -> int:
        """Bits of the largest integer that any sum on the way can reach."""
        return max((v.partial.bit_length() for v in self.values.values()), default=0)


def label(node: onnx.NodeProto) -> str:
    """How messages name a node."""
    return f"{node.name or node.output[0]} ({node.op_type})"


def constants_of(model: onnx.ModelProto) -> tuple[dict[str, Value], dict[str, str]]:
    """Every initializer as a value, and by name a message for each that holds NaN or infinity."""
    constants, problems = {}, {}
    for initializer in model.graph.initializer:
        array = numpy_helper.to_array(initializer)
        constants[initializer.name] = Value(array.shape)
        if array.dtype.kind not in "fiu":
            continue
        array = array.astype(np.float64)
        if not np.isfinite(array).all():
            problems[initializer.name] = f"{initializer.name}: expected finite weights, found NaN or infinity"
            continue
        try:
            constant = FixedArray.from_real(array)
            constants[initializer.name] = Value(array.shape, constant.range, None, constant)
        except SparsePixError:  # on no grid of 62 bits, as raw float weights in front of their quantizer
            constants[initializer.name] = Value(array.shape, real=array)
    return constants, problems


def _check_inputs(op: Op, inputs: Sequence[Value]) -> None:
    """Raise SparsePixError unless a node has the inputs that its op expects."""
    names = op.inputs_of(len(inputs))
    if not len(names) - op.optional <= len(inputs) <= len(names):
        raise SparsePixError(f"it must have {len(names)} inputs {names}, found {len(inputs)}")
    for name, value in zip(names, inputs, strict=False):
        if value.coords != is_coords(name) and op.kind is not Kind.COPY:
            found = "coordinates" if value.coords else "no coordinates of an InputReduce or a pool"
            raise SparsePixError(f"its input {name!r} is fed with {found}")
        if (name == "features" or is_coords(name)) and len(value.shape) != 3:
            raise SparsePixError(f"its {name} must have 3 axes (B, N, channels), found shape {value.shape}")


def analyze(model: onnx.ModelProto) -> Analysis:
    """Follow the ranges through a model.

    Never raises for a fault of the model: everything that is wrong is listed in ``problems``.
    """
    values, problems = constants_of(model)
    for graph_input in model.graph.input:
        if graph_input.name not in values:
            values[graph_input.name] = Value(shape_of_type(graph_input.type))
    for node in model.graph.node:
        op = find_op(node)
        if op is None:
            problems[node.output[0]] = f"{label(node)}: {unsupported(node)}"
            continue
        if any(name not in values for name in node.input if name):
            continue  # the cause has been reported at its own node
        inputs = [values[name] for name in node.input if name]
        try:
            _check_inputs(op, inputs)
            outputs = op.bound(inputs, op.read_attributes(node))
        except SparsePixError as error:
            problems[node.output[0]] = f"{label(node)}: {error}"
            continue
        values.update(zip(node.output, outputs, strict=False))
    return Analysis(values, problems)
