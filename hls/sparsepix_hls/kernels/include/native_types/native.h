// Fixed-point numbers as native integers: what the kernels use of ap_fixed and ap_int, bit for bit,
// at the speed of int. Used by g++ through the stand-ins ap_fixed.h and ap_int.h beside it, never by Vitis.
//
// A number is raw * 2^(I - W), and raw is always signed: where a signed and an unsigned number meet, nothing special
// happens. Results of +, - and * are exact, as those of ap_fixed are. What does not fit in 63 bits is refused by the
// compiler.
#ifndef SPARSEPIX_NATIVE_H
#define SPARSEPIX_NATIVE_H

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "native_flags.h"

namespace sparsepix {
namespace native {

/// Down to minus infinity; to nearest with ties to even, or to plus infinity.
enum Rounding { AP_TRN, AP_RND_CONV, AP_RND };

/// Keep the low bits; clip to the nearest end of the range, or of the range without its lowest number.
enum Overflow { AP_WRAP, AP_SAT, AP_SAT_SYM };

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 UInt128;

constexpr int larger(int a, int b) {
  return a > b ? a : b;
}

/// Smallest native integer of at least BITS bits, the sign bit included. Only intermediate values have more than 64.
template <int BITS>
struct Holder {
  static_assert(BITS <= 128, "SparsePix native build: these two formats lie too far apart, use ap_fixed");
  typedef
      typename std::conditional<BITS <= 32, int32_t, typename std::conditional<BITS <= 64, int64_t, Int128>::type>::type
          type;
};

/// 2^exponent.
constexpr double power_of_two(int exponent) {
  return exponent == 0 ? 1.0 : exponent > 0 ? 2.0 * power_of_two(exponent - 1) : 0.5 * power_of_two(exponent + 1);
}

/// Modular left shift: bits that leave on the left are lost.
template <class Integer>
constexpr Integer shift_left(Integer raw, int places) {
  typedef typename std::conditional<sizeof(Integer) == 4, uint32_t,
                                    typename std::conditional<sizeof(Integer) == 8, uint64_t, UInt128>::type>::type
      Unsigned;
  return places >= int(8 * sizeof(Integer)) ? 0 : Integer(Unsigned(raw) << places);
}

/// A fixed-point number, or an integer if W = I.
/// \tparam W bits in all, the sign bit included
/// \tparam I bits left of the binary point, the sign bit included
/// \tparam S whether there is a sign bit
/// \tparam Q what happens to bits below the last place
/// \tparam O what happens to values outside the range
template <int W, int I, bool S, Rounding Q = AP_TRN, Overflow O = AP_WRAP>
class Number {
  static_assert(W >= 1, "a number has one bit or more");
  static_assert(W <= 63, "SparsePix native build: numbers have at most 63 bits, use ap_fixed");

public:
  static constexpr int width = W;
  static constexpr int iwidth = I;
  static constexpr int fraction = W - I;
  static constexpr bool is_signed = S;
  static constexpr int bits = W + !S; // of raw, which is signed
  typedef typename Holder<bits>::type Raw;
  static constexpr Raw HIGHEST = Raw((uint64_t(1) << (W - S)) - 1);
  static constexpr Raw LOWEST = S ? -HIGHEST - (O != AP_SAT_SYM) : 0;

  Raw raw;

  Number() = default;

  template <int W2, int I2, bool S2, Rounding Q2, Overflow O2>
  Number(const Number<W2, I2, S2, Q2, O2> &other) : raw(cast<W2 - I2, Number<W2, I2, S2, Q2, O2>::bits>(other.raw)) {
  }

  template <class Integer, typename std::enable_if<std::is_integral<Integer>::value, int>::type = 0>
  Number(Integer value)
      : raw(cast<0, int(8 * sizeof(Integer)) + !std::is_signed<Integer>::value>(
            typename Holder<int(8 * sizeof(Integer)) + !std::is_signed<Integer>::value>::type(value))) {
  }

  Number(double value) : raw(from_double(value)) {
  }

  /// The number with these bits, given as a signed value that fits.
  static Number of_raw(Raw raw) {
    Number number;
    number.raw = raw;
    return number;
  }

  /// The low W bits of an integer, with the sign that they have in this format.
  template <class Integer>
  static Raw wrapped(Integer value) {
    constexpr int FREE = int(8 * sizeof(Raw)) - W;
    const Raw low = Raw(value);
    return S ? Raw(shift_left(low, FREE) >> FREE) : Raw(low & HIGHEST);
  }

