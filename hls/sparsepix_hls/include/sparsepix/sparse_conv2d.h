// Submanifold sparse convolution: output pixels = input pixels.
#ifndef SPARSEPIX_SPARSE_CONV2D_H
#define SPARSEPIX_SPARSE_CONV2D_H

#include "pair_map.h"
#include "select.h"
#include "types.h"

namespace sparsepix {

/// Where the bias is added: on every active pixel, or only where the sum before it is not zero.
enum class BiasOn { active, nonzero };

/// output[i] = bias + sum over the active pixels j in the window around i of weight[position of j] * features[j].
///
/// All pairs at once; the weight of a pair is selected by its position from constants. A pair that is not in
/// the window selects 0. Empty slots give 0: their features are 0 and no pair of theirs is in a window.
///
/// \tparam Config a struct with
///   int max_pixels: slots of the list;
///   int in_channels, out_channels;
///   int kernel_height, kernel_width: odd;
///   BiasOn bias_on: where the bias is added
/// \tparam Features type of the input features
/// \tparam Coords signed integer type of the coordinates
/// \tparam Weight type of the weights
/// \tparam Bias type of the biases
/// \tparam Output type of the output features; holds the sums of any input exactly, so that a partial sum
///   that wraps around does no harm
template <class Config, class Features, class Coords, class Weight, class Bias, class Output>
inline void sparse_conv2d(
    const Features features[Config::max_pixels][Config::in_channels], const Coords coords[Config::max_pixels][2],
    const Position<Config::kernel_height * Config::kernel_width> positions[pair_count(Config::max_pixels)],
    const Weight weight[Config::kernel_height * Config::kernel_width][Config::in_channels][Config::out_channels],
    const Bias bias[Config::out_channels], Output output[Config::max_pixels][Config::out_channels]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = bias type = complete
  constexpr int AREA = Config::kernel_height * Config::kernel_width;
  constexpr int CENTRE = AREA / 2;
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
  static_assert(Config::in_channels >= 1 && Config::out_channels >= 1, "a convolution has channels");
  static_assert(Config::kernel_height >= 1 && Config::kernel_height % 2 == 1, "the kernel height must be odd");
  static_assert(Config::kernel_width >= 1 && Config::kernel_width % 2 == 1, "the kernel width must be odd");

  Output sum[Config::max_pixels][Config::out_channels];
#pragma HLS ARRAY_PARTITION variable = sum type = complete dim = 0
CONV_CENTRE:
  for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
  CENTRE_FILTER:
    for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
      sum[i][filter] = 0;
    CENTRE_CHANNEL:
      for (int channel = 0; channel < Config::in_channels; channel++) {
#pragma HLS UNROLL
        sum[i][filter] += weight[CENTRE][channel][filter] * features[i][channel];
      }
    }
  }

CONV_CHANNEL:
  for (int channel = 0; channel < Config::in_channels; channel++) {
#pragma HLS UNROLL
  CONV_FILTER:
    for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
      Weight kernel[AREA];
      Weight mirrored[AREA]; // the window of j as seen from i, for the pair (j, i)
#pragma HLS ARRAY_PARTITION variable = kernel type = complete
#pragma HLS ARRAY_PARTITION variable = mirrored type = complete
    CONV_KERNEL:
      for (int position = 0; position < AREA; position++) {
#pragma HLS UNROLL
        kernel[position] = weight[position][channel][filter];
        mirrored[position] = weight[AREA - 1 - position][channel][filter];
      }
    CONV_LATER:
      for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
      CONV_EARLIER:
        for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
          if (i < j) { // known at compile time
            const Position<AREA> position = positions[pair_index(i, j)];
            sum[i][filter] += mux<AREA>(kernel, position) * features[j][channel];
            sum[j][filter] += mux<AREA>(mirrored, position) * features[i][channel];
          }
        }
      }
    }
  }

CONV_BIAS:
  for (int i = 0; i < Config::max_pixels; i++) {
#pragma HLS UNROLL
    const bool active = coords[i][0] >= 0;
  BIAS_FILTER:
    for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
      // The sum of an empty slot is 0, so 'nonzero' needs no look at the coordinates.
      const bool biased = Config::bias_on == BiasOn::active ? active : sum[i][filter] != 0;
      output[i][filter] = sum[i][filter] + (biased ? bias[filter] : Bias(0));
    }
  }
}

} // namespace sparsepix

#endif
