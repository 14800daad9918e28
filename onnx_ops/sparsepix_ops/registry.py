"""Every op of the contract, by domain and type."""

import onnx

from sparsepix_ops.op import Op
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

CUSTOM_OPS: tuple[Op, ...] = (
    input_reduce.OP,
    sparse_conv2d.OP,
    sparse_strided_conv2d.OP,
    sparse_avg_pool2d.OP,
    sparse_max_pool2d.OP,
    sparse_global_avg_pool2d.OP,
    sparse_global_max_pool2d.OP,
    sparse_flatten.OP,
    leaky_relu.OP,
)
RECTIFIERS = frozenset({"Relu", "LeakyRelu"})
HEADS = frozenset(op.name for op in head.OPS)
OPS: dict[tuple[str, str], Op] = {
    (op.domain, op.name): op for op in (*CUSTOM_OPS, quant.OP, *standard.OPS, *joins.OPS, *head.OPS)
}


def find_op(node: onnx.NodeProto) -> Op | None:
    """The op that a node is an instance of, or None if the contract has no such op."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    return OPS.get((domain, node.op_type))


# What to use instead of an op that the contract has not, for those that people try.
ALTERNATIVES = {
    "Conv": "use SparseConv2d",
    "ConvTranspose": "sparse models have no upsampling",
    "AveragePool": "use SparseAvgPool2d",
    "GlobalAveragePool": "use SparseGlobalAvgPool2d",
    "MaxPool": "use SparseMaxPool2d",
    "GlobalMaxPool": "use SparseGlobalMaxPool2d",
    "BatchNormalization": "fold it into the weights of the layer in front of it before the export: "
    "sparsepix.fold_batch_norm(model)",
    "Flatten": "use SparseFlatten",
    "Reshape": "use SparseFlatten",
    "PRelu": "use SparseLeakyReLU",
    "Elu": "use SparseReLU",
    "Gelu": "use SparseReLU",
    "Tanh": "use SparseReLU",
    "Dropout": "call model.eval() before the export",
    "BipolarQuant": "use Quant with 2 bits or more",
    "Trunc": "use Quant with rounding mode FLOOR",
    "QuantizeLinear": "export quantizers as QONNX Quant nodes",
    "DequantizeLinear": "export quantizers as QONNX Quant nodes",
}


def unsupported(node: onnx.NodeProto) -> str:
    """Why a node of no known op cannot be used, and what to use instead."""
    name = f"{node.domain or 'ai.onnx'}::{node.op_type}"
    return f"the op {name} is not supported; {ALTERNATIVES.get(node.op_type, 'use the layers of sparsepix')}"
