// Selection by multiplexers: reads that depend on data, never writes that do.
#ifndef SPARSEPIX_SELECT_H
#define SPARSEPIX_SELECT_H

#include "sums.h"
#include "types.h"

namespace sparsepix {

/// values[index]; 0 beyond the end.
///
/// The values are in registers or constant, so that this is one multiplexer: no memory, and no ports to wait for. For
/// synthesis it has a value for each index: what is beyond the end needs no comparison, and no branch.
///
/// \tparam SIZE number of values
/// \tparam Value type of the values
/// \tparam Selector unsigned integer type of the index, at least clog2(SIZE) bits wide and at most one more
template <int SIZE, class Value, class Selector>
inline Value mux(const Value values[SIZE], const Selector &index) {
#pragma HLS INLINE
  static_assert(SIZE >= 1, "a multiplexer needs one value or more");
  static_assert(Selector::width <= index_bits(SIZE + 1), "the index is wider than the multiplexer");
  const int position = index;
#ifdef SPARSEPIX_SYNTHESIS
  Value padded[1 << Selector::width];
#pragma HLS ARRAY_PARTITION variable = padded type = complete
PAD:
  for (int i = 0; i < (1 << Selector::width); i++) {
#pragma HLS UNROLL
    padded[i] = i < SIZE ? values[i < SIZE ? i : 0] : Value(0);
  }
  return padded[position];
#else
  return position < SIZE ? values[position] : Value(0);
#endif
}

/// values[i][column] of the one i that has a flag; 0 if none has.
///
/// Bits are masked and joined by '|': a level of gates instead of an index and a multiplexer.
/// \tparam SIZE number of items
/// \tparam COLUMNS values of an item
/// \tparam Value type of the values
template <int SIZE, int COLUMNS, class Value>
inline Value one_hot_mux(const Value values[SIZE][COLUMNS], int column, const Flags<SIZE> &flags) {
#pragma HLS INLINE
#ifdef SPARSEPIX_SYNTHESIS
  typedef Flags<Value::width> Bits;
  Terms<SIZE, Bits, United> bits;
ONE_HOT:
  for (int i = 0; i < SIZE; i++) {
#pragma HLS UNROLL
    bits.set(i, get_flag<SIZE>(flags, i) ? to_flags(values[i][column]) : Bits(0));
  }
  return from_raw<Value>(bits.total());
#else
  return any_flag<SIZE>(flags) ? values[lowest_flag<SIZE>(flags)][column] : Value(0);
#endif
}

/// The largest of the values that take part, and where it is.
/// \tparam SIZE number of values
/// \tparam Value type of the values
template <int SIZE, class Value>
struct ArgMax {
  Value value;
  Index<SIZE> index;
  bool found; // false if no value took part; then value and index mean nothing
};

/// Find the largest of the values that take part, the earlier of two equal ones, by a tournament.
/// \tparam SIZE number of values
/// \tparam Value type of the values
template <int SIZE, class Value>
inline ArgMax<SIZE, Value> tournament(const Value values[SIZE], const Flags<SIZE> &takes_part) {
#pragma HLS INLINE
  static_assert(SIZE >= 1, "a tournament needs one value or more");
  constexpr int LEVELS = clog2(SIZE);
  constexpr int LEAVES = 1 << LEVELS;
  ArgMax<SIZE, Value> tree[LEAVES];
#pragma HLS ARRAY_PARTITION variable = tree type = complete
TOURNAMENT_LEAF:
  for (int leaf = 0; leaf < LEAVES; leaf++) {
#pragma HLS UNROLL
    const int source = leaf < SIZE ? leaf : 0;
    tree[leaf].value = values[source];
    tree[leaf].index = source;
    tree[leaf].found = leaf < SIZE && get_flag<SIZE>(takes_part, source);
  }
TOURNAMENT_LEVEL:
  for (int level = 0; level < LEVELS; level++) {
#pragma HLS UNROLL
  TOURNAMENT_MATCH:
    for (int match = 0; match < (LEAVES >> (level + 1)); match++) {
#pragma HLS UNROLL
      const ArgMax<SIZE, Value> earlier = tree[2 * match];
      const ArgMax<SIZE, Value> later = tree[2 * match + 1];
      const bool later_wins = later.found && (!earlier.found || later.value > earlier.value);
      tree[match].value = later_wins ? later.value : earlier.value;
      tree[match].index = later_wins ? later.index : earlier.index;
      tree[match].found = earlier.found || later.found;
    }
  }
  return tree[0];
}

} // namespace sparsepix

#endif
