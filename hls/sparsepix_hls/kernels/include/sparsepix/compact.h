// Compaction: the active ones of some pixels, moved together in their order by a tree of merges.
#ifndef SPARSEPIX_COMPACT_H
#define SPARSEPIX_COMPACT_H

#include "select.h"
#include "types.h"

namespace sparsepix {

/// list[k - shift], the element k of a list that is moved back by `shift` places; 0 where the list has none.
///
/// A shifted read: the place of each element is constant, what is read there depends on the shift.
/// \tparam LIMIT largest shift
/// \tparam SIZE elements of the list
/// \tparam COLUMNS values of an element
/// \tparam Value type of the values
/// \tparam Shift unsigned integer type that holds LIMIT
template <int LIMIT, int SIZE, int COLUMNS, class Value, class Shift>
inline Value shifted_read(const Value list[SIZE][COLUMNS], int column, const Shift &shift, int k) {
#pragma HLS INLINE
#ifdef SPARSEPIX_SYNTHESIS
  Value candidates[LIMIT + 1];
#pragma HLS ARRAY_PARTITION variable = candidates type = complete
SHIFT:
  for (int i = 0; i <= LIMIT; i++) {
#pragma HLS UNROLL
    const bool there = i <= k && k - i < SIZE;
    candidates[i] = there ? list[there ? k - i : 0][column] : Value(0);
  }
  return mux<LIMIT + 1>(candidates, Index<LIMIT + 1>(shift));
#else
  const int place = k - int(shift);
  return place >= 0 && place < SIZE ? list[place][column] : Value(0);
#endif
}

/// The first LIMIT active ones of SIZE pixels.
/// \tparam SIZE number of pixels
/// \tparam LIMIT how many are kept
/// \tparam CHANNELS values of a pixel
/// \tparam Value type of the values
template <int SIZE, int LIMIT, int CHANNELS, class Value>
struct Compact {
  static constexpr int CAPACITY = SIZE < LIMIT ? SIZE : LIMIT;
  static constexpr int FIRST = (SIZE + 1) / 2; // pixels of the first half
  typedef UInt<index_bits(CAPACITY + 1)> Count;
  typedef Compact<FIRST, LIMIT, CHANNELS, Value> Earlier;
  typedef Compact<SIZE - FIRST, LIMIT, CHANNELS, Value> Later;

  /// Compact the pixels from `start` on: their values, their places counted from `start`, and how many they are.
  /// After these the outputs mean nothing.
  /// \tparam Pixels, Active arrays of values [pixel][channel] and of flags
  template <class Pixels, class Active>
  static inline void run(const Pixels &pixels, const Active &active, int start, Value values[CAPACITY][CHANNELS],
                         Index<SIZE> places[CAPACITY], Count &count) {
#pragma HLS INLINE
    Value first[Earlier::CAPACITY][CHANNELS];
    Value second[Later::CAPACITY][CHANNELS];
    Index<FIRST> first_places[Earlier::CAPACITY];
    Index<SIZE - FIRST> second_places[Later::CAPACITY];
    Index<SIZE> moved[Later::CAPACITY][1];
    typename Earlier::Count first_count;
    typename Later::Count second_count;
#pragma HLS ARRAY_PARTITION variable = first type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = second type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = first_places type = complete
#pragma HLS ARRAY_PARTITION variable = second_places type = complete
#pragma HLS ARRAY_PARTITION variable = moved type = complete dim = 0
    Earlier::run(pixels, active, start, first, first_places, first_count);
    Later::run(pixels, active, start + FIRST, second, second_places, second_count);
  MOVE_PLACE:
    for (int k = 0; k < Later::CAPACITY; k++) {
#pragma HLS UNROLL
      moved[k][0] = Index<SIZE>(second_places[k]) + Index<SIZE>(FIRST);
    }
  MERGE:
    for (int k = 0; k < CAPACITY; k++) {
#pragma HLS UNROLL
      const bool early = first_count > k;
      const int own = k < Earlier::CAPACITY ? k : 0; // 'early' only if k is below the capacity
    MERGE_CHANNEL:
      for (int channel = 0; channel < CHANNELS; channel++) {
#pragma HLS UNROLL
        const Value late = shifted_read<Earlier::CAPACITY, Later::CAPACITY, CHANNELS>(second, channel, first_count, k);
        values[k][channel] = early ? first[own][channel] : late;
      }
      const Index<SIZE> late_place = shifted_read<Earlier::CAPACITY, Later::CAPACITY, 1>(moved, 0, first_count, k);
      places[k] = early ? Index<SIZE>(first_places[own]) : late_place;
    }
    typedef UInt<index_bits(2 * CAPACITY + 2)> Sum;
    const Sum sum = Sum(first_count) + Sum(second_count);
    count = sum < CAPACITY ? sum : Sum(CAPACITY);
  }
};

template <int LIMIT, int CHANNELS, class Value>
struct Compact<1, LIMIT, CHANNELS, Value> {
  static constexpr int CAPACITY = 1;
  typedef UInt<1> Count;

  template <class Pixels, class Active>
  static inline void run(const Pixels &pixels, const Active &active, int start, Value values[1][CHANNELS],
                         Index<1> places[1], Count &count) {
#pragma HLS INLINE
  LEAF_CHANNEL:
    for (int channel = 0; channel < CHANNELS; channel++) {
#pragma HLS UNROLL
      values[0][channel] = pixels[start][channel];
    }
    places[0] = 0;
    count = active[start] ? 1 : 0;
  }
};

} // namespace sparsepix

#endif
