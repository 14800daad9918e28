// Small helpers on number types. Everything that needs the bits of an ap_int or ap_fixed is here:
// the other headers use only arithmetic, comparison, conversion and '|', '&', '~' of equal types.
//
// The names ap_fixed, ap_int ... are those of the vendor's headers, or of the stand-ins for simulation with
// native integers, which define SPARSEPIX_NATIVE. The include path decides which headers these are.
#ifndef SPARSEPIX_TYPES_H
#define SPARSEPIX_TYPES_H

#include <ap_fixed.h>
#include <ap_int.h>

// What a synthesis tool reads. Tests define it to run the same code in simulation.
#ifdef __SYNTHESIS__
#define SPARSEPIX_SYNTHESIS
#endif

namespace sparsepix {

/// Smallest b with 2^b >= count.
constexpr int clog2(int count) {
  return count <= 1 ? 0 : 1 + clog2((count + 1) / 2);
}

/// Bits of an index into `count` elements; a lone element still has an index of one bit.
constexpr int index_bits(int count) {
  return count <= 2 ? 1 : clog2(count);
}

/// Unsigned integer.
/// \tparam BITS width
template <int BITS>
using UInt = ap_uint<BITS>;

/// Index into an array.
/// \tparam COUNT number of elements of the array
template <int COUNT>
using Index = UInt<index_bits(COUNT)>;

/// Whether a number type holds negative numbers.
/// \tparam Number ap_int, ap_uint, ap_fixed or ap_ufixed
template <class Number>
struct IsSigned;
#ifdef SPARSEPIX_NATIVE
template <int W, int I, bool SIGNED, native::Rounding Q, native::Overflow O>
struct IsSigned<native::Number<W, I, SIGNED, Q, O>> {
  static constexpr bool value = SIGNED;
};
#else
template <int BITS>
struct IsSigned<ap_int<BITS>> {
  static constexpr bool value = true;
};
template <int BITS>
struct IsSigned<ap_uint<BITS>> {
  static constexpr bool value = false;
};
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
struct IsSigned<ap_fixed<W, I, Q, O, N>> {
  static constexpr bool value = true;
};
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
struct IsSigned<ap_ufixed<W, I, Q, O, N>> {
  static constexpr bool value = false;
};
#endif

/// A set of flags, one bit each.
/// \tparam SIZE number of flags
template <int SIZE>
#ifdef SPARSEPIX_NATIVE
using Flags = native::Bits<SIZE>; // a number has 63 bits at most, a row of flags may have more
#else
using Flags = ap_uint<SIZE>;
#endif

/// One flag of a set.
template <int SIZE>
inline bool get_flag(const Flags<SIZE> &flags, int position) {
#pragma HLS INLINE
  return flags.test(position);
}

/// Give one flag of a set a value; `position` is constant once the loop around it is unrolled.
template <int SIZE>
inline void set_flag(Flags<SIZE> &flags, int position, bool value) {
#pragma HLS INLINE
  flags.set_bit(position, value);
}

/// The set of some flags.
template <int SIZE>
inline Flags<SIZE> pack_flags(const bool values[SIZE]) {
#pragma HLS INLINE
#ifdef SPARSEPIX_NATIVE
  return Flags<SIZE>::pack(values);
#else
  Flags<SIZE> flags = 0;
PACK_FLAG:
  for (int i = 0; i < SIZE; i++) {
#pragma HLS UNROLL
    set_flag<SIZE>(flags, i, values[i]);
  }
  return flags;
#endif
}

/// True if one flag or more is set.
template <int SIZE>
inline bool any_flag(const Flags<SIZE> &flags) {
#pragma HLS INLINE
#ifdef SPARSEPIX_NATIVE
  return flags.any();
#else
  return flags != 0;
#endif
}

/// The set of its lowest flag alone: the borrow of a subtraction finds it, which an FPGA does on a carry chain.
template <int SIZE>
inline Flags<SIZE> lowest_only(const Flags<SIZE> &flags) {
#pragma HLS INLINE
#ifdef SPARSEPIX_NATIVE
  return flags.lowest_only();
#else
  const Flags<SIZE> below = flags - 1;
  return flags & ~below;
#endif
}

/// One bit of an index.
template <class Number>
inline bool get_bit(const Number &number, int position) {
#pragma HLS INLINE
  return number.test(position);
}

/// Number with the given bits: value = raw * 2^(integer - width).
/// \tparam Number ap_fixed, ap_ufixed, ap_int or ap_uint of at most 62 bits
/// \tparam Raw integer type; the bits above the number's width are not read
template <class Number, class Raw>
inline Number from_raw(const Raw &raw) {
#pragma HLS INLINE
#ifdef SPARSEPIX_NATIVE
  return Number::of_raw(Number::wrapped(native::low_bits(raw)));
#else
  Number number;
  number.range(Number::width - 1, 0) = ap_uint<Number::width>(raw).range(Number::width - 1, 0);
  return number;
#endif
}

/// Bits of a number, as flags.
/// \tparam Number ap_fixed, ap_ufixed, ap_int or ap_uint
template <class Number>
inline Flags<Number::width> to_flags(const Number &number) {
#pragma HLS INLINE
#ifdef SPARSEPIX_NATIVE
  return Flags<Number::width>(native::low_bits(number));
#else
  return number.range(Number::width - 1, 0);
#endif
}

/// The number whose bits are at `position` of a word.
/// \tparam Number ap_fixed, ap_ufixed, ap_int or ap_uint of at most 62 bits
/// \tparam SIZE bits of the word
template <class Number, int SIZE>
inline Number read_bits(const Flags<SIZE> &word, int position) {
#pragma HLS INLINE
#ifdef SPARSEPIX_NATIVE
  return from_raw<Number>(word.field(position, Number::width));
#else
  return from_raw<Number>(ap_uint<Number::width>(word.range(position + Number::width - 1, position)));
#endif
}

/// Put the bits of a number at `position` of a word.
/// \tparam SIZE bits of the word
/// \tparam Number ap_fixed, ap_ufixed, ap_int or ap_uint of at most 62 bits
template <int SIZE, class Number>
inline void write_bits(Flags<SIZE> &word, int position, const Number &number) {
#pragma HLS INLINE
#ifdef SPARSEPIX_NATIVE
  word.set_field(position, Number::width, native::low_bits(number));
#else
  word.range(position + Number::width - 1, position) = number.range(Number::width - 1, 0);
#endif
}

#ifndef SPARSEPIX_NATIVE
/// The format of a number, with sign bits in front of it until it has a given width.
/// \tparam Number ap_fixed or ap_ufixed
/// \tparam WIDTH its new width, not less than the old one
template <class Number, int WIDTH>
struct Widened;
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N, int WIDTH>
struct Widened<ap_fixed<W, I, Q, O, N>, WIDTH> {
  typedef ap_fixed<WIDTH, I + WIDTH - W> type;
};
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N, int WIDTH>
struct Widened<ap_ufixed<W, I, Q, O, N>, WIDTH> {
  typedef ap_ufixed<WIDTH, I + WIDTH - W> type;
};
#endif

/// Round and clip a number to a type, as plain conversion does. The open ap_fixed headers assert that the highest bit
/// that they drop is one of the number's, so a number gets as many bits first; to hardware that changes nothing.
/// \tparam Output ap_fixed or ap_ufixed
/// \tparam Number ap_fixed or ap_ufixed
template <class Output, class Number>
inline Output cast(const Number &number) {
#pragma HLS INLINE
#ifdef SPARSEPIX_NATIVE
  return number;
#else
  constexpr int DROPPED = (Number::width - Number::iwidth) - (Output::width - Output::iwidth);
  typedef typename Widened<Number, (DROPPED > Number::width ? DROPPED : Number::width)>::type Wide;
  return Wide(number);
#endif
}

/// Bits of a number as a signed integer: value = raw * 2^(integer - width).
/// \tparam Number ap_fixed, ap_ufixed, ap_int or ap_uint of at most 62 bits
template <class Number>
inline long long to_raw(const Number &number) {
#pragma HLS INLINE
#ifdef SPARSEPIX_NATIVE
  return number.raw;
#else
  const long long bits = (long long)number.range(Number::width - 1, 0).to_uint64();
  return number < 0 ? bits - (1LL << Number::width) : bits;
#endif
}

} // namespace sparsepix

#endif
