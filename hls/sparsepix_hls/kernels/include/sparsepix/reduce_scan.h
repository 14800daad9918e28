// Input reduction by 'scan': one active pixel a clock, found in two levels.
//
// One flag a pixel says 'active', one flag a row says 'has such a pixel'. Rows are picked in order, and their pixels
// leave one by one. What is carried from one clock to the next is short, so that a clock takes one pixel whatever the
// image: the flags of the current row lose their lowest one; the flags of the next row are there already; the row after
// it is picked but not read. Positions are one-hot where they are carried. The pixel itself is read through two
// multiplexers (row, then column) on the side. An image takes max_pixels clocks and the depth of the multiplexers.
#ifndef SPARSEPIX_REDUCE_SCAN_H
#define SPARSEPIX_REDUCE_SCAN_H

#include "input_reduce.h"
#include "largest.h"
#include "rounds.h"
#include "select.h"
#include "sums.h"
#include "types.h"

namespace sparsepix {

/// Where a scan is. Rows are one-hot, and no flag is set where there is none.
/// \tparam Config see check_reduction
template <class Config>
struct ScanState {
  Flags<Config::height> row;         // whose pixels leave
  Flags<Config::height> next_row;    // read already
  Flags<Config::height> waiting_row; // picked already
  Flags<Config::height> rows_left;   // all others that have an active pixel
  Flags<Config::width> columns;      // of the row: active and not listed yet
  Flags<Config::width> next_columns; // of the next row
};

/// The flags of one row.
/// \tparam Config see check_reduction
template <class Config>
inline Flags<Config::width> flags_of_row(const Flags<Config::width> active[Config::height],
                                         const Flags<Config::height> &row) {
#pragma HLS INLINE
#ifdef SPARSEPIX_NATIVE
  return row.any() ? active[row.lowest()] : Flags<Config::width>(0);
#else
  Terms<Config::height, Flags<Config::width>, United> flags;
FLAGS_OF_ROW:
  for (int i = 0; i < Config::height; i++) {
#pragma HLS UNROLL
    flags.set(i, get_flag<Config::height>(row, i) ? active[i] : Flags<Config::width>(0));
  }
  return flags.total();
#endif
}

/// Pick the first row of some.
/// \tparam Config see check_reduction
template <class Config>
inline Flags<Config::height> pick_row(Flags<Config::height> &rows) {
#pragma HLS INLINE
  const Flags<Config::height> first = lowest_only<Config::height>(rows);
  rows = rows & ~first;
  return first;
}

/// A flag for each row that has an active pixel.
/// \tparam Config see check_reduction
template <class Config>
inline Flags<Config::height> rows_with_active(const Flags<Config::width> active[Config::height]) {
#pragma HLS INLINE
  bool any[Config::height];
#pragma HLS ARRAY_PARTITION variable = any type = complete
FLAG_ROW:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
    any[row] = any_flag<Config::width>(active[row]);
  }
  return pack_flags<Config::height>(any);
}

/// Begin with the first row.
/// \tparam Config see check_reduction
template <class Config>
inline void start_scan(const Flags<Config::width> active[Config::height], ScanState<Config> &scan) {
#pragma HLS INLINE
  check_reduction<Config>();
  scan.rows_left = rows_with_active<Config>(active);
  scan.row = pick_row<Config>(scan.rows_left);
  scan.next_row = pick_row<Config>(scan.rows_left);
  scan.waiting_row = pick_row<Config>(scan.rows_left);
  scan.columns = flags_of_row<Config>(active, scan.row);
  scan.next_columns = flags_of_row<Config>(active, scan.next_row);
}

/// Read the pixel of a row and a column.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
/// \tparam Features type of the listed values; holds those of the image exactly
/// \tparam Coords signed integer type of the coordinates
/// \param found whether there is one; else the slot is empty
template <class Config, class Image, class Features, class Coords>
inline void read_pixel(const Image image[Config::channels * Config::height * Config::width],
                       const Flags<Config::height> &row_flag, const Flags<Config::width> &column_flag, bool found,
                       Features pixel[Config::channels], Coords place[2]) {
#pragma HLS INLINE
  static_assert(IsSigned<Coords>::value, "coordinates are signed: -1 marks an empty slot");
  const Index<Config::height> row = flag_position<Config::height>(row_flag);
  const Index<Config::width> column = flag_position<Config::width>(column_flag);
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
    pixel[channel] = found ? Features(mux<Config::width>(line, column)) : Features(0);
  }
  place[0] = found ? Coords(row) : Coords(-1);
  place[1] = found ? Coords(column) : Coords(-1);
}

/// Take the next active pixel in row-major order; an empty slot if there is none.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
/// \tparam Features type of the listed values; holds those of the image exactly
/// \tparam Coords signed integer type of the coordinates
template <class Config, class Image, class Features, class Coords>
inline void next_pixel(const Image image[Config::channels * Config::height * Config::width],
                       const Flags<Config::width> active[Config::height], ScanState<Config> &scan,
                       Features pixel[Config::channels], Coords place[2]) {
#pragma HLS INLINE
  const Flags<Config::width> picked = lowest_only<Config::width>(scan.columns);
  const Flags<Config::width> rest = scan.columns & ~picked;
  read_pixel<Config>(image, scan.row, picked, any_flag<Config::width>(scan.columns), pixel, place);

  const bool moves = !any_flag<Config::width>(rest);
  const Flags<Config::width> waiting_columns = flags_of_row<Config>(active, scan.waiting_row);
  Flags<Config::height> rows_after = scan.rows_left;
  const Flags<Config::height> picked_row = pick_row<Config>(rows_after);
  scan.columns = moves ? scan.next_columns : rest;
  scan.row = moves ? scan.next_row : scan.row;
  scan.next_columns = moves ? waiting_columns : scan.next_columns;
  scan.next_row = moves ? scan.waiting_row : scan.next_row;
  scan.waiting_row = moves ? picked_row : scan.waiting_row;
  scan.rows_left = moves ? rows_after : scan.rows_left;
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
