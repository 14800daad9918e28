// Leaky ReLU with a power of two as its slope, then rounding and clipping to the output's type.
#ifndef SPARSEPIX_LEAKY_ACTIVATION_H
#define SPARSEPIX_LEAKY_ACTIVATION_H

#include "types.h"

namespace sparsepix {

/// Elementwise on a vector. A negative value keeps its bits, and each of them is worth less: wires and a select.
/// \tparam Config a struct with int size, the number of elements, and the types
///   scaled_t: has the width of the input, and is worth 2^-k as much;
///   exact_t: holds both of them exactly
/// \tparam Input type of the input's elements
/// \tparam Output type of the output's elements
template <class Config, class Input, class Output>
inline void leaky_activation(const Input input[Config::size], Output output[Config::size]) {
#pragma HLS INLINE
  typedef typename Config::scaled_t Scaled;
  typedef typename Config::exact_t Exact;
  static_assert(Config::size >= 1, "an activation needs one element or more");
  static_assert(Scaled::width == Input::width, "the bits stay the same");
LEAK:
  for (int i = 0; i < Config::size; i++) {
#pragma HLS UNROLL
    const Scaled scaled = from_raw<Scaled>(to_flags(input[i]));
    output[i] = cast<Output>(input[i] < 0 ? Exact(scaled) : Exact(input[i]));
  }
}

/// Elementwise on the features of a list of pixels; the 0 of an empty slot stays 0.
/// \tparam Config see leaky_activation; and int max_pixels, the number of slots
/// \tparam Input type of the input's elements
/// \tparam Output type of the output's elements
template <class Config, class Input, class Output>
inline void sparse_leaky_activation(const Input input[Config::max_pixels][Config::size],
                                    Output output[Config::max_pixels][Config::size]) {
#pragma HLS INLINE
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
LEAK_PIXEL:
  for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
    leaky_activation<Config>(input[i], output[i]);
  }
}

} // namespace sparsepix

#endif
