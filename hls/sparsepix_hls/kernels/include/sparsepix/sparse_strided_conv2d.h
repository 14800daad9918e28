// Strided sparse convolution: onto the grid of cells that hold an active pixel.
#ifndef SPARSEPIX_SPARSE_STRIDED_CONV2D_H
#define SPARSEPIX_SPARSE_STRIDED_CONV2D_H

#include "pair_map.h"
#include "pool_cells.h"
#include "sparse_conv2d.h"
#include "sparse_conv2d_gather.h"
#include "types.h"

namespace sparsepix {

/// The cells of the round's slots: pixels of one cell merge into its first slot, the other slots become empty.
/// \tparam Config see check_pool
/// \tparam Coords signed integer type of the coordinates before the convolution
/// \tparam Cells signed integer type of the coordinates behind it
template <class Config, class Coords, class Cells>
inline void strided_cells(int round, const Coords coords[Config::max_pixels][2], Cells cells[Config::copies][2]) {
#pragma HLS INLINE
  check_convolution<Config>();
  static_assert(Config::bias_on == BiasOn::active, "every cell that holds a pixel gets the bias");
  static_assert(!Config::raster_order, "a window stands around a cell, not around an earlier pixel");
  Flags<Config::max_pixels> members[Config::copies]; // all pixels in a window count, whatever their cell
#pragma HLS ARRAY_PARTITION variable = members type = complete
  pool_cells<Config>(round, coords, cells, members);
}

/// Kernel positions of all pixels in the window around the first place of a cell; none for an empty slot.
/// \tparam Config see strided_cells
/// \tparam Coords signed integer type of the coordinates
/// \tparam Cells signed integer type of the cells
template <class Config, class Coords, class Cells>
inline void strided_window(const Cells cell[2], const Coords coords[Config::max_pixels][2],
                           Position<Config::kernel_height * Config::kernel_width> row[Config::max_pixels],
                           bool mirrored[Config::max_pixels]) {
#pragma HLS INLINE
  const bool leads = cell[0] >= 0;
  Coords centre[2];
#pragma HLS ARRAY_PARTITION variable = centre type = complete
  centre[0] = leads ? Coords(cell[0] * UInt<index_bits(Config::cell_height + 1)>(Config::cell_height)) : Coords(-1);
  centre[1] = leads ? Coords(cell[1] * UInt<index_bits(Config::cell_width + 1)>(Config::cell_width)) : Coords(-1);
STRIDED_PIXEL:
  for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
    row[j] = pair_position<Config>(centre, coords[j]);
    mirrored[j] = false;
  }
}

/// Sums over every active pixel in the window of each cell, weights looked up by position.
///
/// \tparam Config see check_convolution and check_pool; a cell has the shape of the strides, and the image is as large
/// as
///   its cells
/// \tparam Features type of the input features
/// \tparam Coords signed integer type of the coordinates before the convolution
/// \tparam Weight type of the weights
/// \tparam Bias type of the biases
/// \tparam Output type of the output features; see sparse_conv2d_pairs
/// \tparam Cells signed integer type of the coordinates behind the convolution
template <class Config, class Features, class Coords, class Weight, class Bias, class Output, class Cells>
inline void sparse_strided_conv2d_pairs(
    int round, const Features features[Config::max_pixels][Config::in_channels],
    const Coords coords[Config::max_pixels][2],
    const Weight weight[Config::kernel_height * Config::kernel_width][group_channels<Config>()][Config::out_channels],
    const Bias bias[Config::out_channels], Output output_features[Config::copies][Config::out_channels],
    Cells output_coords[Config::copies][2]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = bias type = complete
  constexpr int AREA = Config::kernel_height * Config::kernel_width;
  Cells cells[Config::copies][2];
#pragma HLS ARRAY_PARTITION variable = cells type = complete dim = 0
  strided_cells<Config>(round, coords, cells);
STRIDED_CELL:
  for (int copy = 0; copy < Config::copies; copy++) {
#pragma HLS UNROLL
    Position<AREA> row[Config::max_pixels];
    bool mirrored[Config::max_pixels];
    Output sums[Config::out_channels];
#pragma HLS ARRAY_PARTITION variable = row type = complete
#pragma HLS ARRAY_PARTITION variable = mirrored type = complete
#pragma HLS ARRAY_PARTITION variable = sums type = complete
    strided_window<Config>(cells[copy], coords, row, mirrored);
    looked_up_sums<Config>(features, row, mirrored, weight, sums);
    const bool leads = cells[copy][0] >= 0;
    with_bias<Config>(sums, leads, bias, output_features[copy]);
    output_coords[copy][0] = cells[copy][0];
    output_coords[copy][1] = cells[copy][1];
  }
}

/// The same by gathering: the pixel at each kernel position, times a constant.
///
/// \tparam Config see check_convolution and check_pool; a cell has the shape of the strides, and the image is as large
/// as
///   its cells
/// \tparam Features type of the input features
/// \tparam Coords signed integer type of the coordinates before the convolution
/// \tparam Weight type of the weights
/// \tparam Bias type of the biases
/// \tparam Output type of the output features; see sparse_conv2d_pairs
/// \tparam Cells signed integer type of the coordinates behind the convolution
template <class Config, class Features, class Coords, class Weight, class Bias, class Output, class Cells>
inline void sparse_strided_conv2d_gather(
    int round, const Features features[Config::max_pixels][Config::in_channels],
    const Coords coords[Config::max_pixels][2],
    const Weight weight[Config::kernel_height * Config::kernel_width][group_channels<Config>()][Config::out_channels],
    const Bias bias[Config::out_channels], Output output_features[Config::copies][Config::out_channels],
    Cells output_coords[Config::copies][2]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = bias type = complete
  constexpr int AREA = Config::kernel_height * Config::kernel_width;
  Cells cells[Config::copies][2];
#pragma HLS ARRAY_PARTITION variable = cells type = complete dim = 0
  strided_cells<Config>(round, coords, cells);
  Flags<Features::width> bits[Config::in_channels][Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = bits type = complete dim = 0
  feature_bits<Config>(features, bits);
STRIDED_CELL:
  for (int copy = 0; copy < Config::copies; copy++) {
#pragma HLS UNROLL
    Position<AREA> row[Config::max_pixels];
    bool mirrored[Config::max_pixels];
    Output sums[Config::out_channels];
#pragma HLS ARRAY_PARTITION variable = row type = complete
#pragma HLS ARRAY_PARTITION variable = mirrored type = complete
#pragma HLS ARRAY_PARTITION variable = sums type = complete
    strided_window<Config>(cells[copy], coords, row, mirrored);
    gathered_sums<Config, Features>(bits, row, mirrored, weight, sums);
    const bool leads = cells[copy][0] >= 0;
    with_bias<Config>(sums, leads, bias, output_features[copy]);
    output_coords[copy][0] = cells[copy][0];
    output_coords[copy][1] = cells[copy][1];
  }
}

} // namespace sparsepix

#endif
