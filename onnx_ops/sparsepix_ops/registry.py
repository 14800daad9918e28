"""Every op of the contract, by domain and type: those of all modules in ``sparsepix_ops.ops``."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

import onnx

from sparsepix_ops import ops
from sparsepix_ops.op import DOMAIN, Kind, Op


def _every_op() -> Iterator[Op]:
    """The ops in the order in which a file carries their bodies: by the names of their modules."""
    for module in iter_modules(ops.__path__):
        found = vars(import_module(f"{ops.__name__}.{module.name}"))
        yield from found.get("OPS", (found["OP"],) if "OP" in found else ())


_ALL = tuple(_every_op())
OPS: dict[tuple[str, str], Op] = {(op.domain, op.name): op for op in _ALL}
CUSTOM_OPS = tuple(op for op in _ALL if op.domain == DOMAIN)


def _named(*kinds: Kind) -> frozenset[str]:
    return frozenset(op.name for op in _ALL if op.kind in kinds)


RECTIFIERS = _named(Kind.RECTIFIER)
HEADS = _named(Kind.HEAD)
QUANTIZERS = _named(Kind.QUANTIZER)
TRANSPARENT = _named(Kind.CAST, Kind.COPY)  # they change no value: every number is exact

# What to use instead of ops that the contract lacks, for those that people try.
ALTERNATIVES = {
    **{name: advice for op in _ALL for name, advice in op.stands_in.items()},
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
