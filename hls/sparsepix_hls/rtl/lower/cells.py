"""Pixels that merge into cells, and what becomes of their values, computed on variables of da4ml's tracer."""

import numpy as np

from sparsepix_hls.ir.tensors import Constant
from sparsepix_hls.rtl.lower.arithmetic import (
    Number,
    aligned,
    any_of,
    both,
    by_coordinate,
    equal,
    inverse,
    known,
    largest,
    negative,
    select,
    total,
    tree,
)
from sparsepix_ops.fixed_point import FixedPoint

Size = tuple[int, int]


def _cells(
    spatial_shape: Size, cell: Size, grid: Size, coords: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[Number], list[Number]]:
    """Row and column of the cells of some slots, their number, and whether they lie in the grid."""
    (height, width), (kh, kw) = spatial_shape, cell
    area = grid[0] * grid[1]
    rows = np.array([by_coordinate(c, height, lambda r: r // kh) for c in coords[:, 0]], dtype=object)
    columns = np.array([by_coordinate(c, width, lambda x: x // kw) for c in coords[:, 1]], dtype=object)
    numbers, inside = [], []
    for row, column in coords:
        start = by_coordinate(row, height, lambda r: r // kh * grid[1] if r // kh < grid[0] else area, area)
        step = by_coordinate(column, width, lambda x: x // kw if x // kw < grid[1] else area)
        numbers.append(start + step)
        in_row = by_coordinate(row, height, lambda r: int(r // kh < grid[0]))
        in_column = by_coordinate(column, width, lambda x: int(x // kw < grid[1]))
        inside.append(both(in_row, in_column))
    return rows, columns, numbers, inside


def merged_cells(
    spatial_shape: Size, cell: Size, grid: Size, coords: np.ndarray, own: np.ndarray, earlier: np.ndarray
) -> tuple[list[list[Number]], list[Number], np.ndarray]:
    """For each output slot: which pixels are of its cell, whether it is the first of them, and its new place.

    Args:
        spatial_shape: rows and columns of the image.
        cell: of a cell.
        grid: of the cells that count.
        coords: of all pixels [N, 2].
        own: of the output slots [parallel, 2].
        earlier: whether a pixel comes before the output slot, bits [parallel, N].
    """
    _, _, numbers, _ = _cells(spatial_shape, cell, grid, coords)
    rows, columns, mine, inside = _cells(spatial_shape, cell, grid, own)
    parallel = known(earlier[0, 0]) is not None
    if parallel:
        mine = numbers
    same: dict[tuple[int, int], Number] = {}
    members, firsts = [], []
    places = np.empty((len(own), 2), dtype=object)
    for k in range(len(own)):
        here = []
        for j in range(len(coords)):
            pair = (min(j, k), max(j, k)) if parallel else (j, k)
            if pair not in same:
                same[pair] = 1 if parallel and j == k else equal(numbers[j], mine[k])
            here.append(same[pair])
        before = any_of([both(member, flag) for member, flag in zip(here, earlier[k], strict=True)])
        firsts.append(both(inside[k], inverse(before)))
        members.append(here)
        places[k] = [select(firsts[k], rows[k], -1), select(firsts[k], columns[k], -1)]
    return members, firsts, places


def times_reciprocal(summed: Number, source: FixedPoint, reciprocal: Constant, result: FixedPoint) -> Number:
    """A sum of features times the reciprocal of an average, in units of the result."""
    factor, exponent = int(reciprocal.raw), source.exponent + reciprocal.type.exponent
    zeros = (factor & -factor).bit_length() - 1  # the output may be as coarse as they allow
    return aligned(summed * (factor >> zeros), exponent + zeros, result.exponent)


def maximum(members: list[Number], values: np.ndarray, lowest: int, area: int | None) -> Number:
    """The largest of the members, ``lowest`` if there is none; with an area, pixels that are no members count as 0."""
    result = tree(largest, [select(member, value, lowest) for member, value in zip(members, values, strict=True)])
    if area is not None and lowest < 0:
        result = with_inactive(result, equal(total(members), area) if area <= len(members) else 0)
    return result


def with_inactive(result: Number, full: Number) -> Number:
    """The largest of some pixels; where not all are active, also of the 0 of the others."""
    below = negative(result)
    return result if known(below) == 0 else select(full, result, select(below, 0, result))
