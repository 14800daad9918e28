// Input reduction by 'scan', two active pixels a clock.
//
// As in reduce_scan.h the flags of the first row lose those that are listed; here the lowest two, and if the row has
// but one left, the first of the next row with it. So that nothing of this is longer than a clock, each row comes with
// what it will be without its lowest flag and without its lowest two, and whether a row is at its end is asked of
// registers. A clock may finish two rows: three are ready, the flags of two more have been read, and the two after
// these are picked.
#ifndef SPARSEPIX_REDUCE_SCAN_TWO_H
#define SPARSEPIX_REDUCE_SCAN_TWO_H

#include "reduce_scan.h"

namespace sparsepix {

/// Where a scan of two pixels a clock is. Rows are one-hot, and no flag is set where there is none.
/// \tparam Config see check_reduction
template <class Config>
struct PairScanState {
  static constexpr int READY = 3;         // rows with all their flags
  static constexpr int READ = READY + 2;  // rows whose flags are known
  static constexpr int PICKED = READ + 2; // rows that are known
  Flags<Config::height> rows[PICKED];     // the first one is that whose pixels leave
  Flags<Config::width> columns[READ];     // active and not listed yet
  Flags<Config::width> but_one[READY];    // the same without the lowest one
  Flags<Config::width> but_two[READY];    // without the lowest two
  bool crosses;                           // the first row has but one left: the second pixel is of the next row
  Flags<Config::height> rows_left;        // all others that have an active pixel

