// Flatten and the dense layer after it in one, with looked-up weights.
#ifndef SPARSEPIX_SPARSE_FLATTEN_DENSE_H
#define SPARSEPIX_SPARSE_FLATTEN_DENSE_H

#include "rounds.h"
#include "select.h"
#include "sums.h"
#include "types.h"

namespace sparsepix {

/// The weight of a cell, selected from constants.
/// \tparam CELLS, CHANNELS, OUTPUTS shape of the weights
/// \tparam Weight type of the weights
template <int CELLS, int CHANNELS, int OUTPUTS, class Weight>
inline Weight cell_weight(const Weight weight[CELLS][CHANNELS][OUTPUTS], const Index<CELLS> &cell, int channel,
                          int output) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
  const int i = cell;
  return weight[i][channel][output];
}

/// What some slots add to the outputs: features times the weights of their cells.
/// \tparam Config see sparse_flatten_dense
/// \tparam Features type of the features
/// \tparam Coords signed integer type of the coordinates
/// \tparam Weight type of the weights
/// \tparam Output type of the sums; holds those of any input exactly
template <class Config, class Features, class Coords, class Weight, class Output>
inline void looked_up(const Features feature[Config::parallel][Config::channels],
                      const Coords place[Config::parallel][2],
                      const Weight weight[Config::height * Config::width][Config::channels][Config::out_features],
                      Output added[Config::out_features]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
  constexpr int CELLS = Config::height * Config::width;
  Index<CELLS> cell[Config::parallel];
#pragma HLS ARRAY_PARTITION variable = cell type = complete
LOOK_UP_SLOT:
  for (int lane = 0; lane < Config::parallel; lane++) {
#pragma HLS UNROLL
    const Coords row = place[lane][0];
    const Index<CELLS> column = place[lane][1];
    const Index<CELLS> position = Index<CELLS>(row) * Index<CELLS>(Config::width) + column;
    cell[lane] = row >= 0 ? position : Index<CELLS>(0);
  }
LOOK_UP_OUTPUT:
  for (int o = 0; o < Config::out_features; o++) {
#pragma HLS UNROLL
    Terms<Config::parallel * Config::channels, Output> terms;
  LOOK_UP:
    for (int lane = 0; lane < Config::parallel; lane++) {
#pragma HLS UNROLL
    LOOK_UP_PRODUCT:
      for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
        const Weight looked_up =
            cell_weight<CELLS, Config::channels, Config::out_features>(weight, cell[lane], channel, o);
        terms.set(lane * Config::channels + channel, looked_up * feature[lane][channel]);
      }
    }
    added[o] = terms.total();
  }
}

/// sums = bias + the sum over all pixels and channels of feature * weight[cell of the pixel].
///
/// The zeros of the dense image are never written, and never multiplied. An empty slot looks at the first cell
/// and adds 0, which its features are. The sums are carried from round to round.
///
/// \tparam Config a struct with
///   int max_pixels: slots of the list;
///   int channels, out_features;
///   int height, width: shape of the grid;
///   int reuse_factor, parallel: see rounds.h; an item is a slot
/// \tparam Features type of the features
/// \tparam Coords signed integer type of the coordinates
/// \tparam Weight type of the weights
/// \tparam Bias type of the biases
/// \tparam Output type of the sums; holds those of any input exactly
template <class Config, class Features, class Coords, class Weight, class Bias, class Output>
inline void
sparse_flatten_dense(int round, const Features features[Config::max_pixels][Config::channels],
                     const Coords coords[Config::max_pixels][2],
                     const Weight weight[Config::height * Config::width][Config::channels][Config::out_features],
                     const Bias bias[Config::out_features], Output sums[Config::out_features]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = bias type = complete
  static_assert(Config::channels >= 1 && Config::out_features >= 1, "there are inputs and outputs");
  static_assert(Config::height >= 1 && Config::width >= 1, "a grid has one cell or more");
  check_rounds<Config::max_pixels, Config::reuse_factor, Config::parallel>();
  Features feature[Config::parallel][Config::channels];
  Coords place[Config::parallel][2];
#pragma HLS ARRAY_PARTITION variable = feature type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = place type = complete dim = 0
  items_of_round<Config::max_pixels, Config::channels, Config::reuse_factor, Config::parallel>(features, round,
                                                                                               feature);
  items_of_round<Config::max_pixels, 2, Config::reuse_factor, Config::parallel>(coords, round, place);
  Output added[Config::out_features];
#pragma HLS ARRAY_PARTITION variable = added type = complete
  looked_up<Config>(feature, place, weight, added);
LOOK_UP_SUM:
  for (int o = 0; o < Config::out_features; o++) {
#pragma HLS UNROLL
    const Output carried = round == 0 ? Output(bias[o]) : sums[o];
    sums[o] = carried + added[o];
  }
}

/// Add what one pixel has to sums, which begin with the bias.
/// \tparam Config see sparse_flatten_dense; with one slot
/// \tparam Features type of the features
/// \tparam Coords signed integer type of the coordinates
/// \tparam Weight type of the weights
/// \tparam Output type of the sums; holds those of any input exactly
template <class Config, class Features, class Coords, class Weight, class Output>
inline void add_looked_up(const Features feature[1][Config::channels], const Coords place[1][2],
                          const Weight weight[Config::height * Config::width][Config::channels][Config::out_features],
                          Output sums[Config::out_features]) {
#pragma HLS INLINE
  Output added[Config::out_features];
#pragma HLS ARRAY_PARTITION variable = added type = complete
  looked_up<Config>(feature, place, weight, added);
ADD_LOOKED_UP:
  for (int o = 0; o < Config::out_features; o++) {
#pragma HLS UNROLL
    sums[o] = sums[o] + added[o];
  }
}

} // namespace sparsepix

#endif
