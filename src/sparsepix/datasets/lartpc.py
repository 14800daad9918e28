"""The MicroBooNE open samples: windows around a neutrino's interaction, and windows of cosmic background."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sparsepix.datasets import active_pixels, wire_events
from sparsepix.datasets.active_pixels import ActivePixels
from sparsepix.datasets.cache import Parts, Recipe, prepared
from sparsepix.datasets.parts import Dataset, cut_in_three
from sparsepix.datasets.preparation import sum_pool
from sparsepix.datasets.sources import Files, find_files, reading
from sparsepix.datasets.wire_events import Plane
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.progress import step

if TYPE_CHECKING:
    from rich.console import Console

WHERE = (
    "the MicroBooNE open samples with wire waveforms are at https://doi.org/10.5281/zenodo.7262009 (electron "
    "neutrinos, nue_WithWire_*.h5) and, for the inclusive sample (bnb_WithWire_*.h5), listed at "
    "https://github.com/uboone/OpenSamples"
)
SHAPE = (1, 63, 63)
CLASSES = ("background", "signal")
SIGNAL_PLANES, BACKGROUND_PLANES = (0, 1, 2), (2,)
# A plane with fewer pixels of the neutrino is left out.
MIN_NEUTRINO_PIXELS = 500
WINDOW = (256, 512)
WHOLE_SHAPE = (1, *WINDOW)
CELL = (4, 8)
BACKGROUND_WINDOWS = 5
# Of the sum over a cell.
THRESHOLD = 700
SCALE = CELL[0] * CELL[1] * wire_events.HIGHEST
_SHARES = (70, 10, 20)


def microboone(
    signal_files: Files,
    background_files: Files,
    cache: str | Path | None = None,
    seed: int = 0,
    console: "Console | None" = None,
    whole: bool = False,
) -> Dataset:
    """Neutrino interactions (1) and cosmic background (0) in windows of the MicroBooNE open samples.

    Prepared as for the paper (arXiv 2512.06208): charge in pixels of 6 ticks and one wire, windows
    of 256 x 512 pixels, sums over cells of 4 x 8, values below 700 set to 0, divided by 3200. A
    signal window is the one with most pixels of the neutrino in its plane, of several equal ones a
    random one. Background windows have none, or as few as there are. Both classes are cut to the same
    size. The parts hold 70, 10 and 20 % of the events: all windows of an event fall in one part.

    Args:
        signal_files: HDF5 files, or folders of them, whose events give signal windows of all three planes.
        background_files: those whose events give background windows of plane 2. A file may be among both.
        cache: folder of the prepared data; None: the user's folder for caches.
        seed: of the windows, the balance and the split.
        console: shows progress.
        whole: leave the windows as they are: no cells, no threshold but that of a pixel (10), divided by 100.

    Returns:
        Images float32 [E, 1, 63, 63] (time x wires), whole ones [E, 1, 256, 512], with values 0 ... 1.

    Raises:
        SparsePixError: files that are missing or not what is expected, each of them named; events
            whose tables contradict each other; no window at all for a class.
    """
    found: dict[str, list[Path]] = {}
    problems = []
    for role, given in (("signal", signal_files), ("background", background_files)):
        try:
            found[role] = find_files(given, "*.h5", WHERE)
        except SparsePixError as error:
            problems += [problem if problem == WHERE else f"{role}: {problem}" for problem in error.problems]
    if problems:
        # The place to get files may be named for both roles.
        raise SparsePixError(list(dict.fromkeys(problems)))
    parameters = {"seed": seed, "signal_files": len(found["signal"])} | ({"whole": True} if whole else {})
    recipe = Recipe("microboone", 1, CLASSES, WHOLE_SHAPE if whole else SHAPE, parameters)
    signal, background = found["signal"], found["background"]

    def prepare() -> Parts:
        return _prepare(signal, background, seed, whole, console)

    return prepared(recipe, [*signal, *background], prepare, cache, console)


def _prepare(signal: list[Path], background: list[Path], seed: int, whole: bool, console: "Console | None") -> Parts:
    files = list(dict.fromkeys([*signal, *background]))
    problems = [problem for path in files for problem in wire_events.wrong_tables(path)]
    if problems:
        raise SparsePixError(problems)
    total = 0
    for path in files:
        with reading(path) as file:
            total += len(file["wire_table/adc"])
    windows: list[ActivePixels] = []
    events: list[tuple[int, ...]] = []
    with step(console, "reading wires", f"{total:,} wires read", total=total, unit="wires", even=True) as now:
        for path in files:
            planes = SIGNAL_PLANES if path in signal else BACKGROUND_PLANES
            for plane in wire_events.planes_of(path, planes, now.advance):
                images, labels = windows_of(plane, path in signal, path in background, seed, whole)
                if len(labels):
                    windows.append(active_pixels.pack(images, labels))
                    events += [plane.event] * len(labels)
    found = Counter(label for window in windows for label in window.labels.tolist())
    problems = [
        f"expected {name} windows, found none: no event of the {name} files has {MIN_NEUTRINO_PIXELS} pixels of the "
        "neutrino in a plane that is used; look whether edep_table is there and filled"
        for label, name in enumerate(CLASSES)
        if not found[label]
    ]
    if problems:
        raise SparsePixError(problems)
    return _split(active_pixels.concatenate(windows), np.array(events), seed)


def windows_of(
    plane: Plane, signal: bool, background: bool, seed: int, whole: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The windows of one plane of an event.

    Args:
        plane: of the event.
        signal: whether the signal window is wanted.
        background: whether background windows are wanted (of plane 2 only).
        seed: of the choice.
        whole: leave them as they are.

    Returns:
        Images [E, 1, 63, 63], whole ones [E, 1, 256, 512], and labels [E]: the signal window first; none of a plane
        with too few pixels of the neutrino.
    """
    is_neutrino = plane.label == wire_events.NEUTRINO
    background = background and plane.plane in BACKGROUND_PLANES
    if is_neutrino.sum() < MIN_NEUTRINO_PIXELS or not (signal or background):
        return np.zeros((0, *(WHOLE_SHAPE if whole else SHAPE)), dtype=np.float32), np.zeros(0, dtype=np.int64)
    # A generator for each plane: the order of files and the other planes change nothing.
    rng = np.random.default_rng([seed, plane.plane, *(part % (1 << 32) for part in plane.event)])
    places = choose_windows(is_neutrino.T, rng, BACKGROUND_WINDOWS if background else 0)
    chosen = places if signal else places[1:]
    labels = np.array([int(signal and i == 0) for i in range(len(chosen))])
    height, width = WINDOW
    cut = [plane.charge.T[row : row + height, column : column + width] for row, column in chosen]
    windows = np.array(cut).reshape(-1, height, width)
    return (scale_windows(windows) if whole else pool_windows(windows)), labels


