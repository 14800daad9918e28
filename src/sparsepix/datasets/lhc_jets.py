"""The jet images of the hls4ml LHC jet data set."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sparsepix.datasets import active_pixels
from sparsepix.datasets.active_pixels import ActivePixels
from sparsepix.datasets.cache import Parts, Recipe, prepared
from sparsepix.datasets.parts import Dataset, cut_in_three
from sparsepix.datasets.preparation import inflate
from sparsepix.datasets.sources import Files, blocks_of, find_files, reading, wrong_columns
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.progress import step

if TYPE_CHECKING:
    import h5py
    from rich.console import Console

WHERE = "the hls4ml LHC jets with 150 particles (jetImage_*_150p_*.h5) are at https://doi.org/10.5281/zenodo.3602260"
SHAPE = (1, 56, 56)
CLASSES = ("g", "q", "W", "Z", "t")
SIZES = (180_000, 20_000, 100_000)
_IMAGE, _FEATURES = (100, 100), 59
_FIRST = 22
# Transverse momentum of a pixel in GeV that becomes 1.
LARGEST = 1200
# Pixels up to this share of it become 0.
THRESHOLD = 0.003
INFLATION = 2.0


def jets(
    files: Files,
    sizes: tuple[int, int, int] = SIZES,
    cache: str | Path | None = None,
    seed: int = 0,
    console: "Console | None" = None,
) -> Dataset:
    """Jets of gluons, light quarks, W, Z and top (0 to 4) from the hls4ml LHC jet data set.

    Prepared as for the paper (arXiv 2512.06208): the 56 x 56 pixels in the middle, divided by 1200
    GeV and clipped at 1, values up to 0.003 set to 0, inflated by 2 about the centre.

    Args:
        files: HDF5 files, or folders of them ('jetImage*.h5').
        sizes: of train, validation and test, chosen at random from all jets; if there are fewer
            jets, all are used in this ratio.
        cache: folder of the prepared data; None: the user's folder for caches.
        seed: of the choice.
        console: shows progress.

    Returns:
        Images float32 [E, 1, 56, 56] with values 0 ... 1.

    Raises:
        SparsePixError: files that are missing or not what is expected, each of them named; jets
            that have not exactly one class; pixels that are not finite.
    """
    if min(sizes) < 1:
        raise SparsePixError(f"sizes: expected three numbers of at least 1, found {sizes}")
    paths = find_files(files, "jetImage*.h5", WHERE)
    recipe = Recipe("jet", 1, CLASSES, SHAPE, {"seed": seed, "sizes": list(sizes)})
    return prepared(recipe, paths, lambda: _prepare(paths, sizes, seed, console), cache, console)


def prepare_images(momenta: np.ndarray) -> np.ndarray:
    """Images [E, 56, 56] of transverse momentum in GeV to float32 images [E, 1, 56, 56] of 0 ... 1."""
    scaled = np.minimum(momenta / LARGEST, 1)
    return inflate(np.where(scaled <= THRESHOLD, 0, scaled), INFLATION).astype(np.float32)[:, None]


def _prepare(paths: list[Path], sizes: tuple[int, int, int], seed: int, console: "Console | None") -> Parts:
    problems = []
    jets_in = []
    for path in paths:
        try:
            with reading(path) as file:
                found = wrong_columns(path, file, {"jetImage": _IMAGE, "jets": (_FEATURES,)}) + _wrong_names(path, file)
                problems += found
                jets_in.append(0 if found else len(file["jetImage"]))
                if not found and len(file["jets"]) != len(file["jetImage"]):
                    problems.append(
                        f"{path}: expected as many rows in jets as in jetImage, "
                        f"found {len(file['jets'])} and {len(file['jetImage'])}"
                    )
        except SparsePixError as error:
            problems += error.problems
    total = sum(jets_in)
    if not problems and total < len(sizes):
        problems.append(f"expected at least {len(sizes)} jets in all files, found {total}")
    if problems:
        raise SparsePixError(problems)
    if total < sum(sizes):
        sizes = cut_in_three(total, sizes)
    part_of = np.full(total, -1)
    part_of[np.random.default_rng(seed).permutation(total)[: sum(sizes)]] = np.repeat([0, 1, 2], sizes)
    parts: tuple[list[ActivePixels], ...] = ([], [], [])
    first = 0
    with step(console, "reading jets", f"{total:,} jets read", total=total, unit="jets", even=True) as now:
        for path, count in zip(paths, jets_in, strict=True):
            _read(path, part_of[first : first + count], parts, now.advance)
            first += count
    return tuple(active_pixels.concatenate(part) for part in parts)


def _read(
    path: Path, part_of: np.ndarray, parts: tuple[list[ActivePixels], ...], advance: Callable[[int], None]
) -> None:
    """Add the jets of a file to the parts that they belong to (-1: to none)."""
    middle = slice(_FIRST, _FIRST + SHAPE[1])
    with reading(path) as file:
        columns = _class_columns(file)
        for start, stop in blocks_of(file["jetImage"]):
            momenta = file["jetImage"][start:stop, middle, middle].astype(np.float64)
            one_hot = file["jets"][start:stop][:, columns]
            _check(path, start, momenta, one_hot)
            labels = one_hot.argmax(axis=1)
            for part, blocks in enumerate(parts):
                chosen = part_of[start:stop] == part
                blocks.append(active_pixels.pack(prepare_images(momenta[chosen]), labels[chosen]))
            advance(stop - start)


def _check(path: Path, start: int, momenta: np.ndarray, one_hot: np.ndarray) -> None:
    wrong = ~np.isfinite(momenta).all(axis=(1, 2))
    if wrong.any():
        raise SparsePixError(f"{path}: jetImage: expected finite values, found others in row {start + wrong.argmax()}")
    wrong = ((one_hot != 0) & (one_hot != 1)).any(axis=1) | (one_hot.sum(axis=1) != 1)
    if wrong.any():
        row = wrong.argmax()
        raise SparsePixError(
            f"{path}: jets: expected exactly one class (a 1 among {_names_of_classes()}), "
            f"found {one_hot[row].tolist()} in row {start + row}"
        )


def _names_of_classes() -> list[str]:
    return [f"j_{name.lower()}" for name in CLASSES]


def _feature_names(file: "h5py.File") -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in file["jetFeatureNames"][()].ravel()]


def _wrong_names(path: Path, file: "h5py.File") -> list[str]:
    if "jetFeatureNames" not in file:
        return [f"{path}: jetFeatureNames: expected the names of the {_FEATURES} columns of jets, found none"]
    names = _feature_names(file)
    problems = (
        [] if len(names) == _FEATURES else [f"{path}: jetFeatureNames: expected {_FEATURES} names, found {len(names)}"]
    )
    missing = [name for name in _names_of_classes() if name not in names]
    if missing:
        problems.append(f"{path}: jetFeatureNames: expected {', '.join(missing)} among the names, found {names}")
    return problems


def _class_columns(file: "h5py.File") -> list[int]:
    names = _feature_names(file)
    return [names.index(name) for name in _names_of_classes()]
