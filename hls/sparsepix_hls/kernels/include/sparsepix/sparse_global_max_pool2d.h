// Global maximum pooling of a list of pixels.
#ifndef SPARSEPIX_SPARSE_GLOBAL_MAX_POOL2D_H
#define SPARSEPIX_SPARSE_GLOBAL_MAX_POOL2D_H

#include "select.h"
#include "sparse_max_pool2d.h"
#include "types.h"

namespace sparsepix {

/// Maximum over the whole image; 0 where no pixel is active.
/// \tparam Config a struct with
///   int max_pixels: slots of the list;
///   int channels;
///   int height, width: shape of the image;
///   MaxOver over: what the maximum is taken of
/// \tparam Features type of the input features
/// \tparam Coords signed integer type of the coordinates
/// \tparam Output type of the maxima; holds the inputs and 0 exactly
template <class Config, class Features, class Coords, class Output>
inline void sparse_global_max_pool2d(const Features features[Config::max_pixels][Config::channels],
                                     const Coords coords[Config::max_pixels][2], Output output[Config::channels]) {
#pragma HLS INLINE
  static_assert(Config::max_pixels >= 1 && Config::channels >= 1, "the list needs one slot and one channel or more");
  constexpr int AREA = Config::height * Config::width;
  bool is_active[Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = is_active type = complete
GLOBAL_MAX_ACTIVE:
  for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
    is_active[i] = coords[i][0] >= 0;
  }
  const Flags<Config::max_pixels> active = pack_flags<Config::max_pixels>(is_active);
GLOBAL_MAX_CHANNEL:
  for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
    Features values[Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = values type = complete
  GLOBAL_MAX_PIXEL:
    for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
      values[i] = features[i][channel];
    }
    output[channel] = maximum<AREA, Config>(values, active);
  }
}

} // namespace sparsepix

#endif
