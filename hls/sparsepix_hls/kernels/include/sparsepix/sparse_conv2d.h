// Submanifold sparse convolution: output pixels = input pixels. Here: a looked-up weight for each pair of pixels.
#ifndef SPARSEPIX_SPARSE_CONV2D_H
#define SPARSEPIX_SPARSE_CONV2D_H

#include "pair_map.h"
#include "rounds.h"
#include "select.h"
#include "types.h"

namespace sparsepix {

/// Where the bias is added: on every active pixel, or only where the sum before it is not zero.
enum class BiasOn { active, nonzero };

/// Check the parameters of a convolution.
///
/// \tparam Config a struct with
///   int max_pixels: slots of the list;
///   int in_channels, out_channels;
///   int groups: of channels; a filter reads the channels of its group, and no product of others exists;
///   int kernel_height, kernel_width: odd;
///   BiasOn bias_on: where the bias is added;
///   bool raster_order: whether the list is in row-major order;
///   int rounds, copies: see rounds.h; an item is an output pixel
template <class Config>
inline void check_convolution() {
#pragma HLS INLINE
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
  static_assert(Config::in_channels >= 1 && Config::out_channels >= 1, "a convolution has channels");
  static_assert(Config::groups >= 1 && Config::in_channels % Config::groups == 0, "groups share out the inputs");
  static_assert(Config::out_channels % Config::groups == 0, "groups share out the filters");
  static_assert(Config::kernel_height >= 1 && Config::kernel_height % 2 == 1, "the kernel height must be odd");
  static_assert(Config::kernel_width >= 1 && Config::kernel_width % 2 == 1, "the kernel width must be odd");
  static_assert(Config::rounds >= 1 && Config::copies >= 1, "a layer takes one round or more");
  static_assert(Config::rounds * Config::copies >= Config::max_pixels, "the rounds cover all pixels");
}

/// Input channels that a filter reads.
/// \tparam Config see check_convolution
template <class Config>
constexpr int group_channels() {
  return Config::in_channels / Config::groups;
}

/// The first input channel that a filter reads.
/// \tparam Config see check_convolution
template <class Config>
constexpr int first_channel(int filter) {
  return filter / (Config::out_channels / Config::groups) * group_channels<Config>();
}

/// The weight at a position of a kernel, or of the kernel seen from the other pixel; 0 out of the window.
/// \tparam Config see check_convolution
/// \tparam Weight type of the weights
template <class Config, class Weight>
inline Weight weight_at(
    const Weight weight[Config::kernel_height * Config::kernel_width][group_channels<Config>()][Config::out_channels],
    int channel, int filter, const Position<Config::kernel_height * Config::kernel_width> &position, bool mirrored) {
#pragma HLS INLINE
  constexpr int AREA = Config::kernel_height * Config::kernel_width;
#ifdef SPARSEPIX_SYNTHESIS
  Weight kernel[AREA];
#pragma HLS ARRAY_PARTITION variable = kernel type = complete
KERNEL:
  for (int i = 0; i < AREA; i++) {
#pragma HLS UNROLL
    kernel[i] = weight[mirrored ? AREA - 1 - i : i][channel][filter];
  }
  return mux<AREA>(kernel, position);
#else
  const int i = position;
  return i < AREA ? weight[mirrored ? AREA - 1 - i : i][channel][filter] : Weight(0);
#endif
}

/// The bias, or 0 where there is none: a pixel that is not active has the sum 0, so 'nonzero' needs no look at it.
/// \tparam Config see check_convolution
/// \tparam Sum type of the sum
/// \tparam Bias type of the bias
template <class Config, class Sum, class Bias>
inline Bias bias_of(const Sum &sum, bool active, const Bias &bias) {
#pragma HLS INLINE
  const bool biased = Config::bias_on == BiasOn::active ? active : sum != 0;
  return biased ? bias : Bias(0);
}

/// Kernel positions of all pixels in the window around one output pixel of the round.
///
/// They are turned to the output pixel's point of view if that changes from round to round; in a single round
/// each pair has its side, and the mirrored kernel is as cheap: then a flag tells.
/// \tparam Config see check_convolution
template <class Config>
inline void
window(int round, int copy,
       const Position<Config::kernel_height * Config::kernel_width> positions[pair_count(Config::max_pixels)],
       Position<Config::kernel_height * Config::kernel_width> row[Config::max_pixels],
       bool mirrored[Config::max_pixels]) {
#pragma HLS INLINE
  constexpr int AREA = Config::kernel_height * Config::kernel_width;
  constexpr int PIXELS = Config::max_pixels;
  check_convolution<Config>();
WINDOW_PIXEL:
  for (int j = 0; j < PIXELS; j++) {
#pragma HLS UNROLL
#ifdef SPARSEPIX_SYNTHESIS
    Position<AREA> candidates[Config::rounds];
    bool later[Config::rounds];
#pragma HLS ARRAY_PARTITION variable = candidates type = complete
#pragma HLS ARRAY_PARTITION variable = later type = complete
  WINDOW_ROUND:
    for (int r = 0; r < Config::rounds; r++) {
#pragma HLS UNROLL
      const int i = r * Config::copies + copy;
      const int pair = i < j ? pair_index(i, j) : pair_index(j, i);
      const bool known = i != j && i < PIXELS;
      candidates[r] = known ? positions[known ? pair : 0] : Position<AREA>(i == j ? AREA / 2 : AREA);
      later[r] = i > j;
    }
    const Position<AREA> position = mux<Config::rounds>(candidates, Index<Config::rounds>(round));
    const bool turned = mux<Config::rounds>(later, Index<Config::rounds>(round));
#else
    const int i = round * Config::copies + copy;
    const int pair = i < j ? pair_index(i, j) : pair_index(j, i);
    const bool known = i != j && i < PIXELS;
    const Position<AREA> position = known ? positions[pair] : Position<AREA>(i == j ? AREA / 2 : AREA);
    const bool turned = i > j;
#endif
    const Position<AREA> opposite = Position<AREA>(AREA - 1) - position;
    const bool turn_here = Config::rounds > 1 && turned && position != AREA;
    row[j] = turn_here ? opposite : position;
    mirrored[j] = Config::rounds == 1 && turned;
  }
}

/// The sums of one output pixel, without the bias: the weight of each pixel is selected by its position from constants.
///
/// \tparam Config see check_convolution
/// \tparam Features type of the input features
/// \tparam Weight type of the weights
/// \tparam Sum type of the sums; see sparse_conv2d_pairs
template <class Config, class Features, class Weight, class Sum>
inline void looked_up_sums(
    const Features features[Config::max_pixels][Config::in_channels],
    const Position<Config::kernel_height * Config::kernel_width> row[Config::max_pixels],
    const bool mirrored[Config::max_pixels],
    const Weight weight[Config::kernel_height * Config::kernel_width][group_channels<Config>()][Config::out_channels],
    Sum sums[Config::out_channels]) {
#pragma HLS INLINE
CONV_FILTER:
  for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
    Sum sum = 0;
  CONV_CHANNEL:
    for (int channel = 0; channel < group_channels<Config>(); channel++) {
#pragma HLS UNROLL
    CONV_NEIGHBOUR:
      for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
        sum += weight_at<Config>(weight, channel, filter, row[j], mirrored[j]) *
               features[j][first_channel<Config>(filter) + channel];
      }
    }
    sums[filter] = sum;
  }
}

