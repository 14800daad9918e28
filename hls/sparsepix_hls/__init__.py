"""From an ONNX model to verified firmware: reader, intermediate representation, kernels, writer, C simulation.

Needs numpy and onnx, never torch. Everything is imported when it is first used, so that a command line
that only prints its help starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsepix_hls.cpp.project import Project
    from sparsepix_hls.design.options import LayerOptions, Options
    from sparsepix_hls.flow.translation import translate
    from sparsepix_hls.rtl.tools.project import RtlProject
    from sparsepix_ops import SparsePixError, __version__

__all__ = ["LayerOptions", "Options", "Project", "RtlProject", "SparsePixError", "__version__", "translate"]

_HOMES = {
    "LayerOptions": "sparsepix_hls.design.options",
    "Options": "sparsepix_hls.design.options",
    "Project": "sparsepix_hls.cpp.project",
    "RtlProject": "sparsepix_hls.rtl.tools.project",
    "SparsePixError": "sparsepix_ops.errors",
    "__version__": "sparsepix_ops.version",
    "translate": "sparsepix_hls.flow.translation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
