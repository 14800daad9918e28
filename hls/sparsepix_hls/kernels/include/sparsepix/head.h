// Heads: Sigmoid and Softmax as exact tables of steps.
#ifndef SPARSEPIX_HEAD_H
#define SPARSEPIX_HEAD_H

#include "types.h"

namespace sparsepix {

/// Number of thresholds <= x, by a binary search without branches.
///
/// Each step halves the window of thresholds that are left, through one level of 2:1 multiplexers.
/// \tparam STEPS number of thresholds
/// \tparam Threshold type of the thresholds, which are sorted
/// \tparam Number type of x
template <int STEPS, class Threshold, class Number>
inline UInt<index_bits(STEPS + 1)> step_table(const Threshold thresholds[STEPS], const Number &x) {
#pragma HLS INLINE
  static_assert(STEPS >= 1, "a table has one step or more");
  constexpr int LEVELS = clog2(STEPS + 1);
  constexpr int SIZE = 1 << LEVELS;
  Threshold window[SIZE];
#pragma HLS ARRAY_PARTITION variable = window type = complete
STEP_WINDOW:
  for (int i = 0; i < SIZE; i++) {
#pragma HLS UNROLL
    window[i] = thresholds[i < STEPS ? i : STEPS - 1];
  }
  UInt<LEVELS> count = 0;
STEP_LEVEL:
  for (int level = LEVELS - 1; level >= 0; level--) {
#pragma HLS UNROLL
    const int half = 1 << level;
    // After the last threshold the window holds copies of it: they do not count.
    const bool upper = count + half <= STEPS && window[half - 1] <= x;
    count += UInt<LEVELS>(upper ? half : 0);
  STEP_HALVE:
    for (int i = 0; i < (1 << level); i++) {
#pragma HLS UNROLL
      window[i] = upper ? window[i + half] : window[i];
    }
  }
  return count;
}

/// Sigmoid of each logit: the number of thresholds <= logit, in units of the output's last bit.
/// \tparam Config a struct with int size, the number of logits, and int steps, the number of thresholds
/// \tparam Input type of the logits
/// \tparam Threshold type of the thresholds
/// \tparam Output unsigned type with no integer bits; 2^width = steps + 1
template <class Config, class Input, class Threshold, class Output>
inline void sigmoid(const Input input[Config::size], const Threshold thresholds[Config::steps],
                    Output output[Config::size]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = thresholds type = complete
  static_assert(Config::size >= 1, "a head needs one logit or more");
  static_assert(Config::steps + 1 == 1 << Output::width, "a step for each value of the output but 0");
SIGMOID:
  for (int i = 0; i < Config::size; i++) {
#pragma HLS UNROLL
    output[i] = from_raw<Output>(step_table<Config::steps>(thresholds, input[i]));
  }
}

/// Softmax of all logits: with E = number of thresholds <= (logit - largest logit), E / (sum of all E),
/// rounded to the output's last bit, halves upwards, and kept below 1.
/// \tparam Config a struct with int size, the number of logits, and int steps, the number of thresholds
/// \tparam Input type of the logits
/// \tparam Threshold type of the thresholds
/// \tparam Output unsigned type with no integer bits
template <class Config, class Input, class Threshold, class Output>
inline void softmax(const Input input[Config::size], const Threshold thresholds[Config::steps],
                    Output output[Config::size]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = thresholds type = complete
  constexpr int BITS = Output::width;
  constexpr int EXP_BITS = index_bits(Config::steps + 1);
  constexpr int SUM_BITS = EXP_BITS + clog2(Config::size);
  static_assert(Config::size >= 1, "a head needs one logit or more");
  static_assert(Config::steps >= 1, "a table has one step or more");
  Input largest = input[0];
SOFTMAX_MAX:
  for (int i = 1; i < Config::size; i++) {
#pragma HLS UNROLL
    largest = input[i] > largest ? input[i] : largest;
  }
  UInt<EXP_BITS> exps[Config::size];
#pragma HLS ARRAY_PARTITION variable = exps type = complete
  UInt<SUM_BITS> sum = 0;
SOFTMAX_EXP:
  for (int i = 0; i < Config::size; i++) {
#pragma HLS UNROLL
    const auto below_largest = input[i] - largest; // exact: one bit wider than a logit
    exps[i] = step_table<Config::steps>(thresholds, below_largest);
    sum += exps[i];
  }
  const UInt<SUM_BITS> half = sum / 2;
SOFTMAX_DIVIDE:
  for (int i = 0; i < Config::size; i++) {
#pragma HLS UNROLL
    const UInt<SUM_BITS + BITS> numerator = (UInt<SUM_BITS + BITS>(exps[i]) << BITS) + half;
    const UInt<SUM_BITS + BITS> quotient = numerator / sum;
    constexpr int LARGEST = (1 << BITS) - 1;
    output[i] = from_raw<Output>(UInt<BITS>(quotient > LARGEST ? UInt<SUM_BITS + BITS>(LARGEST) : quotient));
  }
}

} // namespace sparsepix

#endif
