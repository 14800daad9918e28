// native.h against the open ap_fixed and ap_int headers, in one program. Exit status 1 if one value or one type
// differs. A file that the test writes, random_formats.h, adds formats of large widths.
#include <ap_fixed.h>
#include <ap_int.h>
#include <cstdio>

#include "native.h"

namespace native = sparsepix::native;

static long checks = 0;
static long failures = 0;

static void check(bool same, const char *what, int a = 0, int b = 0, int c = 0, double x = 0, double y = 0) {
  checks++;
  if (!same && failures++ < 20) {
    std::fprintf(stderr, "%s <%d, %d, %d>: %.17g, %.17g\n", what, a, b, c, x, y);
  }
}

// The vendor's type of a format.
template <int W, int I, bool S, native::Rounding Q = native::AP_TRN, native::Overflow O = native::AP_WRAP>
struct Vendor {
  static constexpr ap_q_mode ROUNDING = Q == native::AP_TRN ? AP_TRN : Q == native::AP_RND ? AP_RND : AP_RND_CONV;
  static constexpr ap_o_mode OVERFLOW_MODE = O == native::AP_WRAP ? AP_WRAP : O == native::AP_SAT ? AP_SAT : AP_SAT_SYM;
  typedef typename std::conditional<S, ap_fixed<W, I, ROUNDING, OVERFLOW_MODE>,
                                    ap_ufixed<W, I, ROUNDING, OVERFLOW_MODE>>::type type;
  typedef typename std::conditional<S, ap_int<W>, ap_uint<W>>::type integer;
};

// Whether two expressions have the same format. They are not evaluated: the compiler needs their types alone.
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int N, int W2, int I2, bool S2>
std::integral_constant<bool, W == W2 && I == I2 && S == S2> same_type(const ap_fixed_base<W, I, S, Q, O, N> &,
                                                                      const native::Number<W2, I2, S2> &);
template <int W, bool S, int W2, int I2, bool S2>
std::integral_constant<bool, W == W2 && W == I2 && S == S2> same_type(const ap_int_base<W, S> &,
                                                                      const native::Number<W2, I2, S2> &);
#define SAME_TYPE(vendor, number) decltype(same_type(vendor, number))::value

// Small formats. What the vendor's code gives depends on values alone, so one wide source serves for all narrow
// ones there, while every pair of formats is one of its own in native.h.
typedef ap_fixed<12, 8> VendorSource;

template <class VendorTarget>
static double by_vendor(double value) {
  return VendorTarget(VendorSource(value)).to_double();
}

template <class Target, class VendorTarget, int W, bool S>
static void convert_from() {
  typedef native::Number<W, W - 4, S> Source;
  for (int raw = Source::LOWEST; raw <= Source::HIGHEST; raw++) {
    const Source source = Source::of_raw(raw);
    const double value = source.to_double();
    const double expected = by_vendor<VendorTarget>(value);
    check(Target(source).to_double() == expected, "convert", W, Target::width, Target::iwidth, value, expected);
    check(Target(value).to_double() == expected, "double", W, Target::width, Target::iwidth, value, expected);
  }
}

template <int W, int F, bool S, native::Rounding Q, native::Overflow O>
static void convert() {
  typedef native::Number<W, W - F, S, Q, O> Target;
  typedef typename Vendor<W, W - F, S, Q, O>::type VendorTarget;
  convert_from<Target, VendorTarget, 1, false>();
  convert_from<Target, VendorTarget, 5, false>();
  convert_from<Target, VendorTarget, 1, true>();
  convert_from<Target, VendorTarget, 5, true>();
  for (int value = -70; value <= 70; value++) {
    const double expected = by_vendor<VendorTarget>(value);
    check(Target(value).to_double() == expected, "int", W, F, S, value, expected);
  }
}

// The modes that few models need, for a third of the formats: each takes the compiler a while.
template <int W, int F, bool S>
static void convert_rare(std::false_type) {
}
template <int W, int F, bool S>
static void convert_rare(std::true_type) {
  convert<W, F, S, native::AP_RND, native::AP_WRAP>();
  if (W > 1 || !S) { // a lone sign bit has no symmetric range
    convert<W, F, S, native::AP_RND, native::AP_SAT_SYM>();
  }
}

template <int W, int F, bool S>
static void convert_modes() {
  convert<W, F, S, native::AP_TRN, native::AP_WRAP>();
  convert<W, F, S, native::AP_TRN, native::AP_SAT>();
  convert<W, F, S, native::AP_RND_CONV, native::AP_WRAP>();
  convert<W, F, S, native::AP_RND_CONV, native::AP_SAT>();
  convert_rare<W, F, S>(std::integral_constant<bool, F % 3 == 0>());
}