  PairScanState() {
#pragma HLS ARRAY_PARTITION variable = rows type = complete
#pragma HLS ARRAY_PARTITION variable = columns type = complete
#pragma HLS ARRAY_PARTITION variable = but_one type = complete
#pragma HLS ARRAY_PARTITION variable = but_two type = complete
  }
};

/// Flags without the lowest one.
/// \tparam SIZE number of flags
template <int SIZE>
inline Flags<SIZE> without_lowest(const Flags<SIZE> &flags) {
#pragma HLS INLINE
  return flags & ~lowest_only<SIZE>(flags);
}

/// One of two sets of flags: the two are read first, so that no place in an array depends on the choice.
/// \tparam SIZE number of flags
template <int SIZE>
inline Flags<SIZE> choose(bool first, Flags<SIZE> one, Flags<SIZE> other) {
#pragma HLS INLINE
  return first ? one : other;
}

/// Begin with the first rows.
/// \tparam Config see check_reduction
template <class Config>
inline void start_scan(const Flags<Config::width> active[Config::height], PairScanState<Config> &scan) {
#pragma HLS INLINE
  typedef PairScanState<Config> State;
  check_reduction<Config>();
  scan.rows_left = rows_with_active<Config>(active);
START_ROW:
  for (int i = 0; i < State::PICKED; i++) {
#pragma HLS UNROLL
    scan.rows[i] = pick_row<Config>(scan.rows_left);
    if (i < State::READ) {
      scan.columns[i] = flags_of_row<Config>(active, scan.rows[i]);
    }
    if (i < State::READY) {
      scan.but_one[i] = without_lowest<Config::width>(scan.columns[i]);
      scan.but_two[i] = without_lowest<Config::width>(scan.but_one[i]);
    }
  }
  scan.crosses = !any_flag<Config::width>(scan.but_one[0]);
}

/// Take the next two active pixels in row-major order; empty slots if there are none.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
/// \tparam Features type of the listed values; holds those of the image exactly
/// \tparam Coords signed integer type of the coordinates
template <class Config, class Image, class Features, class Coords>
inline void next_pixels(const Image image[Config::channels * Config::height * Config::width],
                        const Flags<Config::width> active[Config::height], PairScanState<Config> &scan,
                        Features pixels[2][Config::channels], Coords places[2][2]) {
#pragma HLS INLINE
  typedef PairScanState<Config> State;
  typedef Flags<Config::width> Row;
  const bool crosses = scan.crosses;
  const Row first = scan.columns[0] & ~scan.but_one[0];
  const Row second =
      choose<Config::width>(crosses, scan.columns[1] & ~scan.but_one[1], scan.but_one[0] & ~scan.but_two[0]);
  const bool found_first = any_flag<Config::width>(scan.columns[0]);
  const bool found_second = bool(!crosses | any_flag<Config::width>(scan.columns[1]));
  read_pixel<Config>(image, scan.rows[0], first, found_first, pixels[0], places[0]);
  const Flags<Config::height> second_row = choose<Config::height>(crosses, scan.rows[1], scan.rows[0]);
  read_pixel<Config>(image, second_row, second, found_second, pixels[1], places[1]);

  // What is left of the row of the second pixel; if nothing is, the row after it is the next.
  const Row left = choose<Config::width>(crosses, scan.but_one[1], scan.but_two[0]);
  const Row left_but_one =
      choose<Config::width>(crosses, scan.but_two[1], without_lowest<Config::width>(scan.but_two[0]));
  const Row left_but_two = without_lowest<Config::width>(left_but_one);
  const bool ends = !any_flag<Config::width>(left);
  const bool moves_two = crosses && ends;
  const bool moves_one = crosses != ends;

  PairScanState<Config> next;
  Flags<Config::height> after_one = scan.rows_left;
  const Flags<Config::height> picked_one = pick_row<Config>(after_one);
  Flags<Config::height> after_two = after_one;
  const Flags<Config::height> picked_two = pick_row<Config>(after_two);
  next.rows_left = moves_two ? after_two : moves_one ? after_one : scan.rows_left;
  Flags<Config::height> rows[State::PICKED + 2]; // those that are there, and the two after them
#pragma HLS ARRAY_PARTITION variable = rows type = complete
  Row columns[State::READ + 2];
  Row but_one[State::READY + 2];
  Row but_two[State::READY + 2];
#pragma HLS ARRAY_PARTITION variable = columns type = complete
#pragma HLS ARRAY_PARTITION variable = but_one type = complete
#pragma HLS ARRAY_PARTITION variable = but_two type = complete
COME_ROW:
  for (int i = 0; i < State::PICKED + 2; i++) {
#pragma HLS UNROLL
    rows[i] = i < State::PICKED ? scan.rows[i < State::PICKED ? i : 0] : i == State::PICKED ? picked_one : picked_two;
  }
COME_COLUMNS:
  for (int i = 0; i < State::READ + 2; i++) {
#pragma HLS UNROLL
    columns[i] = i < State::READ ? scan.columns[i < State::READ ? i : 0] : flags_of_row<Config>(active, scan.rows[i]);
  }
COME_READY:
  for (int i = 0; i < State::READY + 2; i++) {
#pragma HLS UNROLL
    const bool ready = i < State::READY;
    but_one[i] = ready ? scan.but_one[ready ? i : 0] : without_lowest<Config::width>(scan.columns[i]);
    but_two[i] = ready ? scan.but_two[ready ? i : 0] : without_lowest<Config::width>(but_one[i]);
  }
MOVE_ROW:
  for (int i = 0; i < State::PICKED; i++) {
#pragma HLS UNROLL
    next.rows[i] =
        choose<Config::height>(moves_two, rows[i + 2], choose<Config::height>(moves_one, rows[i + 1], rows[i]));
  }
MOVE_COLUMNS:
  for (int i = 1; i < State::READ; i++) {
#pragma HLS UNROLL
    next.columns[i] =
        choose<Config::width>(moves_two, columns[i + 2], choose<Config::width>(moves_one, columns[i + 1], columns[i]));
  }
MOVE_READY:
  for (int i = 1; i < State::READY; i++) {
#pragma HLS UNROLL
    next.but_one[i] =
        choose<Config::width>(moves_two, but_one[i + 2], choose<Config::width>(moves_one, but_one[i + 1], but_one[i]));
    next.but_two[i] =
        choose<Config::width>(moves_two, but_two[i + 2], choose<Config::width>(moves_one, but_two[i + 1], but_two[i]));
  }
  // Of the first row something may be left; this is the longest path from turn to turn.
  const Row after = choose<Config::width>(crosses, columns[2], columns[1]);
  const Row after_but_one = choose<Config::width>(crosses, but_one[2], but_one[1]);
  const Row after_but_two = choose<Config::width>(crosses, but_two[2], but_two[1]);
  next.columns[0] = choose<Config::width>(ends, after, left);
  next.but_one[0] = choose<Config::width>(ends, after_but_one, left_but_one);
  next.but_two[0] = choose<Config::width>(ends, after_but_two, left_but_two);
  next.crosses = !any_flag<Config::width>(next.but_one[0]);
  scan = next;
}

/// Make the second pixel of the last turn an empty slot: an odd number of slots has none for it.
/// \tparam Config see check_reduction
/// \tparam Features type of the listed values
/// \tparam Coords type of the coordinates
template <class Config, class Features, class Coords>
inline void drop_second(bool last, Features pixels[2][Config::channels], Coords places[2][2]) {
#pragma HLS INLINE
DROP_CHANNEL:
  for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
    pixels[1][channel] = last ? Features(0) : pixels[1][channel];
  }
  places[1][0] = last ? Coords(-1) : places[1][0];
  places[1][1] = last ? Coords(-1) : places[1][1];
}

} // namespace sparsepix

#endif
