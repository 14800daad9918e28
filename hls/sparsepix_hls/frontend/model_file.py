"""From a file to an ONNX model in plain form: valid, constants as initializers, nothing in it unused."""

from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from sparsepix_hls.frontend.file_checks import file_problems
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.range_analysis import label

_OVERRIDABLE = 4  # IR version; before it every weight had to be an input


def load(path: Path) -> onnx.ModelProto:
    """Read and check an ONNX file.

    Raises:
        SparsePixError: there is no such file, it is no ONNX file, or it is damaged.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise SparsePixError(f"{path}: expected an ONNX file, found {found}")
    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except (DecodeError, ValueError):
        raise SparsePixError(
            f"{path}: not an ONNX file, or a damaged one; make it with sparsepix-export model.pt"
        ) from None
    # Protobuf takes an empty or cut file for a message with fewer fields.
    if not model.HasField("graph") or not model.graph.node:
        raise SparsePixError(f"{path}: not an ONNX file, or a damaged one: it holds no graph with nodes")
    problems = file_problems(model, path.parent)
    if problems:
        raise SparsePixError(list(dict.fromkeys(problems)), f"{path}: not a usable ONNX model")
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SparsePixError(f"{path}: not a valid ONNX model: {reason}") from None
    return model


def tidy(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """A copy with Constant nodes as initializers and without nodes that nothing uses.

    Returns:
        The copy, and a notice for each layer that was left out.
    """
    tidied = onnx.ModelProto()
    tidied.CopyFrom(model)
    graph = tidied.graph
    nodes = []
    for node in graph.node:
        tensor = _constant(node)
        if tensor is not None:
            graph.initializer.append(tensor)
        else:
            nodes.append(node)
    needed = {output.name for output in graph.output}
    kept, notices = [], []
    for node in reversed(nodes):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
        else:
            notices.append(f"{label(node)}: left out, nothing uses its result")
    used = [i for i in graph.initializer if i.name in needed]
    kept = [onnx.NodeProto.FromString(n.SerializeToString()) for n in reversed(kept)]
    used = [onnx.TensorProto.FromString(i.SerializeToString()) for i in used]
    del graph.node[:]
    del graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(used)
    constants = {i.name for i in graph.initializer}
    notices += [
        f"{i.name}: it is an input of the file too, which ONNX Runtime lets one override; the firmware has the value "
        "of the file"
        for i in graph.input
        if i.name in constants and model.ir_version >= _OVERRIDABLE
    ]
    inputs = [onnx.ValueInfoProto.FromString(i.SerializeToString()) for i in graph.input if i.name not in constants]
    del graph.input[:]
    graph.input.extend(inputs)
    return tidied, notices[::-1]


def _constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or len(node.attribute) != 1:
        return None
    value = onnx.helper.get_attribute_value(node.attribute[0])
    if not isinstance(value, onnx.TensorProto):
        kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
        if node.attribute[0].name not in kinds:
            return None
        value = numpy_helper.from_array(np.array(value, dtype=kinds[node.attribute[0].name]))
    tensor = onnx.TensorProto()
    tensor.CopyFrom(value)
    tensor.name = node.output[0]
    return tensor
