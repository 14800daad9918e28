"""The function bodies that a file carries, compared with those of the ops.

ONNX Runtime computes what the body in the file says, firmware what the op says: the two have to be the same.
"""

import hashlib
from collections.abc import Iterator
from functools import cache

import onnx

from sparsepix_ops.op import DOMAIN, Op
from sparsepix_ops.registry import OPS

GRAPH_OPSETS = range(13, 29)  # those in which the standard ops of a model mean the same
BODY_OPSETS = range(19, 29)  # those in which the ops of the bodies do; tested in onnxruntime
DOMAIN_VERSION = 1  # of our domain
# Bodies that earlier versions of this package wrote, and that compute the same for the attributes that they declare:
# the convolution before groups, reduction and flatten before they took a batch of no images; and those that compared
# all pairs of slots.
_EARLIER = {
    (DOMAIN, "InputReduce"): ("46cb41a01de28545f5c7e9ca1a645aba",),
    (DOMAIN, "SparseAvgPool2d"): ("a7b5286f6b55a8f3045368abb37a0950",),
    (DOMAIN, "SparseConv2d"): ("11109b0d7b545604a6aad7eae8823f3b", "b3b8725b8602e0735fe795e0ccdd7c4b"),
    (DOMAIN, "SparseFlatten"): ("906c8cd5f55a1d476465205153873bc1", "8fb0d4701093bc4b5c0e60618ad0beb2"),
    (DOMAIN, "SparseMaxPool2d"): ("48e6a732fa550b841a95a9eadd7f7d1f",),
    (DOMAIN, "SparseStridedConv2d"): ("08ae2421ef1e8421e7dac06611a58fe3",),
    (DOMAIN, "SparseUnpool2d"): ("edd6a654c5ccfc9c6733be731a530b9a",),
}


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def digest(function: onnx.FunctionProto) -> str:
    """What a function computes, as a hash: names of values, order, comments and versions of opsets are left out."""

    def hashed(*parts: object) -> str:
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def attribute(found: onnx.AttributeProto) -> bytes:
        plain = onnx.AttributeProto()
        plain.CopyFrom(found)
        plain.ClearField("doc_string")
        return plain.SerializeToString(deterministic=True)

    values = {name: hashed("input", i) for i, name in enumerate(function.input)}
    for node in function.node:
        read = [values.get(name, f"undefined {name}") if name else "" for name in node.input]
        own = sorted(attribute(a) for a in node.attribute)
        key = (_domain(node.domain), node.op_type, node.overload, read, own)
        for i, name in enumerate(node.output):
            # A name that is given twice would hide what the first one was used for.
            values[name] = hashed(key, i) if name not in values else hashed("twice", name, key, i)
    declared = sorted([repr(a).encode() for a in function.attribute] + [attribute(a) for a in function.attribute_proto])
    results = [values.get(name, f"undefined {name}") for name in function.output]
    return hashed(len(function.input), results, declared)[:32]


@cache
def _expected(op: Op) -> tuple[bytes, str]:
    function = op.function()
    return function.SerializeToString(deterministic=True), digest(function)


def body_problems(model: onnx.ModelProto) -> Iterator[str]:
    """Why the functions of a model do not mean what its ops mean; each message names the nodes that use it."""
    users: dict[tuple[str, str], list[str]] = {}
    for node in model.graph.node:
        users.setdefault((_domain(node.domain), node.op_type), []).append(node.name or next(iter(node.output), "?"))
    for function in model.functions:
        key = (_domain(function.domain), function.name)
        op = OPS.get(key)
        nodes = users.get(key, [])
        where = f"{', '.join(nodes[:3])}{' ...' if len(nodes) > 3 else ''} ({function.name})"
        if key[0] == "":
            yield (
                f"{where if nodes else function.name}: the file has a function of its own for this standard op, which "
                "ONNX Runtime would run instead: remove it from the file"
            )
        elif op is not None and nodes and op.body:
            yield from (f"{where}: {problem}" for problem in _function_problems(function, key, op, model))


def _function_problems(
    function: onnx.FunctionProto, key: tuple[str, str], op: Op, model: onnx.ModelProto
) -> Iterator[str]:
    text, expected = _expected(op)
    # A file of this version has exactly these bytes, and comparing bytes is quick.
    found = expected if function.SerializeToString(deterministic=True) == text else digest(function)
    if found != expected and found not in _EARLIER.get(key, ()):
        yield (
            f"the function body that the file carries is not that of {op.domain}::{op.name}, so ONNX Runtime would "
            "compute something else than the firmware: export the model again"
        )
        return
    versions = {_domain(o.domain): o.version for o in function.opset_import}
    if versions.get("") not in BODY_OPSETS:
        yield (
            f"its function body imports version {versions.get('', 'none')} of the standard ops, expected "
            f"{BODY_OPSETS.start} ... {BODY_OPSETS.stop - 1}: export the model again"
        )
    if found == expected:
        return
    known = {*function.attribute, *(a.name for a in function.attribute_proto)}
    unknown = sorted(
        a.name
        for node in model.graph.node
        if (_domain(node.domain), node.op_type) == key
        for a in node.attribute
        if a.name not in known
    )
    if unknown:
        yield (
            f"the attribute {unknown[0]!r} is not known to the function body that the file carries, which is of an "
            "earlier version: export the model again"
        )