// Fraction bits 5 ... -3: up to one more than the source has, down to where nothing of it is left.
template <int W, int F>
struct ConvertAll {
  static void run() {
    convert_modes<W, F, false>();
    convert_modes<W, F, true>();
    ConvertAll<W, F - 1>::run();
  }
};
template <int W>
struct ConvertAll<W, -4> {
  static void run() {
  }
};

template <class A, class B, class VendorA, class VendorB>
static void compare(const A &a, const B &b, const VendorA &x, const VendorB &y) {
  const int w = A::width, v = B::width;
  const double p = a.to_double(), q = b.to_double();
  check((a < b) == (x < y), "<", w, v, 0, p, q);
  check((a <= b) == (x <= y), "<=", w, v, 0, p, q);
  check((a > b) == (x > y), ">", w, v, 0, p, q);
  check((a >= b) == (x >= y), ">=", w, v, 0, p, q);
  check((a == b) == (x == y), "==", w, v, 0, p, q);
  check((a != b) == (x != y), "!=", w, v, 0, p, q);
}

template <class A, class B, class VendorA, class VendorB>
static void operate() {
  check(SAME_TYPE(VendorA() + VendorB(), A() + B()), "type of +", A::width, B::width, B::iwidth);
  check(SAME_TYPE(VendorA() - VendorB(), A() - B()), "type of -", A::width, B::width, B::iwidth);
  check(SAME_TYPE(VendorA() * VendorB(), A() * B()), "type of *", A::width, B::width, B::iwidth);
  for (int i = A::LOWEST; i <= A::HIGHEST; i++) {
    const A a = A::of_raw(i);
    const VendorSource x = a.to_double();
    for (int j = B::LOWEST; j <= B::HIGHEST; j++) {
      const B b = B::of_raw(j);
      const VendorSource y = b.to_double();
      check((a + b).to_double() == (x + y).to_double(), "+", A::width, B::width, B::iwidth, i, j);
      check((a - b).to_double() == (x - y).to_double(), "-", A::width, B::width, B::iwidth, i, j);
      check((a * b).to_double() == (x * y).to_double(), "*", A::width, B::width, B::iwidth, i, j);
      compare(a, b, x, y);
    }
    check((-a).to_double() == (-x).to_double(), "negation", A::width, 0, 0, i);
    check((a < 2) == (x < 2) && (-1 <= a) == (-1 <= x) && (a != 0) == (x != 0), "int", A::width, 0, 0, i);
  }
}

// Every pair of formats of up to W bits, with binary points up to 3 places apart.
template <int W, int F, bool S, int W2>
struct OperateRight {
  static void run() {
    typedef native::Number<W, W - F, S> A;
    typedef typename Vendor<W, W - F, S>::type VendorA;
    operate<A, native::Number<W2, W2 - 2, false>, VendorA, typename Vendor<W2, W2 - 2, false>::type>();
    operate<A, native::Number<W2, W2 - 2, true>, VendorA, typename Vendor<W2, W2 - 2, true>::type>();
    OperateRight<W, F, S, W2 - 1>::run();
  }
};
template <int W, int F, bool S>
struct OperateRight<W, F, S, 0> {
  static void run() {
  }
};

template <int W>
struct OperateAll {
  static void run() {
    OperateRight<W, -1, false, 3>::run();
    OperateRight<W, 2, false, 3>::run();
    OperateRight<W, 4, false, 3>::run();
    OperateRight<W, -1, true, 3>::run();
    OperateRight<W, 2, true, 3>::run();
    OperateRight<W, 4, true, 3>::run();
    OperateAll<W - 1>::run();
  }
};
template <>
struct OperateAll<0> {
  static void run() {
  }
};

// Integers: division, logic, shifts, and the index of an array.
template <int W, bool S, int W2, bool S2>
static void integers() {
  typedef native::Number<W, W, S> A;
  typedef native::Number<W2, W2, S2> B;
  typedef typename Vendor<W, W, S>::integer VendorA;
  typedef typename Vendor<W2, W2, S2>::integer VendorB;
  check(SAME_TYPE(VendorA() + VendorB(), A() + B()), "type of integer +", W, W2);
  for (int i = A::LOWEST; i <= A::HIGHEST; i++) {
    for (int j = B::LOWEST; j <= B::HIGHEST; j++) {
      check(A(B(j)).raw == VendorA(VendorB(j)).to_int64(), "integer", W, W2, 0, i, j);
      compare(A(i), B(j), VendorA(i), VendorB(j));
    }
  }
}

