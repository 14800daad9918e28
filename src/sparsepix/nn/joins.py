"""Joining branches of a network that work on the same pixels."""

from collections.abc import Sequence

import torch

from sparsepix.pixels.sparse_pixels import SparsePixels, check_same_list
from sparsepix_ops.errors import SparsePixError


def add(first: SparsePixels, second: SparsePixels) -> SparsePixels:
    """The sum of the features, ``first + second``: a skip connection.

    The sum is exact: it has the finer unit of the two and is one bit wider. A quantized activation after it gives it a
    format.

    Args:
        first: features [B, N, C].
        second: features [B, N, C] on the same list of pixels.

    Raises:
        SparsePixError: the operands have other pixels or channels.
    """
    check_same_list("add", (first, second))
    return first + second


def concat(pixels: Sequence[SparsePixels]) -> SparsePixels:
    """The channels of several branches side by side.

    Every number is kept: where the operands have different formats, the result has the finest unit and the largest
    range of them.

    Args:
        pixels: one or more, features [B, N, C1], [B, N, C2] ... on the same list of pixels.

    Returns:
        Features [B, N, C1 + C2 ...].

    Raises:
        SparsePixError: nothing to join, or the operands have other pixels.
    """
    if not pixels:
        raise SparsePixError("concat: expected one operand or more, found none")
    check_same_list("concat", pixels)
    return pixels[0].replace(torch.cat([operand.features for operand in pixels], dim=-1))
