// Average pooling on a list of pixels.
#ifndef SPARSEPIX_SPARSE_AVG_POOL2D_H
#define SPARSEPIX_SPARSE_AVG_POOL2D_H

#include "pool_cells.h"
#include "sums.h"
#include "types.h"

namespace sparsepix {

/// Average over each cell of the pooled grid: the sum of its pixels times a fixed-point 1 / (cell area).
///
/// The result is in the first slot of each cell, the other slots become empty. Pixels in a partial
/// last window are dropped.
///
/// \tparam Config see check_pool; and type sum_t: holds the sum over a cell exactly
/// \tparam Features type of the input features
/// \tparam Coords signed integer type of the coordinates before pooling
/// \tparam Reciprocal type of the reciprocal
/// \tparam Output type of the output features; holds sum times reciprocal exactly
/// \tparam Cells signed integer type of the coordinates after pooling
template <class Config, class Features, class Coords, class Reciprocal, class Output, class Cells>
inline void sparse_avg_pool2d(int round, const Features features[Config::max_pixels][Config::channels],
                              const Coords coords[Config::max_pixels][2], const Reciprocal &reciprocal,
                              Output output_features[Config::parallel][Config::channels],
                              Cells output_coords[Config::parallel][2]) {
#pragma HLS INLINE
  Flags<Config::max_pixels> members[Config::parallel];
#pragma HLS ARRAY_PARTITION variable = members type = complete
  pool_cells<Config>(round, coords, output_coords, members);
AVG_CELL:
  for (int lane = 0; lane < Config::parallel; lane++) {
#pragma HLS UNROLL
  AVG_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      Terms<Config::max_pixels, typename Config::sum_t> terms;
    AVG_MEMBER:
      for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
        terms.set(j, get_flag<Config::max_pixels>(members[lane], j) ? features[j][channel] : Features(0));
      }
      output_features[lane][channel] = terms.total() * reciprocal;
    }
  }
}

} // namespace sparsepix

#endif
