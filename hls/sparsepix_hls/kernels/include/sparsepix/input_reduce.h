// Input reduction: from an image to the list of its active pixels. What all ways to do it share: see
// largest.h, reduce_scan.h, reduce_stream.h and reduce_tree.h.
#ifndef SPARSEPIX_INPUT_REDUCE_H
#define SPARSEPIX_INPUT_REDUCE_H

#include "select.h"
#include "types.h"

namespace sparsepix {

/// What is compared with the threshold: the first channel, the largest channel, or the sum of all.
enum class Activity { first, any, sum };

/// Which active pixels are kept if there are too many: the first in row-major order, or the largest.
enum class Selection { raster, magnitude };

/// Check the parameters of an input reduction.
///
/// \tparam Config a struct with
///   int channels, height, width: shape of the image;
///   int max_pixels: slots of the list;
///   int pixels_per_cycle: pixels that a stream takes a clock;
///   Activity activity: what the score of a pixel is;
///   Selection selection: which pixels are kept if there are too many;
///   type score_t: holds the score of any pixel exactly
template <class Config>
inline void check_reduction() {
#pragma HLS INLINE
  static_assert(Config::channels >= 1, "an image has one channel or more");
  static_assert(Config::height >= 1 && Config::width >= 1, "an image has one pixel or more");
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
  static_assert(Config::max_pixels <= Config::height * Config::width, "the list has more slots than there are pixels");
  static_assert(Config::pixels_per_cycle >= 1, "a stream moves one pixel a clock or more");
  static_assert(Config::pixels_per_cycle <= Config::height * Config::width,
                "a stream has no more pixels than the image");
}

/// The number that decides whether a pixel is active.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
template <class Config, class Image>
inline typename Config::score_t score_of(const Image values[Config::channels]) {
#pragma HLS INLINE
  typename Config::score_t score = values[0];
SCORE_CHANNEL:
  for (int channel = 1; channel < Config::channels; channel++) {
#pragma HLS UNROLL
    const typename Config::score_t value = values[channel];
    const typename Config::score_t larger = value > score ? value : score;
    const typename Config::score_t sum = score + value;
    score = Config::activity == Activity::any ? larger : Config::activity == Activity::sum ? sum : score;
  }
  return score;
}

/// The score of a pixel of an image.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
template <class Config, class Image>
inline typename Config::score_t pixel_score(const Image image[Config::channels * Config::height * Config::width],
                                            int row, int column) {
#pragma HLS INLINE
  Image values[Config::channels];
#pragma HLS ARRAY_PARTITION variable = values type = complete
SCORE_READ:
  for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
    values[channel] = image[(channel * Config::height + row) * Config::width + column];
  }
  return score_of<Config>(values);
}

/// Flags of the active pixels, one set for each row.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
/// \tparam Threshold type of the threshold
template <class Config, class Image, class Threshold>
inline void find_active(const Image image[Config::channels * Config::height * Config::width],
                        const Threshold &threshold, Flags<Config::width> active[Config::height]) {
#pragma HLS INLINE
ACTIVE_ROW:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
    bool above[Config::width];
#pragma HLS ARRAY_PARTITION variable = above type = complete
  ACTIVE_COLUMN:
    for (int column = 0; column < Config::width; column++) {
#pragma HLS UNROLL
      above[column] = pixel_score<Config>(image, row, column) > threshold;
    }
    active[row] = pack_flags<Config::width>(above);
  }
}

} // namespace sparsepix

#endif
