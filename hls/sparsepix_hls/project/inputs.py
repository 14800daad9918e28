"""What the ``predict`` functions of the projects take, checked."""

import operator
import os
from typing import Any

import numpy as np

from sparsepix_hls.ir.tensors import Tensor
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.images import as_array, as_images, check_finite, check_shape, contiguous


def quantized_images(tensor: Tensor, x: Any) -> np.ndarray:
    """Images of real numbers, rounded and clipped to the input's format: raw integers, contiguous int64 [B, C, H, W].

    Args:
        tensor: the input of the model.
        x: numbers of any kind; see ``sparsepix_ops.images.as_images``.

    Raises:
        SparsePixError: another shape, another kind of numbers, NaN or infinity.
    """
    array = contiguous(as_images(x, tensor.name, tensor.shape), np.float64)
    check_finite(array, tensor.name)
    return tensor.type.quantize(array).raw


def raw_images(tensor: Tensor, raw: Any) -> np.ndarray:
    """Raw integers of images, contiguous int64 [B, channels, height, width].

    Args:
        tensor: the input of the model.
        raw: integers of any kind; see ``sparsepix_ops.images.as_array``.

    Raises:
        SparsePixError: no integers, another shape, or values outside the input's format.
    """
    array, name = as_array(raw, tensor.name), tensor.name
    if array.dtype.kind not in "iu":
        raise SparsePixError(
            f"{name}: predict_raw takes raw integers (value = raw * 2^{tensor.type.exponent}), found dtype "
            f"{array.dtype}; predict() takes real numbers"
        )
    check_shape(array, name, tensor.shape)
    _check_range(array, name, tensor.type)
    return np.ascontiguousarray(array, dtype=np.int64)


def _check_range(array: np.ndarray, name: str, type_: FixedPoint) -> None:
    if not array.size:
        return
    low, high = int(array.min()), int(array.max())
    if low >= type_.raw_min and high <= type_.raw_max:
        return
    # As comparisons of numpy's own integers: a bound may lie outside the array's dtype.
    limits = np.iinfo(array.dtype)
    outside = (array < max(type_.raw_min, limits.min)) | (array > min(type_.raw_max, limits.max))
    raise SparsePixError(
        f"{name}: expected raw integers {type_.raw_min} ... {type_.raw_max} of {type_}, found {int(outside.sum())} of "
        f"{array.size} values outside, {low} ... {high}; predict() takes real numbers and quantizes them"
    )


def checked_threads(threads: int | None) -> int:
    """A number of threads; None means as many as this process may use cores.

    Raises:
        SparsePixError: no whole number of at least 1.
    """
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        number = 0 if isinstance(threads, bool | np.bool_) else operator.index(threads)
    except TypeError:
        number = 0
    if number < 1:
        raise SparsePixError(
            f"threads: expected a whole number of at least 1, or None for all cores, found {threads!r}"
        )
    return number
