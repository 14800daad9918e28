// Numbers as integers of exactly their width (_BitInt), for the schedule: LLVM's IR then has the widths of the
// hardware. Read by clang through the stand-ins ap_fixed.h and ap_int.h beside it; nothing is ever run.
#ifndef SPARSEPIX_SCHEDULE_NUMBERS_H
#define SPARSEPIX_SCHEDULE_NUMBERS_H

enum ap_q_mode { AP_RND, AP_RND_ZERO, AP_RND_MIN_INF, AP_RND_INF, AP_RND_CONV, AP_TRN, AP_TRN_ZERO };
enum ap_o_mode { AP_SAT, AP_SAT_ZERO, AP_SAT_SYM, AP_WRAP, AP_WRAP_SM };

namespace sparsepix {
namespace schedule {

template <bool CONDITION, class Yes, class No>
struct Choose {
  typedef Yes type;
};
template <class Yes, class No>
struct Choose<false, Yes, No> {
  typedef No type;
};

constexpr int larger(int a, int b) {
  return a > b ? a : b;
}

/// An integer of so many bits.
/// \tparam W bits; a signed one of 1 bit has 2, since clang knows none of 1
/// \tparam S whether there is a sign bit
template <int W, bool S>
struct Raw {
  typedef unsigned _BitInt(W < 1 ? 1 : W) type;
};
template <int W>
struct Raw<W, true> {
  typedef _BitInt(W < 2 ? 2 : W) type;
};

template <int W, int I, bool S, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
struct Number;

template <class Type>
struct IsNumber {
  static constexpr bool value = false;
};
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int N>
struct IsNumber<Number<W, I, S, Q, O, N>> {
  static constexpr bool value = true;
};

/// The number type of an operand: its own, or that of a built-in one.
template <class Type>
struct AsNumber {
  static constexpr bool known = false;
};
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int N>
struct AsNumber<Number<W, I, S, Q, O, N>> {
  static constexpr bool known = true;
  typedef Number<W, I, S, Q, O, N> type;
};
#define SPARSEPIX_BUILT_IN(name, bits, is_signed)                                                                      \
  template <>                                                                                                          \
  struct AsNumber<name> {                                                                                              \
    static constexpr bool known = true;                                                                                \
    typedef Number<bits, bits, is_signed> type;                                                                        \
  };
SPARSEPIX_BUILT_IN(bool, 1, false)
SPARSEPIX_BUILT_IN(char, 8, true)
SPARSEPIX_BUILT_IN(short, 16, true)
SPARSEPIX_BUILT_IN(int, 32, true)
SPARSEPIX_BUILT_IN(unsigned, 32, false)
SPARSEPIX_BUILT_IN(long, 64, true)
SPARSEPIX_BUILT_IN(unsigned long, 64, false)
SPARSEPIX_BUILT_IN(long long, 64, true)
SPARSEPIX_BUILT_IN(unsigned long long, 64, false)
#undef SPARSEPIX_BUILT_IN

/// Some bits of a number.
/// \tparam Of type of the number
template <class Of>
struct Range {
  Of &number;
  int high, low;

  template <class Other>
  Range &operator=(const Other &other) {
    typedef typename Of::Bits Bits;
    const Bits mask = Bits(Bits(~Bits(0)) >> (Of::width - 1 - (high - low))) << low;
    const Bits placed = Bits(Bits(other.unsigned_bits()) << low);
    number.raw = typename Of::RawType(Bits((Bits(number.raw) & Bits(~mask)) | (placed & mask)));
    return *this;
  }
  Range &operator=(const Range &other) {
    return operator= <Range>(other);
  }
  typename Of::Bits unsigned_bits() const {
    typedef typename Of::Bits Bits;
    return Bits(Bits(number.raw) >> low) & Bits(Bits(~Bits(0)) >> (Of::width - 1 - (high - low)));
  }
  unsigned long long to_uint64() const {
    return (unsigned long long)unsigned_bits();
  }
};

/// A fixed-point number, or an integer if W = I.
/// \tparam W bits in all, the sign bit included
/// \tparam I bits left of the binary point, the sign bit included
/// \tparam S whether there is a sign bit
/// \tparam Q what happens to bits below the last place
/// \tparam O what happens to values outside the range
/// \tparam N of the vendor's types: saturated bits of a wrap, not supported
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int N>
struct Number {
  static constexpr int width = W;
  static constexpr int iwidth = I;
  static constexpr int fraction = W - I;
  static constexpr bool is_signed = S;
  static constexpr bool is_integer = W == I && Q == AP_TRN && O == AP_WRAP;
  typedef typename Raw<W, S>::type RawType;
  typedef typename Raw<W, false>::type Bits;
  RawType raw;

