"""The C++ of a design for another tool's project: all of it but the top function, in a namespace of its own."""

from dataclasses import dataclass

from sparsepix_hls.cpp.layer_text import constant_types, parameters, tensor_types
from sparsepix_hls.cpp.stages import flow_statements, stage_functions
from sparsepix_hls.cpp.writer import check_names
from sparsepix_hls.design.layout import Design
from sparsepix_hls.kernels.text import weight_text

ALWAYS = ("constants", "kernel_map", "rounds")  # what the text needs whichever kernels it calls


@dataclass(frozen=True)
class Source:
    """The C++ of a design.

    Args:
        layers: by the name of each layer its number types, parameters and weights.
        stages: the functions of the stages, which need all of them before.
        calls: the statements of the top function: channels, and a call of each stage.
        headers: names of the kernel headers that all of this needs.
    """

    layers: dict[str, str]
    stages: str
    calls: list[str]
    headers: tuple[str, ...]


def design_source(design: Design, image: str) -> Source:
    """The C++ of a design with parallel ports.

    Args:
        design: the layout.
        image: name of the image's port.

    Raises:
        SparsePixError: it cannot be written as C++, see ``check_names``.
    """
    graph = design.graph
    kernels = [layer.kernel(design.setting(layer)) for layer in graph.layers]
    check_names(design, kernels)
    coords = {name for layer in graph.layers for name in layer.grids}
    name = f"{graph.name}_sparsepix"
    texts = {}
    for i, kernel in enumerate(kernels):
        tensors = (graph.input, *kernel.outputs) if i == 0 else kernel.outputs
        weights = [weight_text(kernel, constant, shape) for constant, shape in kernel.constants if shape]
        generated = [kernel.generated] if kernel.generated is not None else []
        lines = [*tensor_types(tensors, coords), *constant_types(kernel), "", *weights, *generated, *parameters(kernel)]
        texts[kernel.name] = _inside(name, "\n".join(lines))
    functions = "\n".join(stage_functions(design, {kernel.name: kernel for kernel in kernels}))
    headers = {*ALWAYS, *(kernel.header for kernel in kernels)}
    return Source(
        texts,
        _inside(name, functions),
        flow_statements(design, f"{name}::", image),
        tuple(sorted(headers)),
    )


def _inside(name: str, text: str) -> str:
    return f"namespace {name} {{\n\n{text}\n}} // namespace {name}\n"