  /// Integers convert to int, as the index of an array for instance.
  struct NoInteger {};
  operator typename std::conditional<W == I &&Q == AP_TRN &&O == AP_WRAP, Raw, NoInteger>::type() const {
    return to_integer(std::integral_constant<bool, W == I && Q == AP_TRN && O == AP_WRAP>());
  }

  /// One bit of the number.
  bool test(int position) const {
    return (raw >> position) & 1;
  }

  double to_double() const {
    return std::ldexp(double(raw), -fraction);
  }

  template <class Other>
  Number &operator+=(const Other &other) {
    return *this = *this + other;
  }
  template <class Other>
  Number &operator-=(const Other &other) {
    return *this = *this - other;
  }
  Number &operator|=(const Number &other) {
    return *this = *this | other;
  }

  Number operator|(const Number &other) const {
    return of_raw(raw | other.raw);
  }
  Number operator&(const Number &other) const {
    return of_raw(raw & other.raw);
  }
  Number operator~() const {
    return of_raw(wrapped(~raw));
  }
  Number operator<<(int places) const {
    return places < 0 ? *this >> -places : of_raw(wrapped(shift_left(raw, places)));
  }
  Number operator>>(int places) const {
    return places < 0 ? *this << -places : of_raw(raw >> (places < bits ? places : bits - 1));
  }
  Number<W + 1, I + 1, true> operator-() const {
    typedef Number<W + 1, I + 1, true> Result;
    return Result::of_raw(-typename Result::Raw(raw));
  }

private:
  Raw to_integer(std::true_type) const {
    return raw;
  }
  NoInteger to_integer(std::false_type) const {
    return NoInteger();
  }

  /// An integer in units of the last place in this range.
  /// \tparam FITS whether it is known to be in the range
  template <bool FITS, class Integer>
  static Raw limited(Integer value) {
    if (FITS) {
      return Raw(value);
    }
    if (O == AP_WRAP) {
      return wrapped(value);
    }
    return value < Integer(LOWEST) ? LOWEST : value > Integer(HIGHEST) ? HIGHEST : Raw(value);
  }

  /// raw * 2^-FROM in this format.
  /// \tparam FROM fraction bits of the value
  /// \tparam BITS bits of the value, the sign bit included
  template <int FROM, int BITS>
  static Raw cast(typename Holder<BITS>::type value) {
    constexpr int SHIFT = FROM - fraction; // right
    constexpr int ROUNDS = SHIFT > 0 && Q != AP_TRN;
    constexpr bool FITS = S && BITS - SHIFT + ROUNDS + (O == AP_SAT_SYM) <= W;
    if (SHIFT <= 0) {
      // The low bits of a wrapping format do not depend on what leaves on the left.
      constexpr int NEEDED = O == AP_WRAP ? larger(bits, BITS < 64 ? BITS : 64) : larger(bits, BITS - SHIFT);
      typedef typename Holder<NEEDED>::type Wide;
      return limited<FITS>(shift_left(Wide(value), -SHIFT));
    }
    typedef typename Holder<larger(bits, BITS + ROUNDS)>::type Wide;
    constexpr int PLACES = SHIFT <= 0 ? 1 : SHIFT < BITS ? SHIFT : BITS - 1;
    if (!ROUNDS) {
      return limited<FITS>(Wide(value) >> PLACES);
    }
    if (SHIFT >= BITS) {
      return 0; // at most half of the last place below 0, and 0 is even
    }
    if (Q == AP_RND) {
      return limited<FITS>((Wide(value) + shift_left(Wide(1), PLACES - 1)) >> PLACES);
    }
    // Half less one, and one more for an odd result: a tie moves on only then.
    const Wide odd = (Wide(value) >> PLACES) & 1;
    return limited<FITS>((Wide(value) + (shift_left(Wide(1), PLACES - 1) - 1) + odd) >> PLACES);
  }

