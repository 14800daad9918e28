"""The cost of constant matrices and of pixel neighbourhoods, and the shares of logic that remain after synthesis."""

import numpy as np

from sparsepix_hls.cost.costs import scaled
from sparsepix_hls.cost.primitives import (
    Cost,
    adder,
    adder_tree,
    constant_multiplier,
    equal,
    index_bits,
    less_than_constant,
    logic,
    mux,
    rom,
)

# LUTs after synthesis, as a share of the count from primitives.
MERGED = 0.55  # looked-up weights, products and sums (0.5 to 0.75 was seen)
POOLED = 1.6  # comparisons and gates between all pixels
SCATTERED = 1.2  # a flatten; an open synthesis tool needed 1.6
SHARED_SUMS = 0.5  # adders of a constant matrix: outputs share some of them


def constant_matrix(raw: np.ndarray, bits: int, weight_bits: int) -> Cost:
    """A constant matrix [inputs, outputs] times a vector: shifted additions, some shared between outputs."""
    values, counts = np.unique(raw[raw != 0], return_counts=True)
    products = Cost()
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        products = products | count * constant_multiplier(bits, value)
    trees = Cost()
    for terms in np.count_nonzero(raw, axis=0).tolist():
        trees = trees | adder_tree(terms, bits + weight_bits // 2)
    return scaled(products + trees, SHARED_SUMS)


def window_position(bits: int, kernel_size: tuple[int, int]) -> Cost:
    """The position of one pixel in the window of another, from coordinates of so many bits."""
    height, width = kernel_size
    inside = 4 * less_than_constant(bits)
    place = constant_multiplier(index_bits(height), width) + adder(index_bits(height * width + 1))
    return 2 * adder(bits) + (inside | place)


def cell_members(slots: int, coord_bits: int, cell_bits: int, reuse_factor: int, parallel: int) -> Cost:
    """The cells of all pixels, and which pixels lie in the cell of each slot of a round."""
    cells = 2 * slots * rom(2 ** (coord_bits - 1), cell_bits)
    own = parallel * mux(reuse_factor, 2 * cell_bits)
    return cells + own + parallel * ((slots - 1) * equal(2 * cell_bits) + logic(slots))
