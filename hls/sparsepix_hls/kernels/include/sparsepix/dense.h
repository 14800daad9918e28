// Dense layer: constant matrix times vector.
#ifndef SPARSEPIX_DENSE_H
#define SPARSEPIX_DENSE_H

#include "rounds.h"
#include "sums.h"
#include "types.h"

namespace sparsepix {

/// sums = bias + input @ weight. The sums are carried from round to round.
///
/// In a single round every weight is a constant factor; in more the weights of a round are selected by its number.
/// \tparam Config a struct with
///   int in_features, out_features;
///   int reuse_factor, parallel: see rounds.h; an item is an input
/// \tparam Input type of the input's elements
/// \tparam Weight type of the weights
/// \tparam Bias type of the biases
/// \tparam Output type of the sums; holds those of any input exactly, so that a partial sum that wraps around
///   does no harm
template <class Config, class Input, class Weight, class Bias, class Output>
inline void dense(int round, const Input input[Config::in_features],
                  const Weight weight[Config::in_features][Config::out_features], const Bias bias[Config::out_features],
                  Output sums[Config::out_features]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = bias type = complete
  constexpr int INPUTS = Config::in_features;
  constexpr int OUTPUTS = Config::out_features;
  static_assert(INPUTS >= 1 && OUTPUTS >= 1, "a dense layer has inputs and outputs");
  check_rounds<INPUTS, Config::reuse_factor, Config::parallel>();
DENSE_OUTPUT:
  for (int o = 0; o < OUTPUTS; o++) {
#pragma HLS UNROLL
    Terms<Config::parallel, Output> terms;
  DENSE_INPUT:
    for (int lane = 0; lane < Config::parallel; lane++) {
#pragma HLS UNROLL
      terms.set(lane, of_round<INPUTS, OUTPUTS, Config::reuse_factor, Config::parallel>(weight, o, round, lane) *
                          of_round<INPUTS, Config::reuse_factor, Config::parallel>(input, round, lane));
    }
    const Output carried = round == 0 ? Output(bias[o]) : sums[o];
    sums[o] = carried + terms.total();
  }
}

} // namespace sparsepix

#endif
