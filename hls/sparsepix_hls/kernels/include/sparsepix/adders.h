// Graphs of shifts and additions.
#ifndef SPARSEPIX_ADDERS_H
#define SPARSEPIX_ADDERS_H

#include "types.h"

namespace sparsepix {

/// A number format with its binary point S places further to the right: the same bits, 2^S times the value.
/// \tparam Number ap_fixed or ap_ufixed
/// \tparam S how many places
template <class Number, int S>
struct Scaled;
#ifdef SPARSEPIX_NATIVE
template <int W, int I, bool SIGNED, native::Rounding Q, native::Overflow O, int S>
struct Scaled<native::Number<W, I, SIGNED, Q, O>, S> {
  typedef native::Number<W, I + S, SIGNED> type;
};
#else
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N, int S>
struct Scaled<ap_fixed<W, I, Q, O, N>, S> {
  typedef ap_fixed<W, I + S> type;
};
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N, int S>
struct Scaled<ap_ufixed<W, I, Q, O, N>, S> {
  typedef ap_ufixed<W, I + S> type;
};
#endif

/// number * 2^S, by its name alone.
/// \tparam S how many places
/// \tparam Number ap_fixed or ap_ufixed
template <int S, class Number>
inline typename Scaled<Number, S>::type scaled(const Number &number) {
#pragma HLS INLINE
  typedef typename Scaled<Number, S>::type Result;
#ifdef SPARSEPIX_NATIVE
  return Result::of_raw(number.raw);
#else
  Result result;
  result.range(Result::width - 1, 0) = number.range(Number::width - 1, 0);
  return result;
#endif
}

} // namespace sparsepix

#endif
