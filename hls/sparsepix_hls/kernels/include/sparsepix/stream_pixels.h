// Input reduction as a stream of pixels: at most max_pixels, one a clock, in row-major order.
//
// Two processes: one takes a beat a clock and drops those without an active pixel, the other takes them apart.
#ifndef SPARSEPIX_STREAM_PIXELS_H
#define SPARSEPIX_STREAM_PIXELS_H

#include "image_stream.h"
#include "input_reduce.h"
#include "pixel_stream.h"
#include "reduce_stream.h"
#include "types.h"

namespace sparsepix {

/// A beat that has an active pixel, or is the last of its image.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
template <class Config, class Image>
struct ActiveBeat {
  Image pixels[Config::pixels_per_cycle][Config::channels];
  Flags<Config::pixels_per_cycle> active;
  Index<Config::height> row; // of its first pixel
  Index<Config::width> column;
  bool last;
};

/// A beat of an image: passed on if there is an active pixel in it, or if it is the last one.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
/// \tparam Threshold type of the threshold
/// \param progress where the beat begins, and the next one
template <class Config, class Image, class Threshold>
inline void pass_beat(int beat, const Image pixels[Config::pixels_per_cycle][Config::channels],
                      const Threshold &threshold, Progress<Config> &progress,
                      hls::stream<ActiveBeat<Config, Image>> &stream) {
#pragma HLS INLINE
  check_reduction<Config>();
  constexpr int LANES = Config::pixels_per_cycle;
  constexpr int BEATS = beat_count<Config>();
  constexpr int LAST = Config::height * Config::width - (BEATS - 1) * LANES; // pixels in the last beat
  ActiveBeat<Config, Image> found;
  bool active[LANES];
#pragma HLS ARRAY_PARTITION variable = active type = complete
PASS_LANE:
  for (int lane = 0; lane < LANES; lane++) {
#pragma HLS UNROLL
    const bool exists = beat < BEATS - 1 || lane < LAST;
    active[lane] = exists && score_of<Config>(pixels[lane]) > threshold;
  PASS_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      found.pixels[lane][channel] = pixels[lane][channel];
    }
  }
  found.active = pack_flags<LANES>(active);
  found.row = beat == 0 ? Index<Config::height>(0) : progress.row;
  found.column = beat == 0 ? Index<Config::width>(0) : progress.column;
  found.last = beat == BEATS - 1;
  typedef UInt<index_bits(2 * Config::width)> Column;
  const Column moved = Column(found.column) + Column(LANES % Config::width);
  const bool wraps = moved >= Config::width;
  progress.column = wraps ? Column(moved - Column(Config::width)) : moved;
  progress.row = found.row + Index<Config::height>(LANES / Config::width) + Index<Config::height>(wraps ? 1 : 0);
  if (found.last || any_flag<LANES>(found.active)) {
    stream.write(found);
  }
}

/// Takes beats apart.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
template <class Config, class Image>
struct BeatPixels {
  ActiveBeat<Config, Image> beat;
  Flags<Config::pixels_per_cycle> left;               // active pixels of the beat that are still to come
  UInt<index_bits(Config::max_pixels + 1)> count = 0; // pixels of this image that have been listed
  bool first = true;

  /// The next pixel, or the end of the image.
  /// \tparam Feature type of the listed values; holds those of the image exactly
  /// \return whether there is more to come
  template <class Feature>
  bool next(hls::stream<ActiveBeat<Config, Image>> &stream,
            hls::stream<Pixel<Feature, Config::channels, Config::height, Config::width>> &pixels) {
#pragma HLS INLINE
    constexpr int LANES = Config::pixels_per_cycle;
    constexpr int DROPS = (LANES - 1) / Config::width + 1;
    if (first || (!beat.last && !any_flag<LANES>(left))) {
      beat = stream.read();
      left = count < Config::max_pixels ? beat.active : Flags<LANES>(0);
    }
    first = false;
    if (!any_flag<LANES>(left)) {
      if (beat.last) {
        put_end<Config::height, Config::width, Config::channels, Feature>(pixels);
      }
      return !beat.last;
    }
    const Flags<LANES> lowest = lowest_only<LANES>(left);
    const Index<LANES> lane = flag_position<LANES>(lowest);
    Feature features[1][Config::channels];
#pragma HLS ARRAY_PARTITION variable = features type = complete dim = 0
  NEXT_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      features[0][channel] = one_hot_mux<LANES, Config::channels>(beat.pixels, channel, lowest);
    }
    // How often the lanes up to this one run over the end of a row: comparisons instead of a division.
    typedef UInt<index_bits(Config::width + LANES)> Place;
    const Place place = Place(beat.column) + Place(lane);
    Place rows = 0;
    Place over = 0;
  NEXT_ROW:
    for (int end = 1; end <= DROPS; end++) {
#pragma HLS UNROLL
      rows = place >= end * Config::width ? Place(end) : rows;
      over = place >= end * Config::width ? Place(end * Config::width) : over;
    }
    put_pixel<Config::height, Config::width>(features, Index<Config::height>(beat.row + rows),
                                             Index<Config::width>(place - over), pixels);
    count = count + 1;
    left = count < Config::max_pixels ? Flags<LANES>(left & ~lowest) : Flags<LANES>(0);
    return true;
  }
};

} // namespace sparsepix

#endif
