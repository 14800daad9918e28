"""Every op of the contract, by domain and type. A new op is one more line here."""

import onnx

from sparsepix_ops.op import DOMAIN, Kind, Op
from sparsepix_ops.ops import (
    head,
    input_reduce,
    joins,
    leaky_relu,
    quant,
    sparse_avg_pool2d,
    sparse_conv2d,
    sparse_flatten,
    sparse_global_avg_pool2d,
    sparse_global_max_pool2d,
    sparse_max_pool2d,
    sparse_strided_conv2d,
    standard,
)

# In the order in which a file carries their bodies.
_ALL: tuple[Op, ...] = (
    input_reduce.OP,
    sparse_conv2d.OP,
    sparse_strided_conv2d.OP,
    sparse_avg_pool2d.OP,
    sparse_max_pool2d.OP,
    sparse_global_avg_pool2d.OP,
    sparse_global_max_pool2d.OP,
    sparse_flatten.OP,
    leaky_relu.OP,
    quant.OP,
    *standard.OPS,
    *joins.OPS,
    *head.OPS,
)
OPS: dict[tuple[str, str], Op] = {(op.domain, op.name): op for op in _ALL}
CUSTOM_OPS = tuple(op for op in _ALL if op.domain == DOMAIN)


def _named(*kinds: Kind) -> frozenset[str]:
    return frozenset(op.name for op in _ALL if op.kind in kinds)


RECTIFIERS = _named(Kind.RECTIFIER)
HEADS = _named(Kind.HEAD)
TRANSPARENT = _named(Kind.CAST, Kind.COPY)  # they change no value: every number is exact

# What to use instead of an op that the contract has not, for those that people try.
ALTERNATIVES = {
    **{name: advice for op in _ALL for name, advice in op.stands_in.items()},
    "ConvTranspose": "sparse models have no upsampling",
    "BatchNormalization": "fold it into the weights of the layer in front of it before the export: "
    "sparsepix.fold_batch_norm(model)",
    "Dropout": "call model.eval() before the export",
    "BipolarQuant": "use Quant with 2 bits or more",
    "Trunc": "use Quant with rounding mode FLOOR",
    "QuantizeLinear": "export quantizers as QONNX Quant nodes",
    "DequantizeLinear": "export quantizers as QONNX Quant nodes",
}


def find_op(node: onnx.NodeProto) -> Op | None:
    """The op that a node is an instance of, or None if the contract has no such op."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    return OPS.get((domain, node.op_type))


def op_named(name: str) -> Op:
    """The op of a type: ours or QONNX's before the standard one.

    Raises:
        KeyError: there is none.
    """
    return _BY_NAME[name]


_BY_NAME = {op.name: op for op in reversed(_ALL)}


def unsupported(node: onnx.NodeProto) -> str:
    """Why a node of no known op cannot be used, and what to use instead."""
    name = f"{node.domain or 'ai.onnx'}::{node.op_type}"
    return f"the op {name} is not supported; {ALTERNATIVES.get(node.op_type, 'use the layers of sparsepix')}"
