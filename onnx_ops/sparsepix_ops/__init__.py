"""The contract between training and hardware: every op of the ONNX domain ``sparsepix_ops``.

Each op has one file, with its ONNX function body, its shape and range rules and its exact integer
reference. It needs numpy and onnx, but neither torch nor a compiler. Names are loaded on first use,
so that a command that only prints its help starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsepix_ops.errors import SparsePixError
    from sparsepix_ops.fixed_point import FixedArray, FixedPoint, FixedRange
    from sparsepix_ops.op import DOMAIN
    from sparsepix_ops.range_analysis import analyze
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

_HOMES = {
    "CUSTOM_OPS": "sparsepix_ops.registry",
    "DOMAIN": "sparsepix_ops.op",
    "FixedArray": "sparsepix_ops.fixed_point",
    "FixedPoint": "sparsepix_ops.fixed_point",
    "FixedRange": "sparsepix_ops.fixed_point",
    "SparsePixError": "sparsepix_ops.errors",
    "__version__": "sparsepix_ops.version",
    "analyze": "sparsepix_ops.range_analysis",
    # QONNX looks its classes up here; without QONNX the package has to import too.
    "custom_op": "sparsepix_ops.qonnx",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
