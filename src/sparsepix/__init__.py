"""Sparse CNNs for FPGAs: quantized PyTorch layers, models, and their export to ONNX.

Names are loaded on first use, so that the command line starts without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from sparsepix_ops.version import __version__

if TYPE_CHECKING:
    from sparsepix import compat, datasets, models, plots, runs, search, training
    from sparsepix.activations import QuantIdentity, QuantReLU, SparseIdentity, SparseReLU
    from sparsepix.bit_operations import BitOperations, LayerOperations, ebops
    from sparsepix.export import export_onnx
    from sparsepix.penalty_terms import penalties
    from sparsepix.quant_conv2d import QuantConv2d
    from sparsepix.quant_linear import QuantLinear
    from sparsepix.quantizers import LearnedFixedPoint, Quantizer
    from sparsepix.saving import load, save
    from sparsepix.sparse_avg_pool2d import SparseAvgPool2d
    from sparsepix.sparse_conv2d import SparseConv2d
    from sparsepix.sparse_flatten import SparseFlatten
    from sparsepix.sparse_input_reduce import SparseInputReduce
    from sparsepix.sparse_max_pool2d import SparseMaxPool2d
    from sparsepix.sparse_pixels import SparsePixels
    from sparsepix_ops.errors import SparsePixError
    from sparsepix_ops.fixed_point import FixedPoint

_HOMES = {
    "BitOperations": "sparsepix.bit_operations",
    "FixedPoint": "sparsepix_ops.fixed_point",
    "LayerOperations": "sparsepix.bit_operations",
    "LearnedFixedPoint": "sparsepix.quantizers",
    "QuantConv2d": "sparsepix.quant_conv2d",
    "QuantIdentity": "sparsepix.activations",
    "QuantLinear": "sparsepix.quant_linear",
    "QuantReLU": "sparsepix.activations",
    "Quantizer": "sparsepix.quantizers",
    "SparseAvgPool2d": "sparsepix.sparse_avg_pool2d",
    "SparseConv2d": "sparsepix.sparse_conv2d",
    "SparseFlatten": "sparsepix.sparse_flatten",
    "SparseIdentity": "sparsepix.activations",
    "SparseInputReduce": "sparsepix.sparse_input_reduce",
    "SparseMaxPool2d": "sparsepix.sparse_max_pool2d",
    "SparsePixError": "sparsepix_ops.errors",
    "SparsePixels": "sparsepix.sparse_pixels",
    "SparseReLU": "sparsepix.activations",
    "ebops": "sparsepix.bit_operations",
    "export_onnx": "sparsepix.export",
    "load": "sparsepix.saving",
    "penalties": "sparsepix.penalty_terms",
    "save": "sparsepix.saving",
}
_MODULES = frozenset({"compat", "datasets", "models", "plots", "runs", "search", "training"})

__all__ = [
    "BitOperations",
    "FixedPoint",
    "LayerOperations",
    "LearnedFixedPoint",
    "QuantConv2d",
    "QuantIdentity",
    "QuantLinear",
    "QuantReLU",
    "Quantizer",
    "SparseAvgPool2d",
    "SparseConv2d",
    "SparseFlatten",
    "SparseIdentity",
    "SparseInputReduce",
    "SparseMaxPool2d",
    "SparsePixError",
    "SparsePixels",
    "SparseReLU",
    "__version__",
    "compat",
    "datasets",
    "ebops",
    "export_onnx",
    "load",
    "models",
    "penalties",
    "plots",
    "runs",
    "save",
    "search",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"sparsepix.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
