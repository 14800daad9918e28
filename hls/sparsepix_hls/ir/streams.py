"""What a layer does with pixels that come one by one, in row-major order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Size = tuple[int, int]
Values = Mapping[str, np.ndarray]
WINDOW, MERGED, WHOLE = "window", "merged", "whole"  # what a body is given, beside features and coords


@dataclass(frozen=True)
class Window:
    """The pixels around each one: ``window`` [kernel height * kernel width, channels], 0 where none is active.

    Args:
        kernel_size: rows and columns of the window.
        strides: rows and columns of a cell; the window lies around the first place of each cell that has a pixel.
        grid: of the cells; None: each pixel has a window.
    """

    kernel_size: Size
    strides: Size = (1, 1)
    grid: Size | None = None


@dataclass(frozen=True)
class Cells:
    """Pixels of a cell in one: ``merged`` [1, channels], raw integers, and ``whole``, whether all are active.

    Args:
        cell: rows and columns of a cell.
        grid: of the cells that count.
        is_sum: their sum, not their maximum.
    """

    cell: Size
    grid: Size
    is_sum: bool


@dataclass(frozen=True)
class Unpooled:
    """The cell that a pixel lies in, of a second list: ``merged`` [1, channels], 0 where it has none.

    Args:
        cell: rows and columns of a cell.
    """

    cell: Size


Gathers = Window | Cells | Unpooled


@dataclass(frozen=True)
class Streamed:
    """A layer on a stream of pixels.

    Args:
        gathers: what it has to see of other pixels; None: it computes each by itself.
        body: from what it is given of a pixel, shapes [1, ...], to what it makes of it.
        becomes: 'pixels', a stream again; 'vector', elements at the place of the pixel in a vector of zeros; 'sums',
            what the pixels of an event add to ``start``.
        grid: rows and columns of the places of a vector.
        start: raw integers that sums begin with.
    """

    gathers: Gathers | None
    body: Callable[[Values, Any], Values]
    becomes: Literal["pixels", "vector", "sums"] = "pixels"
    grid: Size = (1, 1)
    start: tuple[int, ...] = ()

    def grid_after(self, grid: Size) -> Size:
        """Rows and columns of the image that its pixels lie on, from those of the pixels that come in."""
        return (self.gathers.grid if isinstance(self.gathers, Window | Cells) else None) or grid


def cells_config(cells: Cells, channels: int, grid: Size) -> dict[str, int]:
    """Members of the parameter struct of ``StreamCells``: cells of an image of ``grid``."""
    return {
        "channels": channels,
        "height": grid[0],
        "width": grid[1],
        "cell_height": cells.cell[0],
        "cell_width": cells.cell[1],
        "grid_height": cells.grid[0],
        "grid_width": cells.grid[1],
        "is_sum": cells.is_sum,
    }


def waiting(gathers: Gathers | None, max_pixels: int, grid: Size) -> int:
    """Pixels of an event that may have to come before one is known, at most: those of the rows below it in its window,
    those of its row of cells, or all cells.

    Args:
        gathers: what a layer has to see of other pixels.
        max_pixels: of the list.
        grid: rows and columns of the image.
    """
    match gathers:
        case Window(kernel_size, strides, cells):
            below, after = ((size - 1) // 2 for size in kernel_size)
            most = below * grid[1] + after + 1
            if cells is not None:
                most = (below // strides[0] + 2) * cells[1]
        case Cells(_, cells, _):
            most = cells[1]
        case Unpooled(cell):
            most = -(-grid[0] // cell[0]) * -(-grid[1] // cell[1])  # cells come between the pixels
        case _:
            most = 0
    return min(max_pixels, most)


def centres(window: Window, max_pixels: int, grid: Size) -> int:
    """Places for windows that wait: if all are taken, the oldest is complete."""
    return waiting(window, max_pixels, grid) + 3


def held(gathers: Gathers | None, max_pixels: int, grid: Size) -> int:
    """Pixels that wait in a layer, at most.

    Args:
        gathers: what it has to see of other pixels.
        max_pixels: of the list.
        grid: rows and columns of the image.
    """
    match gathers:
        case Window():
            return centres(gathers, max_pixels, grid)
        case Cells():
            return 2 * max_pixels + 2  # of an event that is given out, and of one that comes in
        case _:
            return 0