  static Raw from_double(double value) {
    constexpr double SCALE = power_of_two(fraction);
    const double scaled = value * SCALE; // as exact as ldexp, and a loop of it is vectorised
    if (O != AP_WRAP && W <= 50) {
      // Rounding keeps the order, and the ends of the range are integers: clipped first, the rest is fast.
      const double above = scaled > double(LOWEST) ? scaled : double(LOWEST);
      const double inside = above < double(HIGHEST) ? above : double(HIGHEST);
      if (Q == AP_RND_CONV) {
        // At this magnitude the last place of a double is 1, and adding rounds to nearest even.
        constexpr double ROUNDER = 6755399441055744.0; // 1.5 * 2^52
        return Raw((inside + ROUNDER) - ROUNDER);
      }
      const Raw towards_zero = Raw(inside);
      const Raw below = towards_zero - (double(towards_zero) > inside);
      return below + (Q == AP_RND && inside - double(below) >= 0.5);
    }
    const double below = std::floor(scaled);
    const double up = Q == AP_RND && scaled - below >= 0.5 ? 1.0 : 0.0;
    const double rounded = Q == AP_RND_CONV ? std::nearbyint(scaled) : below + up;
    if (O != AP_WRAP) {
      return rounded <= double(LOWEST) ? LOWEST : rounded >= double(HIGHEST) ? HIGHEST : Raw(rounded);
    }
    return wrapped(int64_t(std::fmod(rounded, 9223372036854775808.0))); // 2^63, a multiple of 2^W
  }
};

// C++14 wants a definition for members that a reference is taken of.
template <int W, int I, bool S, Rounding Q, Overflow O>
constexpr typename Number<W, I, S, Q, O>::Raw Number<W, I, S, Q, O>::LOWEST;
template <int W, int I, bool S, Rounding Q, Overflow O>
constexpr typename Number<W, I, S, Q, O>::Raw Number<W, I, S, Q, O>::HIGHEST;

/// The number type of an operand: its own, or that of an int or a bool.
template <class Operand>
struct AsNumber {
  static constexpr bool known = false;
};
template <int W, int I, bool S, Rounding Q, Overflow O>
struct AsNumber<Number<W, I, S, Q, O>> {
  static constexpr bool known = true;
  typedef Number<W, I, S, Q, O> type;
};
template <>
struct AsNumber<int> {
  static constexpr bool known = true;
  typedef Number<32, 32, true> type;
};
template <>
struct AsNumber<bool> {
  static constexpr bool known = true;
  typedef Number<1, 1, false> type;
};

/// What becomes of two operands; has no members for operands that are no numbers, so that their operators are others.
template <class Left, class Right, bool NUMBERS = AsNumber<Left>::known && AsNumber<Right>::known>
struct Operands {};
template <class Left, class Right>
struct Operands<Left, Right, true> {
  typedef typename AsNumber<Left>::type A;
  typedef typename AsNumber<Right>::type B;
  static constexpr bool either_signed = A::is_signed || B::is_signed;
  static constexpr int fraction = larger(A::fraction, B::fraction);
  static constexpr int integer = larger(A::iwidth + (!A::is_signed && B::is_signed), //
                                        B::iwidth + (!B::is_signed && A::is_signed));
  static constexpr int a_shift = fraction - A::fraction;
  static constexpr int b_shift = fraction - B::fraction;
  /// Both with one binary point, for a comparison.
  typedef typename Holder<larger(A::bits + a_shift, B::bits + b_shift)>::type Aligned;

