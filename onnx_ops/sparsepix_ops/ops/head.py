"""Sigmoid and Softmax at the end of a model, as exact tables.

Both are monotonic, so firmware can leave them out and compare logits; where the probability itself
is wanted it is defined in integers: a rising function whose result has 10 bits is a staircase, and
its value at x is the number of steps at or below x. The integer reference and the C++ count the
same steps, so they agree on every bit. (torch and ONNX Runtime compute the functions in floating
point; the tables are within one unit of 2**-10 of them for a Sigmoid.)
"""

from collections.abc import Callable, Sequence

import numpy as np

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedPoint
from sparsepix_ops.op import Attribute, Attributes, Kind, Op, Value

HEAD_FORMAT = FixedPoint(10, 0, signed=False)
STEPS = 1 << HEAD_FORMAT.width


def _first_raw(reached: Callable[[np.ndarray], np.ndarray], guess: np.ndarray) -> np.ndarray:
    """The smallest integers at which the rising predicate holds, near a guess that is off by rounding only."""
    step = np.floor(guess) - 2.0
    for _ in range(6):
        step = np.where(reached(step), step, step + 1)
    return step


def sigmoid_thresholds(exponent: int) -> np.ndarray:
    """The 1023 steps of the rounded sigmoid over logits ``raw * 2**exponent``: sorted raw logits [1023]."""
    level = (np.arange(1, STEPS) - 0.5) / STEPS
    guess = np.ldexp(np.log(level) - np.log1p(-level), -exponent)
    return _first_raw(lambda raw: 1 / (1 + np.exp(-np.ldexp(raw, exponent))) >= level, guess).astype(np.int64)


def exp_thresholds(exponent: int) -> np.ndarray:
    """The 1024 steps of the rounded exponential over ``raw * 2**exponent <= 0``: sorted raw values [1024]."""
    level = (np.arange(1, STEPS + 1) - 0.5) / STEPS
    guess = np.ldexp(np.log(level), -exponent)
    return _first_raw(lambda raw: np.exp(np.ldexp(raw, exponent)) >= level, guess).astype(np.int64)


def _sigmoid(inputs: Sequence[np.ndarray], _: Attributes) -> list[np.ndarray]:
    return [1 / (1 + np.exp(-inputs[0]))]


def _sigmoid_reference(inputs: Sequence[FixedArray], _: Attributes) -> list[FixedArray]:
    (x,) = inputs
    count = np.searchsorted(sigmoid_thresholds(x.exponent), x.raw, side="right")
    return [FixedArray(count.astype(np.int64), HEAD_FORMAT.exponent)]


def _softmax(inputs: Sequence[np.ndarray], _: Attributes) -> list[np.ndarray]:
    grown = np.exp(inputs[0] - inputs[0].max(axis=-1, keepdims=True))
    return [grown / grown.sum(axis=-1, keepdims=True)]


def _softmax_reference(inputs: Sequence[FixedArray], _: Attributes) -> list[FixedArray]:
    (x,) = inputs
    below = x.raw - x.raw.max(axis=-1, keepdims=True)
    grown = np.searchsorted(exp_thresholds(x.exponent), below, side="right").astype(np.int64)
    total = grown.sum(axis=-1, keepdims=True)
    share = (grown * STEPS + total // 2) // total
    return [FixedArray(np.minimum(share, HEAD_FORMAT.raw_max), HEAD_FORMAT.exponent)]


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    (x,) = values
    if len(x.shape) != 2:
        raise SparsePixError(f"it must be at the end, on logits with 2 axes, found shape {x.shape}")
    if attributes.get("axis", -1) not in (-1, 1):
        raise SparsePixError(f"its axis must be the last one, found {attributes['axis']}")
    if x.range is None:
        return [Value(x.shape)]
    return [Value(x.shape, HEAD_FORMAT.range, HEAD_FORMAT)]


SIGMOID = Op("Sigmoid", "", ("x",), ("output",), {}, _sigmoid, _sigmoid_reference, _bound, kind=Kind.HEAD)
SOFTMAX = Op(
    "Softmax", "", ("x",), ("output",), {"axis": Attribute(-1)}, _softmax, _softmax_reference, _bound, kind=Kind.HEAD
)
OPS = (SIGMOID, SOFTMAX)