/// The results of one output pixel: its sums and the bias.
/// \tparam Config see check_convolution
/// \tparam Sum type of the sums
/// \tparam Bias type of the biases
/// \tparam Output type of the output features
template <class Config, class Sum, class Bias, class Output>
inline void with_bias(const Sum sums[Config::out_channels], bool active, const Bias bias[Config::out_channels],
                      Output output[Config::out_channels]) {
#pragma HLS INLINE
WITH_BIAS:
  for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
    const Sum sum = sums[filter];
    output[filter] = sum + bias_of<Config>(sum, active, bias[filter]);
  }
}

/// output[i] = bias + sum over the active pixels j in the window around i of weight[position of j] * features[j].
///
/// A pair that is not in the window selects the weight 0. Empty slots give 0: their features are 0 and no pair of
/// theirs is in a window.
///
/// \tparam Config see check_convolution
/// \tparam Features type of the input features
/// \tparam Coords signed integer type of the coordinates
/// \tparam Weight type of the weights
/// \tparam Bias type of the biases
/// \tparam Output type of the output features; holds the sums of any input exactly, so that a partial sum
///   that wraps around does no harm
template <class Config, class Features, class Coords, class Weight, class Bias, class Output>
inline void sparse_conv2d_pairs(
    int round, const Features features[Config::max_pixels][Config::in_channels],
    const Coords coords[Config::max_pixels][2],
    const Position<Config::kernel_height * Config::kernel_width> positions[pair_count(Config::max_pixels)],
    const Weight weight[Config::kernel_height * Config::kernel_width][group_channels<Config>()][Config::out_channels],
    const Bias bias[Config::out_channels], Output output[Config::copies][Config::out_channels]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = bias type = complete
  constexpr int AREA = Config::kernel_height * Config::kernel_width;
CONV_PIXEL:
  for (int copy = 0; copy < Config::copies; copy++) {
#pragma HLS UNROLL
    Position<AREA> row[Config::max_pixels];
    bool mirrored[Config::max_pixels];
    Output sums[Config::out_channels];
#pragma HLS ARRAY_PARTITION variable = row type = complete
#pragma HLS ARRAY_PARTITION variable = mirrored type = complete
#pragma HLS ARRAY_PARTITION variable = sums type = complete
    window<Config>(round, copy, positions, row, mirrored);
    looked_up_sums<Config>(features, row, mirrored, weight, sums);
    const bool active = of_round<Config::max_pixels, 2, Config::rounds, Config::copies>(coords, 0, round, copy) >= 0;
    with_bias<Config>(sums, active, bias, output[copy]);
  }
}

