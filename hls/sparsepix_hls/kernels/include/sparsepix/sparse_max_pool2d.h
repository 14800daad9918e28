// Maximum pooling on a list of pixels.
#ifndef SPARSEPIX_SPARSE_MAX_POOL2D_H
#define SPARSEPIX_SPARSE_MAX_POOL2D_H

#include "pool_cells.h"
#include "select.h"
#include "sums.h"
#include "types.h"

namespace sparsepix {

/// What the maximum is taken of: the active pixels of a cell, or all of them, the inactive ones being 0.
enum class MaxOver { active, cell };

/// The largest of some features of a channel; 0 if there are none, or if the maximum is taken of a whole area in which
/// other pixels, being 0, are larger.
/// \tparam AREA pixels of the area
/// \tparam Config a struct with int max_pixels, the number of slots, and MaxOver over: what the maximum is taken of
/// \tparam Features type of the features
template <int AREA, class Config, class Features>
inline Features maximum(const Features values[Config::max_pixels], const Flags<Config::max_pixels> &members) {
#pragma HLS INLINE
  const ArgMax<Config::max_pixels, Features> largest = tournament<Config::max_pixels>(values, members);
  // A list can hold no more than max_pixels of the area's pixels.
  const bool full = AREA <= Config::max_pixels && count_flags<Config::max_pixels>(members) == AREA;
  const bool clip = Config::over == MaxOver::cell && !full && largest.value < 0;
  return largest.found && !clip ? largest.value : Features(0);
}

/// Maximum over each cell of the pooled grid.
///
/// The result is in the first slot of each cell, the other slots become empty. Pixels in a partial
/// last window are dropped.
///
/// \tparam Config see check_pool; and MaxOver over: what the maximum is taken of
/// \tparam Features type of the input features
/// \tparam Coords signed integer type of the coordinates before pooling
/// \tparam Output type of the output features; holds the inputs and 0 exactly
/// \tparam Cells signed integer type of the coordinates after pooling
template <class Config, class Features, class Coords, class Output, class Cells>
inline void sparse_max_pool2d(int round, const Features features[Config::max_pixels][Config::channels],
                              const Coords coords[Config::max_pixels][2],
                              Output output_features[Config::parallel][Config::channels],
                              Cells output_coords[Config::parallel][2]) {
#pragma HLS INLINE
  constexpr int AREA = Config::cell_height * Config::cell_width;
  Flags<Config::max_pixels> members[Config::parallel];
#pragma HLS ARRAY_PARTITION variable = members type = complete
  pool_cells<Config>(round, coords, output_coords, members);
MAX_CHANNEL:
  for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
    Features values[Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = values type = complete
  MAX_READ:
    for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
      values[j] = features[j][channel];
    }
  MAX_CELL:
    for (int lane = 0; lane < Config::parallel; lane++) {
#pragma HLS UNROLL
      output_features[lane][channel] = maximum<AREA, Config>(values, members[lane]);
    }
  }
}

} // namespace sparsepix

#endif
