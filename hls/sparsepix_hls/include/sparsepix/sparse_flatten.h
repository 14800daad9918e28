// Flatten: from a list of pixels to a dense vector.
#ifndef SPARSEPIX_SPARSE_FLATTEN_H
#define SPARSEPIX_SPARSE_FLATTEN_H

#include "types.h"

namespace sparsepix {

/// output[(row * width + column) * channels + channel] = the feature of the pixel there, 0 if there is none.
///
/// Each output looks for its pixel; no pixel looks for its output. No two pixels share coordinates, so the
/// masked features can be joined by '|'.
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
  Bits bits[Config::max_pixels][Config::channels];
  bool in_row[Config::height][Config::max_pixels];
  bool in_column[Config::width][Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = bits type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = in_row type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = in_column type = complete dim = 0
FIND_SLOT:
  for (int slot = 0; slot < Config::max_pixels; slot++) {
#pragma HLS UNROLL
  FIND_ROW:
    for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
      in_row[row][slot] = coords[slot][0] == row;
    }
  FIND_COLUMN:
    for (int column = 0; column < Config::width; column++) {
#pragma HLS UNROLL
      in_column[column][slot] = coords[slot][1] == column;
    }
  READ_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      bits[slot][channel] = to_flags(features[slot][channel]);
    }
  }

FLATTEN_ROW:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
  FLATTEN_COLUMN:
    for (int column = 0; column < Config::width; column++) {
#pragma HLS UNROLL
    FLATTEN_CHANNEL:
      for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
        Bits value = 0;
      FLATTEN_SLOT:
        for (int slot = 0; slot < Config::max_pixels; slot++) {
#pragma HLS UNROLL
          value |= in_row[row][slot] && in_column[column][slot] ? bits[slot][channel] : Bits(0);
        }
        output[(row * Config::width + column) * Config::channels + channel] = from_raw<Features>(value);
      }
    }
  }
}

} // namespace sparsepix

#endif
