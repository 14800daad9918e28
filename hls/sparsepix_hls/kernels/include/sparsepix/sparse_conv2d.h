// Submanifold sparse convolution: output pixels = input pixels.
#ifndef SPARSEPIX_SPARSE_CONV2D_H
#define SPARSEPIX_SPARSE_CONV2D_H

#include "convolution.h"
#include "kernel_map.h"
#include "rounds.h"
#include "select.h"
#include "sums.h"
#include "types.h"

namespace sparsepix {

/// A window for convolve: around each pixel of the list, read from the kernel map.
struct PixelWindow {
  /// Kernel positions of all pixels in the window around one output pixel of the round.
  ///
  /// They are turned to the output pixel's point of view if that changes from round to round; in a single round
  /// each pair has its side, and the mirrored kernel is as cheap: then a flag tells.
  /// \tparam Config see check_convolution
  /// \tparam Coords signed integer type of the coordinates
  template <class Config, class Coords>
  static inline bool
  around(int round, int lane, const Position<kernel_area<Config>()> positions[pair_count(Config::max_pixels)],
         const Coords coords[Config::max_pixels][2], Position<kernel_area<Config>()> row[Config::max_pixels],
         bool mirrored[Config::max_pixels]) {
#pragma HLS INLINE
    constexpr int AREA = kernel_area<Config>();
    constexpr int PIXELS = Config::max_pixels;
  WINDOW_PIXEL:
    for (int j = 0; j < PIXELS; j++) {
#pragma HLS UNROLL
#ifdef SPARSEPIX_SYNTHESIS
      Position<AREA> candidates[Config::reuse_factor];
      bool later[Config::reuse_factor];
#pragma HLS ARRAY_PARTITION variable = candidates type = complete
#pragma HLS ARRAY_PARTITION variable = later type = complete
    WINDOW_ROUND:
      for (int r = 0; r < Config::reuse_factor; r++) {
#pragma HLS UNROLL
        const int i = r * Config::parallel + lane;
        const int pair = i < j ? pair_index(i, j) : pair_index(j, i);
        const bool known = i != j && i < PIXELS;
        candidates[r] = known ? positions[known ? pair : 0] : Position<AREA>(i == j ? AREA / 2 : AREA);
        later[r] = i > j;
      }
      const Position<AREA> position = mux<Config::reuse_factor>(candidates, Index<Config::reuse_factor>(round));
      const bool turned = mux<Config::reuse_factor>(later, Index<Config::reuse_factor>(round));
#else
      const int i = round * Config::parallel + lane;
      const int pair = i < j ? pair_index(i, j) : pair_index(j, i);
      const bool known = i != j && i < PIXELS;
      const Position<AREA> position = known ? positions[pair] : Position<AREA>(i == j ? AREA / 2 : AREA);
      const bool turned = i > j;
#endif
      const Position<AREA> opposite = Position<AREA>(AREA - 1) - position;
      const bool turn_here = Config::reuse_factor > 1 && turned && position != AREA;
      row[j] = turn_here ? opposite : position;
      mirrored[j] = Config::reuse_factor == 1 && turned;
    }
    return of_round<PIXELS, 2, Config::reuse_factor, Config::parallel>(coords, 0, round, lane) >= 0;
  }
};

/// A round of the convolution.
/// \tparam Config see convolve
/// \tparam Features type of the input features
/// \tparam Coords signed integer type of the coordinates
/// \tparam Weight type of the weights
/// \tparam Bias type of the biases
/// \tparam Output type of the output features; see convolve
template <class Config, class Features, class Coords, class Weight, class Bias, class Output>
inline void sparse_conv2d(int round, const Features features[Config::max_pixels][Config::in_channels],
                          const Coords coords[Config::max_pixels][2],
                          const Position<kernel_area<Config>()> positions[pair_count(Config::max_pixels)],
                          const Weight weight[kernel_area<Config>()][group_channels<Config>()][Config::out_channels],
                          const Bias bias[Config::out_channels],
                          Output output[Config::parallel][Config::out_channels]) {
#pragma HLS INLINE
  convolve<Config, PixelWindow>(round, positions, features, coords, weight, bias, output);
}

/// What a pixel that has just come adds to one filter's sums of the earlier ones of the list, and its own sum.
/// \tparam Config see check_convolution
/// \tparam Features type of the input features
/// \tparam Weight type of the weights
/// \tparam Output type of the sums; see convolve
template <class Config, class Features, class Weight, class Output>
inline Output arrival_sums(int slot, int filter, const Features pixel[Config::in_channels],
                           const Features features[Config::max_pixels][Config::in_channels],
                           const Position<kernel_area<Config>()> row[Config::max_pixels],
                           const Weight weight[kernel_area<Config>()][group_channels<Config>()][Config::out_channels],
                           Output added[Config::max_pixels]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
  constexpr int CENTRE = kernel_area<Config>() / 2;
  constexpr int GROUP = group_channels<Config>();
  Terms<(1 + Config::max_pixels) * GROUP, Output> own;
ARRIVAL_CENTRE:
  for (int channel = 0; channel < GROUP; channel++) {
#pragma HLS UNROLL
    own.set(channel, weight[CENTRE][channel][filter] * pixel[first_channel<Config>(filter) + channel]);
  }
ARRIVAL_EARLIER:
  for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
    Terms<GROUP, Output> terms;
  ARRIVAL_CHANNEL:
    for (int channel = 0; channel < GROUP; channel++) {
#pragma HLS UNROLL
      const int input = first_channel<Config>(filter) + channel;
      // From the slot on the list still holds pixels of the image before, if any.
      const Features earlier = i < slot ? features[i][input] : Features(0);
      terms.set(channel, weight_at<Config>(weight, channel, filter, row[i], false) * pixel[input]);
      own.set((1 + i) * GROUP + channel, weight_at<Config>(weight, channel, filter, row[i], true) * earlier);
    }
    added[i] = terms.total();
  }
  return own.total();
}

