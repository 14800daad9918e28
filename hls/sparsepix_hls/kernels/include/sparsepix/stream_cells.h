// Pixels of a stream that lie in one cell, in one: their sum or their maximum.
//
// Pixels come in row-major order, so a row of cells is done with when a pixel of a later one comes. It is given out
// then, cell by cell, while the next row of cells is merged in the other half of the memory.
#ifndef SPARSEPIX_STREAM_CELLS_H
#define SPARSEPIX_STREAM_CELLS_H

#include "pixel_stream.h"
#include "types.h"

namespace sparsepix {

/// The cells of a stream of pixels.
///
/// \tparam Config a struct with
///   int channels;
///   int height, width: shape of the image;
///   int cell_height, cell_width: shape of a cell;
///   int grid_height, grid_width: cells that count; pixels beyond them are dropped;
///   bool is_sum: the sum of the pixels of a cell, not their maximum
/// \tparam Feature type of the features
/// \tparam Merged type of sum or maximum, which holds it exactly
template <class Config, class Feature, class Merged>
struct StreamCells {
  static constexpr int AREA = Config::cell_height * Config::cell_width;
  typedef Pixel<Feature, Config::channels, Config::height, Config::width> Word;
  typedef Index<Config::grid_height> Line;
  typedef Index<Config::grid_width> Place;
  typedef UInt<index_bits(AREA + 1)> Count;

  Merged merged[2][Config::grid_width][Config::channels];
  Count count[2][Config::grid_width];
  Word held;
  bool holds, ended;
  UInt<1> half;
  Flags<Config::grid_width> some, given; // cells that have a pixel; that are still to be given out
  Line line, given_line;

  StreamCells() {
#pragma HLS ARRAY_PARTITION variable = merged type = complete dim = 1
#pragma HLS ARRAY_PARTITION variable = merged type = complete dim = 3
#pragma HLS ARRAY_PARTITION variable = count type = complete dim = 1
  }

  /// Begin an event.
  void begin_event() {
#pragma HLS INLINE
    holds = false;
    ended = false;
    half = 0;
    some = 0;
    given = 0;
  }

  /// Merge a pixel if there is one, and find the next cell that is done.
  /// \param result sum or maximum of its pixels
  /// \param whole whether all of its pixels are active
  /// \return whether there is a cell
  bool step(hls::stream<Word> &stream, Merged result[1][Config::channels], bool &whole, Line &cell_line,
            Place &cell_place) {
#pragma HLS INLINE
    if (!holds && !ended) {
      held = stream.read();
      holds = true;
    }
    const bool comes = holds && !ended;
    const int row = int(held.row) / Config::cell_height;
    const int place = int(held.column) / Config::cell_width;
    const bool counts = !held.ends && row < Config::grid_height && place < Config::grid_width;
    const bool turns = held.ends || (counts && any_flag<Config::grid_width>(some) && line != row);
    const bool giving = any_flag<Config::grid_width>(given);

    const Flags<Config::grid_width> lowest = lowest_only<Config::grid_width>(given);
    cell_line = given_line;
    cell_place = flag_position<Config::grid_width>(lowest);
    const UInt<1> other = half == 0 ? 1 : 0;
    whole = count[other][cell_place] == AREA;
  GIVE_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      result[0][channel] = merged[other][cell_place][channel];
    }
    given = given & ~lowest;

    if (comes && !(turns && giving)) {
      holds = false;
      ended = held.ends;
      if (turns) {
        given = some;
        given_line = line;
        some = 0;
        half = other;
      }
      if (counts) {
        const bool begins = !get_flag<Config::grid_width>(some, place);
      MERGE_CHANNEL:
        for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
          const Merged value = held.features[channel];
          const Merged before = merged[half][place][channel];
          const Merged joined = Config::is_sum ? Merged(before + value) : before < value ? value : before;
          merged[half][place][channel] = begins ? value : joined;
        }
        count[half][place] = begins ? Count(1) : Count(count[half][place] + 1);
        set_flag<Config::grid_width>(some, place, true);
        line = row;
      }
    }
    return giving;
  }

  /// Whether the event is over: no cell will come.
  bool over() const {
#pragma HLS INLINE
    return ended && !any_flag<Config::grid_width>(given);
  }
};

/// The maximum of a cell, in the format of the output.
/// \tparam Config see StreamCells; and bool clips: pixels that are not active count as 0
/// \tparam Merged type of the maximum
/// \tparam Output type of the output features; holds the maximum and 0 exactly
template <class Config, class Merged, class Output>
inline void max_of_cell(const Merged merged[1][Config::channels], bool whole, Output output[1][Config::channels]) {
#pragma HLS INLINE
MAX_OF_CELL:
  for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
    const bool clip = Config::clips && !whole && merged[0][channel] < 0;
    output[0][channel] = clip ? Merged(0) : merged[0][channel];
  }
}

/// The average of a cell: the sum times a fixed-point 1 / (cell area).
/// \tparam Config see StreamCells
/// \tparam Merged type of the sum
/// \tparam Reciprocal type of the reciprocal
/// \tparam Output type of the output features; holds sum times reciprocal exactly
template <class Config, class Merged, class Reciprocal, class Output>
inline void mean_of_cell(const Merged merged[1][Config::channels], const Reciprocal &reciprocal,
                         Output output[1][Config::channels]) {
#pragma HLS INLINE
MEAN_OF_CELL:
  for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
    output[0][channel] = merged[0][channel] * reciprocal;
  }
}

} // namespace sparsepix

#endif
