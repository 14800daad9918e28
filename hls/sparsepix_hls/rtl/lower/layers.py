"""The layers of the intermediate representation, computed on variables of da4ml's tracer.

Each function takes arrays of raw integers and computes one round: all of a layer where ``rounds`` is 1. What changes
from round to round comes in as a variable, what never does as a number, and the tracer folds it.
"""

from collections.abc import Callable

import numpy as np

from sparsepix_hls.ir import graph as ir
from sparsepix_hls.rtl.lower.arithmetic import (
    Number,
    any_of,
    as_variable,
    both,
    by_coordinate,
    either,
    equal,
    inverse,
    known,
    largest,
    matrix,
    negative,
    quantize,
    select,
    selected,
    table,
    total,
    tree,
)
from sparsepix_hls.rtl.lower.pairs import PairCode, code_of


def activation(layer: ir.Activation, values: np.ndarray) -> np.ndarray:
    """Optional ReLU or leaky ReLU, and quantization, elementwise [...]."""
    result = np.empty(values.shape, dtype=object)
    shift = layer.slope_shift
    for index, value in np.ndenumerate(values):
        # In units of which a negative value has 2**-shift as many, the others change their units.
        scaled = select(negative(value), value, value * 2**shift) if shift else value
        result[index] = quantize(scaled, layer.input.type.exponent - shift, layer.output.type, layer.relu)
    return result


def aligned(value: Number, exponent: int, to: int) -> Number:
    """``value * 2**exponent`` in units of ``2**to``, which is as fine or finer."""
    assert to <= exponent, f"2**{exponent} in units of 2**{to}"
    return value * 2 ** (exponent - to)


Conv = ir.SparseConv2d | ir.SparseStridedConv2d


def bias_of(layer: Conv | ir.Dense | ir.SparseFlattenDense) -> list[int]:
    """The biases in units of the output."""
    size = layer.output.shape[-1]
    if layer.bias is None:
        return [0] * size
    return [
        int(aligned(int(raw), layer.bias.type.exponent, layer.output.type.exponent)) for raw in layer.bias.raw.ravel()
    ]


def _products(layer: Conv) -> int:
    """The exponent of a product of a convolution."""
    return layer.features.type.exponent + layer.weight.type.exponent


def _kernels(layer: Conv) -> np.ndarray:
    """Weights [positions, in_channels, out_channels]; 0 where a filter does not read a channel."""
    raw = layer.weight.raw.reshape(-1, *layer.weight.raw.shape[-2:])
    positions, of_group, filters = raw.shape
    full = np.zeros((positions, of_group * layer.groups, filters), dtype=raw.dtype)
    for out in range(filters):
        first = out // (filters // layer.groups) * of_group
        full[:, first : first + of_group, out] = raw[:, :, out]
    return full


def weighted(layer: Conv, code: PairCode, address: Number, turned: Number, pixel: np.ndarray) -> list[list[Number]]:
    """Products of a pixel's channels with the weights of a pair code: for each output channel, its terms.

    Args:
        layer: the convolution.
        code: the codes.
        address: code of the pair.
        turned: whether the window stands around the later pixel of the two, one bit.
        pixel: channels [C].
    """
    here = known(turned)
    full = either(address, as_variable(turned) * 2.0**code.bits) if here is None else address
    terms: list[list[Number]] = []
    kernels = _kernels(layer)
    for out in range(layer.output.shape[1]):
        row = []
        for channel, value in enumerate(pixel):
            kernel = kernels[:, channel, out]
            if not kernel.any():
                continue
            if here is None:
                weights = code.weights(kernel, False) + code.weights(kernel, True)
            else:
                weights = code.weights(kernel, bool(here))
            row.append(as_variable(table(full, weights)) * value)
        terms.append(row)
    return terms


def with_bias(layer: Conv, summed: Number, out_channel: int, active: Number, masked: bool) -> Number:
    """A sum of products with its bias, in units of the output.

    Args:
        layer: the convolution.
        summed: the sum, in units of a product.
        out_channel: its channel.
        active: whether the slot holds a pixel, one bit.
        masked: whether the sum of an empty slot has to be cleared.
    """
    value = aligned(summed, _products(layer), layer.output.type.exponent)
    bias = bias_of(layer)[out_channel]
    if masked:
        value = select(active, value, 0)
    if bias == 0:
        return value
    if layer.bias_on == "nonzero":
        raw = as_variable(summed)
        keep, integer, fraction = raw.kif
        return value + select(raw.quantize(0, integer + int(keep), fraction).unary_bit_op("any"), bias, 0)
    return value + select(active, bias, 0)