  static Aligned left(const A &a) {
    return shift_left(Aligned(a.raw), a_shift);
  }
  static Aligned right(const B &b) {
    return shift_left(Aligned(b.raw), b_shift);
  }
};

template <class A, class B, class Both = Operands<A, B>>
inline Number<Both::integer + 1 + Both::fraction, Both::integer + 1, Both::either_signed> //
operator+(const A &a, const B &b) {
  typedef Number<Both::integer + 1 + Both::fraction, Both::integer + 1, Both::either_signed> Result;
  typedef typename Result::Raw Raw;
  return Result::of_raw(shift_left(Raw(typename Both::A(a).raw), Both::a_shift) +
                        shift_left(Raw(typename Both::B(b).raw), Both::b_shift));
}

template <class A, class B, class Both = Operands<A, B>>
inline Number<Both::integer + 1 + Both::fraction, Both::integer + 1, true> //
operator-(const A &a, const B &b) {
  typedef Number<Both::integer + 1 + Both::fraction, Both::integer + 1, true> Result;
  typedef typename Result::Raw Raw;
  return Result::of_raw(shift_left(Raw(typename Both::A(a).raw), Both::a_shift) -
                        shift_left(Raw(typename Both::B(b).raw), Both::b_shift));
}

template <class A, class B, class Both = Operands<A, B>>
inline Number<Both::A::width + Both::B::width, Both::A::iwidth + Both::B::iwidth, Both::either_signed> //
operator*(const A &a, const B &b) {
  typedef Number<Both::A::width + Both::B::width, Both::A::iwidth + Both::B::iwidth, Both::either_signed> Result;
  typedef typename Result::Raw Raw;
  return Result::of_raw(Raw(typename Both::A(a).raw) * Raw(typename Both::B(b).raw));
}

/// Of an unsigned integer.
template <class A, class B, class Both = Operands<A, B>>
inline Number<Both::A::width + Both::B::is_signed, Both::A::iwidth + Both::B::is_signed, Both::either_signed> //
operator/(const A &a, const B &b) {
  static_assert(Both::A::fraction == 0 && Both::B::fraction == 0 && !Both::A::is_signed, "divides unsigned integers");
  typedef Number<Both::A::width + Both::B::is_signed, Both::A::iwidth + Both::B::is_signed, Both::either_signed> Result;
  typedef typename Holder<larger(Result::bits, Both::B::bits)>::type Wide;
  return Result::of_raw(typename Result::Raw(Wide(typename Both::A(a).raw) / Wide(typename Both::B(b).raw)));
}

#define SPARSEPIX_NATIVE_COMPARISON(op)                                                                                \
  template <class A, class B, class Both = Operands<A, B>>                                                             \
  inline bool operator op(const A &a, const B &b) {                                                                    \
    return Both::left(a) op Both::right(b);                                                                            \
  }
SPARSEPIX_NATIVE_COMPARISON(<)
SPARSEPIX_NATIVE_COMPARISON(<=)
SPARSEPIX_NATIVE_COMPARISON(>)
SPARSEPIX_NATIVE_COMPARISON(>=)
SPARSEPIX_NATIVE_COMPARISON(==)
SPARSEPIX_NATIVE_COMPARISON(!=)
#undef SPARSEPIX_NATIVE_COMPARISON

/// The low 64 bits of an integer, a number or a set of flags.
template <class Integer, typename std::enable_if<std::is_integral<Integer>::value, int>::type = 0>
inline uint64_t low_bits(Integer value) {
  return uint64_t(value);
}
template <int W, int I, bool S, Rounding Q, Overflow O>
inline uint64_t low_bits(const Number<W, I, S, Q, O> &number) {
  return uint64_t(int64_t(number.raw));
}
template <int SIZE>
inline uint64_t low_bits(const Bits<SIZE> &flags) {
  static_assert(Bits<SIZE>::WORDS == 1, "these flags are no number");
  return flags.words[0];
}

/// Numbers that lie side by side in a set of flags. In an image most are 0, and only words that are not are looked
/// into.
/// \tparam SIZE how many
template <int SIZE, int BITS, int W, int I, bool S, Rounding Q, Overflow O>
inline void unpack(const Bits<BITS> &flags, Number<W, I, S, Q, O> numbers[SIZE]) {
  static_assert(SIZE * W <= BITS, "the flags hold the numbers");
  constexpr int WORD = Bits<BITS>::WORD;
  for (int i = 0; i < SIZE; i++) {
    numbers[i].raw = 0;
  }
  for (int word = 0; word < Bits<BITS>::WORDS; word++) {
    if (flags.words[word] != 0) {
      const int last = ((word + 1) * WORD - 1) / W;
      for (int i = word * WORD / W; i <= last && i < SIZE; i++) {
        numbers[i].raw = Number<W, I, S, Q, O>::wrapped(int64_t(flags.field(i * W, W)));
      }
    }
  }
}

/// Numbers rounded and clipped to a format; false if one of them is NaN or infinite.
/// \tparam SIZE how many
template <int SIZE, class Real, class Format>
inline bool quantize(const Real reals[SIZE], Format numbers[SIZE]) {
  Real odd = 0;
  for (int i = 0; i < SIZE; i++) {
    odd = reals[i] - reals[i] == 0 ? odd : Real(1); // not of NaN and infinity
  }
  for (int i = 0; i < SIZE; i++) {
    numbers[i] = Format(double(reals[i]));
  }
  return odd == 0;
}

} // namespace native
} // namespace sparsepix

#endif
