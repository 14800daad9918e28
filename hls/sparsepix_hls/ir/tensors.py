"""The arrays of a model and of its design, its weights, and how a layer is computed."""

import math
from dataclasses import dataclass

import numpy as np

from sparsepix_hls.ir.dims import index_bits
from sparsepix_ops.fixed_point import FixedPoint


@dataclass(frozen=True)
class Tensor:
    """An array of the firmware.

    Args:
        name: C++ identifier of the array; its type is called ``<name>_t``.
        shape: (channels, height, width) for the image, (max_pixels, channels) for features,
            (max_pixels, 2) for coords, (features,) after the flatten.
        type: format of the elements; an integer type (``width == integer``) for coords.
    """

    name: str
    shape: tuple[int, ...]
    type: FixedPoint

    @property
    def bits(self) -> int:
        """Bits of the whole array."""
        return math.prod(self.shape) * self.type.width


@dataclass(frozen=True, eq=False)
class Constant:
    """Weights: raw integers [...] and the format that gives them their values."""

    name: str
    raw: np.ndarray
    type: FixedPoint


@dataclass(frozen=True)
class KernelMap:
    """Kernel positions of all pairs of pixels, shared by the convolutions of one kernel size on ``coords``."""

    coords: Tensor
    kernel_size: tuple[int, int]

    @property
    def name(self) -> str:
        """Array of the positions."""
        return f"{self.coords.name}_pairs_{self.kernel_size[0]}x{self.kernel_size[1]}"

    @property
    def pixels(self) -> int:
        """Slots of the list."""
        return self.coords.shape[0]

    @property
    def pairs(self) -> int:
        """Elements of the array; a lone pixel has one that nobody reads."""
        return max(self.pixels * (self.pixels - 1) // 2, 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return (self.pairs,)

    @property
    def position_bits(self) -> int:
        """Bits of a position; one value more than the kernel has means 'not in the window'."""
        return index_bits(self.kernel_size[0] * self.kernel_size[1] + 1)

    @property
    def bits(self) -> int:
        """Bits of the whole array."""
        return self.pairs * self.position_bits


Array = Tensor | KernelMap


@dataclass(frozen=True)
class LayerDesign:
    """How one layer is computed.

    Args:
        implementation: one of the choices of its kind; '' where there is no choice.
        reuse_factor: rounds of the loop over time; 1: fully parallel.
        parallel: how much of the layer's outer loop is computed in a round, ceil(work / reuse_factor) or more.
        folds: rounds that each item takes, with a part of its outputs each; 1: a round computes all outputs.
    """

    implementation: str
    reuse_factor: int
    parallel: int
    folds: int = 1

    @property
    def item_rounds(self) -> int:
        """Parts into which the layer's outer loop is shared out."""
        return self.reuse_factor // self.folds
