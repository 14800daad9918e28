// Pooling cells: which pixels of the list fall into one cell of the pooled grid.
#ifndef SPARSEPIX_POOL_CELLS_H
#define SPARSEPIX_POOL_CELLS_H

#include "rounds.h"
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

/// Check the parameters of a pool.
///
/// \tparam Config a struct with
///   int max_pixels: slots of the list;
///   int channels;
///   int height, width: shape of the image before pooling;
///   int cell_height, cell_width: shape of a cell;
///   int reuse_factor, parallel: see rounds.h; an item is an output slot
template <class Config>
inline void check_pool() {
#pragma HLS INLINE
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
  static_assert(Config::channels >= 1, "pixels have one channel or more");
  static_assert(Config::cell_height >= 1 && Config::cell_height <= Config::height, "a cell must fit in the image");
  static_assert(Config::cell_width >= 1 && Config::cell_width <= Config::width, "a cell must fit in the image");
  check_rounds<Config::max_pixels, Config::reuse_factor, Config::parallel>();
}

/// New coordinates of the round's slots, and for each of them the slots that merge into it.
///
/// Pixels of one cell merge into the first slot of that cell, which has a flag for each of them, itself
/// included. All other slots become empty: coords (-1, -1), no flag.
///
/// \tparam Config see check_pool
/// \tparam Coords signed integer type of the coordinates before pooling
/// \tparam Cells signed integer type of the coordinates after it
template <class Config, class Coords, class Cells>
inline void pool_cells(int round, const Coords coords[Config::max_pixels][2], Cells output_coords[Config::parallel][2],
                       Flags<Config::max_pixels> members[Config::parallel]) {
#pragma HLS INLINE
  check_pool<Config>();
  static_assert(IsSigned<Coords>::value && IsSigned<Cells>::value, "coordinates are signed: -1 is an empty slot");
  Cells row[Config::max_pixels];
  Cells column[Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = row type = complete
#pragma HLS ARRAY_PARTITION variable = column type = complete
CELL_OF_PIXEL:
  for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
    const Cells cell_row = cell_of<Config::height, Config::cell_height, Cells>(coords[i][0]);
    const Cells cell_column = cell_of<Config::width, Config::cell_width, Cells>(coords[i][1]);
    const bool inside = coords[i][0] >= 0 && cell_row >= 0 && cell_column >= 0;
    row[i] = inside ? cell_row : Cells(-1);
    column[i] = inside ? cell_column : Cells(-1);
  }

POOL_SLOT:
  for (int lane = 0; lane < Config::parallel; lane++) {
#pragma HLS UNROLL
    const int slot = round * Config::parallel + lane;
    const Cells own_row = of_round<Config::max_pixels, Config::reuse_factor, Config::parallel>(row, round, lane);
    const Cells own_column = of_round<Config::max_pixels, Config::reuse_factor, Config::parallel>(column, round, lane);
    bool leads = slot < Config::max_pixels && own_row >= 0;
    bool merges[Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = merges type = complete
  MERGE_PIXEL:
    for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
      const bool same = row[j] == own_row && column[j] == own_column;
      leads = leads && !(same && j < slot);
      merges[j] = same && j >= slot;
    }
    members[lane] = leads ? pack_flags<Config::max_pixels>(merges) : Flags<Config::max_pixels>(0);
    output_coords[lane][0] = leads ? own_row : Cells(-1);
    output_coords[lane][1] = leads ? own_column : Cells(-1);
  }
}

} // namespace sparsepix

#endif
