// Sums of many numbers.
#ifndef SPARSEPIX_SUMS_H
#define SPARSEPIX_SUMS_H

#include "types.h"

namespace sparsepix {

/// Terms of a sum, which is a tree of adders: clog2(SIZE) of them in a row, where a loop of '+=' has SIZE.
///
/// Vitis HLS builds the chain that a loop describes. What is carried from round to round is added by the caller, last,
/// so that one adder alone is in the recurrence. Simulation adds each term as it comes; integers have no order.
/// \tparam SIZE number of terms
/// \tparam Sum type of the terms and the sum; a partial sum that wraps around does no harm if the sum itself fits
template <int SIZE, class Sum>
struct Terms {
  static_assert(SIZE >= 1, "a sum needs one term or more");
#ifdef SPARSEPIX_SYNTHESIS
  Sum terms[SIZE];

  Terms() {
#pragma HLS ARRAY_PARTITION variable = terms type = complete
  }

  /// Every term is set once.
  void set(int i, const Sum &term) {
#pragma HLS INLINE
    terms[i] = term;
  }

  /// The sum, when all terms are set.
  Sum total() const {
#pragma HLS INLINE
    constexpr int LEVELS = index_bits(SIZE);
    constexpr int LEAVES = 1 << LEVELS;
    Sum tree[LEAVES];
#pragma HLS ARRAY_PARTITION variable = tree type = complete
  SUM_LEAF:
    for (int leaf = 0; leaf < LEAVES; leaf++) {
#pragma HLS UNROLL
      tree[leaf] = leaf < SIZE ? terms[leaf < SIZE ? leaf : 0] : Sum(0);
    }
  SUM_LEVEL:
    for (int level = 0; level < LEVELS; level++) {
#pragma HLS UNROLL
    SUM_NODE:
      for (int node = 0; node < (LEAVES >> (level + 1)); node++) {
#pragma HLS UNROLL
        tree[node] = tree[2 * node] + tree[2 * node + 1];
      }
    }
    return tree[0];
  }
#else
  Sum sum = 0;
  template <class Term>
  void set(int, const Term &term) {
    sum += term;
  }
  const Sum &total() const {
    return sum;
  }
#endif
};

} // namespace sparsepix

#endif
