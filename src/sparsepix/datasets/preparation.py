"""Steps of preparation that several data sets share."""

import numpy as np

from sparsepix_ops.errors import SparsePixError


def place_centred(images: np.ndarray, size: int) -> np.ndarray:
    """Pad images [E, h, w] with zeros to [E, size, size], centred (the larger margin below and to the right)."""
    height, width = images.shape[1:]
    if max(height, width) > size:
        raise SparsePixError(f"expected images of at most {size}x{size}, found {height}x{width}")
    placed = np.zeros((len(images), size, size), dtype=images.dtype)
    top, left = (size - height) // 2, (size - width) // 2
    placed[:, top : top + height, left : left + width] = images
    return placed


def inflate(images: np.ndarray, factor: float) -> np.ndarray:
    """Move every non-zero pixel of images [E, H, W] away from the centre by ``factor``.

    It spreads the pixels apart and keeps their number and values, as the paper does: (y, x) moves to
    round((y - c) * factor + c) with c = (size - 1) / 2, clipped to the image; where two pixels
    meet, the later one in row-major order stays.
    """
    height, width = images.shape[1:]
    event, y, x = np.nonzero(images)
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    to_y = np.clip(np.round((y - centre_y) * factor + centre_y), 0, height - 1).astype(np.int64)
    to_x = np.clip(np.round((x - centre_x) * factor + centre_x), 0, width - 1).astype(np.int64)
    # An index that comes twice would leave the winner to numpy, so all but the last are dropped.
    target = (event * height + to_y) * width + to_x
    _, last_from_end = np.unique(target[::-1], return_index=True)
    keep = len(target) - 1 - last_from_end
    inflated = np.zeros_like(images)
    inflated.reshape(-1)[target[keep]] = images[event[keep], y[keep], x[keep]]
    return inflated


def sparsify(images: np.ndarray, size: int, factor: float, threshold: float) -> np.ndarray:
    """The paper's recipe for MNIST on small dense images [E, h, w] of values >= 0.

    Placed on size x size, divided by the image's maximum, inflated about the centre, values below
    the threshold set to 0.

    Returns:
        float32 [E, 1, size, size], values 0 ... 1.
    """
    placed = place_centred(images.astype(np.float32), size)
    largest = placed.max(axis=(1, 2), keepdims=True)
    scaled = placed / np.where(largest > 0, largest, 1)
    spread = inflate(scaled, factor)
    return np.where(spread < threshold, 0, spread).astype(np.float32)[:, None]


def sum_pool(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sum images [E, h, w] over cells of height x width; rows and columns that fill no cell are cut."""
    events, rows, columns = len(images), images.shape[1] // height, images.shape[2] // width
    cut = images[:, : rows * height, : columns * width]
    return cut.reshape(events, rows, height, columns, width).sum(axis=(2, 4))