def conv_pairs(
    layer: Conv,
    code: PairCode,
    features: np.ndarray,
    codes: np.ndarray,
    turned: np.ndarray,
    active: np.ndarray,
) -> np.ndarray:
    """Convolution at some output pixels, weights looked up.

    Args:
        layer: the convolution.
        code: the codes of pairs.
        features: of all pixels [N, C].
        codes: of each output pixel with each pixel [copies, N].
        turned: whether the output pixel is the later one of the two, bits [copies, N].
        active: whether the output slot holds a pixel, bits [copies].
    """
    result = np.empty((len(codes), layer.output.shape[1]), dtype=object)
    for k, row in enumerate(codes):
        terms = [weighted(layer, code, row[j], turned[k, j], features[j]) for j in range(len(features))]
        for out in range(layer.output.shape[1]):
            summed = total([term for pixel in terms for term in pixel[out]])
            result[k, out] = with_bias(layer, summed, out, active[k], masked=not code.raster_order)
    return result


def conv_gather(
    layer: Conv,
    code: PairCode,
    features: np.ndarray,
    codes: np.ndarray,
    turned: np.ndarray,
    active: np.ndarray,
) -> np.ndarray:
    """The same by kernel position: the neighbour there is selected and multiplied by constants; see ``conv_pairs``."""
    area = layer.kernel_size[0] * layer.kernel_size[1]
    places = [code.position(c) for c in range(1 << code.bits)]
    result = np.empty((len(codes), layer.output.shape[1]), dtype=object)
    for k, row in enumerate(codes):
        window = []
        for position in range(area):
            straight = [int(p == position) for p in places]
            mirrored = [int(p is not None and area - 1 - p == position) for p in places]
            here: list[Number] = []
            for j in range(len(features)):
                turn = known(turned[k, j])
                if turn is None:
                    address = either(row[j], as_variable(turned[k, j]) * 2.0**code.bits)
                    here.append(table(address, straight + mirrored))
                else:
                    here.append(table(row[j], mirrored if turn else straight))
            for channel in range(features.shape[1]):
                window.append(selected(here, features[:, channel]))
        summed = matrix(np.array(window, dtype=object), _kernels(layer).reshape(len(window), -1))
        for out, value in enumerate(summed):
            result[k, out] = with_bias(layer, value, out, active[k], masked=not code.raster_order)
    return result


