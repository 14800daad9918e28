// Dense layer: constant matrix times vector.
#ifndef SPARSEPIX_DENSE_H
#define SPARSEPIX_DENSE_H

namespace sparsepix {

/// output = bias + input @ weight, all products at once.
/// \tparam Config a struct with int in_features, out_features
/// \tparam Input type of the input's elements
/// \tparam Weight type of the weights
/// \tparam Bias type of the biases
/// \tparam Output type of the output's elements; holds the sums of any input exactly, so that a partial
///   sum that wraps around does no harm
template <class Config, class Input, class Weight, class Bias, class Output>
inline void dense(const Input input[Config::in_features],
                  const Weight weight[Config::in_features][Config::out_features], const Bias bias[Config::out_features],
                  Output output[Config::out_features]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = bias type = complete
  static_assert(Config::in_features >= 1 && Config::out_features >= 1, "a dense layer has inputs and outputs");
DENSE_OUTPUT:
  for (int o = 0; o < Config::out_features; o++) {
#pragma HLS UNROLL
    Output sum = bias[o];
  DENSE_INPUT:
    for (int i = 0; i < Config::in_features; i++) {
#pragma HLS UNROLL
      sum += weight[i][o] * input[i];
    }
    output[o] = sum;
  }
}

} // namespace sparsepix

#endif
