// Input reduction by 'stream': some pixels a clock, in row-major order.
//
// The active ones among them are moved together by a tree of merges and appended to the list. It works while
// the image arrives: after the last beat only the depth of one merge and one append is left.
#ifndef SPARSEPIX_REDUCE_STREAM_H
#define SPARSEPIX_REDUCE_STREAM_H

#include "compact.h"
#include "input_reduce.h"
#include "types.h"

namespace sparsepix {

/// Clocks in which an image passes.
/// \tparam Config see check_reduction
template <class Config>
constexpr int beat_count() {
  return (Config::height * Config::width + Config::pixels_per_cycle - 1) / Config::pixels_per_cycle;
}

/// How far an image and the list of its active pixels have come.
/// \tparam Config see check_reduction
template <class Config>
struct Progress {
  UInt<index_bits(Config::max_pixels + 1)> count; // pixels in the list
  Index<Config::height> row;                      // of the first pixel of the next beat
  Index<Config::width> column;
};

/// A beat of an image that is there as a whole.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
template <class Config, class Image>
inline void read_beat(int beat, const Image image[Config::channels * Config::height * Config::width],
                      Image pixels[Config::pixels_per_cycle][Config::channels]) {
#pragma HLS INLINE
  constexpr int LANES = Config::pixels_per_cycle;
  constexpr int SIZE = Config::height * Config::width;
  constexpr int BEATS = beat_count<Config>();
READ_LANE:
  for (int lane = 0; lane < LANES; lane++) {
#pragma HLS UNROLL
  READ_LANE_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
#ifdef SPARSEPIX_SYNTHESIS
      Image candidates[BEATS];
#pragma HLS ARRAY_PARTITION variable = candidates type = complete
    READ_BEAT:
      for (int i = 0; i < BEATS; i++) {
#pragma HLS UNROLL
        const int place = i * LANES + lane < SIZE ? i * LANES + lane : 0;
        candidates[i] = image[channel * SIZE + place];
      }
      pixels[lane][channel] = mux<BEATS>(candidates, Index<BEATS>(beat));
#else
      static_assert(BEATS >= 1, "an image has a beat");
      const int place = beat * LANES + lane < SIZE ? beat * LANES + lane : 0;
      pixels[lane][channel] = image[channel * SIZE + place];
#endif
    }
  }
}

/// Append the active pixels of a beat to the list; the first beat of an image begins with an empty list.
///
/// Lanes after the last pixel of the image, in the last beat, are not active.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
/// \tparam Threshold type of the threshold
/// \tparam Features type of the listed values; holds those of the image exactly
/// \tparam Coords signed integer type of the coordinates
template <class Config, class Image, class Threshold, class Features, class Coords>
inline void append_beat(int beat, const Image pixels[Config::pixels_per_cycle][Config::channels],
                        const Threshold &threshold, Features features[Config::max_pixels][Config::channels],
                        Coords coords[Config::max_pixels][2], Progress<Config> &progress) {
#pragma HLS INLINE
  check_reduction<Config>();
  static_assert(Config::selection == Selection::raster, "a stream keeps the first pixels: it never sees them all");
  static_assert(IsSigned<Coords>::value, "coordinates are signed: -1 marks an empty slot");
  constexpr int LANES = Config::pixels_per_cycle;
  constexpr int BEATS = beat_count<Config>();
  constexpr int LAST = Config::height * Config::width - (BEATS - 1) * LANES; // pixels in the last beat
  constexpr int SLOTS = Config::max_pixels;
  typedef Compact<LANES, SLOTS, Config::channels, Image> Tree;
  typedef UInt<index_bits(2 * SLOTS + 1)> Count;

  const bool first = beat == 0;
  const UInt<index_bits(SLOTS + 1)> listed = first ? UInt<index_bits(SLOTS + 1)>(0) : progress.count;
  const Index<Config::height> row = first ? Index<Config::height>(0) : progress.row;
  const Index<Config::width> column = first ? Index<Config::width>(0) : progress.column;

  bool active[LANES];
#pragma HLS ARRAY_PARTITION variable = active type = complete
ACTIVE_LANE:
  for (int lane = 0; lane < LANES; lane++) {
#pragma HLS UNROLL
    const bool exists = beat < BEATS - 1 || lane < LAST;
    active[lane] = exists && score_of<Config>(pixels[lane]) > threshold;
  }
  Image fresh[Tree::CAPACITY][Config::channels];
  Index<LANES> lanes[Tree::CAPACITY];
  typename Tree::Count fresh_count;
#pragma HLS ARRAY_PARTITION variable = fresh type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = lanes type = complete
  Tree::run(pixels, active, 0, fresh, lanes, fresh_count);

  Coords fresh_coords[Tree::CAPACITY][2];
#pragma HLS ARRAY_PARTITION variable = fresh_coords type = complete dim = 0
PLACE_LANE:
  for (int i = 0; i < Tree::CAPACITY; i++) {
#pragma HLS UNROLL
    // How often the lanes up to this one run over the end of a row: comparisons instead of a division.
    constexpr int ENDS = (Config::width - 1 + LANES - 1) / Config::width;
    typedef UInt<index_bits(Config::width + LANES)> Place;
    const Place place = Place(column) + Place(lanes[i]);
    Place rows = 0;
    Place over = 0;
  ROW_END:
    for (int end = 1; end <= ENDS; end++) {
#pragma HLS UNROLL
      rows = place >= end * Config::width ? Place(end) : rows;
      over = place >= end * Config::width ? Place(end * Config::width) : over;
    }
    fresh_coords[i][0] = row + rows;
    fresh_coords[i][1] = place - over;
  }

  const Count total = Count(listed) + Count(fresh_count);
APPEND:
  for (int k = 0; k < SLOTS; k++) {
#pragma HLS UNROLL
    const bool old = listed > k;
    const bool filled = total > k;
  APPEND_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      const Image value = shifted_read<SLOTS, Tree::CAPACITY, Config::channels>(fresh, channel, listed, k);
      features[k][channel] = old ? features[k][channel] : filled ? Features(value) : Features(0);
    }
  APPEND_AXIS:
    for (int axis = 0; axis < 2; axis++) {
#pragma HLS UNROLL
      const Coords value = shifted_read<SLOTS, Tree::CAPACITY, 2>(fresh_coords, axis, listed, k);
      coords[k][axis] = old ? coords[k][axis] : filled ? value : Coords(-1);
    }
  }

  progress.count = total < SLOTS ? total : Count(SLOTS);
  constexpr int STEP = LANES % Config::width;
  typedef UInt<index_bits(2 * Config::width)> Column;
  const Column moved = Column(column) + Column(STEP);
  const bool wraps = moved >= Config::width;
  progress.column = wraps ? Column(moved - Column(Config::width)) : moved;
  progress.row = row + Index<Config::height>(LANES / Config::width) + Index<Config::height>(wraps ? 1 : 0);
}

} // namespace sparsepix

#endif
