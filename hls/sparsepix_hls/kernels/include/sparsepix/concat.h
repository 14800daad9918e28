// Concat: the channels of several branches side by side, which is wires.
#ifndef SPARSEPIX_CONCAT_H
#define SPARSEPIX_CONCAT_H

#include "types.h"

namespace sparsepix {

/// Put one part of a vector in its place.
/// \tparam SIZE number of elements of the part
/// \tparam TOTAL number of elements of the vector
/// \tparam FIRST element of the vector where the part begins
/// \tparam Part type of the part's elements
/// \tparam Output type of the vector's elements; holds every value of the part
template <int SIZE, int TOTAL, int FIRST, class Part, class Output>
inline void concat(const Part part[SIZE], Output output[TOTAL]) {
#pragma HLS INLINE
  static_assert(SIZE >= 1 && FIRST >= 0 && FIRST + SIZE <= TOTAL, "the part lies in the vector");
CONCAT:
  for (int i = 0; i < SIZE; i++) {
#pragma HLS UNROLL
    output[FIRST + i] = part[i];
  }
}

/// Put some channels of a list of pixels in their place.
/// \tparam ROWS number of slots
/// \tparam SIZE number of channels of the part
/// \tparam TOTAL number of channels of the list
/// \tparam FIRST channel of the list where the part begins
/// \tparam Part type of the part's elements
/// \tparam Output type of the list's elements; holds every value of the part
template <int ROWS, int SIZE, int TOTAL, int FIRST, class Part, class Output>
inline void sparse_concat(const Part part[ROWS][SIZE], Output output[ROWS][TOTAL]) {
#pragma HLS INLINE
  static_assert(ROWS >= 1, "the list needs one slot or more");
CONCAT_PIXEL:
  for (int row = 0; row < ROWS; row++) {
#pragma HLS UNROLL
    concat<SIZE, TOTAL, FIRST>(part[row], output[row]);
  }
}

} // namespace sparsepix

#endif
