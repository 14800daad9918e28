"""What an ONNX file must hold before anything reads its numbers: names, types, sizes, opsets, function bodies."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from onnx import AttributeProto, TensorProto
from onnx.external_data_helper import ExternalDataInfo

from sparsepix_ops.bodies import DOMAIN_VERSION, GRAPH_OPSETS, body_problems
from sparsepix_ops.op import DOMAIN, QUANT_DOMAIN
from sparsepix_ops.registry import find_op

_VERSIONS = {"": GRAPH_OPSETS, DOMAIN: range(DOMAIN_VERSION, DOMAIN_VERSION + 1), QUANT_DOMAIN: range(1, 3)}
_GRAPHS = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
_MOST_CHARACTERS = 40  # of a name in a message
# Bytes of an element, and the repeated field that holds elements where there are no raw bytes.
_ELEMENTS = {
    TensorProto.FLOAT: (4, "float_data"),
    TensorProto.DOUBLE: (8, "double_data"),
    TensorProto.FLOAT16: (2, "int32_data"),
    TensorProto.BFLOAT16: (2, "int32_data"),
    TensorProto.INT8: (1, "int32_data"),
    TensorProto.INT16: (2, "int32_data"),
    TensorProto.INT32: (4, "int32_data"),
    TensorProto.INT64: (8, "int64_data"),
    TensorProto.UINT8: (1, "int32_data"),
    TensorProto.UINT16: (2, "int32_data"),
    TensorProto.UINT32: (4, "uint64_data"),
    TensorProto.UINT64: (8, "uint64_data"),
    TensorProto.BOOL: (1, "int32_data"),
}


def file_problems(model: onnx.ModelProto, folder: Path) -> list[str]:
    """Everything that makes a file unusable whatever network it holds.

    Args:
        model: as it was parsed, external data not read yet.
        folder: where the file lies.
    """
    problems = list(_names(model))
    if problems:
        return problems  # what follows would print them
    graph = model.graph
    problems += _opsets(model)
    if graph.sparse_initializer:
        problems.append("expected dense weights, found sparse_initializer: write them as plain tensors")
    problems += _twice("weights", (i.name for i in graph.initializer))
    problems += _twice("inputs", (i.name for i in graph.input))
    problems += _twice("outputs", (o.name for o in graph.output))
    for tensor in graph.initializer:
        problems += tensor_problems(tensor, folder)
    for value in (*graph.input, *graph.output):
        problems += _dimensions(value)
    for node in graph.node:
        problems += _node(node, folder)
    for value in graph.input:
        sizes = [d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim]
        if 0 in sizes[1:]:
            problems.append(f"{value.name}: expected an image with pixels and channels, found shape {_short(sizes)}")
    made = {name for node in graph.node for name in node.output}
    problems += [
        f"{output.name}: expected an output that a layer computes, found "
        + ("an input of the model" if output.name in {i.name for i in graph.input} else "a constant or nothing")
        for output in graph.output
        if output.name and output.name not in made
    ]
    return [*problems, *body_problems(model)]


def tensor_problems(tensor: onnx.TensorProto, folder: Path) -> Iterator[str]:
    """Why the data of a tensor are not what its type and shape say."""
    name = tensor.name or "a tensor without a name"
    if tensor.data_type not in _ELEMENTS:
        yield f"{name}: expected numbers, found element type {type_text(tensor.data_type)}"
        return
    if any(size < 0 for size in tensor.dims):
        yield f"{name}: expected a shape without negative numbers, found {_short(list(tensor.dims))}"
        return
    width, field = _ELEMENTS[tensor.data_type]
    count = math.prod(tensor.dims)
    shape = f"shape {_short(list(tensor.dims))} of {type_text(tensor.data_type)} takes {count * width:,} bytes"
    if tensor.data_location == TensorProto.EXTERNAL:
        yield from (f"{name}: {problem}" for problem in _external(tensor, folder, count * width, shape))
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != count * width:
            yield f"{name}: {shape}, found {len(tensor.raw_data):,}: the file is damaged"
    elif len(getattr(tensor, field)) != count:
        yield (
            f"{name}: shape {_short(list(tensor.dims))} has {count:,} numbers, found {len(getattr(tensor, field)):,}: "
            "the file is damaged"
        )


def _external(tensor: onnx.TensorProto, folder: Path, size: int, shape: str) -> Iterator[str]:
    try:
        info = ExternalDataInfo(tensor)
        offset, length = int(info.offset or 0), None if info.length is None else int(info.length)
    except (ValueError, TypeError):
        yield "its external data have an offset or a length that is no number"
        return
    location = Path(info.location)
    path = (folder / location).resolve()
    if not info.location or location.is_absolute() or not path.is_relative_to(folder.resolve()):
        yield f"its external data must lie in the folder of the file, found {info.location!r}"
    elif not path.is_file():
        yield f"its external data are in {info.location!r}, and there is no such file beside the model"
    else:
        rest = path.stat().st_size - max(offset, 0)
        found = rest if length is None else min(length, rest)
        if offset < 0 or found != size:
            yield f"{shape}, found {max(found, 0):,} in {info.location!r}: one of the two is damaged"


def _names(model: onnx.ModelProto) -> Iterator[str]:
    """Names that are empty or no text: protobuf hands out bytes that are not UTF-8 as bytes."""
    graph = model.graph
    named: list[tuple[str, Iterable[object], bool]] = [
        ("a weight", (i.name for i in graph.initializer), True),
        ("an input", (i.name for i in graph.input), True),
        ("an output", (o.name for o in graph.output), True),
        ("a node", (n.name for n in graph.node), False),
        ("an op", (n.op_type for n in graph.node), True),
        ("a domain", (n.domain for n in graph.node), False),
        ("an overload", (n.overload for n in graph.node), False),
        ("an attribute", (a.name for n in graph.node for a in n.attribute), True),
        ("a value", (name for n in graph.node for name in (*n.input, *n.output)), False),
        ("an opset", (o.domain for o in model.opset_import), False),
        ("a function", (x for f in model.functions for x in (f.name, f.domain)), False),
        ("a size", (d.dim_param for v in (*graph.input, *graph.output) for d in v.type.tensor_type.shape.dim), False),
    ]
    for what, names, needed in named:
        for name in names:
            if not isinstance(name, str):
                yield f"the name of {what} is not UTF-8: {_short(name)}"
            elif needed and not name:
                yield f"{what} has no name"
            elif any(ord(c) < 32 for c in name):
                yield f"the name of {what} has control characters: {_short(name)}"


def _opsets(model: onnx.ModelProto) -> Iterator[str]:
    domains = ["" if o.domain == "ai.onnx" else o.domain for o in model.opset_import]
    for domain, count in Counter(domains).items():
        if count > 1:
            yield f"the version of {_ops_of(domain)} is given {count} times"
    for domain, entry in zip(domains, model.opset_import, strict=True):
        known = _VERSIONS.get(domain)
        if known is not None and entry.version not in known:
            expected = f"{known.start} ... {known.stop - 1}" if len(known) > 1 else f"{known.start}"
            yield (
                f"the file uses version {entry.version} of {_ops_of(domain)}, expected {expected}: "
                + ("convert it with onnx.version_converter" if not domain else "export the model again, or update")
            )


def _ops_of(domain: str) -> str:
    return f"the ops of {domain}" if domain else "the standard ops"


def _twice(what: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{_short(name)}: {count} {what} have this name"


def _dimensions(value: onnx.ValueInfoProto) -> Iterator[str]:
    if not value.type.HasField("tensor_type"):
        yield f"{value.name}: expected a tensor, found another type"
        return
    tensor = value.type.tensor_type
    sizes = [d.dim_value for d in tensor.shape.dim if d.HasField("dim_value")]
    if any(size < 0 for size in sizes):
        yield f"{value.name}: expected a shape without negative numbers, found {_short(sizes)}"
    if tensor.elem_type not in TensorProto.DataType.values():
        yield f"{value.name}: unknown element type {tensor.elem_type}"


def _node(node: onnx.NodeProto, folder: Path) -> Iterator[str]:
    """Problems of one node that do not depend on what comes in."""
    where = f"{_short(node.name or next(iter(node.output), '') or 'a node without a name')} ({_short(node.op_type)})"
    op = find_op(node)
    if not node.output or not node.output[0]:
        yield f"{where}: it has no output"
    if op is not None:
        if node.overload:
            yield f"{where}: the op has no overload, found {_short(node.overload)}"
        if any(not name for name in node.output):
            yield f"{where}: one of its outputs has no name"
        if not all(name or op.is_optional(place) for place, name in enumerate(node.input)):
            yield f"{where}: one of its inputs has no name"
    for name, count in Counter(a.name for a in node.attribute).items():
        if count > 1:
            yield f"{where}: the attribute {_short(name)} is given {count} times"
    for found in node.attribute:
        if found.ref_attr_name:
            yield f"{where}: the attribute {_short(found.name)} refers to one of a function, outside a function"
        elif found.type in _GRAPHS:
            yield f"{where}: the attribute {_short(found.name)} holds a graph; models have no branches or loops"
        elif found.type == AttributeProto.TENSOR:
            yield from (f"{where}: {problem}" for problem in tensor_problems(found.t, folder))


def type_text(number: object) -> str:
    """How a message names an element type."""
    return TensorProto.DataType.Name(number) if number in TensorProto.DataType.values() else f"{number} (unknown)"


def _short(text: object) -> str:
    """How a name or a shape is written in a message: not longer than a line."""
    shown = repr(text)
    return shown if len(shown) <= _MOST_CHARACTERS else f"{shown[:_MOST_CHARACTERS]}..."
