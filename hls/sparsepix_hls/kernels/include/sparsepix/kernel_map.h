// Kernel map: which kernel weight connects two pixels of the list.
//
// It depends on coordinates only, so it is computed once and shared by all convolutions of one kernel size
// on the same coordinates. Only pairs (i, j) with i < j are kept: (j, i) is the mirror image, and (i, i) is
// always the centre of the kernel.
#ifndef SPARSEPIX_KERNEL_MAP_H
#define SPARSEPIX_KERNEL_MAP_H

#include "types.h"

namespace sparsepix {

/// Position in a kernel: row-major, 0 ... AREA - 1; AREA means 'not in the window'.
/// \tparam AREA kernel height times kernel width
template <int AREA>
using Position = UInt<index_bits(AREA + 1)>;

/// Number of pairs (i, j) with i < j; an array cannot be empty, so a lone pixel has one that nobody reads.
constexpr int pair_count(int pixels) {
  return pixels > 1 ? pixels * (pixels - 1) / 2 : 1;
}

/// Place of the pair (i, j), i < j, in a kernel map.
constexpr int pair_index(int i, int j) {
  return j * (j - 1) / 2 + i;
}

/// Kernel position of a pixel in the window around an earlier one of the list.
///
/// A pair with an empty slot is 'not in the window', so that convolutions need no further mask.
///
/// \tparam Config a struct with
///   int kernel_height, kernel_width: odd;
///   bool raster_order: whether the list is in row-major order, so that no row lies above an earlier one's
/// \tparam Coords signed integer type of the coordinates
template <class Config, class Coords>
inline Position<Config::kernel_height * Config::kernel_width> pair_position(const Coords earlier[2],
                                                                            const Coords later[2]) {
#pragma HLS INLINE
  constexpr int HALF_HEIGHT = Config::kernel_height / 2;
  constexpr int HALF_WIDTH = Config::kernel_width / 2;
  constexpr int AREA = Config::kernel_height * Config::kernel_width;
  static_assert(IsSigned<Coords>::value, "coordinates are signed: -1 marks an empty slot");
  static_assert(Config::kernel_height >= 1 && Config::kernel_height % 2 == 1, "the kernel height must be odd");
  static_assert(Config::kernel_width >= 1 && Config::kernel_width % 2 == 1, "the kernel width must be odd");
  const bool active = earlier[0] >= 0 && later[0] >= 0;
  const auto row_offset = later[0] - earlier[0];
  const auto column_offset = later[1] - earlier[1];
  const bool row_inside = (Config::raster_order || row_offset >= -HALF_HEIGHT) && row_offset <= HALF_HEIGHT;
  const bool column_inside = column_offset >= -HALF_WIDTH && column_offset <= HALF_WIDTH;
  // A few bits are enough: outside the window nobody looks at them.
  const Position<AREA> kernel_row = row_offset + HALF_HEIGHT;
  const Position<AREA> kernel_column = column_offset + HALF_WIDTH;
  const Position<AREA> position = kernel_row * Position<AREA>(Config::kernel_width) + kernel_column;
  return active && row_inside && column_inside ? position : Position<AREA>(AREA);
}

/// Kernel position of pixel j in the window around pixel i, for all i < j, at once.
///
/// \tparam Config a struct with int max_pixels, the slots of the list, and what pair_position needs
/// \tparam Coords signed integer type of the coordinates
template <class Config, class Coords>
inline void
kernel_map(const Coords coords[Config::max_pixels][2],
           Position<Config::kernel_height * Config::kernel_width> positions[pair_count(Config::max_pixels)]) {
#pragma HLS INLINE
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
  positions[0] = Config::kernel_height * Config::kernel_width;
PAIR_LATER:
  for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
  PAIR_EARLIER:
    for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
      if (i < j) { // known at compile time
        positions[pair_index(i, j)] = pair_position<Config>(coords[i], coords[j]);
      }
    }
  }
}

/// Kernel position of a pixel that has just come in the windows around the earlier ones: one row of the kernel map.
///
/// \tparam Config a struct with int max_pixels, the slots of the list, and what pair_position needs
/// \tparam Coords signed integer type of the coordinates
template <class Config, class Coords>
inline void pair_row(int slot, const Coords place[2], const Coords coords[Config::max_pixels][2],
                     Position<Config::kernel_height * Config::kernel_width> row[Config::max_pixels]) {
#pragma HLS INLINE
  constexpr int AREA = Config::kernel_height * Config::kernel_width;
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
ROW_EARLIER:
  for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
    // From the slot on the list still holds pixels of the image before, if any.
    row[i] = i < slot ? pair_position<Config>(coords[i], place) : Position<AREA>(AREA);
  }
}

/// Put the row of a pixel that has just come into the kernel map.
///
/// \tparam Config see pair_row
template <class Config>
inline void
list_pairs(int slot, const Position<Config::kernel_height * Config::kernel_width> row[Config::max_pixels],
           Position<Config::kernel_height * Config::kernel_width> positions[pair_count(Config::max_pixels)]) {
#pragma HLS INLINE
#ifdef SPARSEPIX_SYNTHESIS
LIST_LATER:
  for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
  LIST_EARLIER:
    for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
      if (i < j && j == slot) {
        positions[pair_index(i, j)] = row[i];
      }
    }
  }
#else
  for (int i = 0; i < slot; i++) {
    positions[pair_index(i, slot)] = row[i];
  }
#endif
  if (Config::max_pixels == 1) {
    positions[0] = row[0];
  }
}

} // namespace sparsepix

#endif
