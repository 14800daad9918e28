// Flatten: from a list of pixels to a dense vector.
#ifndef SPARSEPIX_SPARSE_FLATTEN_H
#define SPARSEPIX_SPARSE_FLATTEN_H

#include "rounds.h"
#include "select.h"
#include "types.h"

namespace sparsepix {

/// output[(row * width + column) * channels + channel] = the feature of the pixel there, 0 if there is none.
///
/// Each output looks for its pixel among those of the round; no pixel looks for its output. No two pixels
/// share coordinates, so one slot at most is in a given row and column. The output is carried from round to round.
///
/// \tparam Config a struct with
///   int max_pixels: slots of the list;
///   int channels;
///   int height, width: shape of the grid;
///   int reuse_factor, parallel: see rounds.h; an item is a slot
/// \tparam Features type of the features
/// \tparam Coords signed integer type of the coordinates
/// \tparam Output type of the output's elements; holds the features exactly
template <class Config, class Features, class Coords, class Output>
inline void sparse_flatten(int round, const Features features[Config::max_pixels][Config::channels],
                           const Coords coords[Config::max_pixels][2],
                           Output output[Config::height * Config::width * Config::channels]) {
#pragma HLS INLINE
  static_assert(Config::channels >= 1, "pixels have one channel or more");
  static_assert(Config::height >= 1 && Config::width >= 1, "a grid has one cell or more");
  check_rounds<Config::max_pixels, Config::reuse_factor, Config::parallel>();
  Features feature[Config::parallel][Config::channels];
  Flags<Config::parallel> in_row[Config::height];   // the round's slots in each row
  Flags<Config::parallel> in_column[Config::width]; // the round's slots in each column
  Coords place[Config::parallel][2];
#pragma HLS ARRAY_PARTITION variable = feature type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = in_row type = complete
#pragma HLS ARRAY_PARTITION variable = in_column type = complete
#pragma HLS ARRAY_PARTITION variable = place type = complete dim = 0
  items_of_round<Config::max_pixels, Config::channels, Config::reuse_factor, Config::parallel>(features, round,
                                                                                               feature);
  items_of_round<Config::max_pixels, 2, Config::reuse_factor, Config::parallel>(coords, round, place);
NO_SLOT:
  for (int lane = 0; lane < Config::parallel; lane++) {
#pragma HLS UNROLL
    const bool exists = round * Config::parallel + lane < Config::max_pixels;
    place[lane][0] = exists ? place[lane][0] : Coords(-1);
    place[lane][1] = exists ? place[lane][1] : Coords(-1);
  }
FIND_ROW:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
    in_row[row] = 0;
  ROW_SLOT:
    for (int lane = 0; lane < Config::parallel; lane++) {
#pragma HLS UNROLL
      set_flag<Config::parallel>(in_row[row], lane, place[lane][0] == row);
    }
  }
FIND_COLUMN:
  for (int column = 0; column < Config::width; column++) {
#pragma HLS UNROLL
    in_column[column] = 0;
  COLUMN_SLOT:
    for (int lane = 0; lane < Config::parallel; lane++) {
#pragma HLS UNROLL
      set_flag<Config::parallel>(in_column[column], lane, place[lane][1] == column);
    }
  }

FLATTEN_ROW:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
  FLATTEN_COLUMN:
    for (int column = 0; column < Config::width; column++) {
#pragma HLS UNROLL
      const Flags<Config::parallel> here = in_row[row] & in_column[column];
    FLATTEN_CHANNEL:
      for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
        const int element = (row * Config::width + column) * Config::channels + channel;
        const Output value = one_hot_mux<Config::parallel, Config::channels>(feature, channel, here);
        const bool keep = Config::reuse_factor > 1 && round > 0 && !any_flag<Config::parallel>(here);
        output[element] = keep ? output[element] : value;
      }
    }
  }
}

} // namespace sparsepix

#endif
