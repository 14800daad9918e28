"""The ops as QONNX ``CustomOp`` classes, for ``qonnx-exec`` and the QONNX transformations.

QONNX finds them by importing the module that the ONNX domain names and reading its ``custom_op``
dictionary; the package offers that name lazily, because QONNX is not a dependency.
"""

from typing import Any

import numpy as np
import onnx
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.base import CustomOp

from sparsepix_ops.analysis import analyze
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.op import Op, Value
from sparsepix_ops.registry import CUSTOM_OPS


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
        # QONNX swaps the node for a standard one of the same shapes while it infers shapes.
        node = self.onnx_node
        values = [Value(tuple(model.get_tensor_shape(name))) for name in node.input]
        outputs = op.bound(values, attributes_of(self))
        for name, value in zip(node.output, outputs, strict=True):
            element = onnx.TensorProto.INT64 if value.coords else onnx.TensorProto.FLOAT
            model.set_tensor_shape(name, list(value.shape), element)
        split = helper.make_node("Split", [node.input[0]], list(node.output), num_outputs=len(node.output))
        return (
            helper.make_node("RandomNormal", [], list(node.output), shape=list(outputs[0].shape))
            if (len(outputs) == 1)
            else split
        )

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


custom_op: dict[str, type[CustomOp]] = {op.name: _make_class(op) for op in CUSTOM_OPS}