  Number() = default;
  constexpr Number(const Number &) = default;
  Number &operator=(const Number &) = default;

  template <int W2, int I2, bool S2, ap_q_mode Q2, ap_o_mode O2, int N2>
  constexpr Number(const Number<W2, I2, S2, Q2, O2, N2> &other) : raw(cast<W2 - I2, W2, S2>(other.raw)) {
  }
  constexpr Number(bool value) : raw(of(value)) {
  }
  constexpr Number(int value) : raw(of(value)) {
  }
  constexpr Number(unsigned value) : raw(of(value)) {
  }
  constexpr Number(long value) : raw(of(value)) {
  }
  constexpr Number(unsigned long value) : raw(of(value)) {
  }
  constexpr Number(long long value) : raw(of(value)) {
  }
  constexpr Number(unsigned long long value) : raw(of(value)) {
  }
  constexpr Number(double value) : raw(RawType((long long)(value * scale(fraction)))) {
  }
  template <class Of>
  Number(const Range<Of> &range) : raw(RawType(range.unsigned_bits())) {
  }

  static constexpr double scale(int exponent) {
    return exponent == 0 ? 1.0 : exponent > 0 ? 2.0 * scale(exponent - 1) : 0.5 * scale(exponent + 1);
  }
  template <class Integer>
  static constexpr RawType of(Integer value) {
    typedef typename AsNumber<Integer>::type From;
    return cast<0, From::width, From::is_signed>(typename From::RawType(value));
  }
  static Number of_raw(RawType raw) {
    Number number;
    number.raw = raw;
    return number;
  }

  /// raw * 2^-FROM in this format.
  /// \tparam FROM fraction bits of the value
  /// \tparam BITS bits of the value
  /// \tparam SIGNED whether it has a sign bit
  template <int FROM, int BITS, bool SIGNED>
  static constexpr RawType cast(typename Raw<BITS, SIGNED>::type value) {
    constexpr int SHIFT = FROM - fraction;
    constexpr int RIGHT = SHIFT > 0 ? SHIFT : 0;
    constexpr int LEFT = SHIFT < 0 ? -SHIFT : 0;
    constexpr int WIDE = BITS + !SIGNED + 1 + LEFT + (RIGHT > BITS ? RIGHT - BITS : 0);
    typedef typename Raw<WIDE, true>::type Wide;
    Wide wide = Wide(Wide(value) << LEFT);
    if constexpr (RIGHT > 0) {
      if constexpr (Q == AP_RND_CONV) {
        const Wide odd = Wide(wide >> RIGHT) & 1;
        wide = wide + Wide((Wide(1) << (RIGHT - 1)) - 1) + odd;
      } else if constexpr (Q == AP_RND) {
        wide = wide + Wide(Wide(1) << (RIGHT - 1));
      }
      wide = wide >> RIGHT;
    }
    if constexpr (O == AP_WRAP || (S && WIDE <= W)) {
      return RawType(wide);
    } else {
      typedef typename Raw<larger(WIDE, W + 2), true>::type Both;
      constexpr Both HIGHEST = Both((Both(1) << (W - S)) - 1);
      constexpr Both LOWEST = S ? Both(-HIGHEST - (O != AP_SAT_SYM)) : Both(0);
      return RawType(Both(wide) < LOWEST ? LOWEST : Both(wide) > HIGHEST ? HIGHEST : Both(wide));
    }
  }

  operator typename Choose<is_integer, RawType, struct NoInteger>::type() const {
    return raw;
  }
  bool test(int position) const {
    return (Bits(raw) >> position) & 1;
  }
  void set_bit(int position, bool value) {
    const Bits mask = Bits(Bits(1) << position);
    raw = RawType((Bits(raw) & Bits(~mask)) | (value ? mask : Bits(0)));
  }
  Range<Number> range(int high, int low) {
    return Range<Number>{*this, high, low};
  }
  Range<const Number> range(int high, int low) const {
    return Range<const Number>{*this, high, low};
  }
  unsigned long long to_uint64() const {
    return (unsigned long long)raw;
  }
  Bits unsigned_bits() const {
    return Bits(raw);
  }

