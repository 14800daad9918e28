"""The results of a model that has one output or several: as arrays, and as the integers of one event side by side."""

import math
from collections.abc import Mapping

import numpy as np

from sparsepix_hls.ir.dims import dims
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.ir.tensors import Tensor
from sparsepix_ops.errors import SparsePixError

Results = np.ndarray | dict[str, np.ndarray]


def result_size(graph: Graph) -> int:
    """Numbers of an event, all results together."""
    return sum(math.prod(tensor.shape) for tensor in graph.outputs)


def packed(graph: Graph, results: np.ndarray | Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Raw integers of all results side by side, int64 [events, numbers].

    Args:
        graph: the model.
        results: an array [events, *shape], or by the names of the outputs where there are several.
        name: of the results, for messages.

    Raises:
        SparsePixError: an output is missing, or an array has another shape.
    """
    arrays = results if isinstance(results, Mapping) else {next(iter(graph.results)): results}
    if set(arrays) != set(graph.results):
        raise SparsePixError(f"{name}: expected the outputs {', '.join(graph.results)}, found {', '.join(arrays)}")
    columns = []
    for output, tensor in graph.results.items():
        found = arrays[output].shape
        if found[1:] != tensor.shape or found[0] == 0:
            raise SparsePixError(f"{name}: expected shape [events, {dims(tensor.shape)}], found {found}")
        columns.append(arrays[output].reshape(found[0], -1))
    if len({len(column) for column in columns}) > 1:
        raise SparsePixError(f"{name}: expected as many events of each output, found {[len(c) for c in columns]}")
    return np.concatenate(columns, axis=1)


def unpacked(graph: Graph, numbers: np.ndarray) -> Results:
    """Raw integers [events, numbers] as an array [events, *shape]; as one for each output where there are several."""
    arrays, start = {}, 0
    for output, tensor in graph.results.items():
        size = math.prod(tensor.shape)
        arrays[output] = np.ascontiguousarray(numbers[:, start : start + size]).reshape(len(numbers), *tensor.shape)
        start += size
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def real(graph: Graph, raw: Results) -> Results:
    """The exact values of raw integers, as float64."""
    if isinstance(raw, dict):
        return {name: _real(raw[name], tensor) for name, tensor in graph.results.items()}
    return _real(raw, graph.output)


def _real(raw: np.ndarray, tensor: Tensor) -> np.ndarray:
    return np.ldexp(raw.astype(np.float64), tensor.type.exponent)
