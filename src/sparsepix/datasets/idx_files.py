"""MNIST from its IDX files."""

import gzip
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sparsepix.datasets import active_pixels
from sparsepix.datasets.active_pixels import ActivePixels
from sparsepix.datasets.cache import Parts, Recipe, prepared
from sparsepix.datasets.parts import Dataset
from sparsepix.datasets.preparation import sparsify, sum_pool
from sparsepix.datasets.sources import Files, find_files
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.progress import step

if TYPE_CHECKING:
    from rich.console import Console

WHERE = (
    "MNIST's four IDX files are at https://ossci-datasets.s3.amazonaws.com/mnist/, "
    "or torchvision.datasets.MNIST(folder, download=True) gets them"
)
SHAPE = (1, 48, 48)
CLASSES = tuple(str(digit) for digit in range(10))
_POOL, _INFLATION, _THRESHOLD = 3, 3.5, 0.4
_SIDE = 28
# Of the training images, one in six is for validation: 10,000 of 60,000.
_VALIDATION = 6
_BLOCK = 8192
# The four files by words of their names.
_WANTED = tuple((half, kind) for half in ("train", "t10k") for kind in ("images", "labels"))
_DIMENSIONS = {"images": 3, "labels": 1}


def mnist(files: Files, cache: str | Path | None = None, seed: int = 0, console: "Console | None" = None) -> Dataset:
    """Sparsified MNIST, prepared as for the paper (arXiv 2512.06208).

    Values divided by 255, averaged over 3 x 3 pixels, placed in the middle of 48 x 48, divided by
    the largest of the image, inflated by 3.5 about the centre, values below 0.4 set to 0.

    Args:
        files: the folder of the four IDX files (torchvision's folder, too), or the files; gzipped or not.
        cache: folder of the prepared data; None: the user's folder for caches.
        seed: of the choice of one in six training images for validation.
        console: shows progress.

    Returns:
        Images float32 [E, 1, 48, 48] with values 0 ... 1.

    Raises:
        SparsePixError: files that are missing, cut short, damaged, or not what is expected.
    """
    paths = _find(files)
    recipe = Recipe("mnist", 1, CLASSES, SHAPE, {"seed": seed})
    return prepared(recipe, list(paths.values()), lambda: _prepare(paths, seed, console), cache, console)


_LARGEST = 1 << 32  # bytes; the whole of MNIST has 50 million


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The bytes of an IDX file as an array uint8 of that many dimensions.

    Raises:
        SparsePixError: it is another file, or not whole.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            raw = file.read(4 + 4 * dimensions)
            # No more than it says to hold, and a byte to tell what is longer: few packed bytes may unpack to many.
            size = math.prod(np.frombuffer(raw[4:], ">u4").tolist()) if len(raw) == 4 + 4 * dimensions else 0
            raw += file.read(min(size, _LARGEST) + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SparsePixError(
            f"{path}: expected a whole gzip file, found a damaged one ({error}); get it again"
        ) from None
    # Two zero bytes, 8 for the type uint8, the number of dimensions; then the sizes.
    magic = 0x800 + dimensions
    found = int.from_bytes(raw[:4], "big")
    start = 4 + 4 * dimensions
    if found != magic or len(raw) < start:
        raise SparsePixError(
            f"{path}: expected an IDX file that begins with {magic}, found {found} in {len(raw)} bytes"
        )
    shape = tuple(np.frombuffer(raw, ">u4", dimensions, 4).tolist())
    size = math.prod(shape)
    if len(raw) != start + size:
        raise SparsePixError(
            f"{path}: expected {size} bytes after the header for the shape {shape}, "
            f"found {len(raw) - start}; get it again"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def prepare_images(images: np.ndarray) -> np.ndarray:
    """Images uint8 [E, 28, 28] to float32 images [E, 1, 48, 48] of 0 ... 1."""
    averages = sum_pool(images / 255, _POOL, _POOL) / _POOL**2
    return sparsify(averages, SHAPE[1], _INFLATION, _THRESHOLD)


def _find(files: Files) -> dict[tuple[str, str], Path]:
    """The four files, by half and kind."""
    if isinstance(files, str | Path):
        folder = Path(files)
        # torchvision keeps them two folders down.
        if (folder / "MNIST" / "raw").is_dir():
            files = folder / "MNIST" / "raw"
    candidates = [path for path in find_files(files, "*ubyte*", WHERE) if path.is_file()]
    found: dict[tuple[str, str], Path] = {}
    problems = []
    for half, kind in _WANTED:
        fitting = [path for path in candidates if path.name.startswith(f"{half}-{kind}")]
        # A folder often holds a file and its gzipped twin.
        if len(fitting) == 2 and fitting[0].name + ".gz" == fitting[1].name:
            fitting.pop()
        if len(fitting) == 1:
            found[half, kind] = fitting[0]
        else:
            names = ", ".join(str(path) for path in fitting) or f"none in {files}"
            problems.append(
                f"expected one file {half}-{kind}-idx{_DIMENSIONS[kind]}-ubyte or the same with .gz, found {names}"
            )
    if problems:
        raise SparsePixError([*problems, WHERE])
    return found


def _prepare(paths: dict[tuple[str, str], Path], seed: int, console: "Console | None") -> Parts:
    arrays: dict[tuple[str, str], np.ndarray] = {}
    problems = []
    for (half, kind), path in paths.items():
        try:
            arrays[half, kind] = read_idx(path, _DIMENSIONS[kind])
        except SparsePixError as error:
            problems += error.problems
    for (half, kind), array in arrays.items():
        path = paths[half, kind]
        if kind == "images" and array.shape[1:] != (_SIDE, _SIDE):
            problems.append(f"{path}: expected images of {_SIDE}x{_SIDE}, found {array.shape[1]}x{array.shape[2]}")
        if kind == "labels" and array.size and array.max() >= len(CLASSES):
            problems.append(f"{path}: expected labels 0 ... 9, found {array.max()}")
        images = arrays.get((half, "images"))
        if kind == "labels" and images is not None and len(images) != len(array):
            problems.append(f"{path}: expected {len(images)} labels, as many as images, found {len(array)}")
        fewest = _VALIDATION if half == "train" else 1
        if kind == "images" and len(array) < fewest:
            problems.append(f"{path}: expected at least {fewest} images, found {len(array)}")
    if problems:
        raise SparsePixError(problems)
    packed = {}
    total = sum(len(arrays[half, "labels"]) for half in ("train", "t10k"))
    with step(
        console, "preparing MNIST", f"{total:,} images of MNIST prepared", total=total, unit="images", even=True
    ) as now:
        for half in ("train", "t10k"):
            images, labels = arrays[half, "images"], arrays[half, "labels"]
            blocks: list[ActivePixels] = []
            for start in range(0, len(labels), _BLOCK):
                block = slice(start, start + _BLOCK)
                blocks.append(active_pixels.pack(prepare_images(images[block]), labels[block]))
                now.advance(len(blocks[-1]))
            packed[half] = active_pixels.concatenate(blocks)
    training = packed["train"]
    order = np.random.default_rng(seed).permutation(len(training))
    size = len(training) // _VALIDATION
    return training.take(order[size:]), training.take(order[:size]), packed["t10k"]
