// Flatten: from a list of pixels to a dense vector.
#ifndef SPARSEPIX_SPARSE_FLATTEN_H
#define SPARSEPIX_SPARSE_FLATTEN_H

#include "select.h"
#include "types.h"

namespace sparsepix {

/// output[(row * width + column) * channels + channel] = the feature of the pixel there, 0 if there is none.
///
/// Each output looks for its pixel; no pixel looks for its output. No two pixels share coordinates, so one
/// slot at most is in a given row and column.
///
/// \tparam Config a struct with
///   int max_pixels: slots of the list;
///   int channels;
///   int height, width: shape of the grid
/// \tparam Features type of the features
/// \tparam Coords signed integer type of the coordinates
/// \tparam Output type of the output's elements; holds the features exactly
template <class Config, class Features, class Coords, class Output>
inline void sparse_flatten(const Features features[Config::max_pixels][Config::channels],
                           const Coords coords[Config::max_pixels][2],
                           Output output[Config::height * Config::width * Config::channels]) {
#pragma HLS INLINE
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
  static_assert(Config::channels >= 1, "pixels have one channel or more");
  static_assert(Config::height >= 1 && Config::width >= 1, "a grid has one cell or more");
  typedef Flags<Features::width> Bits;
  Bits bits[Config::channels][Config::max_pixels];
  Flags<Config::max_pixels> in_row[Config::height];   // the slots in each row
  Flags<Config::max_pixels> in_column[Config::width]; // the slots in each column
#pragma HLS ARRAY_PARTITION variable = bits type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = in_row type = complete
#pragma HLS ARRAY_PARTITION variable = in_column type = complete
FIND_ROW:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
    in_row[row] = 0;
  ROW_SLOT:
    for (int slot = 0; slot < Config::max_pixels; slot++) {
#pragma HLS UNROLL
      set_flag<Config::max_pixels>(in_row[row], slot, coords[slot][0] == row);
    }
  }
FIND_COLUMN:
  for (int column = 0; column < Config::width; column++) {
#pragma HLS UNROLL
    in_column[column] = 0;
  COLUMN_SLOT:
    for (int slot = 0; slot < Config::max_pixels; slot++) {
#pragma HLS UNROLL
      set_flag<Config::max_pixels>(in_column[column], slot, coords[slot][1] == column);
    }
  }
READ_CHANNEL:
  for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
  READ_SLOT:
    for (int slot = 0; slot < Config::max_pixels; slot++) {
#pragma HLS UNROLL
      bits[channel][slot] = to_flags(features[slot][channel]);
    }
  }

FLATTEN_ROW:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
  FLATTEN_COLUMN:
    for (int column = 0; column < Config::width; column++) {
#pragma HLS UNROLL
      const Flags<Config::max_pixels> here = in_row[row] & in_column[column];
    FLATTEN_CHANNEL:
      for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
        const Bits value = one_of<Config::max_pixels>(bits[channel], here);
        output[(row * Config::width + column) * Config::channels + channel] = from_raw<Features>(value);
      }
    }
  }
}

} // namespace sparsepix

#endif
