// Constant arrays, written as decimal numbers:
//
//   static const SPARSEPIX_CONSTANT(conv1_bias)[3] = {0.5, -0.25, 1};
//   SPARSEPIX_CONSTANT_READY(conv1_bias, [3]);
//
// defines `conv1_bias`, an array of conv1_bias_t. For synthesis it is just that:
//
//   static const conv1_bias_t conv1_bias[3] = {0.5, -0.25, 1};
//
// A C++ compiler takes about a millisecond for each ap_fixed in such a list, some seconds for a dense layer.
// For simulation the list is therefore one of doubles, which a loop converts when the program starts. Both are
// exact: a format holds its constants without rounding, and so does a double.
#ifndef SPARSEPIX_CONSTANTS_H
#define SPARSEPIX_CONSTANTS_H

#include "types.h"

#ifdef SPARSEPIX_SYNTHESIS

#define SPARSEPIX_CONSTANT(name) name##_t name
#define SPARSEPIX_CONSTANT_READY(name, extents) static_assert(sizeof(name) > 0, "an array cannot be empty")

#else

#define SPARSEPIX_CONSTANT(name) double name##_decimals
#define SPARSEPIX_CONSTANT_READY(name, extents)                                                                        \
  static const sparsepix::Converted<name##_t, decltype(name##_decimals)> name##_converted(name##_decimals);            \
  static const name##_t(&name) extents = name##_converted.numbers

namespace sparsepix {

/// The type of an array with other elements.
/// \tparam Number type of the elements
/// \tparam Array type of the array
template <class Number, class Array>
struct ArrayLike {
  typedef Number type;
};
template <class Number, class Element, decltype(sizeof(0)) SIZE>
struct ArrayLike<Number, Element[SIZE]> {
  typedef typename ArrayLike<Number, Element>::type type[SIZE];
};

/// An array of doubles as fixed-point numbers.
/// \tparam Number type of the numbers
/// \tparam Decimals type of the array of doubles
template <class Number, class Decimals>
struct Converted {
  typename ArrayLike<Number, Decimals>::type numbers;

  explicit Converted(const Decimals &decimals) {
    const double *const from = reinterpret_cast<const double *>(&decimals);
    Number *const to = reinterpret_cast<Number *>(&numbers);
    for (decltype(sizeof(0)) i = 0; i < sizeof(Decimals) / sizeof(double); i++) {
      to[i] = from[i];
    }
  }
};

} // namespace sparsepix

#endif

#endif
