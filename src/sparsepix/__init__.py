"""Sparse CNNs for FPGAs: quantized PyTorch layers, models, and their export to ONNX.

Names are loaded on first use, so that the command line starts without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from sparsepix_ops.version import __version__

if TYPE_CHECKING:
    from sparsepix import compat, datasets, models, plots, runs, search, training
    from sparsepix.cost.ebops import BitOperations, LayerOperations, ebops
    from sparsepix.cost.penalty_terms import penalties
    from sparsepix.export.exporter import export_onnx
    from sparsepix.models.architecture import Architecture, Layer
    from sparsepix.models.saving import load, save
    from sparsepix.models.sparse_cnn import SparseCNN
    from sparsepix.nn.activations import (
        QuantIdentity,
        QuantLeakyReLU,
        QuantReLU,
        SparseIdentity,
        SparseLeakyReLU,
        SparseReLU,
    )
    from sparsepix.nn.batch_norm import SparseBatchNorm2d, fold_batch_norm
    from sparsepix.nn.joins import add, concat
    from sparsepix.nn.quant_conv2d import QuantConv2d
    from sparsepix.nn.quant_linear import QuantLinear
    from sparsepix.nn.sparse_avg_pool2d import SparseAvgPool2d
    from sparsepix.nn.sparse_conv2d import SparseConv2d
    from sparsepix.nn.sparse_flatten import SparseFlatten
    from sparsepix.nn.sparse_global_avg_pool2d import SparseGlobalAvgPool2d
    from sparsepix.nn.sparse_global_max_pool2d import SparseGlobalMaxPool2d
    from sparsepix.nn.sparse_input_reduce import SparseInputReduce
    from sparsepix.nn.sparse_max_pool2d import SparseMaxPool2d
    from sparsepix.nn.sparse_unpool2d import SparseUnpool2d
    from sparsepix.pixels.sparse_pixels import SparsePixels
    from sparsepix.quant.formats import CalibratedFixedPoint, LearnedFixedPoint
    from sparsepix.quant.quantizers import Quantizer, unquantized
    from sparsepix.training.calibration import calibrate
    from sparsepix_ops.errors import SparsePixError
    from sparsepix_ops.fixed_point import FixedPoint

_HOMES = {
    "Architecture": "sparsepix.models.architecture",
    "BitOperations": "sparsepix.cost.ebops",
    "CalibratedFixedPoint": "sparsepix.quant.formats",
    "FixedPoint": "sparsepix_ops.fixed_point",
    "Layer": "sparsepix.models.architecture",
    "LayerOperations": "sparsepix.cost.ebops",
    "LearnedFixedPoint": "sparsepix.quant.formats",
    "QuantConv2d": "sparsepix.nn.quant_conv2d",
    "QuantIdentity": "sparsepix.nn.activations",
    "QuantLeakyReLU": "sparsepix.nn.activations",
    "QuantLinear": "sparsepix.nn.quant_linear",
    "QuantReLU": "sparsepix.nn.activations",
    "Quantizer": "sparsepix.quant.quantizers",
    "SparseAvgPool2d": "sparsepix.nn.sparse_avg_pool2d",
    "SparseBatchNorm2d": "sparsepix.nn.batch_norm",
    "SparseCNN": "sparsepix.models.sparse_cnn",
    "SparseConv2d": "sparsepix.nn.sparse_conv2d",
    "SparseFlatten": "sparsepix.nn.sparse_flatten",
    "SparseGlobalAvgPool2d": "sparsepix.nn.sparse_global_avg_pool2d",
    "SparseGlobalMaxPool2d": "sparsepix.nn.sparse_global_max_pool2d",
    "SparseIdentity": "sparsepix.nn.activations",
    "SparseInputReduce": "sparsepix.nn.sparse_input_reduce",
    "SparseLeakyReLU": "sparsepix.nn.activations",
    "SparseMaxPool2d": "sparsepix.nn.sparse_max_pool2d",
    "SparsePixError": "sparsepix_ops.errors",
    "SparsePixels": "sparsepix.pixels.sparse_pixels",
    "SparseReLU": "sparsepix.nn.activations",
    "SparseUnpool2d": "sparsepix.nn.sparse_unpool2d",
    "add": "sparsepix.nn.joins",
    "calibrate": "sparsepix.training.calibration",
    "concat": "sparsepix.nn.joins",
    "ebops": "sparsepix.cost.ebops",
    "export_onnx": "sparsepix.export.exporter",
    "fold_batch_norm": "sparsepix.nn.batch_norm",
    "load": "sparsepix.models.saving",
    "penalties": "sparsepix.cost.penalty_terms",
    "save": "sparsepix.models.saving",
    "unquantized": "sparsepix.quant.quantizers",
}
_MODULES = frozenset({"compat", "datasets", "models", "plots", "runs", "search", "training"})

__all__ = [
    "Architecture",
    "BitOperations",
    "CalibratedFixedPoint",
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
    "SparseUnpool2d",
    "__version__",
    "add",
    "calibrate",
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
    "unquantized",
]


def __getattr__(name: str) -> Any:
    home = f"sparsepix.{name}" if name in _MODULES else _HOMES.get(name)
    if home is not None:
        from sparsepix_ops.system.tools import needed_for

        with needed_for(f"sparsepix.{name}"):
            module = importlib.import_module(home)
        return module if name in _MODULES else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
