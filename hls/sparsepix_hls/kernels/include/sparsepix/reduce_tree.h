// Input reduction by 'tree': the whole image at once, a new one every clock.
#ifndef SPARSEPIX_REDUCE_TREE_H
#define SPARSEPIX_REDUCE_TREE_H

#include "compact.h"
#include "input_reduce.h"
#include "types.h"

namespace sparsepix {

/// Image to the list of its first active pixels, by a tree of merges over all of them.
///
/// Empty slots are at the end of the list: features 0, coords (-1, -1).
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
/// \tparam Threshold type of the threshold
/// \tparam Features type of the listed values; holds those of the image exactly
/// \tparam Coords signed integer type of the coordinates
template <class Config, class Image, class Threshold, class Features, class Coords>
inline void reduce_tree(const Image image[Config::channels * Config::height * Config::width],
                        const Threshold &threshold, Features features[Config::max_pixels][Config::channels],
                        Coords coords[Config::max_pixels][2]) {
#pragma HLS INLINE
  check_reduction<Config>();
  static_assert(Config::selection == Selection::raster, "a tree keeps the first pixels, not the largest");
  static_assert(IsSigned<Coords>::value, "coordinates are signed: -1 marks an empty slot");
  constexpr int SIZE = Config::height * Config::width;
  typedef Compact<SIZE, Config::max_pixels, Config::channels, Image> Tree;
  Image pixels[SIZE][Config::channels];
  bool active[SIZE];
#pragma HLS ARRAY_PARTITION variable = pixels type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = active type = complete
TREE_PIXEL:
  for (int i = 0; i < SIZE; i++) {
#pragma HLS UNROLL
  TREE_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      pixels[i][channel] = image[channel * SIZE + i];
    }
    active[i] = score_of<Config>(pixels[i]) > threshold;
  }
  Image values[Config::max_pixels][Config::channels];
  Index<SIZE> places[Config::max_pixels];
  typename Tree::Count count;
#pragma HLS ARRAY_PARTITION variable = values type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = places type = complete
  Tree::run(pixels, active, 0, values, places, count);
TREE_SLOT:
  for (int slot = 0; slot < Config::max_pixels; slot++) {
#pragma HLS UNROLL
    const bool found = count > slot;
    // By a constant: a few adders.
    typedef UInt<index_bits(SIZE + Config::width + 1)> Place;
    const Place row = Place(places[slot]) / Place(Config::width);
    const Place column = Place(places[slot]) - Place(row * Place(Config::width));
    coords[slot][0] = found ? Coords(row) : Coords(-1);
    coords[slot][1] = found ? Coords(column) : Coords(-1);
  TREE_SLOT_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      features[slot][channel] = found ? Features(values[slot][channel]) : Features(0);
    }
  }
}

} // namespace sparsepix

#endif
