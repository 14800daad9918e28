// Global average pooling of a list of pixels.
#ifndef SPARSEPIX_SPARSE_GLOBAL_AVG_POOL2D_H
#define SPARSEPIX_SPARSE_GLOBAL_AVG_POOL2D_H

#include "sums.h"
#include "types.h"

namespace sparsepix {

/// Average over the whole image: the sum of all slots, of which the empty ones are 0, times a fixed-point 1 / area.
/// \tparam Config a struct with
///   int max_pixels: slots of the list;
///   int channels;
///   type sum_t: holds the sum of a channel exactly
/// \tparam Features type of the input features
/// \tparam Reciprocal type of the reciprocal
/// \tparam Output type of the averages; holds sum times reciprocal exactly
template <class Config, class Features, class Reciprocal, class Output>
inline void sparse_global_avg_pool2d(const Features features[Config::max_pixels][Config::channels],
                                     const Reciprocal &reciprocal, Output output[Config::channels]) {
#pragma HLS INLINE
  static_assert(Config::max_pixels >= 1 && Config::channels >= 1, "the list needs one slot and one channel or more");
GLOBAL_AVG_CHANNEL:
  for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
    Terms<Config::max_pixels, typename Config::sum_t> terms;
  GLOBAL_AVG_PIXEL:
    for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
      terms.set(i, features[i][channel]);
    }
    output[channel] = terms.total() * reciprocal;
  }
}

} // namespace sparsepix

#endif
