// Input reduction by 'scan': one active pixel a clock, found in two levels.
//
// One flag a pixel says 'active and not listed yet', one flag a row says 'has such a pixel'. Each clock takes
// the first such row and the first such pixel in it, reads the pixel through two multiplexers (row, then
// column) and clears its flag. What is carried from one clock to the next is short: the row flags through one
// priority encoder; 'the flags of a row without its first' is ready before it is known which row is the first.
// An image takes max_pixels clocks and the depth of the multiplexers.
#ifndef SPARSEPIX_REDUCE_SCAN_H
#define SPARSEPIX_REDUCE_SCAN_H

#include "input_reduce.h"
#include "rounds.h"
#include "select.h"
#include "types.h"

namespace sparsepix {

/// Which rows have a flag.
/// \tparam Config see check_reduction
template <class Config>
inline void flag_rows(const Flags<Config::width> active[Config::height], Flags<Config::height> &rows) {
#pragma HLS INLINE
  bool any[Config::height];
#pragma HLS ARRAY_PARTITION variable = any type = complete
FLAG_ROW:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
    any[row] = any_flag<Config::width>(active[row]);
  }
  rows = pack_flags<Config::height>(any);
}

/// Take the first flagged pixel in row-major order, and clear its flag; an empty slot if there is none.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
/// \tparam Features type of the listed values; holds those of the image exactly
/// \tparam Coords signed integer type of the coordinates
template <class Config, class Image, class Features, class Coords>
inline void next_pixel(const Image image[Config::channels * Config::height * Config::width],
                       Flags<Config::width> active[Config::height], Flags<Config::height> &rows,
                       Features pixel[Config::channels], Coords place[2]) {
#pragma HLS INLINE
  check_reduction<Config>();
  static_assert(IsSigned<Coords>::value, "coordinates are signed: -1 marks an empty slot");
  const bool found = any_flag<Config::height>(rows);
  const Index<Config::height> row = lowest_flag<Config::height>(rows);
  const Index<Config::width> column = lowest_flag<Config::width>(active[row]);

READ_CHANNEL:
  for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
    Image line[Config::width];
#pragma HLS ARRAY_PARTITION variable = line type = complete
  READ_LINE:
    for (int i = 0; i < Config::width; i++) {
#pragma HLS UNROLL
#ifdef SPARSEPIX_SYNTHESIS
      Image rows_of_column[Config::height];
#pragma HLS ARRAY_PARTITION variable = rows_of_column type = complete
    READ_COLUMN:
      for (int k = 0; k < Config::height; k++) {
#pragma HLS UNROLL
        rows_of_column[k] = image[(channel * Config::height + k) * Config::width + i];
      }
      line[i] = mux<Config::height>(rows_of_column, row);
#else
      line[i] = image[(channel * Config::height + int(row)) * Config::width + i];
#endif
    }
    pixel[channel] = found ? Features(line[column]) : Features(0);
  }
  place[0] = found ? Coords(row) : Coords(-1);
  place[1] = found ? Coords(column) : Coords(-1);

  Flags<Config::height> rows_left = rows;
CLEAR_PIXEL:
  for (int i = 0; i < Config::height; i++) {
#pragma HLS UNROLL
    const bool here = found && row == i;
    const Flags<Config::width> left = clear_lowest<Config::width>(active[i]);
    active[i] = here ? left : active[i];
    set_flag<Config::height>(rows_left, i, here ? any_flag<Config::width>(left) : get_flag<Config::height>(rows, i));
  }
  rows = rows_left;
}

/// Put a pixel into its slot of the list.
/// \tparam Config see check_reduction
/// \tparam Features type of the listed values
/// \tparam Coords type of the coordinates
template <class Config, class Features, class Coords>
inline void list_pixel(int slot, const Features pixel[Config::channels], const Coords place[2],
                       Features features[Config::max_pixels][Config::channels], Coords coords[Config::max_pixels][2]) {
#pragma HLS INLINE
  store_item<Config::max_pixels, Config::channels>(slot, pixel, features);
  store_item<Config::max_pixels, 2>(slot, place, coords);
}

} // namespace sparsepix

#endif