def _cells(layer: ir.Merging, coords: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[Number], list[Number]]:
    """Row and column of the cells of some slots, their number, and whether they lie in the grid."""
    (height, width), (kh, kw), grid = layer.spatial_shape, layer.cell, layer.grid
    area = grid[0] * grid[1]
    rows = np.array([by_coordinate(c, height, lambda r: r // kh) for c in coords[:, 0]], dtype=object)
    columns = np.array([by_coordinate(c, width, lambda x: x // kw) for c in coords[:, 1]], dtype=object)
    numbers, inside = [], []
    for row, column in coords:
        start = by_coordinate(row, height, lambda r: r // kh * grid[1] if r // kh < grid[0] else area, area)
        step = by_coordinate(column, width, lambda x: x // kw if x // kw < grid[1] else area)
        numbers.append(start + step)
        in_row = by_coordinate(row, height, lambda r: int(r // kh < grid[0]))
        in_column = by_coordinate(column, width, lambda x: int(x // kw < grid[1]))
        inside.append(both(in_row, in_column))
    return rows, columns, numbers, inside


def _merged(
    layer: ir.Merging, coords: np.ndarray, own: np.ndarray, earlier: np.ndarray
) -> tuple[list[list[Number]], list[Number], np.ndarray]:
    """For each output slot: which pixels are of its cell, whether it is the first of them, and its new place.

    Args:
        layer: what merges.
        coords: of all pixels [N, 2].
        own: of the output slots [copies, 2].
        earlier: whether a pixel stands before the output slot, bits [copies, N].
    """
    _, _, numbers, _ = _cells(layer, coords)
    rows, columns, mine, inside = _cells(layer, own)
    parallel = known(earlier[0, 0]) is not None
    if parallel:
        mine = numbers
    same: dict[tuple[int, int], Number] = {}
    members, firsts = [], []
    places = np.empty((len(own), 2), dtype=object)
    for k in range(len(own)):
        here = []
        for j in range(len(coords)):
            pair = (min(j, k), max(j, k)) if parallel else (j, k)
            if pair not in same:
                same[pair] = 1 if parallel and j == k else equal(numbers[j], mine[k])
            here.append(same[pair])
        before = any_of([both(member, flag) for member, flag in zip(here, earlier[k], strict=True)])
        firsts.append(both(inside[k], inverse(before)))
        members.append(here)
        places[k] = [select(firsts[k], rows[k], -1), select(firsts[k], columns[k], -1)]
    return members, firsts, places


Merge = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def merging(layer: ir.Merging, implementation: str) -> Merge:
    """What computes a layer that merges pixels into some slots.

    Returns:
        A function of the features of all pixels [N, C], their coords [N, 2], those of the output slots [copies, 2], and
        whether a pixel stands before the output slot, bits [copies, N]; it gives features and coords of those slots.
    """

    def merge(
        features: np.ndarray, coords: np.ndarray, own: np.ndarray, earlier: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        members, firsts, places = _merged(layer, coords, own, earlier)
        if isinstance(layer, ir.SparseStridedConv2d):
            return _strided(layer, implementation, features, coords, own, firsts), places
        assert isinstance(layer, ir.SparsePool2d)
        pooled = np.empty((len(own), features.shape[1]), dtype=object)
        for k in range(len(own)):
            # Where an earlier slot has the cell, this one is cleared: its members before it do not matter.
            used = [0 if known(f) == 1 else m for m, f in zip(members[k], earlier[k], strict=True)]
            for channel in range(features.shape[1]):
                pooled[k, channel] = select(firsts[k], _pooled(layer, used, features[:, channel]), 0)
        return pooled, places

    return merge


def _strided(
    layer: ir.SparseStridedConv2d,
    implementation: str,
    features: np.ndarray,
    coords: np.ndarray,
    own: np.ndarray,
    firsts: list[Number],
) -> np.ndarray:
    """A strided convolution at some slots: windows around the first places of their cells."""
    code = PairCode(layer.kernel_size, raster_order=False)
    height, width = layer.spatial_shape
    codes = np.empty((len(own), len(coords)), dtype=object)
    for k, (row, column) in enumerate(own):
        centre = np.empty(2, dtype=object)
        centre[0] = by_coordinate(row, height, lambda r: r - r % layer.strides[0])
        centre[1] = by_coordinate(column, width, lambda c: c - c % layer.strides[1])
        for j, place in enumerate(coords):
            codes[k, j] = code_of(code, centre, place)
    kernel = conv_gather if implementation == "gather" else conv_pairs
    turned = np.zeros(codes.shape, dtype=object)
    return kernel(layer, code, features, codes, turned, np.array(firsts, dtype=object))


def _pooled(layer: ir.SparsePool2d, members: list[Number], values: np.ndarray) -> Number:
    """Average or maximum of the members of a cell, in units of the output."""
    if isinstance(layer, ir.SparseAvgPool2d):
        summed = total([select(member, value, 0) for member, value in zip(members, values, strict=True)])
        return _times_reciprocal(layer, summed, layer.output_features.type.exponent)
    assert isinstance(layer, ir.SparseMaxPool2d)
    area = layer.kernel_size[0] * layer.kernel_size[1]
    result = _maximum(members, values, layer.features.type.raw_min, area if layer.over == "cell" else None)
    return aligned(result, layer.features.type.exponent, layer.output_features.type.exponent)


def _times_reciprocal(layer: ir.SparseAvgPool2d | ir.SparseGlobalAvgPool2d, summed: Number, to: int) -> Number:
    """A sum of features times the reciprocal of an average, in units of ``2**to``."""
    factor, exponent = int(layer.reciprocal.raw), layer.features.type.exponent + layer.reciprocal.type.exponent
    zeros = (factor & -factor).bit_length() - 1  # the output may be as coarse as they allow
    return aligned(summed * (factor >> zeros), exponent + zeros, to)


def _maximum(members: list[Number], values: np.ndarray, lowest: int, area: int | None) -> Number:
    """The largest of the members, ``lowest`` if there is none; with an area, pixels that are no members count as 0."""
    result = tree(largest, [select(member, value, lowest) for member, value in zip(members, values, strict=True)])
    if area is not None and lowest < 0:
        at_least_zero = select(negative(result), 0, result)
        full = equal(total(members), area) if area <= len(members) else 0
        result = select(full, result, at_least_zero)
    return result


def global_avg(layer: ir.SparseGlobalAvgPool2d, features: np.ndarray) -> np.ndarray:
    """Average over the image [C] of all pixels [N, C]."""
    to = layer.output.type.exponent
    return np.array([_times_reciprocal(layer, total(column), to) for column in features.T], dtype=object)


def global_max(layer: ir.SparseGlobalMaxPool2d, features: np.ndarray, coords: np.ndarray) -> np.ndarray:
    """Maximum over the image [C] of all pixels [N, C]."""
    active = [inverse(negative(row)) for row in coords[:, 0]]
    area = layer.spatial_shape[0] * layer.spatial_shape[1] if layer.over == "cell" else None
    found = [_maximum(active, column, layer.features.type.raw_min, area) for column in features.T]
    some = any_of(active)
    values = np.array([select(some, value, 0) for value in found], dtype=object)
    return aligned_all(values, layer.features.type.exponent, layer.output.type.exponent)


def add(layer: ir.Add, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sum of two arrays of one shape [...]."""
    to = layer.output.type.exponent
    return aligned_all(first, layer.first.type.exponent, to) + aligned_all(second, layer.second.type.exponent, to)


def concat(layer: ir.Concat, parts: list[np.ndarray]) -> np.ndarray:
    """Arrays [..., C1], [..., C2] ... side by side."""
    exponent = layer.output.type.exponent
    pairs = zip(layer.parts, parts, strict=True)
    return np.concatenate([aligned_all(values, part.type.exponent, exponent) for part, values in pairs], axis=-1)


def aligned_all(values: np.ndarray, exponent: int, to: int) -> np.ndarray:
    """``aligned`` for each element of an array [...]."""
    result = np.empty(values.shape, dtype=object)
    for index, value in np.ndenumerate(values):
        result[index] = aligned(value, exponent, to)
    return result
