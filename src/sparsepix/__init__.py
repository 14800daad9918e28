"""Sparse CNNs for FPGAs: quantized PyTorch layers, models, and their export to ONNX.

Names are loaded on first use, so that the command line starts without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from sparsepix_ops.version import __version__

if TYPE_CHECKING:
    from sparsepix import compat, datasets, models, plots, runs, search, training
    from sparsepix.activations import (
        QuantIdentity,
        QuantLeakyReLU,
        QuantReLU,
        SparseIdentity,
        SparseLeakyReLU,
        SparseReLU,
    )
    from sparsepix.architecture import Architecture, Layer, SparseCNN
    from sparsepix.batch_norm import SparseBatchNorm2d, fold_batch_norm
    from sparsepix.bit_operations import BitOperations, LayerOperations, ebops
    from sparsepix.export import export_onnx
    from sparsepix.joins import add, concat
    from sparsepix.penalty_terms import penalties
    from sparsepix.quant_conv2d import QuantConv2d
    from sparsepix.quant_linear import QuantLinear
    from sparsepix.quantizers import LearnedFixedPoint, Quantizer
    from sparsepix.saving import load, save
    from sparsepix.sparse_avg_pool2d import SparseAvgPool2d
    from sparsepix.sparse_conv2d import SparseConv2d
    from sparsepix.sparse_flatten import SparseFlatten
    from sparsepix.sparse_global_avg_pool2d import SparseGlobalAvgPool2d
    from sparsepix.sparse_global_max_pool2d import SparseGlobalMaxPool2d
    from sparsepix.sparse_input_reduce import SparseInputReduce
    from sparsepix.sparse_max_pool2d import SparseMaxPool2d
    from sparsepix.sparse_pixels import SparsePixels
    from sparsepix_ops.errors import SparsePixError
    from sparsepix_ops.fixed_point import FixedPoint

_HOMES = {
    "Architecture": "sparsepix.architecture",
    "BitOperations": "sparsepix.bit_operations",
    "FixedPoint": "sparsepix_ops.fixed_point",
    "Layer": "sparsepix.architecture",
    "LayerOperations": "sparsepix.bit_operations",
    "LearnedFixedPoint": "sparsepix.quantizers",
    "QuantConv2d": "sparsepix.quant_conv2d",
    "QuantIdentity": "sparsepix.activations",
    "QuantLeakyReLU": "sparsepix.activations",
    "QuantLinear": "sparsepix.quant_linear",
    "QuantReLU": "sparsepix.activations",
    "Quantizer": "sparsepix.quantizers",
    "SparseAvgPool2d": "sparsepix.sparse_avg_pool2d",
    "SparseBatchNorm2d": "sparsepix.batch_norm",
    "SparseCNN": "sparsepix.architecture",
    "SparseConv2d": "sparsepix.sparse_conv2d",
    "SparseFlatten": "sparsepix.sparse_flatten",
    "SparseGlobalAvgPool2d": "sparsepix.sparse_global_avg_pool2d",
    "SparseGlobalMaxPool2d": "sparsepix.sparse_global_max_pool2d",
    "SparseIdentity": "sparsepix.activations",
    "SparseInputReduce": "sparsepix.sparse_input_reduce",
    "SparseLeakyReLU": "sparsepix.activations",
    "SparseMaxPool2d": "sparsepix.sparse_max_pool2d",
    "SparsePixError": "sparsepix_ops.errors",
    "SparsePixels": "sparsepix.sparse_pixels",
    "SparseReLU": "sparsepix.activations",
    "add": "sparsepix.joins",
    "concat": "sparsepix.joins",
    "ebops": "sparsepix.bit_operations",
    "export_onnx": "sparsepix.export",
    "fold_batch_norm": "sparsepix.batch_norm",
    "load": "sparsepix.saving",
    "penalties": "sparsepix.penalty_terms",
    "save": "sparsepix.saving",
}
_MODULES = frozenset({"compat", "datasets", "models", "plots", "runs", "search", "training"})

__all__ = [
    "Architecture",
    "BitOperations",
    "FixedPoint",
    "Layer",
    "LayerOperations",
    "LearnedFixedPoint",
    "QuantConv2d",
    "QuantIdentity",
    "QuantLeakyReLU",
    "QuantLinear",
    "QuantReLU",
    "Quantizer",
    "SparseAvgPool2d",
    "SparseBatchNorm2d",
    "SparseCNN",
    "SparseConv2d",
    "SparseFlatten",
    "SparseGlobalAvgPool2d",
    "SparseGlobalMaxPool2d",
    "SparseIdentity",
    "SparseInputReduce",
    "SparseLeakyReLU",
    "SparseMaxPool2d",
    "SparsePixError",
    "SparsePixels",
    "SparseReLU",
    "__version__",
    "add",
    "compat",
    "concat",
    "datasets",
    "ebops",
    "export_onnx",
    "fold_batch_norm",
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
    home = f"sparsepix.{name}" if name in _MODULES else _HOMES.get(name)
    if home is not None:
        from sparsepix.extras import needed_for

        with needed_for(f"sparsepix.{name}"):
            module = importlib.import_module(home)
        return module if name in _MODULES else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