/// A pixel that has just come meets all earlier ones of the list: what it adds to their sums, and they to its.
///
/// The sums are carried from pixel to pixel; behind the last one they lack only the bias.
/// \tparam Config see check_convolution
/// \tparam Features type of the input features
/// \tparam Weight type of the weights
/// \tparam Output type of the sums; see sparse_conv2d_pairs
template <class Config, class Features, class Weight, class Output>
inline void sparse_conv2d_arrival(
    int slot, const Features pixel[Config::in_channels],
    const Features features[Config::max_pixels][Config::in_channels],
    const Position<Config::kernel_height * Config::kernel_width> row[Config::max_pixels],
    const Weight weight[Config::kernel_height * Config::kernel_width][group_channels<Config>()][Config::out_channels],
    Output sums[Config::max_pixels][Config::out_channels]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
  constexpr int CENTRE = Config::kernel_height * Config::kernel_width / 2;
  check_convolution<Config>();
ARRIVAL_FILTER:
  for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
    Output own = 0;
    Output added[Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = added type = complete
  ARRIVAL_CENTRE:
    for (int channel = 0; channel < group_channels<Config>(); channel++) {
#pragma HLS UNROLL
      own += weight[CENTRE][channel][filter] * pixel[first_channel<Config>(filter) + channel];
    }
  ARRIVAL_EARLIER:
    for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
      added[i] = 0;
    ARRIVAL_CHANNEL:
      for (int channel = 0; channel < group_channels<Config>(); channel++) {
#pragma HLS UNROLL
        const int input = first_channel<Config>(filter) + channel;
        // Behind the slot stand pixels of the image before, if any.
        const Features earlier = i < slot ? features[i][input] : Features(0);
        added[i] += weight_at<Config>(weight, channel, filter, row[i], false) * pixel[input];
        own += weight_at<Config>(weight, channel, filter, row[i], true) * earlier;
      }
    }
  ARRIVAL_SUM:
    for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
      const Output before = i < slot ? sums[i][filter] : Output(0);
      sums[i][filter] = i == slot ? own : Output(before + added[i]);
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
  BIAS_FILTER:
    for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
      const Sum sum = sums[i][filter];
      output[i][filter] = sum + bias_of<Config>(sum, coords[i][0] >= 0, bias[filter]);
    }
  }
}

} // namespace sparsepix

#endif
