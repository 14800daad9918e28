// Flags as words of the machine, for the native build: one bit each, any number of them.
#ifndef SPARSEPIX_NATIVE_FLAGS_H
#define SPARSEPIX_NATIVE_FLAGS_H

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sparsepix {
namespace native {

/// A set of flags of any size.
/// \tparam SIZE number of flags
template <int SIZE>
class Bits {
public:
  static constexpr int width = SIZE;
  typedef typename std::conditional<SIZE <= 32, uint32_t, uint64_t>::type Word;
  static constexpr int WORD = 8 * sizeof(Word);
  static constexpr int WORDS = (SIZE + WORD - 1) / WORD;
  static constexpr Word LAST = ~Word(0) >> (WORDS * WORD - SIZE); // the flags in the last word

  Word words[WORDS];

  Bits() = default;

  /// The flags of an integer, the empty set being 0; the bits above the set's size are not read.
  Bits(uint64_t flags) : words() {
    words[0] = Word(flags) & (WORDS == 1 ? LAST : ~Word(0));
  }

  /// One flag from each bool.
  static Bits pack(const bool values[SIZE]) {
    Bits flags(0);
    int i = 0;
    // Eight at a time: each byte is 0 or 1, and the product moves them side by side into its top byte.
    for (; i + 8 <= SIZE; i += 8) {
      uint64_t bytes = 0;
      std::memcpy(&bytes, values + i, 8);
      flags.words[i / WORD] |= Word((bytes * 0x0102040810204080u) >> 56) << (i % WORD);
    }
    for (; i < SIZE; i++) {
      flags.words[i / WORD] |= Word(values[i]) << (i % WORD);
    }
    return flags;
  }

  bool test(int position) const {
    return (words[position / WORD] >> (position % WORD)) & 1;
  }
  void set_bit(int position, bool value) {
    Word &word = words[position / WORD];
    word = (word & ~(Word(1) << (position % WORD))) | (Word(value) << (position % WORD));
  }

  /// Some neighbouring flags, the first one lowest; 1 ... WORD of them, which lie in one word or in two.
  uint64_t field(int position, int count) const {
    const int place = position % WORD;
    uint64_t value = words[position / WORD] >> place;
    if (place + count > WORD) {
      value |= uint64_t(words[position / WORD + 1]) << (WORD - place);
    }
    return value & (~uint64_t(0) >> (64 - count));
  }
  void set_field(int position, int count, uint64_t value) {
    const int place = position % WORD;
    const Word all = ~Word(0) >> (WORD - count);
    Word &word = words[position / WORD];
    word = (word & ~(all << place)) | ((Word(value) & all) << place);
    if (place + count > WORD) {
      const int done = WORD - place;
      Word &next = words[position / WORD + 1];
      next = (next & ~(all >> done)) | ((Word(value) & all) >> done);
    }
  }

  bool any() const {
    Word all = 0;
    for (int i = 0; i < WORDS; i++) {
      all |= words[i];
    }
    return all != 0;
  }

  /// Position of the lowest flag; 0 for an empty set.
  int lowest() const {
    for (int i = 0; i < WORDS; i++) {
      if (words[i] != 0) {
        return i * WORD + __builtin_ctzll(words[i]);
      }
    }
    return 0;
  }

  /// The set of its lowest flag alone.
  Bits lowest_only() const {
    Bits only(0);
    for (int i = 0; i < WORDS; i++) {
      if (words[i] != 0) {
        only.words[i] = words[i] & (~words[i] + 1);
        break;
      }
    }
    return only;
  }

  /// How many flags are set.
  int count() const {
    int found = 0;
    for (int i = 0; i < WORDS; i++) {
      found += __builtin_popcountll(words[i]);
    }
    return found;
  }

  Bits operator|(const Bits &other) const {
    Bits result;
    for (int i = 0; i < WORDS; i++) {
      result.words[i] = words[i] | other.words[i];
    }
    return result;
  }
  Bits operator&(const Bits &other) const {
    Bits result;
    for (int i = 0; i < WORDS; i++) {
      result.words[i] = words[i] & other.words[i];
    }
    return result;
  }
  Bits operator~() const {
    Bits result;
    for (int i = 0; i < WORDS; i++) {
      result.words[i] = ~words[i];
    }
    result.words[WORDS - 1] &= LAST;
    return result;
  }
  Bits &operator|=(const Bits &other) {
    return *this = *this | other;
  }
};

} // namespace native
} // namespace sparsepix

#endif
