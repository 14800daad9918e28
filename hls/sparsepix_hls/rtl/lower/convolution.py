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
from sparsepix_hls.rtl.lower.folds import Fold
from sparsepix_hls.rtl.lower.pairs import PairCode


def convolve(
    layer: Any,
    implementation: str,
    code: PairCode,
    features: np.ndarray,
    codes: np.ndarray,
    turned: np.ndarray,
    active: np.ndarray,
    fold: Fold,
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
        fold: which filters are computed.
    """
    sums_of = _by_gather if implementation == "gather" else _by_pairs
    biases = [table(fold.number, of) for of in fold.members(bias_values(layer.bias, layer.outputs[0]), 0)]
    result = np.empty((len(codes), len(biases)), dtype=object)
    for k, row in enumerate(codes):
        for out, summed in enumerate(sums_of(layer, code, features, row, turned[k], fold)):
            result[k, out] = _with_bias(layer, summed, biases[out], active[k], masked=not code.raster_order)
    return result


def convolve_window(layer: Any, window: np.ndarray) -> np.ndarray:
    """Convolution at one active pixel, by constants.

    Args:
        layer: the convolution, of either kind.
        window: features around the pixel [kernel positions, C], 0 where no pixel is active.

    Returns:
        Features [1, filters].
    """
    found = _by_constants(layer, list(window.ravel()), window.shape[1], Fold())
    biases = bias_values(layer.bias, layer.outputs[0])
    return np.array(
        [[_with_bias(layer, one, bias, 1, masked=False) for one, bias in zip(found, biases, strict=True)]], dtype=object
    )


def _products(layer: Any) -> int:
    """The exponent of a product of a convolution."""
    return layer.features.type.exponent + layer.weight.type.exponent


def _reads(layer: Any, fold: Fold) -> list[list[tuple[list[int], list[np.ndarray]]]]:
    """For each filter of a round what it reads: the channel in each fold, and the weights [positions] there."""
    raw = layer.weight.raw.reshape(-1, *layer.weight.raw.shape[-2:])
    _, of_group, filters = raw.shape
    first = [out // (filters // layer.groups) * of_group for out in range(filters)]
    found = []
    for outs in fold.members(range(filters), filters):
        row = []
        for k in range(of_group):
            kernels = [raw[:, k, out] if out < filters else np.zeros_like(raw[:, k, 0]) for out in outs]
            if any(kernel.any() for kernel in kernels):
                row.append(([first[min(out, filters - 1)] + k for out in outs], kernels))
        found.append(row)
    return found


def weighted(
    layer: Any, code: PairCode, address: Number, turned: Number, pixel: np.ndarray, fold: Fold | None = None
) -> list[list[Number]]:
    """Products of a pixel's channels with the weights of a pair code: for each output channel, its terms.

    Args:
        layer: the convolution.
        code: the codes.
        address: code of the pair.
        turned: whether the window is around the later pixel of the two, one bit.
        pixel: channels [C].
        fold: which output channels; None: all.
    """
    here, fold = known(turned), fold or Fold()
    full = either(address, as_variable(turned) * 2.0**code.bits) if here is None else address
    turns = (False, True) if here is None else (bool(here),)
    lookup = fold.at(full, len(turns) << code.bits)
    terms: list[list[Number]] = []
    for reads in _reads(layer, fold):
        row = []
        for channels, kernels in reads:
            weights = [[weight for turn in turns for weight in code.weights(kernel, turn)] for kernel in kernels]
            row.append(as_variable(lookup(weights)) * fold.chosen([pixel[c] for c in channels]))
        terms.append(row)
    return terms


def _with_bias(layer: Any, summed: Number, bias: Number, active: Number, masked: bool) -> Number:
    """A sum of products with its bias, in units of the output.

    Args:
        layer: the convolution.
        summed: the sum, in units of a product.
        bias: of its channel, in units of the output.
        active: whether the slot holds a pixel, one bit.
        masked: whether the sum of an empty slot has to be cleared.
    """
    value = aligned(summed, _products(layer), layer.outputs[0].type.exponent)
    if masked:
        value = select(active, value, 0)
    if known(bias) == 0:
        return value
    if layer.bias_on == "nonzero":
        raw = as_variable(summed)
        keep, integer, fraction = raw.kif
        return value + select(raw.quantize(0, integer + int(keep), fraction).unary_bit_op("any"), bias, 0)
    return value + select(active, bias, 0)


def _by_pairs(
    layer: Any, code: PairCode, features: np.ndarray, row: np.ndarray, turned: np.ndarray, fold: Fold
) -> Iterator[Number]:
    """The sums of one output pixel, weights looked up: a sum for each output channel; see ``convolve``."""
    terms = [weighted(layer, code, row[j], turned[j], features[j], fold) for j in range(len(features))]
    for of_pixels in zip(*terms, strict=True):
        yield total([term for of_pixel in of_pixels for term in of_pixel])


def _by_gather(
    layer: Any, code: PairCode, features: np.ndarray, row: np.ndarray, turned: np.ndarray, fold: Fold
) -> Iterable[Number]:
    """The same by kernel position: the neighbour there is selected and multiplied by constants, those of the fold."""
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
    return _by_constants(layer, window, features.shape[1], fold)


def _by_constants(layer: Any, window: list[Number], channels: int, fold: Fold) -> Iterable[Number]:
    """The sums over a window [positions * channels]: a sum for each output channel of a fold."""
    area = layer.kernel_size[0] * layer.kernel_size[1]
    if fold.count > 1:
        return [_folded(window, channels, reads, fold) for reads in _reads(layer, fold)]
    weights = np.zeros((area, channels, layer.outputs[0].shape[1]), dtype=layer.weight.raw.dtype)
    for out, reads in enumerate(_reads(layer, fold)):
        for (channel,), (kernel,) in reads:
            weights[:, channel, out] = kernel
    return matrix(np.array(window, dtype=object), weights.reshape(len(window), -1))


def _folded(window: list[Number], channels: int, reads: list[tuple[list[int], list[np.ndarray]]], fold: Fold) -> Number:
    """A sum over a window [positions * channels] with the weights of a fold."""
    terms = []
    for places, kernels in reads:
        for position, weights in enumerate(zip(*kernels, strict=True)):
            value = fold.chosen([window[position * channels + place] for place in places])
            if any(weights) and known(value) != 0:
                terms.append(as_variable(table(fold.number, weights)) * value)
    return total(terms)
