// What all sparse convolutions share: the parameters, the bias, and the loop over the output pixels of a round.
//
// A convolution is put together from two types without members. A 'window' says which kernel position each pixel of
// the list has, seen from an output pixel; 'Sums' adds the products up.
#ifndef SPARSEPIX_CONVOLUTION_H
#define SPARSEPIX_CONVOLUTION_H

#include "kernel_map.h"
#include "rounds.h"
#include "select.h"
#include "sums.h"
#include "types.h"

namespace sparsepix {

/// Where the bias is added: on every active pixel, or only where the sum before it is not zero.
enum class BiasOn { active, nonzero };

/// What the hardware selects: the weight of each pair of pixels, or the pixel at each kernel position.
enum class SumBy { pairs, gather };

/// The sums of one output pixel.
/// \tparam BY how they are computed
template <SumBy BY>
struct Sums;

/// Check the parameters of a convolution.
///
/// \tparam Config a struct with
///   int max_pixels: slots of the list;
///   int in_channels, out_channels;
///   int groups: of channels; a filter reads the channels of its group, and no product of others exists;
///   int kernel_height, kernel_width: odd;
///   BiasOn bias_on: where the bias is added;
///   bool raster_order: whether the list is in row-major order;
///   int reuse_factor, parallel: see rounds.h; an item is an output pixel
template <class Config>
inline void check_convolution() {
#pragma HLS INLINE
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
  static_assert(Config::in_channels >= 1 && Config::out_channels >= 1, "a convolution has channels");
  static_assert(Config::groups >= 1 && Config::in_channels % Config::groups == 0, "groups share out the inputs");
  static_assert(Config::out_channels % Config::groups == 0, "groups share out the filters");
  static_assert(Config::kernel_height >= 1 && Config::kernel_height % 2 == 1, "the kernel height must be odd");
  static_assert(Config::kernel_width >= 1 && Config::kernel_width % 2 == 1, "the kernel width must be odd");
  check_rounds<Config::max_pixels, Config::reuse_factor, Config::parallel>();
}

/// Positions of a kernel.
/// \tparam Config see check_convolution
template <class Config>
constexpr int kernel_area() {
  return Config::kernel_height * Config::kernel_width;
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

/// The results of one output pixel: its sums and the bias.
///
/// A pixel that is not active has the sum 0, so a bias on sums that are not 0 needs no look at the pixel.
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
    const bool biased = Config::bias_on == BiasOn::active ? active : sum != 0;
    output[filter] = sum + (biased ? bias[filter] : Bias(0));
  }
}

/// A round of a convolution:
/// output[i] = bias + sum over the active pixels j in the window around i of weight[position of j] * features[j].
///
/// A pixel that is not in the window has no part in the sum. Empty slots give 0: their features are 0 and they are in
/// no window.
///
/// \tparam Config see check_convolution; and SumBy sum_by: how the sums are computed
/// \tparam Window a type with
///   static bool around(round, lane, places, coords, row, mirrored): the kernel position of each pixel of the list in
///   the window of an output pixel, and whether it is one of the mirrored kernel; returns whether that pixel is active
/// \tparam Places elements of the array that the window reads beside the coordinates
/// \tparam Features type of the input features
/// \tparam Coords signed integer type of the coordinates
/// \tparam Weight type of the weights
/// \tparam Bias type of the biases
/// \tparam Output type of the output features; holds the sums of any input exactly, so that a partial sum
///   that wraps around does no harm
template <class Config, class Window, class Places, class Features, class Coords, class Weight, class Bias,
          class Output>
inline void convolve(int round, const Places *places, const Features features[Config::max_pixels][Config::in_channels],
                     const Coords coords[Config::max_pixels][2],
                     const Weight weight[kernel_area<Config>()][group_channels<Config>()][Config::out_channels],
                     const Bias bias[Config::out_channels], Output output[Config::parallel][Config::out_channels]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = bias type = complete
  check_convolution<Config>();
CONV_PIXEL:
  for (int lane = 0; lane < Config::parallel; lane++) {
#pragma HLS UNROLL
    Position<kernel_area<Config>()> row[Config::max_pixels];
    bool mirrored[Config::max_pixels];
    Output sums[Config::out_channels];
#pragma HLS ARRAY_PARTITION variable = row type = complete
#pragma HLS ARRAY_PARTITION variable = mirrored type = complete
#pragma HLS ARRAY_PARTITION variable = sums type = complete
    const bool active = Window::template around<Config>(round, lane, places, coords, row, mirrored);
    Sums<Config::sum_by>::template of<Config>(features, row, mirrored, weight, sums);
    with_bias<Config>(sums, active, bias, output[lane]);
  }
}

