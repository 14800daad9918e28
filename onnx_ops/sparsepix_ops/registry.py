"""Every op of the contract, by domain and type."""

import onnx

from sparsepix_ops import (
    head,
    input_reduce,
    quant,
    sparse_avg_pool2d,
    sparse_conv2d,
    sparse_flatten,
    sparse_max_pool2d,
    standard,
)
from sparsepix_ops.op import DOMAIN, Op

CUSTOM_OPS: tuple[Op, ...] = (
    input_reduce.OP,
    sparse_conv2d.OP,
    sparse_avg_pool2d.OP,
    sparse_max_pool2d.OP,
    sparse_flatten.OP,
)
HEADS = frozenset(op.name for op in head.OPS)
OPS: dict[tuple[str, str], Op] = {(op.domain, op.name): op for op in (*CUSTOM_OPS, quant.OP, *standard.OPS, *head.OPS)}


def find_op(node: onnx.NodeProto) -> Op | None:
    """The op that a node is an instance of, or None if the contract has no such op."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    return OPS.get((domain, node.op_type))


def register_schemas() -> None:
    """Make the ops of our domain known to ``onnx.checker`` and ``onnx.shape_inference``; idempotent."""
    for op in CUSTOM_OPS:
        if not onnx.defs.has(op.name, domain=DOMAIN):
            onnx.defs.register_schema(op.schema())
