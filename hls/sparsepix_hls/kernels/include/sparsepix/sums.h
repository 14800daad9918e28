// Many values joined to one: sums of numbers, and sets of flags of which one at most is not empty.
#ifndef SPARSEPIX_SUMS_H
#define SPARSEPIX_SUMS_H

#include "types.h"

namespace sparsepix {

/// Terms are added.
struct Added {
  template <class Value, class Term>
  static void join(Value &value, const Term &term) {
#pragma HLS INLINE
    value += term;
  }
};

/// Bits of terms are joined by '|'.
struct United {
  template <class Value, class Term>
  static void join(Value &value, const Term &term) {
#pragma HLS INLINE
    value |= term;
  }
};

/// Terms of a sum, which is a tree of adders: clog2(SIZE) of them in a row, where a loop of '+=' has SIZE.
///
/// Vitis HLS builds the chain that a loop describes. What is carried from round to round is added by the caller, last,
/// so that one adder alone is in the recurrence. Simulation adds each term as it comes; integers have no order.
/// \tparam SIZE number of terms
/// \tparam Sum type of the terms and the sum; a partial sum that wraps around does no harm if the sum itself fits
/// \tparam Join how two terms become one: Added or United
template <int SIZE, class Sum, class Join = Added>
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
        Sum joined = tree[2 * node];
        Join::join(joined, tree[2 * node + 1]);
        tree[node] = joined;
      }
    }
    return tree[0];
  }
#else
  Sum sum = 0;
  template <class Term>
  void set(int, const Term &term) {
    Join::join(sum, term);
  }
  const Sum &total() const {
    return sum;
  }
#endif
};

/// Position of the only flag; 0 for an empty set.
template <int SIZE>
inline Index<SIZE> flag_position(const Flags<SIZE> &flags) {
#pragma HLS INLINE
#ifdef SPARSEPIX_NATIVE
  return flags.lowest();
#else
  Terms<SIZE, Index<SIZE>, United> position;
FLAG_POSITION:
  for (int i = 0; i < SIZE; i++) {
#pragma HLS UNROLL
    // One flag at most is set, so the positions never mix.
    position.set(i, Index<SIZE>(get_flag<SIZE>(flags, i) ? i : 0));
  }
  return position.total();
#endif
}

/// Position of the lowest flag; 0 for an empty set.
template <int SIZE>
inline Index<SIZE> lowest_flag(const Flags<SIZE> &flags) {
#pragma HLS INLINE
  return flag_position<SIZE>(lowest_only<SIZE>(flags));
}

/// How many of six bits are set: two full adders and what joins them, one LUT for each bit of the result.
inline UInt<3> count_six(bool a, bool b, bool c, bool d, bool e, bool f) {
#pragma HLS INLINE
  const bool low = a != (b != c);
  const bool high = d != (e != f);
  const bool low_carry = (a && b) || (c && (a || b));
  const bool high_carry = (d && e) || (f && (d || e));
  const bool carry = low && high;
  const bool two = low_carry != (high_carry != carry);
  const bool four = (low_carry && high_carry) || (carry && (low_carry || high_carry));
  return UInt<3>((four ? 4 : 0) | (two ? 2 : 0) | (low != high ? 1 : 0));
}

/// How many flags are set.
/// \tparam SIZE number of flags
template <int SIZE>
inline UInt<index_bits(SIZE + 1)> count_flags(const Flags<SIZE> &flags) {
#pragma HLS INLINE
#ifdef SPARSEPIX_NATIVE
  return flags.count();
#else
  typedef UInt<index_bits(SIZE + 1)> Count;
  constexpr int SIXES = (SIZE + 5) / 6;
  Terms<SIXES, Count> sixes;
COUNT_SIX:
  for (int i = 0; i < SIXES; i++) {
#pragma HLS UNROLL
    bool six[6];
#pragma HLS ARRAY_PARTITION variable = six type = complete
  SIX_FLAG:
    for (int k = 0; k < 6; k++) {
#pragma HLS UNROLL
      six[k] = 6 * i + k < SIZE && get_flag<SIZE>(flags, 6 * i + k < SIZE ? 6 * i + k : 0);
    }
    sixes.set(i, Count(count_six(six[0], six[1], six[2], six[3], six[4], six[5])));
  }
  return sixes.total();
#endif
}

} // namespace sparsepix

#endif
