// Activation: optional ReLU, then rounding and clipping to the output's type.
#ifndef SPARSEPIX_ACTIVATION_H
#define SPARSEPIX_ACTIVATION_H

#include "types.h"

namespace sparsepix {

/// Elementwise on a vector. How the output is rounded and clipped is part of its type.
/// \tparam Config a struct with int size, the number of elements, and bool relu: negative values become 0
/// \tparam Input type of the input's elements
/// \tparam Output type of the output's elements
template <class Config, class Input, class Output>
inline void activation(const Input input[Config::size], Output output[Config::size]) {
#pragma HLS INLINE
  static_assert(Config::size >= 1, "an activation needs one element or more");
ACTIVATE:
  for (int i = 0; i < Config::size; i++) {
#pragma HLS UNROLL
    output[i] = cast<Output>(Config::relu && input[i] < 0 ? Input(0) : input[i]);
  }
}

/// Elementwise on the features of a list of pixels; the 0 of an empty slot stays 0.
/// \tparam Config a struct with int max_pixels and size, the numbers of slots and of channels, and bool relu
/// \tparam Input type of the input's elements
/// \tparam Output type of the output's elements
template <class Config, class Input, class Output>
inline void sparse_activation(const Input input[Config::max_pixels][Config::size],
                              Output output[Config::max_pixels][Config::size]) {
#pragma HLS INLINE
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
ACTIVATE_PIXEL:
  for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
    activation<Config>(input[i], output[i]);
  }
}

} // namespace sparsepix

#endif
