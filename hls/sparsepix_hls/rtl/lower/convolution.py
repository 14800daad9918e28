"""Convolutions, computed on variables of da4ml's tracer.

The functions take arrays of raw integers and compute some output pixels: all of them where the layer has one round.
What changes from round to round comes in as a variable, what never does as a number, and the tracer folds it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from sparsepix_hls.ir.kernel import bias_values
from sparsepix_hls.rtl.lower.arithmetic import (
    Number,
    aligned,
    as_variable,
    either,
    known,
    matrix,
    select,
    selected,
    table,
    total,
)
from sparsepix_hls.rtl.lower.pairs import PairCode


def convolve(
    layer: Any,
    implementation: str,
    code: PairCode,
    features: np.ndarray,
    codes: np.ndarray,
    turned: np.ndarray,
    active: np.ndarray,
) -> np.ndarray:
    """Convolution at some output pixels.

    Args:
        layer: the convolution, of either kind.
        implementation: 'pairs': weights are looked up; 'gather': neighbours are selected by kernel position.
        code: the codes of pairs.
        features: of all pixels [N, C].
        codes: of each output pixel with each pixel [parallel, N].
        turned: whether the output pixel is the later one of the two, bits [parallel, N].
        active: whether the output slot holds a pixel, bits [parallel].
    """
    sums_of = _by_gather if implementation == "gather" else _by_pairs
    result = np.empty((len(codes), layer.outputs[0].shape[1]), dtype=object)
    for k, row in enumerate(codes):
        for out, summed in enumerate(sums_of(layer, code, features, row, turned[k])):
            result[k, out] = with_bias(layer, summed, out, active[k], masked=not code.raster_order)
    return result


def _products(layer: Any) -> int:
    """The exponent of a product of a convolution."""
    return layer.features.type.exponent + layer.weight.type.exponent


def _kernels(layer: Any) -> np.ndarray:
    """Weights [positions, in_channels, out_channels]; 0 where a filter does not read a channel."""
    raw = layer.weight.raw.reshape(-1, *layer.weight.raw.shape[-2:])
    positions, of_group, filters = raw.shape
    full = np.zeros((positions, of_group * layer.groups, filters), dtype=raw.dtype)
    for out in range(filters):
        first = out // (filters // layer.groups) * of_group
        full[:, first : first + of_group, out] = raw[:, :, out]
    return full


def weighted(layer: Any, code: PairCode, address: Number, turned: Number, pixel: np.ndarray) -> list[list[Number]]:
    """Products of a pixel's channels with the weights of a pair code: for each output channel, its terms.

    Args:
        layer: the convolution.
        code: the codes.
        address: code of the pair.
        turned: whether the window is around the later pixel of the two, one bit.
        pixel: channels [C].
    """
    here = known(turned)
    full = either(address, as_variable(turned) * 2.0**code.bits) if here is None else address
    terms: list[list[Number]] = []
    kernels = _kernels(layer)
    for out in range(layer.outputs[0].shape[1]):
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


def with_bias(layer: Any, summed: Number, out_channel: int, active: Number, masked: bool) -> Number:
    """A sum of products with its bias, in units of the output.

    Args:
        layer: the convolution.
        summed: the sum, in units of a product.
        out_channel: its channel.
        active: whether the slot holds a pixel, one bit.
        masked: whether the sum of an empty slot has to be cleared.
    """
    value = aligned(summed, _products(layer), layer.outputs[0].type.exponent)
    bias = bias_values(layer.bias, layer.outputs[0])[out_channel]
    if masked:
        value = select(active, value, 0)
    if bias == 0:
        return value
    if layer.bias_on == "nonzero":
        raw = as_variable(summed)
        keep, integer, fraction = raw.kif
        return value + select(raw.quantize(0, integer + int(keep), fraction).unary_bit_op("any"), bias, 0)
    return value + select(active, bias, 0)


def _by_pairs(
    layer: Any, code: PairCode, features: np.ndarray, row: np.ndarray, turned: np.ndarray
) -> Iterator[Number]:
    """The sums of one output pixel, weights looked up: a sum for each output channel; see ``convolve``."""
    terms = [weighted(layer, code, row[j], turned[j], features[j]) for j in range(len(features))]
    for out in range(layer.outputs[0].shape[1]):
        yield total([term for pixel in terms for term in pixel[out]])


def _by_gather(
    layer: Any, code: PairCode, features: np.ndarray, row: np.ndarray, turned: np.ndarray
) -> Iterable[Number]:
    """The same by kernel position: the neighbour there is selected and multiplied by constants."""
    area = layer.kernel_size[0] * layer.kernel_size[1]
    places = [code.position(c) for c in range(1 << code.bits)]
    window = []
    for position in range(area):
        straight = [int(p == position) for p in places]
        mirrored = [int(p is not None and area - 1 - p == position) for p in places]
        here: list[Number] = []
        for j in range(len(features)):
            turn = known(turned[j])
            if turn is None:
                address = either(row[j], as_variable(turned[j]) * 2.0**code.bits)
                here.append(table(address, straight + mirrored))
            else:
                here.append(table(row[j], mirrored if turn else straight))
        for channel in range(features.shape[1]):
            window.append(selected(here, features[:, channel]))
    return matrix(np.array(window, dtype=object), _kernels(layer).reshape(len(window), -1))
