// Pooling cells: which pixels of the list fall into one cell of the pooled grid.
#ifndef SPARSEPIX_POOL_CELLS_H
#define SPARSEPIX_POOL_CELLS_H

#include "select.h"
#include "types.h"

namespace sparsepix {

/// Row (or column) of the cell of an active pixel, -1 in the partial last window.
///
/// A table of constants instead of a divider: a function of the few bits of the coordinate.
/// \tparam SIZE height (or width) of the image
/// \tparam CELL height (or width) of a cell
/// \tparam Cell signed integer type of the result
/// \tparam Coord signed integer type of the coordinate
template <int SIZE, int CELL, class Cell, class Coord>
inline Cell cell_of(const Coord &coord) {
#pragma HLS INLINE
  Cell cells[SIZE];
#pragma HLS ARRAY_PARTITION variable = cells type = complete
CELL_TABLE:
  for (int i = 0; i < SIZE; i++) {
#pragma HLS UNROLL
    cells[i] = i / CELL < SIZE / CELL ? i / CELL : -1;
  }
  return mux<SIZE>(cells, Index<SIZE>(coord));
}

/// New coordinates, and for each slot the slots that merge into it.
///
/// Pixels of one cell merge into the first slot of that cell, which has a flag for each of them, itself
/// included. All other slots become empty: coords (-1, -1), no flag.
///
/// \tparam Config see sparse_avg_pool2d
/// \tparam Coords signed integer type of the coordinates before pooling
/// \tparam Cells signed integer type of the coordinates behind it
template <class Config, class Coords, class Cells>
inline void pool_cells(const Coords coords[Config::max_pixels][2], Cells output_coords[Config::max_pixels][2],
                       Flags<Config::max_pixels> members[Config::max_pixels]) {
#pragma HLS INLINE
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
  static_assert(IsSigned<Coords>::value && IsSigned<Cells>::value, "coordinates are signed: -1 is an empty slot");
  static_assert(Config::channels >= 1, "pixels have one channel or more");
  static_assert(Config::cell_height >= 1 && Config::cell_height <= Config::height, "a cell must fit in the image");
  static_assert(Config::cell_width >= 1 && Config::cell_width <= Config::width, "a cell must fit in the image");
  Cells row[Config::max_pixels];
  Cells column[Config::max_pixels];
  bool leads[Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = row type = complete
#pragma HLS ARRAY_PARTITION variable = column type = complete
#pragma HLS ARRAY_PARTITION variable = leads type = complete
CELL_OF_PIXEL:
  for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
    const Cells cell_row = cell_of<Config::height, Config::cell_height, Cells>(coords[i][0]);
    const Cells cell_column = cell_of<Config::width, Config::cell_width, Cells>(coords[i][1]);
    const bool inside = coords[i][0] >= 0 && cell_row >= 0 && cell_column >= 0;
    row[i] = inside ? cell_row : Cells(-1);
    column[i] = inside ? cell_column : Cells(-1);
    leads[i] = inside;
    members[i] = 0;
  }

MERGE_LATER:
  for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
  MERGE_EARLIER:
    for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
      if (i < j) { // known at compile time
        const bool same = row[i] >= 0 && row[i] == row[j] && column[i] == column[j];
        set_flag<Config::max_pixels>(members[i], j, same);
        leads[j] = leads[j] && !same;
      }
    }
  }

LEAD_CELL:
  for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
    set_flag<Config::max_pixels>(members[i], i, true);
    members[i] = leads[i] ? members[i] : Flags<Config::max_pixels>(0);
    output_coords[i][0] = leads[i] ? row[i] : Cells(-1);
    output_coords[i][1] = leads[i] ? column[i] : Cells(-1);
  }
}

} // namespace sparsepix

#endif