  template <class Other>
  Number &operator+=(const Other &other) {
    return *this = Number(*this + other);
  }
  template <class Other>
  Number &operator-=(const Other &other) {
    return *this = Number(*this - other);
  }
  template <class Other>
  Number &operator|=(const Other &other) {
    return *this = Number(*this | other);
  }
  template <class Other>
  Number &operator&=(const Other &other) {
    return *this = Number(*this & other);
  }
  Number operator~() const {
    return of_raw(RawType(~raw));
  }
  Number operator<<(int places) const {
    return of_raw(RawType(raw << places));
  }
  Number operator>>(int places) const {
    return of_raw(RawType(raw >> places));
  }
  Number<W + 1, I + 1, true> operator-() const {
    typedef Number<W + 1, I + 1, true> Result;
    return Result::of_raw(-typename Result::RawType(raw));
  }
};

/// What becomes of two operands, of which one at least is a number.
template <class Left, class Right,
          bool NUMBERS =
              (IsNumber<Left>::value || IsNumber<Right>::value) && AsNumber<Left>::known && AsNumber<Right>::known>
struct Operands {};
template <class Left, class Right>
struct Operands<Left, Right, true> {
  typedef typename AsNumber<Left>::type A;
  typedef typename AsNumber<Right>::type B;
  static constexpr bool either_signed = A::is_signed || B::is_signed;
  static constexpr int fraction = larger(A::fraction, B::fraction);
  static constexpr int integer =
      larger(A::iwidth + (!A::is_signed && B::is_signed), B::iwidth + (!B::is_signed && A::is_signed));
  static constexpr int a_shift = fraction - A::fraction;
  static constexpr int b_shift = fraction - B::fraction;
  typedef Number<integer + fraction, integer, either_signed> Aligned;
  typedef typename Aligned::RawType AlignedRaw;
  static AlignedRaw left(const A &a) {
    return AlignedRaw(AlignedRaw(a.raw) << a_shift);
  }
  static AlignedRaw right(const B &b) {
    return AlignedRaw(AlignedRaw(b.raw) << b_shift);
  }
  typedef Number<integer + fraction + 1, integer + 1, either_signed> Sum;
  typedef Number<integer + fraction + 1, integer + 1, true> Difference;
  typedef Number<A::width + B::width, A::iwidth + B::iwidth, either_signed> Product;
};

template <class L, class R, class Both = Operands<L, R>, class Result = typename Both::Sum>
inline Result operator+(const L &a, const R &b) {
  typedef typename Result::RawType Raw;
  return Result::of_raw(Raw(Raw(Both::left(a)) + Raw(Both::right(b))));
}
template <class L, class R, class Both = Operands<L, R>, class Result = typename Both::Difference>
inline Result operator-(const L &a, const R &b) {
  typedef typename Result::RawType Raw;
  return Result::of_raw(Raw(Raw(Both::left(a)) - Raw(Both::right(b))));
}
template <class L, class R, class Both = Operands<L, R>, class Result = typename Both::Product>
inline Result operator*(const L &a, const R &b) {
  typedef typename Result::RawType Raw;
  return Result::of_raw(Raw(Raw(typename Both::A(a).raw) * Raw(typename Both::B(b).raw)));
}
template <class L, class R, class Both = Operands<L, R>, class Result = typename Both::A>
inline Result operator/(const L &a, const R &b) {
  typedef typename Both::AlignedRaw Raw;
  return Result(Both::Aligned::of_raw(Raw(Both::left(a) / Both::right(b))));
}
#define SPARSEPIX_BITWISE(op)                                                                                          \
  template <class L, class R, class Both = Operands<L, R>, class Result = typename Both::Aligned>                      \
  inline Result operator op(const L &a, const R &b) {                                                                  \
    return Result::of_raw(Both::left(a) op Both::right(b));                                                            \
  }
SPARSEPIX_BITWISE(&)
SPARSEPIX_BITWISE(|)
SPARSEPIX_BITWISE(^)
#undef SPARSEPIX_BITWISE
#define SPARSEPIX_COMPARISON(op)                                                                                       \
  template <class L, class R, class Both = Operands<L, R>, class = typename Both::Sum>                                 \
  inline bool operator op(const L &a, const R &b) {                                                                    \
    return Both::left(a) op Both::right(b);                                                                            \
  }
SPARSEPIX_COMPARISON(<)
SPARSEPIX_COMPARISON(<=)
SPARSEPIX_COMPARISON(>)
SPARSEPIX_COMPARISON(>=)
SPARSEPIX_COMPARISON(==)
SPARSEPIX_COMPARISON(!=)
#undef SPARSEPIX_COMPARISON

} // namespace schedule
} // namespace sparsepix

template <int W>
using ap_int = sparsepix::schedule::Number<W, W, true>;
template <int W>
using ap_uint = sparsepix::schedule::Number<W, W, false>;
template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
using ap_fixed = sparsepix::schedule::Number<W, I, true, Q, O, N>;
template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
using ap_ufixed = sparsepix::schedule::Number<W, I, false, Q, O, N>;

#endif
