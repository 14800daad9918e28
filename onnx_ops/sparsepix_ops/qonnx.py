"""The ops as QONNX ``CustomOp`` classes, for ``qonnx-exec`` and the QONNX transformations.

QONNX finds them by importing the module that the ONNX domain names and reading its ``custom_op``
dictionary; the package offers that name lazily, because QONNX is not a dependency.

QONNX executes with a fixed batch size, and our files leave it open: ``qonnx-exec model.onnx images.npy
--override-batchsize 1`` gives them one. Models that compute in DOUBLE need ``MakeExecutable`` first.
"""

from typing import Any

import numpy as np
import onnx
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.base import CustomOp
from qonnx.transformation.base import Transformation

from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.op import Op, Value
from sparsepix_ops.ops.quant import OP as QUANT
from sparsepix_ops.range_analysis import analyze
from sparsepix_ops.registry import CUSTOM_OPS, find_op
from sparsepix_ops.shapes import value_types


def qonnx_type(fmt: FixedPoint | None) -> Any:
    """The QONNX data type of a format; FLOAT32 where there is none."""
    if fmt is None or not fmt.signed:
        return DataType["FLOAT32"]  # QONNX has no unsigned fixed-point type
    return DataType[f"FIXED<{fmt.width},{fmt.integer}>"]


def _make_class(op: Op) -> type[CustomOp]:
    kinds = {"int": "i", "ints": "ints", "float": "f", "string": "s"}

    def get_nodeattr_types(_: CustomOp) -> dict[str, tuple]:
        empty = {"int": 0, "ints": [], "float": 0.0, "string": ""}
        return {
            name: (
                kinds[a.kind],
                a.default is None,
                empty[a.kind] if a.default is None else a.default,
                *([set(a.choices)] if a.choices else []),
            )
            for name, a in op.attributes.items()
        }

    def attributes_of(self: CustomOp) -> dict[str, Any]:
        return op.read_attributes(self.onnx_node)

    def make_shape_compatible_op(self: CustomOp, model: ModelWrapper) -> onnx.NodeProto:
        # QONNX swaps the node for another while onnx infers the shapes of the rest. onnx skips an op that
        # nobody defines, and takes the types of its outputs from the file, where an axis may stay open.
        node = self.onnx_node
        types = value_types(model.model)
        for name in node.output:
            if name in types:
                tensor = types[name].tensor_type
                shape = [d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in tensor.shape.dim]
                model.set_tensor_shape(name, shape, tensor.elem_type)
        return helper.make_node(f"{node.op_type}Shapes", list(node.input), list(node.output), domain=node.domain)

    def infer_node_datatype(self: CustomOp, model: ModelWrapper) -> None:
        known = analyze(model.model).values
        for name in self.onnx_node.output:
            value = known.get(name, Value())
            model.set_tensor_datatype(name, DataType["INT64"] if value.coords else qonnx_type(value.format))

    def execute_node(self: CustomOp, context: dict[str, np.ndarray], _: onnx.GraphProto) -> None:
        node = self.onnx_node
        inputs = [context[name] for name in node.input]
        # float64 holds every partial sum that the range analysis admits
        wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in inputs]
        outputs = op.compute(wide, attributes_of(self))
        for name, value in zip(node.output, outputs, strict=True):
            context[name] = value.astype(inputs[0].dtype) if value.dtype.kind == "f" else value

    def verify_node(self: CustomOp) -> list[str]:
        attributes_of(self)
        return [f"{op.name}: all attributes are there"]

    methods = (get_nodeattr_types, make_shape_compatible_op, infer_node_datatype, execute_node, verify_node)
    return type(op.name, (CustomOp,), {"__doc__": f"QONNX class of ``{op.name}``."} | {m.__name__: m for m in methods})


class MakeExecutable(Transformation):
    """Make a model fit for ``execute_onnx``: fix its batch size, and cast where it computes in DOUBLE.

    QONNX's Quant returns float32 whatever it is given. That is exact up to 24 bits, but the next node of
    a DOUBLE model expects a double, so a Cast goes between them.

    Args:
        batch_size: 1 or more.
    """

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Change the model; it is complete after one pass."""
        types = value_types(model.model)
        fixed = onnx.ModelProto()
        fixed.CopyFrom(model.model)
        graph = fixed.graph
        for value in (*graph.input, *graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = self.batch_size
        del graph.value_info[:], graph.node[:]
        singles = []
        for node in model.graph.node:
            graph.node.append(node)
            output = node.output[0]
            if find_op(node) is QUANT and types[output].tensor_type.elem_type == onnx.TensorProto.DOUBLE:
                singles.append(f"{output}_single")
                graph.node[-1].output[0] = singles[-1]
                graph.node.append(helper.make_node("Cast", singles[-1:], [output], to=onnx.TensorProto.DOUBLE))
        types = value_types(fixed)
        for name in (*(o for node in graph.node for o in node.output),):
            if name in types and name not in {o.name for o in graph.output}:
                graph.value_info.append(helper.make_value_info(name, types[name]))
                if name in singles:
                    graph.value_info[-1].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        return ModelWrapper(fixed), False


custom_op: dict[str, type[CustomOp]] = {op.name: _make_class(op) for op in CUSTOM_OPS}