template <int W, bool S>
static void logic() {
  typedef native::Number<W, W, S> A;
  typedef typename Vendor<W, W, S>::integer VendorA;
  integers<W, S, 1, false>();
  integers<W, S, 3, false>();
  integers<W, S, 5, false>();
  integers<W, S, 1, true>();
  integers<W, S, 4, true>();
  integers<W, S, 5, true>();
  for (int i = A::LOWEST; i <= A::HIGHEST; i++) {
    for (int j = A::LOWEST; j <= A::HIGHEST; j++) {
      check((A(i) | A(j)).raw == VendorA(VendorA(i) | VendorA(j)).to_int64(), "|", W, S, 0, i, j);
      check((A(i) & A(j)).raw == VendorA(VendorA(i) & VendorA(j)).to_int64(), "&", W, S, 0, i, j);
    }
    for (int places = 0; places < W; places++) {
      check((A(i) << places).raw == VendorA(VendorA(i) << places).to_int64(), "<<", W, S, 0, i, places);
      check((A(i) >> places).raw == VendorA(VendorA(i) >> places).to_int64(), ">>", W, S, 0, i, places);
      check(A(i).test(places) == VendorA(i).test(places), "bit", W, S, 0, i, places);
    }
    const int index = A(i);
    check((~A(i)).raw == VendorA(~VendorA(i)).to_int64() && index == i, "~", W, S, 0, i);
  }
}

// Only unsigned numbers are divided.
template <int W, int W2>
static void divide() {
  typedef native::Number<W, W, false> A;
  typedef native::Number<W2, W2, false> B;
  typedef ap_uint<W> VendorA;
  typedef ap_uint<W2> VendorB;
  check(SAME_TYPE(VendorA(1) / VendorB(1), A(1) / B(1)), "type of /", W, W2);
  for (int i = 0; i <= A::HIGHEST; i++) {
    for (int j = 1; j <= B::HIGHEST; j++) {
      check((A(i) / B(j)).raw == (VendorA(i) / VendorB(j)).to_int64(), "/", W, W2, 0, i, j);
    }
    check((A(i) / 2).raw == (VendorA(i) / 2).to_int64(), "half", W, W2, 0, i);
  }
}

static uint64_t random_bits() {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state * 2685821657736338717u;
}

// Random flags of one density; sets of any size.
template <int SIZE>
static bool same_flags(const native::Bits<SIZE> &flags, const ap_uint<SIZE> &expected) {
  bool same = flags.any() == (expected != 0);
  for (int i = 0; i < SIZE; i++) {
    same = same && flags.test(i) == expected.test(i);
  }
  const int spare = native::Bits<SIZE>::WORDS * native::Bits<SIZE>::WORD - SIZE;
  return same && (spare == 0 || flags.words[native::Bits<SIZE>::WORDS - 1] <= native::Bits<SIZE>::LAST);
}

template <int SIZE>
static void flags() {
  for (int trial = 0; trial < 300; trial++) {
    bool bools[SIZE];
    native::Bits<SIZE> a(0), b(0);
    ap_uint<SIZE> x = 0, y = 0;
    int lowest = 0;
    for (int i = SIZE - 1; i >= 0; i--) {
      bools[i] = random_bits() % 16 < unsigned(trial % 5) * 4;
      lowest = bools[i] ? i : lowest;
      a.set_bit(i, true);
      a.set_bit(i, bools[i]);
      x.set_bit(i, bools[i]);
      b.set_bit(i, random_bits() & 1);
      y.set_bit(i, b.test(i));
    }
    native::Bits<SIZE> joined = a;
    joined |= b;
    const ap_uint<SIZE> below = x - 1;
    check(same_flags<SIZE>(a, x) && same_flags<SIZE>(native::Bits<SIZE>::pack(bools), x), "flags", SIZE);
    check(same_flags<SIZE>(~a, ~x) && same_flags<SIZE>(a & b, x & y), "flags ~ &", SIZE);
    check(same_flags<SIZE>(a | b, x | y) && same_flags<SIZE>(joined, x | y), "flags |", SIZE);
    check(same_flags<SIZE>(a.lowest_only(), x & ~below) && a.lowest() == lowest, "lowest flag", SIZE);
    int flagged = 0;
    for (int i = 0; i < SIZE; i++) {
      flagged += bools[i];
    }
    check(a.count() == flagged, "count of flags", SIZE);
    const uint64_t number = random_bits();
    check(same_flags<SIZE>(native::Bits<SIZE>(number), ap_uint<SIZE>(number)), "flags of a number", SIZE);
    const int most = SIZE < 63 ? SIZE : 63;
    const int width = 1 + int(random_bits() % most);
    const int position = int(random_bits() % (SIZE - width + 1));
    check(a.field(position, width) == x.range(position + width - 1, position).to_uint64(), "field of flags", SIZE);
    a.set_field(position, width, number);
    x.range(position + width - 1, position) = ap_uint<64>(number).range(width - 1, 0);
    check(same_flags<SIZE>(a, x), "flags with a field", SIZE);
  }
}

