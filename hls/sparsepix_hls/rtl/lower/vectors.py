"""The layers that make vectors, computed on variables of da4ml's tracer; see ``layers``."""

import numpy as np

from sparsepix_hls.ir import graph as ir
from sparsepix_hls.rtl.lower.arithmetic import Number, as_variable, both, by_coordinate, matrix, selected, table, total
from sparsepix_hls.rtl.lower.layers import aligned


def flatten(layer: ir.SparseFlatten, features: np.ndarray, coords: np.ndarray) -> np.ndarray:
    """Some slots scattered to the vector [height * width * channels]."""
    height, width = layer.spatial_shape
    result = np.empty((height, width, features.shape[1]), dtype=object)
    rows = [[by_coordinate(place[0], height, lambda r, y=y: int(r == y)) for y in range(height)] for place in coords]
    columns = [[by_coordinate(place[1], width, lambda c, x=x: int(c == x)) for x in range(width)] for place in coords]
    for y in range(height):
        for x in range(width):
            here = [both(rows[i][y], columns[i][x]) for i in range(len(features))]
            for channel in range(features.shape[1]):
                result[y, x, channel] = aligned(
                    selected(here, features[:, channel]),
                    layer.features.type.exponent,
                    layer.output.type.exponent,
                )
    return result.ravel()


def flatten_dense(layer: ir.SparseFlattenDense, features: np.ndarray, coords: np.ndarray) -> np.ndarray:
    """What some slots add to a dense layer behind a flatten [out_features]; without the bias."""
    height, width = layer.spatial_shape
    _, channels, outs = layer.weight.raw.shape
    terms: list[list[Number]] = [[] for _ in range(outs)]
    for i, (row, column) in enumerate(coords):
        start = by_coordinate(row, height, lambda r: r * width)
        place = start + by_coordinate(column, width, lambda c: c)
        for channel in range(channels):
            for out in range(outs):
                weights = layer.weight.raw[:, channel, out].tolist()
                weight = table(place, weights)
                terms[out].append(as_variable(weight) * features[i, channel])
    return _sums(layer, terms)


def dense_round(layer: ir.Dense, values: np.ndarray, number: Number, rounds: int) -> np.ndarray:
    """What the inputs of a round add to the outputs [out_features]; without the bias.

    Args:
        layer: the layer.
        values: inputs of the round [copies]; 0 behind the last one.
        number: of the round.
        rounds: how many there are.
    """
    copies, (size, outs) = len(values), layer.weight.raw.shape
    weights = np.zeros((rounds * copies, outs), dtype=np.int64)
    weights[:size] = layer.weight.raw
    terms: list[list[Number]] = [[] for _ in range(outs)]
    for k, value in enumerate(values):
        for out in range(outs):
            terms[out].append(as_variable(table(number, weights[k::copies, out].tolist())) * value)
    return _sums(layer, terms)


def dense(layer: ir.Dense, values: np.ndarray) -> np.ndarray:
    """All of a dense layer by a graph of adders, without the bias."""
    return _sums(layer, [[value] for value in matrix(values, layer.weight.raw)])


def _sums(layer: ir.Dense | ir.SparseFlattenDense, terms: list[list[Number]]) -> np.ndarray:
    source = layer.input if isinstance(layer, ir.Dense) else layer.features
    exponent = source.type.exponent + layer.weight.type.exponent
    return np.array([aligned(total(row), exponent, layer.output.type.exponent) for row in terms], dtype=object)
