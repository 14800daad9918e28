// Add: the sum of two branches of a network.
#ifndef SPARSEPIX_ADD_H
#define SPARSEPIX_ADD_H

#include "types.h"

namespace sparsepix {

/// Elementwise sum of two vectors.
/// \tparam Config a struct with int size, the number of elements
/// \tparam First type of the first operand's elements
/// \tparam Second type of the second operand's elements
/// \tparam Output type of the sums; holds every sum exactly
template <class Config, class First, class Second, class Output>
inline void add(const First first[Config::size], const Second second[Config::size], Output output[Config::size]) {
#pragma HLS INLINE
  static_assert(Config::size >= 1, "an addition needs one element or more");
ADD:
  for (int i = 0; i < Config::size; i++) {
#pragma HLS UNROLL
    output[i] = first[i] + second[i];
  }
}

/// Elementwise sum of the features of two lists that have the same pixels; the 0 of an empty slot stays 0.
/// \tparam Config a struct with int max_pixels and size, the numbers of slots and of channels
/// \tparam First type of the first operand's elements
/// \tparam Second type of the second operand's elements
/// \tparam Output type of the sums; holds every sum exactly
template <class Config, class First, class Second, class Output>
inline void sparse_add(const First first[Config::max_pixels][Config::size],
                       const Second second[Config::max_pixels][Config::size],
                       Output output[Config::max_pixels][Config::size]) {
#pragma HLS INLINE
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
ADD_PIXEL:
  for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
    add<Config>(first[i], second[i], output[i]);
  }
}

} // namespace sparsepix

#endif
