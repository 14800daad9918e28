"""Events of the MicroBooNE open samples, read from their HDF5 files one after another."""

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sparsepix.datasets.sources import blocks_of, reading, wrong_columns
from sparsepix_ops.errors import SparsePixError

if TYPE_CHECKING:
    import h5py

WIRES = (2400, 2400, 3456)
TICKS = 6400
# The time axis of the images: sums over so many ticks, the rest of the division is cut.
TICKS_PER_PIXEL = 6
TIMES = TICKS // TICKS_PER_PIXEL
# Of a sum over 6 ticks: what is below the first is noise, what is above the second is clipped.
LOWEST, HIGHEST = 10, 100

NEUTRINO, COSMIC = 1, -1

_WIRE_COLUMNS = {"event_id": (3,), "local_plane": (1,), "local_wire": (1,), "adc": (TICKS,)}
_HIT_COLUMNS = {
    "event_id": (3,),
    "hit_id": (1,),
    "local_plane": (1,),
    "local_wire": (1,),
    "local_time": (1,),
    "rms": (1,),
}
_DEPOSIT_COLUMNS = {"event_id": (3,), "hit_id": (1,), "g4_id": (1,), "energy_fraction": (1,)}

Rows = dict[tuple[int, ...], tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Plane:
    """What one plane of wires saw of an event.

    Args:
        event: run, subrun, event.
        plane: 0, 1 or 2.
        charge: float32 [wires, times], sums over 6 ticks, cut and clipped.
        label: int8 [wires, times]: NEUTRINO, COSMIC or 0.
    """

    event: tuple[int, ...]
    plane: int
    charge: np.ndarray
    label: np.ndarray


def wrong_tables(path: Path) -> list[str]:
    """What is wrong with the tables of a file; a file without any deposits is right, a part of their table is not."""
    try:
        with reading(path) as file:
            columns = {f"wire_table/{name}": width for name, width in _WIRE_COLUMNS.items()}
            columns |= {f"hit_table/{name}": width for name, width in _HIT_COLUMNS.items()}
            if "edep_table" in file:
                columns |= {f"edep_table/{name}": width for name, width in _DEPOSIT_COLUMNS.items()}
            return wrong_columns(path, file, columns)
    except SparsePixError as error:
        return list(error.problems)


def planes_of(path: Path, planes: Collection[int], advance: Callable[[int], None]) -> Iterator[Plane]:
    """The wanted planes of each event of a file whose tables are right.

    Args:
        path: of the file.
        planes: that are wanted.
        advance: called with the number of rows of ``wire_table`` that have been read.

    Raises:
        SparsePixError: an event that does not lie in one piece; a plane or wire that does not
            exist; a value that is not finite.
    """
    with reading(path) as file:
        hits = _event_rows(path, file, "hit_table")
        deposits = _event_rows(path, file, "edep_table") if "edep_table" in file else {}
        for event, charges in _charges(path, file, planes, advance):
            labels = _labels(path, file, event, hits.get(event), deposits.get(event))
            for plane in planes:
                yield Plane(event, plane, charges[plane], labels(plane))


def _runs(event_ids: np.ndarray) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Runs of equal rows of event_ids [R, 3]: (event, start, stop)."""
    borders = np.flatnonzero((event_ids[1:] != event_ids[:-1]).any(axis=1)) + 1
    edges = [0, *borders.tolist(), len(event_ids)]
    for start, stop in itertools.pairwise(edges):
        yield tuple(event_ids[start].tolist()), start, stop


def _event_rows(path: Path, file: "h5py.File", table: str) -> Rows:
    """The rows (start, stop) of each event in a table."""
    column = file[f"{table}/event_id"]
    rows: Rows = {}
    last = None
    for begin, end in blocks_of(column):
        for event, start, stop in _runs(column[begin:end]):
            if event == last:
                rows[event] = (rows[event][0], begin + stop)
            elif event in rows:
                raise SparsePixError(_in_pieces(path, table, event))
            else:
                rows[event] = (begin + start, begin + stop)
            last = event
    return rows


def _in_pieces(path: Path, table: str, event: tuple[int, ...]) -> str:
    return f"{path}: {table}: expected the rows of event {event} one after another, found them in several places"


def _charges(
    path: Path, file: "h5py.File", planes: Collection[int], advance: Callable[[int], None]
) -> Iterator[tuple[tuple[int, ...], dict[int, np.ndarray]]]:
    """Each event with its charge by plane. A block of rows may begin and end anywhere in an event."""
    adc = file["wire_table/adc"]
    current, charges = None, {}
    seen = set()
    for begin, end in blocks_of(adc):
        columns = (file[f"wire_table/{name}"][begin:end] for name in ("event_id", "local_plane", "local_wire"))
        event_ids, plane_of, wire_of = columns
        _check_wires(path, "wire_table", plane_of[:, 0], wire_of[:, 0])
        waveforms = adc[begin:end]
        for event, start, stop in _runs(event_ids):
            if event != current:
                if current is not None:
                    yield current, charges
                if event in seen:
                    raise SparsePixError(_in_pieces(path, "wire_table", event))
                seen.add(event)
                current = event
                charges = {plane: np.zeros((WIRES[plane], TIMES), dtype=np.float32) for plane in planes}
            for plane, charge in charges.items():
                rows = start + np.flatnonzero(plane_of[start:stop, 0] == plane)
                charge[wire_of[rows, 0].astype(np.int64)] = _sum_ticks(path, event, waveforms[rows])
        advance(end - begin)
    if current is not None:
        yield current, charges


def _sum_ticks(path: Path, event: tuple[int, ...], waveforms: np.ndarray) -> np.ndarray:
    """Waveforms [rows, ticks] to charges [rows, times]."""
    cut = waveforms[:, : TIMES * TICKS_PER_PIXEL].astype(np.float32, copy=False)
    # Six slices are added faster than a short axis is summed.
    sums = sum(cut[:, tick::TICKS_PER_PIXEL] for tick in range(TICKS_PER_PIXEL))
    if not np.isfinite(sums).all():
        raise SparsePixError(f"{path}: wire_table/adc: expected finite values, found others in event {event}")
    return np.where(sums < LOWEST, 0, np.minimum(sums, HIGHEST))


def _check_wires(path: Path, table: str, planes: np.ndarray, wires: np.ndarray) -> None:
    known = np.isin(planes, (0, 1, 2))
    if not known.all():
        raise SparsePixError(f"{path}: {table}/local_plane: expected 0, 1 or 2, found {planes[~known][0]}")
    limits = np.array(WIRES)[planes.astype(np.int64)]
    outside = (wires < 0) | (wires >= limits)
    if outside.any():
        raise SparsePixError(
            f"{path}: {table}/local_wire: expected 0 ... {limits[outside][0] - 1} in plane {planes[outside][0]}, "
            f"found {wires[outside][0]}"
        )


def _labels(
    path: Path,
    file: "h5py.File",
    event: tuple[int, ...],
    hit_rows: tuple[int, int] | None,
    deposit_rows: tuple[int, int] | None,
) -> Callable[[int], np.ndarray]:
    """A function that gives the labels of one plane of the event."""
    if hit_rows is None:
        return lambda plane: np.zeros((WIRES[plane], TIMES), dtype=np.int8)
    table = file["hit_table"]
    hit, planes, wires, times, widths = (
        table[name][hit_rows[0] : hit_rows[1], 0]
        for name in ("hit_id", "local_plane", "local_wire", "local_time", "rms")
    )
    _check_wires(path, "hit_table", planes, wires)
    if not (np.isfinite(times).all() and np.isfinite(widths).all()):
        raise SparsePixError(f"{path}: hit_table: expected finite local_time and rms, found others in event {event}")
    is_neutrino = np.isin(hit, _neutrino_hits(file, deposit_rows)) if deposit_rows else np.zeros(len(hit), dtype=bool)
    first = np.clip(np.floor(times - 2 * widths), 0, TICKS).astype(np.int64)
    stop = np.clip(np.ceil(times + 2 * widths) + 1, 0, TICKS).astype(np.int64)

    def of_plane(plane: int) -> np.ndarray:
        here = np.flatnonzero(planes == plane)
        return _paint(plane, wires[here].astype(np.int64), first[here], stop[here], is_neutrino[here])

    return of_plane


def _neutrino_hits(file: "h5py.File", rows: tuple[int, int]) -> np.ndarray:
    """The hit_id of hits whose deposit of largest energy (of several the first) is from the neutrino."""
    table = file["edep_table"]
    hit, origin, energy = (table[name][rows[0] : rows[1], 0] for name in ("hit_id", "g4_id", "energy_fraction"))
    # lexsort is stable: of equal energies the earlier row comes first.
    order = np.lexsort((-energy, hit))
    hits, largest = np.unique(hit[order], return_index=True)
    return hits[origin[order][largest] >= 0]


def _paint(plane: int, wires: np.ndarray, first: np.ndarray, stop: np.ndarray, is_neutrino: np.ndarray) -> np.ndarray:
    """Labels [wires, times] of hits; cosmic hits are painted over those of the neutrino."""
    label = np.zeros((WIRES[plane], TIMES), dtype=np.int8)
    touched, row_of = np.unique(wires, return_inverse=True)
    ticks = np.zeros((len(touched), TICKS), dtype=np.int8)
    for value, chosen in ((NEUTRINO, is_neutrino), (COSMIC, ~is_neutrino)):
        for row, begin, end in zip(row_of[chosen], first[chosen], stop[chosen], strict=True):
            ticks[row, begin:end] = value
    cut = ticks[:, : TIMES * TICKS_PER_PIXEL]
    label[touched] = np.sign(sum(cut[:, tick::TICKS_PER_PIXEL] for tick in range(TICKS_PER_PIXEL)))
    return label