/// A pixel that has just come meets all earlier ones of the list: what it adds to their sums, and they to its.
///
/// The sums are carried from pixel to pixel; after the last one only the bias is missing.
/// \tparam Config see check_convolution
/// \tparam Features type of the input features
/// \tparam Weight type of the weights
/// \tparam Output type of the sums; see convolve
template <class Config, class Features, class Weight, class Output>
inline void
sparse_conv2d_arrival(int slot, const Features pixel[Config::in_channels],
                      const Features features[Config::max_pixels][Config::in_channels],
                      const Position<kernel_area<Config>()> row[Config::max_pixels],
                      const Weight weight[kernel_area<Config>()][group_channels<Config>()][Config::out_channels],
                      Output sums[Config::max_pixels][Config::out_channels]) {
#pragma HLS INLINE
  check_convolution<Config>();
ARRIVAL_FILTER:
  for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
    Output added[Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = added type = complete
    const Output from_all = arrival_sums<Config>(slot, filter, pixel, features, row, weight, added);
  ARRIVAL_SUM:
    for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
      const Output before = i < slot ? sums[i][filter] : Output(0);
      sums[i][filter] = i == slot ? from_all : Output(before + added[i]);
    }
  }
}

/// Two pixels that have just come, the first one in the list already: what both add is joined before it is added to the
/// sums, which are carried from turn to turn.
/// \tparam Config see check_convolution
/// \tparam Features type of the input features
/// \tparam Weight type of the weights
/// \tparam Output type of the sums; see convolve
/// \param slot of the first one
template <class Config, class Features, class Weight, class Output>
inline void
sparse_conv2d_arrivals(int slot, const Features pixels[2][Config::in_channels],
                       const Features features[Config::max_pixels][Config::in_channels],
                       const Position<kernel_area<Config>()> rows[2][Config::max_pixels],
                       const Weight weight[kernel_area<Config>()][group_channels<Config>()][Config::out_channels],
                       Output sums[Config::max_pixels][Config::out_channels]) {
#pragma HLS INLINE
  check_convolution<Config>();
ARRIVALS_FILTER:
  for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
    Output by_first[Config::max_pixels];
    Output by_second[Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = by_first type = complete
#pragma HLS ARRAY_PARTITION variable = by_second type = complete
    const Output first = arrival_sums<Config>(slot, filter, pixels[0], features, rows[0], weight, by_first);
    const Output second = arrival_sums<Config>(slot + 1, filter, pixels[1], features, rows[1], weight, by_second);
  ARRIVALS_SUM:
    for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
      const Output before = i < slot ? sums[i][filter] : Output(0);
      const Output added = (i == slot ? first : by_first[i]) + by_second[i];
      sums[i][filter] = i == slot + 1 ? second : Output(before + added);
    }
  }
}

/// The bias, once all pixels have come.
/// \tparam Config see check_convolution
/// \tparam Sum type of the sums
/// \tparam Coords signed integer type of the coordinates
/// \tparam Bias type of the biases
/// \tparam Output type of the output features; holds sum and bias exactly
template <class Config, class Sum, class Coords, class Bias, class Output>
inline void sparse_conv2d_bias(const Sum sums[Config::max_pixels][Config::out_channels],
                               const Coords coords[Config::max_pixels][2], const Bias bias[Config::out_channels],
                               Output output[Config::max_pixels][Config::out_channels]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = bias type = complete
BIAS_PIXEL:
  for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
    with_bias<Config>(sums[i], coords[i][0] >= 0, bias, output[i]);
  }
}

} // namespace sparsepix

#endif
