"""Models for da4ml's own tools: everything after the input reduction as one fully parallel computation.

da4ml finds ``Tracer`` by its entry point (group ``dais_tracer.plugins``), so ``da4ml.converter.trace_model(graph)``
takes a model that ``sparsepix_hls.frontend.reader.read_model`` has read. Its command reads files only:
``write_dais`` writes one, and ``da4ml convert FILE.json DIR`` makes Verilog, VHDL or HLS C++ of it.

The input reduction waits for the pixels of an image, which no computation without a clock can: the features and
coordinates of the list are the inputs here. Inputs and outputs are raw integers; a value is ``raw * 2**exponent``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from da4ml.converter.plugin import DAISTracerPluginBase
from da4ml.trace import FixedVariableArray, comb_trace

from sparsepix_hls.design.layout import Design
from sparsepix_hls.design.options import Options
from sparsepix_hls.design.select import make_design
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.ir.tensors import KernelMap
from sparsepix_hls.layers.head import Head
from sparsepix_hls.layers.input_reduce import input_reduce
from sparsepix_hls.layers.kernel_map import MakeKernelMap
from sparsepix_hls.rtl.lower.arithmetic import as_variable
from sparsepix_hls.rtl.lower.function import Field
from sparsepix_hls.rtl.stages.arrays import Arrays
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.files import atomic_write


class Tracer(DAISTracerPluginBase):
    """What da4ml calls to trace a model."""

    model: Graph

    def get_input_shapes(self) -> Sequence[tuple[int, ...]]:
        """Shapes of features [max_pixels, channels] and coords [max_pixels, 2]."""
        reduce = input_reduce(self.model)
        return [reduce.features.shape, reduce.coords.shape]

    def _get_inputs(self, inputs: Any, inputs_kif: Any) -> tuple[FixedVariableArray, ...]:
        """Variables that hold what the list of pixels can: the model says it, the caller need not."""
        if inputs is not None or inputs_kif is not None:
            return super()._get_inputs(inputs, inputs_kif)
        return tuple(FixedVariableArray(field.variables(), self.solver_options) for field in _fields(self.model))

    def apply_model(
        self, verbose: bool, inputs: tuple[FixedVariableArray, ...]
    ) -> tuple[dict[str, FixedVariableArray], list[str]]:
        """Arrays of all layers by name, and the names of the results.

        Raises:
            SparsePixError: a layer that has no RTL.
        """
        found = _traced(self.model, *(np.asarray(array._vars, dtype=object) for array in inputs))
        return {name: _array(values) for name, values in found.items()}, [tensor.name for tensor in self.model.outputs]


def write_dais(graph: Graph, path: Path | str) -> int:
    """Write the computation after the input reduction as a file that ``da4ml convert`` reads.

    Returns:
        The number of its operations.

    Raises:
        SparsePixError: a layer that has no RTL, or the file cannot be written.
    """
    fields = [FixedVariableArray(field.variables(), None) for field in _fields(graph)]
    found = _traced(graph, *(np.asarray(array._vars, dtype=object) for array in fields))
    flat = np.concatenate([array._vars.ravel() for array in fields])
    results = [_array(found[tensor.name])._vars.ravel() for tensor in graph.outputs]
    logic = comb_trace(list(flat), list(np.concatenate(results)))
    with atomic_write(path) as temporary:
        logic.save(temporary)
    return len(logic.ops)


def _fields(graph: Graph) -> list[Field]:
    arrays = Arrays(_parallel(graph))
    reduce = input_reduce(graph)
    return [arrays.field(reduce.features), arrays.field(reduce.coords)]


def _parallel(graph: Graph) -> Design:
    return make_design(graph, Options(reduce="scan", conv="pairs", flatten="scatter", dense="adders"))[0]


def _traced(graph: Graph, features: np.ndarray, coords: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of all layers by name."""
    design = _parallel(graph)
    arrays, reduce = Arrays(design), input_reduce(graph)
    values = {reduce.features.name: features, reduce.coords.name: coords}
    for layer in graph.layers:
        if isinstance(layer, Head):
            raise SparsePixError(
                f"{layer.name}: a {layer.kind} has no RTL: leave it out (do not --keep-head), it changes no decision"
            )
        how = design.how(layer)
        for needed in layer.reads(how.implementation):
            if isinstance(needed, KernelMap) and needed.name not in values:
                values |= MakeKernelMap(needed).lower(values, how, arrays.ports)
        if layer != reduce:
            values |= layer.lower(values, how, arrays.ports)
    return {tensor.name: values[tensor.name] for layer in graph.layers for tensor in layer.outputs}


def _array(values: np.ndarray) -> FixedVariableArray:
    made = np.empty(values.shape, dtype=object)
    for index, value in np.ndenumerate(values):
        made[index] = as_variable(value)
    return FixedVariableArray(made, None)
