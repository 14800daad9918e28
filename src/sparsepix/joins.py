"""Joining branches of a network that work on the same pixels."""

from sparsepix.sparse_pixels import SparsePixels, check_same_list


def add(first: SparsePixels, second: SparsePixels) -> SparsePixels:
    """The sum of the features, ``first + second``: a skip connection.

    The sum is exact: it has the finer unit of the two and is one bit wider. A quantized activation behind it gives it
    a format.

    Args:
        first: features [B, N, C].
        second: features [B, N, C] on the same list of pixels.

    Raises:
        SparsePixError: the operands have other pixels or channels.
    """
    check_same_list("add", (first, second))
    return first + second
