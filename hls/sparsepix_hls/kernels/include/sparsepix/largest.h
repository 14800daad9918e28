// Which active pixels are the largest of an image, found digit by digit.
//
// A pixel's key is its score, then its row and its column counted from the end, so that of equal scores the earlier
// pixel is larger, and no two keys are equal. Keys are read in digits of two bits, the highest first. If enough
// candidates have a digit of at least 3 (or else 2, 1), one of these is the last that is kept: the limit. Those above
// the limit stay active, those below are no longer, those at it stay candidates for the digits to come. This takes the
// same number of clocks for every image, and does not depend on how many pixels are kept.
#ifndef SPARSEPIX_LARGEST_H
#define SPARSEPIX_LARGEST_H

#include "input_reduce.h"
#include "sums.h"

namespace sparsepix {

/// The digits of the keys of an image's pixels.
/// \tparam Config see check_reduction
template <class Config>
struct Key {
  static constexpr int SCORE_BITS = Config::score_t::width;
  static constexpr int SCORE = (SCORE_BITS + 1) / 2;            // digits of the score
  static constexpr int ROW = (clog2(Config::height) + 1) / 2;   // of the row
  static constexpr int COLUMN = (clog2(Config::width) + 1) / 2; // of the column
  static constexpr int DIGITS = SCORE + ROW + COLUMN;
  typedef UInt<clog2(Config::height *Config::width + 1)> Count; // of pixels

  /// One bit of a key.
  /// \param score bits of the score; without a sign, so that they compare as they are
  /// \param digit number of the digit, the highest is 0
  /// \param bit 1 for its upper bit, 0 for its lower one
  static bool test(const Flags<SCORE_BITS> &score, int row, int column, int digit, int bit) {
#pragma HLS INLINE
    if (digit < SCORE) {
      const int place = 2 * (SCORE - 1 - digit) + bit;
      return place < SCORE_BITS && get_flag<SCORE_BITS>(score, place < SCORE_BITS ? place : 0);
    }
    const int position = digit < SCORE + ROW ? row : column;
    const int place = 2 * ((digit < SCORE + ROW ? SCORE + ROW : DIGITS) - 1 - digit) + bit;
    return !((position >> place) & 1);
  }
};

/// Whether the digit of a pixel is at least 1, 2, 3.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
template <class Config, class Image>
inline void compare_digit(const Image image[Config::channels * Config::height * Config::width], int row, int column,
                          int digit, Flags<Config::width> at_least[3]) {
#pragma HLS INLINE
  typedef typename Config::score_t Score;
  constexpr int SIGN = Score::width - 1;
  Flags<Score::width> score = to_flags(pixel_score<Config>(image, row, column));
  set_flag<Score::width>(score, SIGN, get_flag<Score::width>(score, SIGN) != IsSigned<Score>::value);
#ifdef SPARSEPIX_SYNTHESIS
  constexpr int DIGITS = Key<Config>::DIGITS;
  bool upper = false;
  bool lower = false;
SELECT_DIGIT:
  for (int i = 0; i < DIGITS; i++) {
#pragma HLS UNROLL
    upper |= digit == i && Key<Config>::test(score, row, column, i, 1);
    lower |= digit == i && Key<Config>::test(score, row, column, i, 0);
  }
#else
  const bool upper = Key<Config>::test(score, row, column, digit, 1);
  const bool lower = Key<Config>::test(score, row, column, digit, 0);
#endif
  set_flag<Config::width>(at_least[0], column, upper || lower);
  set_flag<Config::width>(at_least[1], column, upper);
  set_flag<Config::width>(at_least[2], column, upper && lower);
}

/// The candidates of a row whose digit is at least 1, 2, 3.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
template <class Config, class Image>
inline void compare_digits(const Image image[Config::channels * Config::height * Config::width], int row, int digit,
                           const Flags<Config::width> &candidates, Flags<Config::width> at_least[3]) {
#pragma HLS INLINE
  at_least[0] = at_least[1] = at_least[2] = 0;
#ifdef SPARSEPIX_SYNTHESIS
COMPARE_COLUMN:
  for (int column = 0; column < Config::width; column++) {
#pragma HLS UNROLL
    compare_digit<Config>(image, row, column, digit, at_least);
  }
MASK_DIGIT:
  for (int i = 0; i < 3; i++) {
#pragma HLS UNROLL
    at_least[i] = at_least[i] & candidates;
  }
#else
  // Simulation looks at the candidates alone, which are few.
  Flags<Config::width> left = candidates;
  while (any_flag<Config::width>(left)) {
    compare_digit<Config>(image, row, lowest_flag<Config::width>(left), digit, at_least);
    left = left & ~lowest_only<Config::width>(left);
  }
#endif
}

/// Keep the flags of the max_pixels largest active pixels, the earlier of equal ones.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
template <class Config, class Image>
inline void keep_largest(const Image image[Config::channels * Config::height * Config::width],
                         Flags<Config::width> active[Config::height]) {
#pragma HLS INLINE
  typedef typename Key<Config>::Count Count;
  typedef Flags<Config::width> Row;
  constexpr int DIGITS = Key<Config>::DIGITS;
  Row candidates[Config::height];
#pragma HLS ARRAY_PARTITION variable = candidates type = complete
  Count left = Config::max_pixels; // of the candidates so many are kept, one or more
CANDIDATE_ROW:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
    candidates[row] = active[row];
  }

NARROW:
  for (int digit = 0; digit < DIGITS; digit++) {
#pragma HLS PIPELINE
    Row at_least[Config::height][3];
#pragma HLS ARRAY_PARTITION variable = at_least type = complete dim = 0
    Terms<Config::height, Count> from_one;
    Terms<Config::height, Count> from_two;
    Terms<Config::height, Count> from_three;
  COUNT_ROW:
    for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
      compare_digits<Config>(image, row, digit, candidates[row], at_least[row]);
      from_one.set(row, Count(count_flags<Config::width>(at_least[row][0])));
      from_two.set(row, Count(count_flags<Config::width>(at_least[row][1])));
      from_three.set(row, Count(count_flags<Config::width>(at_least[row][2])));
    }
    const Count ones = from_one.total();
    const Count twos = from_two.total();
    const Count threes = from_three.total();
    // The limit is 3, 2, 1 or 0.
    const bool three = threes >= left;
    const bool two = !three && twos >= left;
    const bool one = !three && !two && ones >= left;
    left -= three ? Count(0) : two ? threes : one ? twos : ones;
  NARROW_ROW:
    for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
      const Row limited = three ? at_least[row][2] : two ? at_least[row][1] : one ? at_least[row][0] : candidates[row];
      const Row above = three ? Row(0) : two ? at_least[row][2] : one ? at_least[row][1] : at_least[row][0];
      active[row] = active[row] & (~candidates[row] | limited);
      candidates[row] = limited & ~above;
    }
  }
}

} // namespace sparsepix

#endif
