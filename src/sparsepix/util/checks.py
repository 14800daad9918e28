"""Checks of arguments and inputs that several layers share."""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.whole import truth, whole_number

LARGEST = 2**24  # pixels, channels or features; up to it float32 counts
MOST_WEIGHTS = 2**30


def as_pair(layer: str, argument: str, value: int | Sequence[int], *, odd: bool = False) -> tuple[int, int]:
    """Read a (rows, columns) pair from an int or a pair of ints, each at least 1.

    Raises:
        SparsePixError: something else, or an even number where ``odd`` is asked for.
    """
    given = value.tolist() if isinstance(value, np.ndarray | Tensor) else value
    both = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else (given, given)
    pair = tuple(whole_number(size) for size in both)
    if len(pair) != 2 or any(size is None or not 1 <= size <= LARGEST for size in pair):
        raise SparsePixError(f"{layer}: {argument} must be an int >= 1 or a pair of them, found {value!r}")
    if odd and any(size % 2 == 0 for size in pair):
        near = tuple(size + 1 - size % 2 for size in pair)
        raise SparsePixError(
            f"{layer}: {argument} must be odd, so that the window has a centre pixel, found {value!r}; take {near}"
        )
    return pair


def check_choice(layer: str, argument: str, value: str, choices: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        SparsePixError: it is not.
    """
    if not isinstance(value, str) or value not in choices:
        raise SparsePixError(f"{layer}: {argument} must be one of {list(choices)}, found {value!r}")
    return value


def check_positive(layer: str, argument: str, value: int, most: int = LARGEST) -> int:
    """Return ``value`` as an int if it is a whole number from 1 to ``most``.

    Raises:
        SparsePixError: it is not.
    """
    whole = whole_number(value)
    if whole is None or whole < 1:
        raise SparsePixError(f"{layer}: {argument} must be an int >= 1, found {value!r}")
    if whole > most:
        raise SparsePixError(f"{layer}: {argument} must be an int of at most {most}, found {value!r}")
    return whole


def check_flag(layer: str, argument: str, value: bool) -> bool:
    """Return ``value`` as a bool.

    Raises:
        SparsePixError: it is none.
    """
    found = truth(value)
    if found is None:
        raise SparsePixError(f"{layer}: {argument} must be True or False, found {value!r}")
    return found


def check_weights(layer: str, *sizes: int) -> None:
    """Check that a layer's weights fit into a memory; they are not made then.

    Raises:
        SparsePixError: more than 2**30 of them.
    """
    count = math.prod(sizes)
    if count > MOST_WEIGHTS:
        raise SparsePixError(
            f"{layer}: its {' x '.join(map(str, sizes))} weights would take {count * 4 / 2**30:,.0f} GiB; expected at "
            f"most {MOST_WEIGHTS} weights"
        )


def check_channels(layer: str, expected: int, found: int, argument: str = "in_channels") -> None:
    """Compare a layer's channel count with that of its input.

    Raises:
        SparsePixError: they differ.
    """
    if expected != found:
        raise SparsePixError(
            f"{layer}: expected an input of {expected} channels, found {found}; "
            f"build the layer with {argument}={found} or feed it {expected}"
        )


def check_vector(layer: str, x: Tensor) -> None:
    """Check that ``x`` is a tensor.

    Raises:
        SparsePixError: it is something else.
    """
    if not isinstance(x, Tensor):
        raise SparsePixError(
            f"{layer}: expected a tensor, found {type(x).__name__}; after pixels put SparseFlatten or a global "
            "pool first"
        )


def check_image(layer: str, image: Tensor) -> Tensor:
    """Return ``image`` if it is a floating-point tensor [B, C, H, W].

    Raises:
        SparsePixError: another rank or dtype.
    """
    if not isinstance(image, Tensor) or image.dim() != 4:
        found = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
        raise SparsePixError(
            f"{layer}: expected a batch of images [B, C, H, W], found {found}; add the missing axes with image[None]"
        )
    if not image.dtype.is_floating_point:
        raise SparsePixError(f"{layer}: expected float32 or float64, found {image.dtype}; convert with image.float()")
    return image


def check_window(layer: str, kernel_size: tuple[int, int], spatial_shape: tuple[int, int]) -> None:
    """Check that a pooling window fits into the image.

    Raises:
        SparsePixError: it does not.
    """
    if kernel_size[0] > spatial_shape[0] or kernel_size[1] > spatial_shape[1]:
        raise SparsePixError(
            f"{layer}: the window {kernel_size} must not be larger than the image {spatial_shape}; "
            f"take a kernel_size of at most {spatial_shape}"
        )
