"""The contract between training and hardware: every op of the ONNX domain ``sparsepix_ops``.

Each op has one file, with its ONNX function body, its shape and range rules and its exact integer
reference. Neither torch nor a compiler is needed here: numpy and onnx are.
"""

from typing import Any

from sparsepix_ops.analysis import analyze
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedPoint, FixedRange
from sparsepix_ops.op import DOMAIN
from sparsepix_ops.registry import CUSTOM_OPS
from sparsepix_ops.version import __version__

__all__ = [
    "CUSTOM_OPS",
    "DOMAIN",
    "FixedArray",
    "FixedPoint",
    "FixedRange",
    "SparsePixError",
    "__version__",
    "analyze",
]


def __getattr__(name: str) -> Any:
    # QONNX looks its classes up here; whoever has no QONNX must be able to import the package.
    if name == "custom_op":
        from sparsepix_ops.qonnx_ops import custom_op

        return custom_op
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
