"""The kernel map: which slots lie in the window around each slot.

spconv calls it the rulebook. It depends on the coordinates and the kernel size only, so all
convolutions on the same pixels share one.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def kernel_map(
    coords: Tensor, spatial_shape: tuple[int, int], kernel_size: tuple[int, int], centres: Tensor | None = None
) -> Tensor:
    """Find the slot at each kernel position around each active pixel, or around other centres.

    A grid of slot numbers is laid out for the whole batch and read at kh * kw offsets from each
    pixel. Between rows and images lies just enough blank space for a window to run into: the
    blank to the right of a row is the blank to the left of the next, and likewise for images.
    The memory is 4 bytes a pixel of the batch. (A table of all pairs of slots was measured too:
    slower from 20 slots an image on, and quadratic in the slots.)

    Args:
        coords: [B, N, 2] integers, (-1, -1) in an empty slot; unique in each image.
        spatial_shape: (H, W).
        kernel_size: (kh, kw), odd.
        centres: [B, N, 2] places in the image that the windows lie around, (-1, -1) for none; None: ``coords``.

    Returns:
        int32 [kh * kw, B * N]: for each kernel position (row-major) and each centre i of each image b
        ``b * N + j``, the slot j at that position, or B * N where no pixel is. Columns without a centre
        hold B * N alone.
    """
    batch, slots, _ = coords.shape
    height, width = spatial_shape
    reach_rows, reach_columns = kernel_size[0] // 2, kernel_size[1] // 2
    pitch = width + reach_columns
    image = (height + reach_rows) * pitch
    blank = reach_rows * pitch + reach_columns  # how far a window reaches to either side of its centre
    nothing = batch * slots

    device = coords.device
    start = torch.arange(batch, device=device)[:, None] * image + blank
    # Empty slots look from, and write to, the middle of a blank stretch after the last image.
    after = blank + batch * image

    def places(points: Tensor) -> tuple[Tensor, Tensor]:
        active = points[..., 0] >= 0
        place = start + points[..., 0] * pitch + points[..., 1]
        return active.view(-1), torch.where(active, place, after + blank).view(-1)

    active, place = places(coords)
    number = torch.arange(nothing, dtype=torch.int32, device=device)
    number = torch.where(active, number, nothing)
    cells = after + 2 * blank + 1
    grid = torch.full((cells,), nothing, dtype=torch.int32, device=device)
    grid = grid.scatter_(0, place, number)
    centre = place if centres is None else places(centres)[1]

    index = _index_type(cells)
    rows = torch.arange(-reach_rows, reach_rows + 1, dtype=index, device=device)
    columns = torch.arange(-reach_columns, reach_columns + 1, dtype=index, device=device)
    offsets = (rows[:, None] * pitch + columns).view(-1)
    return grid.index_select(0, (offsets[:, None] + centre.to(index)).view(-1)).view(offsets.numel(), nothing)


def gather_windows(features: Tensor, table: Tensor) -> Tensor:
    """Line up the features around each slot.

    Channels come first: to read single numbers from a few long rows takes torch a fraction of the time
    that reading many rows of a few numbers does, and the product with the weights is faster too.

    Args:
        features: [C, B * N].
        table: [K, B * N] of ``kernel_map``.

    Returns:
        [C * K, B * N], 0 where the table names no pixel.
    """
    # Every size is given: a batch of no images leaves none to be found out.
    return _columns(F.pad(features, (0, 1)), table.view(-1)).view(len(features) * len(table), table.shape[1])


def add_windows(products: Tensor, table: Tensor) -> Tensor:
    """Add up what each kernel position contributes to each slot.

    Args:
        products: [C * K, B * N + 1]; the last column is 0.
        table: [K, B * N] of ``kernel_map``: the column of ``products`` that contributes.

    Returns:
        [C, B * N]
    """
    positions, slots = table.shape
    index = _index_type(products.numel())
    start = torch.arange(positions, dtype=index, device=table.device)[:, None] * (slots + 1)
    channels = len(products) // positions
    found = _columns(products.view(channels, positions * (slots + 1)), (table + start).view(-1))
    return found.view(channels, positions, slots).sum(1)


def _columns(rows: Tensor, which: Tensor) -> Tensor:
    # torch is quicker where there is one axis alone.
    return rows.view(-1).index_select(0, which) if len(rows) == 1 else rows.index_select(1, which)


def _index_type(size: int) -> torch.dtype:
    # 32 bits are half the memory to write and to read, wherever they suffice. torch.export asks for any batch.
    return torch.int32 if not torch.compiler.is_exporting() and size < 2**31 else torch.int64
