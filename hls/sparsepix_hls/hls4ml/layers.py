"""Our layers in hls4ml's graph: its extension API (layers, templates, sources) with our kernels.

Each of our layers is a node with its formats. The nodes are computed together, as in our own projects: the stages of
the design share loops and hand lists of pixels on, so the node that was converted last holds the calls of all of them.
"""

from functools import cache
from pathlib import Path
from typing import Any

from hls4ml.backends import get_backend
from hls4ml.backends.fpga.fpga_types import APTypeConverter, HLSTypeConverter
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.backends.vivado.vivado_types import VivadoArrayVariableDefinition
from hls4ml.model.layers import Layer, register_layer
from hls4ml.model.types import FixedPrecisionType, IntegerPrecisionType, TensorVariable

from sparsepix_hls import kernels
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import AP_OVERFLOW, AP_ROUNDING, FixedPoint

_KERNELS = Path(kernels.__file__).parent / "include" / "sparsepix"
_FOLDER = "nnet_utils"  # the only one that hls4ml makes before it copies sources


def precision(format_: FixedPoint, whole: bool = False) -> Any:
    """A format as hls4ml's precision; ``whole``: a list of coordinates, whole numbers."""
    if whole:
        return IntegerPrecisionType(width=format_.width, signed=format_.signed)
    rounding, overflow = AP_ROUNDING[format_.rounding], AP_OVERFLOW[format_.overflow]
    modes = rounding.removeprefix("AP_"), overflow.removeprefix("AP_")
    return FixedPrecisionType(format_.width, format_.integer, format_.signed, *modes)


class InsideVariable(TensorVariable, VivadoArrayVariableDefinition):
    """A tensor that only the stages see: the top function has no array of it."""

    def definition_cpp(self, name_suffix: str = "", as_reference: bool = False) -> None:
        """No definition."""
        del name_suffix, as_reference


class SparsePixLayer(Layer):
    """One of our layers.

    Its attributes beside hls4ml's own: ``tensors`` (for each output its name, that of its array in C++, shape and
    format, whether it holds coordinates and whether it is a result of the model), ``source`` (its types, weights and
    parameters as C++), ``headers`` (of kernels), ``calls`` (of the last one, else None) and ``edges`` (of the last one:
    every layer's name and inputs, as converted).
    """

    def initialize(self) -> None:
        """Make the output variables."""
        convert = HLSTypeConverter(APTypeConverter()).convert
        for name, array, shape, format_, whole, result in self.get_attr("tensors"):
            kind = TensorVariable if result else InsideVariable
            made = precision(FixedPoint.parse(format_), whole)
            variable = kind(shape, var_name=array, type_name=f"{name}_t", precision=made, index=self.index)
            if not result:
                variable.pragma = None
                variable.type = convert(variable.type)
            self.set_attr(name, variable)


class SourceTemplate(LayerConfigTemplate):
    """Writes a layer's types, weights and parameters to hls4ml's parameters.h."""

    def __init__(self) -> None:
        super().__init__(SparsePixLayer)

    def match(self, node: Layer) -> bool:
        """Every kind of our layers."""
        return isinstance(node, SparsePixLayer)

    def format(self, node: Layer) -> str:
        """The text that was made when the model was converted."""
        return node.get_attr("source")


class CallTemplate(FunctionCallTemplate):
    """Writes the calls of all stages, at the last of our layers, to hls4ml's top function."""

    def __init__(self) -> None:
        super().__init__(SparsePixLayer)

    def match(self, node: Layer) -> bool:
        """Every kind of our layers."""
        return isinstance(node, SparsePixLayer)

    def transform(self, model: Any, node: Layer) -> bool:
        """As hls4ml does it, with the headers of the model."""
        self.include_header = [f"{_FOLDER}/{header}.h" for header in node.get_attr("headers")]
        return super().transform(model, node)

    def format(self, node: Layer) -> list[str] | None:
        """The calls.

        Raises:
            SparsePixError: a node was put between ours, or one was taken away: the stages compute what was converted.
        """
        calls = node.get_attr("calls")
        if calls is None:
            return None
        graph = node.model.graph
        changed = [
            f"layer {name}: converted with inputs {inputs}, found {graph[name].inputs if name in graph else 'no layer'}"
            for name, inputs in node.get_attr("edges")
            if name not in graph or list(graph[name].inputs) != inputs
        ]
        if changed:
            raise SparsePixError(
                [f"{what}: layers before or after ours can be added, none between them" for what in changed],
                heading="the layers that sparsepix converted are computed together",
            )
        return calls


def layer_class(kind: str) -> str:
    """The name in hls4ml of a kind of our layers; its class is made and registered when it is first needed."""
    name = f"SparsePix{kind.removeprefix('Sparse')}"
    if name not in globals():  # where hls4ml looks for the class of a saved graph
        globals()[name] = type(name, (SparsePixLayer,), {"__doc__": f"{kind} of sparsepix.", "__module__": __name__})
        register_layer(name, globals()[name])
    return name


@cache
def prepare_backend(name: str) -> None:
    """Register templates and kernels with one of hls4ml's backends, once in a process."""
    backend = get_backend(name)
    backend.register_template(SourceTemplate)
    backend.register_template(CallTemplate)
    for header in sorted(_KERNELS.glob("*.h")):
        backend.register_source(header, _FOLDER)
