"""Images as callers have them: arrays of any kind and order, tensors, lists; made plain numpy arrays or refused."""

from typing import Any

import numpy as np

from sparsepix_ops.errors import SparsePixError

_EXACT_INTEGERS = 2**53  # up to here float64 holds every integer


def as_array(x: Any, name: str) -> np.ndarray:
    """Numbers of any kind as a numpy array [...], not copied where that is not needed.

    Args:
        x: an array of any strides and byte order, memory-mapped or read-only too; a tensor, on any device and with or
            without a gradient; what has ``__array__``; lists of these.
        name: of the array, for messages.

    Raises:
        SparsePixError: x is no array, or values of it are masked.
    """
    if type(x) is np.ndarray:
        return x
    first = x
    while isinstance(first, list | tuple) and first:
        first = first[0]
    tensor = hasattr(first, "detach") and hasattr(first, "cpu")
    try:
        if first is not x and (tensor or isinstance(first, np.ma.MaskedArray)):
            return np.stack([as_array(part, name) for part in x])
        if tensor:
            return _of_tensor(x)
        if np.ma.is_masked(x):
            raise SparsePixError(
                f"{name}: expected numbers only, found {int(np.ma.getmaskarray(x).sum())} masked values; give them a "
                "value with x.filled(0)"
            )
        return np.asarray(x)
    except SparsePixError:
        raise
    except Exception as error:  # an __array__ of other packages may raise anything
        raise SparsePixError(f"{name}: expected an array, found a {type(x).__name__}: {error}") from error


def _of_tensor(x: Any) -> np.ndarray:
    """A tensor of torch, which is not imported here."""
    plain = x.detach().cpu()
    try:
        return plain.numpy()
    except TypeError:  # numpy has no bfloat16; float32 holds all its values
        return plain.float().numpy()


def as_images(x: Any, name: str, shape: tuple[int, int, int] | None = None) -> np.ndarray:
    """Images of real numbers as an array [B, C, H, W], not yet checked for NaN and infinity.

    Args:
        x: see ``as_array``; floats or integers. B may be 0.
        name: of the images, for messages.
        shape: (C, H, W), if it is known.

    Returns:
        An array of floats or integers, of the byte order and strides of x. Float64 holds each value, except those of
        longer floats.

    Raises:
        SparsePixError: no array of numbers, another shape, or integers beyond 2**53, which float64 would round.
    """
    array = as_array(x, name)
    if array.dtype.kind not in "fiu":
        fix = "; convert with x.astype(numpy.float32)" if array.dtype.kind == "b" else ""
        raise SparsePixError(f"{name}: expected an array of float or integer numbers, found dtype {array.dtype}{fix}")
    check_shape(array, name, shape)
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and array.size:
        low, high = int(array.min()), int(array.max())
        if low < -_EXACT_INTEGERS or high > _EXACT_INTEGERS:
            raise SparsePixError(f"{name}: expected integers up to 2**53, which are exact, found {low} ... {high}")
    return array


def check_shape(array: np.ndarray, name: str, shape: tuple[int, int, int] | None) -> None:
    """Check that an array is a batch of images [B, C, H, W].

    Args:
        array: any array.
        name: of it, for messages.
        shape: (C, H, W), or None for any.

    Raises:
        SparsePixError: it is not.
    """
    if array.ndim == 4 and shape in (None, array.shape[1:]):
        return
    expected = "[channels][height][width]" if shape is None else "".join(f"[{size}]" for size in shape)
    single = array.ndim == 3 if shape is None else array.shape == shape
    hint = "; for a single image pass x[None]" if single else ""
    raise SparsePixError(f"{name}: expected images of shape [B]{expected}, found {array.shape}{hint}")


def contiguous(array: np.ndarray, dtype: type) -> np.ndarray:
    """An array of numbers in row-major order and this machine's byte order; what is too large becomes infinity."""
    if array.dtype == dtype:
        return np.ascontiguousarray(array)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=dtype)


def check_finite(array: np.ndarray, name: str) -> None:
    """Check that an array holds numbers only.

    Raises:
        SparsePixError: it has NaN or infinity.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise SparsePixError(not_finite(name))


def not_finite(name: str) -> str:
    """The message about images with NaN or infinity."""
    return f"{name}: expected finite values, found NaN or infinity"