def choose_windows(is_neutrino: np.ndarray, rng: np.random.Generator, background: int) -> list[tuple[int, int]]:
    """First rows and columns of the signal window, then of the background windows.

    Args:
        is_neutrino: bool [times, wires].
        rng: decides between places that are equally good.
        background: how many background windows are wanted; there may be room for fewer.
    """
    height, width = WINDOW
    # Sums over columns of a window first, then over its rows, as differences of running sums.
    across = np.cumsum(np.pad(np.ascontiguousarray(is_neutrino), ((0, 0), (1, 0))), axis=1, dtype=np.int32)
    down = np.cumsum(np.pad(across[:, width:] - across[:, :-width], ((1, 0), (0, 0))), axis=0, dtype=np.int32)
    counts = down[height:] - down[:-height]
    taken = np.iinfo(counts.dtype).max

    def draw(good: np.ndarray) -> tuple[int, int]:
        row, column = divmod(int(rng.choice(np.flatnonzero(good))), counts.shape[1])
        overlapping = (slice(max(0, row - height + 1), row + height), slice(max(0, column - width + 1), column + width))
        counts[overlapping] = taken
        return row, column

    places = [draw(counts == counts.max())]
    for _ in range(background):
        fewest = counts.min()
        # Five windows can lie so that no room is left for a sixth.
        if fewest == taken:
            break
        places.append(draw(counts == fewest))
    return places


def scale_windows(windows: np.ndarray) -> np.ndarray:
    """Windows [E, 256, 512] of charge to images float32 [E, 1, 256, 512]."""
    return (windows / wire_events.HIGHEST).astype(np.float32)[:, None]


def pool_windows(windows: np.ndarray) -> np.ndarray:
    """Windows [E, 256, 512] of charge to images float32 [E, 1, 63, 63]."""
    pooled = sum_pool(windows, *CELL)[:, : SHAPE[1], : SHAPE[2]]
    return (np.where(pooled < THRESHOLD, 0, pooled) / SCALE).astype(np.float32)[:, None]


def _split(windows: ActivePixels, events: np.ndarray, seed: int) -> Parts:
    """Balance the classes, then share out whole events."""
    rng = np.random.default_rng(seed)
    of_class = [rng.permutation(np.flatnonzero(windows.labels == label)) for label in range(len(CLASSES))]
    size = min(map(len, of_class))
    kept = np.concatenate([indices[:size] for indices in of_class])
    different, event_of = np.unique(events[kept], axis=0, return_inverse=True)
    if len(different) < len(_SHARES):
        raise SparsePixError(f"expected at least {len(_SHARES)} events to share out, found {len(different)}")
    sizes = cut_in_three(len(different), _SHARES)
    part_of = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))[event_of.reshape(-1)]
    return tuple(windows.take(rng.permutation(kept[part_of == part])) for part in range(3))
