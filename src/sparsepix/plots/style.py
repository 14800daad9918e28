"""What the pictures share: colours that colour-blind readers tell apart, and plain axes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsepix_ops.errors import SparsePixError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# M. Okabe and K. Ito, "Color universal design" (2008), without yellow, which is too pale for lines.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#56b4e9", "#e69f00")
LINES = ("-", "--", "-.", ":")
# No pixel, an active pixel whose feature is 0, and the two ends of the scale.
ZERO, POSITIVE, NEGATIVE = "#c4c4c4", "#08306b", "#a63603"


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def plain(axes: "Axes", grid: str | None = "both") -> None:
    """No frame above and to the right; pale lines to read values from."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, alpha=0.3)


def shades(count: int) -> list[tuple[float, float, float, float]]:
    """Colours from dark to light for an ordered series."""
    import matplotlib

    return [tuple(colour) for colour in matplotlib.colormaps["viridis"](np.linspace(0, 0.85, count))]


def nonempty(caller: str, argument: str, given: Mapping[str, Any]) -> None:
    """Check that there is something to draw.

    Raises:
        SparsePixError: there is not.
    """
    if len(given) == 0:
        raise SparsePixError(f"{caller}: {argument} is empty; give at least one entry, as {{'name': ...}}")


def check_images(caller: str, images: np.ndarray) -> np.ndarray:
    """The images as a contiguous array.

    Raises:
        SparsePixError: they are not a non-empty floating-point array [E, C, H, W].
    """
    found = np.asarray(images)
    if found.ndim != 4 or not len(found) or not np.issubdtype(found.dtype, np.floating):
        raise SparsePixError(
            f"{caller}: expected images as a floating-point array [E, C, H, W] with at least one image, found "
            f"{found.dtype} {found.shape}; add the missing axes with images[:, None], convert with astype('float32')"
        )
    return np.ascontiguousarray(found)
