"""Events for the testbench of a project: the user's, or synthetic ones that hit the hard cases."""

import tokenize
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sparsepix_hls.ir.dims import dims
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.ir.tensors import Tensor
from sparsepix_hls.layers.input_reduce import InputReduce
from sparsepix_hls.project.inputs import quantized_images
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.images import as_array

EVENTS = 32
_SEED = 2024


def load_images(path: Path) -> np.ndarray:
    """The array of a .npy file, left on disk until it is read.

    Raises:
        SparsePixError: no such file, or not one array of numbers; a shape of more data than the file holds.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise SparsePixError(f"{path}: expected a .npy file with images, found {found}")
    reason = "it holds something else"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            data = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(data, np.ndarray):
            return data
    # What numpy raises on a header depends on how far its parsers get with it.
    except (
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        SyntaxError,
        EOFError,
        RecursionError,
        MemoryError,
    ) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
    except tokenize.TokenError:
        reason = "its header is damaged"
    raise SparsePixError(
        f"{path}: expected a .npy file with one array of numbers; write it with numpy.save ({reason})"
    ) from None


def given_events(graph: Graph, images: Any) -> np.ndarray:
    """Raw integers [E, C, H, W] of images of real numbers, rounded to the model's input format.

    Args:
        graph: the model.
        images: as ``Project.predict`` takes them; one or more.

    Raises:
        SparsePixError: wrong shape or kind of numbers, no event at all, NaN or infinity.
    """
    source = replace(graph.input, name="testbench data")
    array = as_array(images, source.name)
    if array.dtype.kind in "fiu" and (array.shape[1:] != source.shape or not len(array)):
        shape = ", ".join(map(str, source.shape))
        raise SparsePixError(
            f"testbench data: expected one or more images of shape (events, {shape}), found {array.shape}"
        )
    return quantized_images(source, array)


def synthetic_events(graph: Graph) -> np.ndarray:
    """32 made-up images as raw integers [32, C, H, W], the same each time.

    The empty image, one pixel, exactly N active pixels and one more (N = max_pixels), all pixels,
    corners, borders, the largest and the smallest values, equal values, a dense cluster; the rest random.
    """
    layer = next(layer for layer in graph.layers if isinstance(layer, InputReduce))
    channels, height, width = layer.image.shape
    rng = np.random.default_rng(_SEED)
    n, cells = layer.max_pixels, height * width
    rows, columns = (index.ravel() for index in np.indices((height, width)))
    low, high = layer.image.type.raw_min, layer.image.type.raw_max
    border = np.flatnonzero((rows % (height - 1 or 1) == 0) | (columns % (width - 1 or 1) == 0))
    corners = np.flatnonzero((rows % (height - 1 or 1) == 0) & (columns % (width - 1 or 1) == 0))
    distance = np.maximum(abs(rows - rng.integers(height)), abs(columns - rng.integers(width)))
    cluster = np.argsort(distance, kind="stable")[: n + 1]

    def some(count: int) -> np.ndarray:
        return rng.choice(cells, size=min(count, cells), replace=False)

    places = [some(0), some(1), some(n), some(n + 1), np.arange(cells), corners, border, cluster]
    events = [_event(layer, where, _active(layer, rng, len(where))) for where in places]
    where = some(n)
    events.append(_event(layer, where, np.full((channels, len(where)), high)))
    smallest = np.full((channels, len(where)), low)
    smallest[0] = np.clip(layer.threshold_raw + 1, low, high)
    events.append(_event(layer, where, smallest))
    where = some(2 * n)
    events.append(_event(layer, where, np.repeat(_active(layer, rng, 1), len(where), axis=1)))
    events.append(rng.integers(low, high + 1, size=layer.image.shape))
    while len(events) < EVENTS:
        where = some(int(rng.integers(1, 2 * n + 1))) if len(events) % 2 else rng.permutation(cluster)[: n // 2 + 1]
        events.append(_event(layer, where, _active(layer, rng, len(where))))
    return np.stack(events).astype(np.int64)


def _active(layer: InputReduce, rng: np.random.Generator, count: int) -> np.ndarray:
    """Random values [C, count] of pixels whose score is above the threshold, if any can be."""
    fmt, channels = layer.image.type, layer.image.shape[0]
    values = rng.integers(fmt.raw_min, fmt.raw_max + 1, size=(channels, count))
    share = layer.threshold_raw // channels if layer.activity == "sum" else layer.threshold_raw
    above = min(max(share + 1, fmt.raw_min), fmt.raw_max)
    decisive = rng.integers(above, fmt.raw_max + 1, size=values.shape)
    if layer.activity == "sum":
        return decisive
    values[0] = decisive[0]
    return values


def _event(layer: InputReduce, where: np.ndarray, values: np.ndarray) -> np.ndarray:
    """An image [C, H, W] with values [C, count] at cells [count] and nothing active elsewhere, if possible."""
    channels, height, width = layer.image.shape
    share = layer.threshold_raw // channels if layer.activity == "sum" else layer.threshold_raw
    image = np.full((channels, height * width), max(min(0, share), layer.image.type.raw_min))
    image[:, where] = values
    return image.reshape(channels, height, width)


def data_text(what: str, tensors: Sequence[Tensor], raw: np.ndarray) -> str:
    """Raw integers [events, ...] as the testbenches read them: one event a line.

    Args:
        what: they are, for the head of the file.
        tensors: of a line, one after the other.
        raw: all numbers of an event, in their order.
    """
    names = ", ".join(f"{tensor.name}{dims(tensor.shape)}" for tensor in tensors)
    head = f"# {what}: one event a line, {names} in row-major order\n"
    for tensor in tensors:
        whose = f" of {tensor.name}" if len(tensors) > 1 else ""
        head += f"# raw integers{whose}: value = raw * 2^{tensor.type.exponent}, {tensor.type}\n"
    return head + "".join(" ".join(map(str, event)) + "\n" for event in raw.reshape(len(raw), -1).tolist())
