// Unpooling: coarse features go back to the pixels of a finer list.
#ifndef SPARSEPIX_SPARSE_UNPOOL2D_H
#define SPARSEPIX_SPARSE_UNPOOL2D_H

#include "pool_cells.h"
#include "rounds.h"
#include "select.h"
#include "types.h"

namespace sparsepix {

/// Features of the cell of each fine pixel; 0 in an empty slot, and where the list has no such cell.
///
/// \tparam Config a struct with
///   int max_pixels: slots of the coarse list;
///   int fine_pixels: slots of the fine list;
///   int channels;
///   int height, width: of the fine image, rounded up to whole cells;
///   int cell_height, cell_width: shape of a cell;
///   int reuse_factor, parallel: see rounds.h; an item is a slot of the fine list
/// \tparam Features type of the coarse features
/// \tparam Coords signed integer type of the coarse coordinates
/// \tparam Fine signed integer type of the fine coordinates
/// \tparam Output type of the output features; holds the inputs and 0 exactly
template <class Config, class Features, class Coords, class Fine, class Output>
inline void sparse_unpool2d(int round, const Features features[Config::max_pixels][Config::channels],
                            const Coords coords[Config::max_pixels][2], const Fine fine_coords[Config::fine_pixels][2],
                            Output output[Config::parallel][Config::channels]) {
#pragma HLS INLINE
  static_assert(IsSigned<Coords>::value && IsSigned<Fine>::value, "coordinates are signed: -1 is an empty slot");
  static_assert(Config::height % Config::cell_height == 0, "the image is made of whole cells");
  static_assert(Config::width % Config::cell_width == 0, "the image is made of whole cells");
  static_assert(Config::reuse_factor * Config::parallel >= Config::fine_pixels, "the rounds cover all slots");
  Fine row[Config::fine_pixels];
  Fine column[Config::fine_pixels];
#pragma HLS ARRAY_PARTITION variable = row type = complete
#pragma HLS ARRAY_PARTITION variable = column type = complete
CELL_OF_FINE:
  for (int i = 0; i < Config::fine_pixels; i++) {
#pragma HLS UNROLL
    const bool active = fine_coords[i][0] >= 0;
    const Fine cell_row = cell_of<Config::height, Config::cell_height, Fine>(fine_coords[i][0]);
    const Fine cell_column = cell_of<Config::width, Config::cell_width, Fine>(fine_coords[i][1]);
    row[i] = active ? cell_row : Fine(-1);
    column[i] = active ? cell_column : Fine(-1);
  }
UNPOOL_SLOT:
  for (int lane = 0; lane < Config::parallel; lane++) {
#pragma HLS UNROLL
    const Fine own_row = of_round<Config::fine_pixels, Config::reuse_factor, Config::parallel>(row, round, lane);
    const Fine own_column = of_round<Config::fine_pixels, Config::reuse_factor, Config::parallel>(column, round, lane);
    bool same[Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = same type = complete
  UNPOOL_COARSE:
    for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
      same[j] = own_row >= 0 && coords[j][0] == own_row && coords[j][1] == own_column;
    }
    const Flags<Config::max_pixels> here = pack_flags<Config::max_pixels>(same);
  UNPOOL_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      output[lane][channel] = one_hot_mux<Config::max_pixels, Config::channels>(features, channel, here);
    }
  }
}

} // namespace sparsepix

#endif