// Numbers side by side, most of them 0: some lie in two words, and some words hold none.
template <int COUNT, int W, bool S>
static void side_by_side() {
  typedef native::Number<W, W - 1, S> Format;
  for (int trial = 0; trial < 50; trial++) {
    Format numbers[COUNT], found[COUNT];
    native::Bits<COUNT * W + 3> flags(0);
    for (int i = 0; i < COUNT; i++) {
      numbers[i] = Format::of_raw(Format::wrapped(random_bits() % 16 < unsigned(trial % 5) * 4 ? random_bits() : 0));
      found[i] = Format::of_raw(1);
      flags.set_field(i * W, W, native::low_bits(numbers[i]));
    }
    native::unpack<COUNT>(flags, found);
    for (int i = 0; i < COUNT; i++) {
      check(found[i].raw == numbers[i].raw, "numbers side by side", W);
    }
  }
}

// Large formats: random values, and those at the ends of the range.
template <class Format>
static Format random_number(int trial) {
  const uint64_t ends[] = {0, 1, ~uint64_t(0), uint64_t(Format::LOWEST), uint64_t(Format::HIGHEST)};
  const uint64_t bits = trial < 5 ? ends[trial] : random_bits() >> (trial % 3 * random_bits() % 64);
  return Format::of_raw(Format::wrapped(bits));
}
template <class VendorFormat, class Format>
static VendorFormat as_vendor(const Format &number) {
  VendorFormat result;
  result.setBits(uint64_t(number.raw));
  return result;
}
template <class Format, class VendorFormat>
static bool same_bits(const Format &number, const VendorFormat &expected) {
  return Format::wrapped(expected.bits_to_uint64()) == number.raw;
}

template <class A, class Target, class VendorA, class VendorTarget>
static void convert_large() {
  for (int trial = 0; trial < 300; trial++) {
    const A a = random_number<A>(trial);
    const VendorTarget expected = as_vendor<VendorA>(a);
    check(same_bits(Target(a), expected), "large", A::width, Target::width, Target::iwidth, a.to_double());
  }
}

template <class A, class B, class VendorA, class VendorB>
static void operate_large() {
  for (int trial = 0; trial < 300; trial++) {
    const A a = random_number<A>(trial);
    const B b = random_number<B>(trial % 25 / 5);
    const VendorA x = as_vendor<VendorA>(a);
    const VendorB y = as_vendor<VendorB>(b);
    check(same_bits(a + b, x + y), "large +", A::width, B::width, B::iwidth, a.to_double(), b.to_double());
    check(same_bits(a - b, x - y), "large -", A::width, B::width, B::iwidth, a.to_double(), b.to_double());
    check(same_bits(a * b, x * y), "large *", A::width, B::width, B::iwidth, a.to_double(), b.to_double());
    check(same_bits(-a, -x), "large negation", A::width, A::iwidth, 0, a.to_double());
    // Both signed: of a signed and an unsigned number beyond 32 bits the open headers compare the bits, not the values.
    compare(a, b, ap_fixed<A::width + 1, A::iwidth + 1>(x), ap_fixed<B::width + 1, B::iwidth + 1>(y));
  }
  check(SAME_TYPE(VendorA() + VendorB(), A() + B()), "type of large +", A::width, B::width);
  check(SAME_TYPE(VendorA() * VendorB(), A() * B()), "type of large *", A::width, B::width);
}

static void random_formats() {
#include "random_formats.h"
}

int main() {
  ConvertAll<1, 5>::run();
  ConvertAll<3, 5>::run();
  ConvertAll<5, 5>::run();
  OperateAll<3>::run();
  logic<1, false>();
  logic<2, false>();
  logic<5, false>();
  logic<1, true>();
  logic<2, true>();
  logic<5, true>();
  divide<1, 1>();
  divide<5, 2>();
  divide<3, 5>();
  divide<6, 6>();
  flags<1>();
  flags<5>();
  flags<31>();
  flags<32>();
  flags<33>();
  flags<63>();
  flags<64>();
  flags<65>();
  flags<130>();
  side_by_side<40, 8, false>();
  side_by_side<70, 12, true>();
  side_by_side<3, 5, true>();
  random_formats();
  std::printf("%ld checks, %ld failures\n", checks, failures);
  return failures == 0 ? 0 : 1;
}