/// The weight at a position of a kernel, or of the kernel seen from the other pixel; 0 out of the window.
/// \tparam Config see check_convolution
/// \tparam Weight type of the weights
template <class Config, class Weight>
inline Weight weight_at(const Weight weight[kernel_area<Config>()][group_channels<Config>()][Config::out_channels],
                        int channel, int filter, const Position<kernel_area<Config>()> &position, bool mirrored) {
#pragma HLS INLINE
  constexpr int AREA = kernel_area<Config>();
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

/// The weight of each pixel is selected by its position from constants.
template <>
struct Sums<SumBy::pairs> {
  /// The sums of one output pixel, without the bias.
  /// \tparam Config see check_convolution
  /// \tparam Features type of the input features
  /// \tparam Weight type of the weights
  /// \tparam Sum type of the sums; see convolve
  template <class Config, class Features, class Weight, class Sum>
  static inline void of(const Features features[Config::max_pixels][Config::in_channels],
                        const Position<kernel_area<Config>()> row[Config::max_pixels],
                        const bool mirrored[Config::max_pixels],
                        const Weight weight[kernel_area<Config>()][group_channels<Config>()][Config::out_channels],
                        Sum sums[Config::out_channels]) {
#pragma HLS INLINE
  LOOK_UP_FILTER:
    for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
      Terms<group_channels<Config>() * Config::max_pixels, Sum> terms;
    LOOK_UP_CHANNEL:
      for (int channel = 0; channel < group_channels<Config>(); channel++) {
#pragma HLS UNROLL
      LOOK_UP_PIXEL:
        for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
          terms.set(channel * Config::max_pixels + j, weight_at<Config>(weight, channel, filter, row[j], mirrored[j]) *
                                                          features[j][first_channel<Config>(filter) + channel]);
        }
      }
      sums[filter] = terms.total();
    }
  }
};

/// The pixel at each kernel position is selected, and every weight is a constant factor.
template <>
struct Sums<SumBy::gather> {
  /// The sums of one output pixel, without the bias.
  /// \tparam Config see check_convolution
  /// \tparam Features type of the input features
  /// \tparam Weight type of the weights
  /// \tparam Sum type of the sums; see convolve
  template <class Config, class Features, class Weight, class Sum>
  static inline void of(const Features features[Config::max_pixels][Config::in_channels],
                        const Position<kernel_area<Config>()> row[Config::max_pixels],
                        const bool mirrored[Config::max_pixels],
                        const Weight weight[kernel_area<Config>()][group_channels<Config>()][Config::out_channels],
                        Sum sums[Config::out_channels]) {
#pragma HLS INLINE
    constexpr int AREA = kernel_area<Config>();
    Flags<Config::max_pixels> here[AREA];
    Features neighbour[AREA][Config::in_channels];
#pragma HLS ARRAY_PARTITION variable = here type = complete
#pragma HLS ARRAY_PARTITION variable = neighbour type = complete dim = 0
    find<Config>(row, mirrored, here);
  GATHER_POSITION:
    for (int position = 0; position < AREA; position++) {
#pragma HLS UNROLL
    GATHER_CHANNEL:
      for (int channel = 0; channel < Config::in_channels; channel++) {
#pragma HLS UNROLL
        neighbour[position][channel] =
            one_hot_mux<Config::max_pixels, Config::in_channels>(features, channel, here[position]);
      }
    }
  GATHER_FILTER:
    for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
      Terms<AREA * group_channels<Config>(), Sum> terms;
    GATHER_SUM:
      for (int position = 0; position < AREA; position++) {
#pragma HLS UNROLL
      GATHER_SUM_CHANNEL:
        for (int channel = 0; channel < group_channels<Config>(); channel++) {
#pragma HLS UNROLL
          terms.set(position * group_channels<Config>() + channel,
                    weight[position][channel][filter] * neighbour[position][first_channel<Config>(filter) + channel]);
        }
      }
      sums[filter] = terms.total();
    }
  }

  /// For each kernel position the pixel that is there, as a flag; no two pixels are in one place.
  /// \tparam Config see check_convolution
  template <class Config>
  static inline void find(const Position<kernel_area<Config>()> row[Config::max_pixels],
                          const bool mirrored[Config::max_pixels],
                          Flags<Config::max_pixels> here[kernel_area<Config>()]) {
#pragma HLS INLINE
    constexpr int AREA = kernel_area<Config>();
#ifdef SPARSEPIX_SYNTHESIS
  FIND_POSITION:
    for (int position = 0; position < AREA; position++) {
#pragma HLS UNROLL
      bool is_here[Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = is_here type = complete
    FIND_PIXEL:
      for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
        is_here[j] = row[j] == (mirrored[j] ? AREA - 1 - position : position);
      }
      here[position] = pack_flags<Config::max_pixels>(is_here);
    }
#else
    for (int position = 0; position < AREA; position++) {
      here[position] = 0;
    }
    for (int j = 0; j < Config::max_pixels; j++) {
      const int position = row[j];
      if (position < AREA) {
        set_flag<Config::max_pixels>(here[mirrored[j] ? AREA - 1 - position : position], j, true);
      }
    }
#endif
  }
};

} // namespace sparsepix

#endif
