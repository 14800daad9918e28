"""Types and shapes of the values of a model, our ops included.

``onnx.shape_inference`` knows an op of ours only if a schema is registered for the whole process, and a schema named
like a standard op (LeakyRelu) then misleads ``onnx.reference`` and ``onnxruntime.quantization`` for every other model.
"""

import onnx
from onnx import helper

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.op import Value, shape_of_type
from sparsepix_ops.registry import find_op

Types = dict[str, onnx.TypeProto]


def value_types(model: onnx.ModelProto) -> Types:
    """The type of each value of a model, by name; those that cannot be derived are taken from the file or left out.

    Args:
        model: its nodes in order; a batch axis may be open.
    """
    graph = model.graph
    constants = {i.name: i for i in graph.initializer}
    types = {v.name: v.type for v in (*graph.value_info, *graph.output, *graph.input)}
    types |= {i.name: helper.make_tensor_type_proto(i.data_type, list(i.dims)) for i in graph.initializer}
    versions = {("" if o.domain == "ai.onnx" else o.domain): o.version for o in model.opset_import}
    for node in graph.node:
        if all(name in types for name in node.input if name):
            op = find_op(node)
            types |= _of_ours(node, types) if op is not None and op.body else _of_onnx(node, types, constants, versions)
    return types


def _of_ours(node: onnx.NodeProto, types: Types) -> Types:
    """Types of the outputs of a node of our ops or of Quant; empty if its inputs do not fit."""
    op = find_op(node)
    assert op is not None
    values = [Value(shape_of_type(types[name])) for name in node.input]
    if not all(v.shape for v in values[:1]):
        return {}
    try:
        outputs = op.bound(values, op.read_attributes(node))
    except SparsePixError:
        return {}
    batch = types[node.input[0]].tensor_type.shape.dim[0]
    first = batch.dim_param if batch.HasField("dim_param") else None
    element = types[node.input[0]].tensor_type.elem_type
    found = {}
    for name, value in zip(node.output, outputs, strict=False):
        shape = [first if size is None and axis == 0 else size for axis, size in enumerate(value.shape)]
        kind = onnx.TensorProto.INT64 if value.coords else element
        found[name] = helper.make_tensor_type_proto(kind, shape)
    return found


def _of_onnx(
    node: onnx.NodeProto, types: Types, constants: dict[str, onnx.TensorProto], versions: dict[str, int]
) -> Types:
    """Types of the outputs of a standard node; empty if onnx cannot tell."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    if not onnx.defs.has(node.op_type, domain=domain) or domain not in versions:
        return {}
    schema = onnx.defs.get_schema(node.op_type, max_inclusive_version=versions[domain], domain=domain)
    imports = [helper.make_opsetid(name, version) for name, version in versions.items()]
    own = {name: types[name] for name in node.input if name}
    try:
        found = onnx.shape_inference.infer_node_outputs(schema, node, own, constants, opset_imports=imports)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError):
        return {}
    return {name: kind for name, kind in found.items() if kind.tensor_type.HasField("shape")}
