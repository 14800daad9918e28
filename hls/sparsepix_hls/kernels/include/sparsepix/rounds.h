// Rounds: a layer's outer loop, shared out over time.
//
// A layer with a reuse factor is computed in so many rounds, `parallel` items at once: lane l of the hardware works on
// item round * parallel + l. Where reuse_factor * parallel is more than the work, some lanes have no item in the last
// round: they read zeros, and their results are not stored.
#ifndef SPARSEPIX_ROUNDS_H
#define SPARSEPIX_ROUNDS_H

#include "select.h"
#include "types.h"

namespace sparsepix {

/// Check how work is shared out.
/// \tparam WORK number of items
/// \tparam REUSE_FACTOR number of rounds
/// \tparam PARALLEL items of a round
template <int WORK, int REUSE_FACTOR, int PARALLEL>
inline void check_rounds() {
#pragma HLS INLINE
  static_assert(WORK >= 1, "there is something to do");
  static_assert(REUSE_FACTOR >= 1 && PARALLEL >= 1, "a layer takes one round or more");
  static_assert(REUSE_FACTOR * PARALLEL >= WORK, "the rounds cover the work");
}

/// values[round * PARALLEL + lane][column], 0 beyond the work.
///
/// A multiplexer over the rounds, not over the work: a lane sees no more than REUSE_FACTOR of the values.
/// \tparam WORK number of items
/// \tparam COLUMNS values of an item
/// \tparam REUSE_FACTOR number of rounds
/// \tparam PARALLEL items of a round
/// \tparam Value type of the values
template <int WORK, int COLUMNS, int REUSE_FACTOR, int PARALLEL, class Value>
inline Value of_round(const Value values[WORK][COLUMNS], int column, int round, int lane) {
#pragma HLS INLINE
  static_assert(COLUMNS >= 1, "an item has one value or more");
  check_rounds<WORK, REUSE_FACTOR, PARALLEL>();
#ifdef SPARSEPIX_SYNTHESIS
  Value candidates[REUSE_FACTOR];
#pragma HLS ARRAY_PARTITION variable = candidates type = complete
CANDIDATE:
  for (int i = 0; i < REUSE_FACTOR; i++) {
#pragma HLS UNROLL
    const int item = i * PARALLEL + lane;
    candidates[i] = item < WORK ? values[item < WORK ? item : 0][column] : Value(0);
  }
  return mux<REUSE_FACTOR>(candidates, Index<REUSE_FACTOR>(round));
#else
  const int item = round * PARALLEL + lane;
  return item < WORK ? values[item][column] : Value(0);
#endif
}

/// The same for one value an item.
/// \tparam WORK number of items
/// \tparam REUSE_FACTOR number of rounds
/// \tparam PARALLEL items of a round
/// \tparam Value type of the values
template <int WORK, int REUSE_FACTOR, int PARALLEL, class Value>
inline Value of_round(const Value values[WORK], int round, int lane) {
#pragma HLS INLINE
  check_rounds<WORK, REUSE_FACTOR, PARALLEL>();
#ifdef SPARSEPIX_SYNTHESIS
  Value candidates[REUSE_FACTOR];
#pragma HLS ARRAY_PARTITION variable = candidates type = complete
CANDIDATE:
  for (int i = 0; i < REUSE_FACTOR; i++) {
#pragma HLS UNROLL
    const int item = i * PARALLEL + lane;
    candidates[i] = item < WORK ? values[item < WORK ? item : 0] : Value(0);
  }
  return mux<REUSE_FACTOR>(candidates, Index<REUSE_FACTOR>(round));
#else
  const int item = round * PARALLEL + lane;
  return item < WORK ? values[item] : Value(0);
#endif
}

/// All items of a round: items[lane] = values[round * PARALLEL + lane], 0 beyond the work.
/// \tparam WORK number of items
/// \tparam COLUMNS values of an item
/// \tparam REUSE_FACTOR number of rounds
/// \tparam PARALLEL items of a round
/// \tparam Value type of the values
template <int WORK, int COLUMNS, int REUSE_FACTOR, int PARALLEL, class Value>
inline void items_of_round(const Value values[WORK][COLUMNS], int round, Value items[PARALLEL][COLUMNS]) {
#pragma HLS INLINE
ROUND_ITEM:
  for (int lane = 0; lane < PARALLEL; lane++) {
#pragma HLS UNROLL
  ROUND_COLUMN:
    for (int column = 0; column < COLUMNS; column++) {
#pragma HLS UNROLL
      items[lane][column] = of_round<WORK, COLUMNS, REUSE_FACTOR, PARALLEL>(values, column, round, lane);
    }
  }
}

/// Store the results of a round: to[round * PARALLEL + lane] = from[lane].
///
/// Each element compares the round with its own, a constant: no write depends on data.
/// \tparam WORK number of items
/// \tparam COLUMNS values of an item
/// \tparam PARALLEL items of a round
/// \tparam Value type of the values
template <int WORK, int COLUMNS, int PARALLEL, class Value>
inline void store_round(int round, const Value from[PARALLEL][COLUMNS], Value to[WORK][COLUMNS]) {
#pragma HLS INLINE
  static_assert(WORK >= 1 && COLUMNS >= 1 && PARALLEL >= 1, "there is something to keep");
#ifdef SPARSEPIX_SYNTHESIS
STORE_ITEM:
  for (int item = 0; item < WORK; item++) {
#pragma HLS UNROLL
  STORE_COLUMN:
    for (int column = 0; column < COLUMNS; column++) {
#pragma HLS UNROLL
      if (item / PARALLEL == round) {
        to[item][column] = from[item % PARALLEL][column];
      }
    }
  }
#else
  for (int lane = 0; lane < PARALLEL && round * PARALLEL + lane < WORK; lane++) {
    for (int column = 0; column < COLUMNS; column++) {
      to[round * PARALLEL + lane][column] = from[lane][column];
    }
  }
#endif
}

/// Keep one item: to[slot] = from.
/// \tparam WORK number of items
/// \tparam COLUMNS values of an item
/// \tparam Value type of the values
template <int WORK, int COLUMNS, class Value>
inline void store_item(int slot, const Value from[COLUMNS], Value to[WORK][COLUMNS]) {
#pragma HLS INLINE
  static_assert(WORK >= 1 && COLUMNS >= 1, "there is something to keep");
#ifdef SPARSEPIX_SYNTHESIS
KEEP_ITEM:
  for (int item = 0; item < WORK; item++) {
#pragma HLS UNROLL
  KEEP_COLUMN:
    for (int column = 0; column < COLUMNS; column++) {
#pragma HLS UNROLL
      if (item == slot) {
        to[item][column] = from[column];
      }
    }
  }
#else
  for (int column = 0; column < COLUMNS; column++) {
    to[slot][column] = from[column];
  }
#endif
}

/// Copy an array: to the next stage, which is its only reader.
/// \tparam SIZE number of elements
/// \tparam Value type of the elements
template <int SIZE, class Value>
inline void forward(const Value from[SIZE], Value to[SIZE]) {
#pragma HLS INLINE
FORWARD:
  for (int i = 0; i < SIZE; i++) {
#pragma HLS UNROLL
    to[i] = from[i];
  }
}

/// Copy an array of two dimensions.
/// \tparam ROWS, COLUMNS its shape
/// \tparam Value type of the elements
template <int ROWS, int COLUMNS, class Value>
inline void forward(const Value from[ROWS][COLUMNS], Value to[ROWS][COLUMNS]) {
#pragma HLS INLINE
FORWARD_ROW:
  for (int row = 0; row < ROWS; row++) {
#pragma HLS UNROLL
    forward<COLUMNS>(from[row], to[row]);
  }
}

} // namespace sparsepix

#endif
