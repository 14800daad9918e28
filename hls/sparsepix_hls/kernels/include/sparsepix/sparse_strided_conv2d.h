// Strided sparse convolution: onto the grid of cells that hold an active pixel.
#ifndef SPARSEPIX_SPARSE_STRIDED_CONV2D_H
#define SPARSEPIX_SPARSE_STRIDED_CONV2D_H

#include "convolution.h"
#include "kernel_map.h"
#include "pool_cells.h"
#include "rounds.h"
#include "types.h"

namespace sparsepix {

/// A window for convolve: around the first place of each cell.
struct CellWindow {
  /// Kernel positions of all pixels in the window of one cell of the round; none for an empty slot.
  /// \tparam Config see sparse_strided_conv2d
  /// \tparam Cells signed integer type of the cells
  /// \tparam Coords signed integer type of the coordinates
  template <class Config, class Cells, class Coords>
  static inline bool
  around(int round, int lane, const Cells cells[Config::parallel][2], const Coords coords[Config::max_pixels][2],
         Position<kernel_area<Config>()> row[Config::max_pixels], bool mirrored[Config::max_pixels]) {
#pragma HLS INLINE
    (void)round; // the cells are those of the round
    typedef UInt<index_bits(Config::cell_height + 1)> Height;
    typedef UInt<index_bits(Config::cell_width + 1)> Width;
    const bool leads = cells[lane][0] >= 0;
    Coords centre[2];
#pragma HLS ARRAY_PARTITION variable = centre type = complete
    centre[0] = leads ? Coords(cells[lane][0] * Height(Config::cell_height)) : Coords(-1);
    centre[1] = leads ? Coords(cells[lane][1] * Width(Config::cell_width)) : Coords(-1);
  STRIDED_PIXEL:
    for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
      row[j] = pair_position<Config>(centre, coords[j]);
      mirrored[j] = false;
    }
    return leads;
  }
};

/// A round of the convolution: over every active pixel in the window of each cell.
///
/// Pixels of one cell merge into its first slot, the other slots become empty.
/// \tparam Config see convolve and check_pool; a cell has the shape of the strides, and the image is as large
///   as its cells
/// \tparam Features type of the input features
/// \tparam Coords signed integer type of the coordinates before the convolution
/// \tparam Weight type of the weights
/// \tparam Bias type of the biases
/// \tparam Output type of the output features; see convolve
/// \tparam Cells signed integer type of the coordinates after the convolution
template <class Config, class Features, class Coords, class Weight, class Bias, class Output, class Cells>
inline void
sparse_strided_conv2d(int round, const Features features[Config::max_pixels][Config::in_channels],
                      const Coords coords[Config::max_pixels][2],
                      const Weight weight[kernel_area<Config>()][group_channels<Config>()][Config::out_channels],
                      const Bias bias[Config::out_channels],
                      Output output_features[Config::parallel][Config::out_channels],
                      Cells output_coords[Config::parallel][2]) {
#pragma HLS INLINE
  static_assert(Config::bias_on == BiasOn::active, "every cell that holds a pixel gets the bias");
  static_assert(!Config::raster_order, "a window lies around a cell, not around an earlier pixel");
  Cells cells[Config::parallel][2];
  Flags<Config::max_pixels> members[Config::parallel]; // not read: all pixels in a window count, whatever their cell
#pragma HLS ARRAY_PARTITION variable = cells type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = members type = complete
  pool_cells<Config>(round, coords, cells, members);
  convolve<Config, CellWindow>(round, cells, features, coords, weight, bias, output_features);
  forward<Config::parallel, 2>(cells, output_coords);
}

} // namespace sparsepix

#endif
