"""The layers, one file each: from ONNX, as C++, as RTL, and what they cost."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from sparsepix_hls.ir.graph import Layer


@cache
def layer_of_op() -> dict[str, type[Layer]]:
    """The layer that an ONNX op becomes, by its type, of all modules here."""
    found: dict[str, type[Layer]] = {}
    for module in iter_modules(__path__):
        for kind in vars(import_module(f"{__name__}.{module.name}")).values():
            if isinstance(kind, type) and issubclass(kind, Layer):
                found |= dict.fromkeys(kind.op_types, kind)
    return found
