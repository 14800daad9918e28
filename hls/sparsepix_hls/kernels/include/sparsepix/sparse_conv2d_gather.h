// Submanifold sparse convolution by gathering: the neighbour at each kernel position, times a constant.
#ifndef SPARSEPIX_SPARSE_CONV2D_GATHER_H
#define SPARSEPIX_SPARSE_CONV2D_GATHER_H

#include "pair_map.h"
#include "rounds.h"
#include "select.h"
#include "sparse_conv2d.h"
#include "types.h"

namespace sparsepix {

/// For each kernel position the pixel that stands there, as a flag; no two pixels stand in one place.
/// \tparam Config see check_convolution
template <class Config>
inline void find_neighbours(const Position<Config::kernel_height * Config::kernel_width> row[Config::max_pixels],
                            const bool mirrored[Config::max_pixels],
                            Flags<Config::max_pixels> here[Config::kernel_height * Config::kernel_width]) {
#pragma HLS INLINE
  constexpr int AREA = Config::kernel_height * Config::kernel_width;
#ifdef SPARSEPIX_SYNTHESIS
NEIGHBOUR_POSITION:
  for (int position = 0; position < AREA; position++) {
#pragma HLS UNROLL
    bool stands[Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = stands type = complete
  NEIGHBOUR:
    for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
      stands[j] = row[j] == (mirrored[j] ? AREA - 1 - position : position);
    }
    here[position] = pack_flags<Config::max_pixels>(stands);
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

/// Bits of the features of each channel, for selections by masks.
/// \tparam Config see check_convolution
/// \tparam Features type of the features
template <class Config, class Features>
inline void feature_bits(const Features features[Config::max_pixels][Config::in_channels],
                         Flags<Features::width> bits[Config::in_channels][Config::max_pixels]) {
#pragma HLS INLINE
GATHER_READ:
  for (int j = 0; j < Config::max_pixels; j++) {
#pragma HLS UNROLL
  GATHER_READ_CHANNEL:
    for (int channel = 0; channel < Config::in_channels; channel++) {
#pragma HLS UNROLL
      bits[channel][j] = to_flags(features[j][channel]);
    }
  }
}

/// The sums of one output pixel, without the bias: every weight is a constant, every feature is selected.
///
/// \tparam Config see check_convolution
/// \tparam Features type of the input features
/// \tparam Weight type of the weights
/// \tparam Sum type of the sums; see sparse_conv2d_pairs
template <class Config, class Features, class Weight, class Sum>
inline void gathered_sums(
    const Flags<Features::width> bits[Config::in_channels][Config::max_pixels],
    const Position<Config::kernel_height * Config::kernel_width> row[Config::max_pixels],
    const bool mirrored[Config::max_pixels],
    const Weight weight[Config::kernel_height * Config::kernel_width][group_channels<Config>()][Config::out_channels],
    Sum sums[Config::out_channels]) {
#pragma HLS INLINE
  constexpr int AREA = Config::kernel_height * Config::kernel_width;
  Flags<Config::max_pixels> here[AREA];
  Features neighbour[AREA][Config::in_channels];
#pragma HLS ARRAY_PARTITION variable = here type = complete
#pragma HLS ARRAY_PARTITION variable = neighbour type = complete dim = 0
  find_neighbours<Config>(row, mirrored, here);
GATHER_POSITION:
  for (int position = 0; position < AREA; position++) {
#pragma HLS UNROLL
  GATHER_CHANNEL:
    for (int channel = 0; channel < Config::in_channels; channel++) {
#pragma HLS UNROLL
      neighbour[position][channel] = from_raw<Features>(one_of<Config::max_pixels>(bits[channel], here[position]));
    }
  }
GATHER_FILTER:
  for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
    Sum sum = 0;
  GATHER_SUM:
    for (int position = 0; position < AREA; position++) {
#pragma HLS UNROLL
    GATHER_SUM_CHANNEL:
      for (int channel = 0; channel < group_channels<Config>(); channel++) {
#pragma HLS UNROLL
        sum += weight[position][channel][filter] * neighbour[position][first_channel<Config>(filter) + channel];
      }
    }
    sums[filter] = sum;
  }
}

/// The same results as sparse_conv2d_pairs, from gathered_sums.
///
/// \tparam Config see check_convolution
/// \tparam Features type of the input features
/// \tparam Coords signed integer type of the coordinates
/// \tparam Weight type of the weights
/// \tparam Bias type of the biases
/// \tparam Output type of the output features; see sparse_conv2d_pairs
template <class Config, class Features, class Coords, class Weight, class Bias, class Output>
inline void sparse_conv2d_gather(
    int round, const Features features[Config::max_pixels][Config::in_channels],
    const Coords coords[Config::max_pixels][2],
    const Position<Config::kernel_height * Config::kernel_width> positions[pair_count(Config::max_pixels)],
    const Weight weight[Config::kernel_height * Config::kernel_width][group_channels<Config>()][Config::out_channels],
    const Bias bias[Config::out_channels], Output output[Config::copies][Config::out_channels]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = bias type = complete
  constexpr int AREA = Config::kernel_height * Config::kernel_width;
  Flags<Features::width> bits[Config::in_channels][Config::max_pixels];
#pragma HLS ARRAY_PARTITION variable = bits type = complete dim = 0
  feature_bits<Config>(features, bits);
GATHER_PIXEL:
  for (int copy = 0; copy < Config::copies; copy++) {
#pragma HLS UNROLL
    Position<AREA> row[Config::max_pixels];
    bool mirrored[Config::max_pixels];
    Output sums[Config::out_channels];
#pragma HLS ARRAY_PARTITION variable = row type = complete
#pragma HLS ARRAY_PARTITION variable = mirrored type = complete
#pragma HLS ARRAY_PARTITION variable = sums type = complete
    window<Config>(round, copy, positions, row, mirrored);
    gathered_sums<Config, Features>(bits, row, mirrored, weight, sums);
    const bool active = of_round<Config::max_pixels, 2, Config::rounds, Config::copies>(coords, 0, round, copy) >= 0;
    with_bias<Config>(sums, active, bias, output[copy]);
  }
}

} // namespace sparsepix

#endif
