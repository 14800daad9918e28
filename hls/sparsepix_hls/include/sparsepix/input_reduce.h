// Input reduction: from an image to the list of its active pixels.
//
// 'scan', in two levels. One flag a pixel says 'active and not listed yet', one flag a row says 'has such a
// pixel'. Each clock takes the first such row and the first such pixel in it, reads the pixel through two
// multiplexers (row, then column) and clears its flag. What is carried from one clock to the next is short:
// the row flags through one priority encoder; 'the flags of a row without its first' is ready before it is
// known which row is the first. An image takes max_pixels clocks and the depth of the multiplexers.
#ifndef SPARSEPIX_INPUT_REDUCE_H
#define SPARSEPIX_INPUT_REDUCE_H

#include "select.h"
#include "types.h"

namespace sparsepix {

/// What is compared with the threshold: the first channel, the largest channel, or the sum of all.
enum class Activity { first, any, sum };

/// Which active pixels are kept if there are too many: the first in row-major order, or the largest.
enum class Selection { raster, magnitude };

/// The number that decides whether a pixel is active.
/// \tparam Config see input_reduce
/// \tparam Image type of the image's elements
template <class Config, class Image>
inline typename Config::score_t pixel_score(const Image image[Config::channels][Config::height][Config::width], int row,
                                            int column) {
#pragma HLS INLINE
  typename Config::score_t score = image[0][row][column];
SCORE_CHANNEL:
  for (int channel = 1; channel < Config::channels; channel++) {
#pragma HLS UNROLL
    const typename Config::score_t value = image[channel][row][column];
    const typename Config::score_t larger = value > score ? value : score;
    const typename Config::score_t sum = score + value;
    score = Config::activity == Activity::any ? larger : Config::activity == Activity::sum ? sum : score;
  }
  return score;
}

/// Flags of the active pixels, one set for each row.
/// \tparam Config see input_reduce
/// \tparam Image type of the image's elements
/// \tparam Threshold type of the threshold
template <class Config, class Image, class Threshold>
inline void find_active(const Image image[Config::channels][Config::height][Config::width], const Threshold &threshold,
                        Flags<Config::width> active[Config::height]) {
#pragma HLS INLINE
ACTIVE_ROW:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
    bool above[Config::width];
#pragma HLS ARRAY_PARTITION variable = above type = complete
  ACTIVE_COLUMN:
    for (int column = 0; column < Config::width; column++) {
#pragma HLS UNROLL
      above[column] = pixel_score<Config>(image, row, column) > threshold;
    }
    active[row] = pack_flags<Config::width>(above);
  }
}

/// Keep the flags of the max_pixels largest active pixels, the earlier of equal ones.
///
/// One tournament in each row, once; then max_pixels times a tournament among the rows' winners, after
/// which the winning row looks for its next best pixel.
/// \tparam Config see input_reduce
/// \tparam Image type of the image's elements
template <class Config, class Image>
inline void keep_largest(const Image image[Config::channels][Config::height][Config::width],
                         Flags<Config::width> active[Config::height]) {
#pragma HLS INLINE
  typedef typename Config::score_t Score;
  Score scores[Config::height][Config::width];
  Flags<Config::width> kept[Config::height];
  Flags<Config::height> rows = 0; // rows with a candidate left
  Score best[Config::height];     // of each row
  Index<Config::width> best_column[Config::height];
#pragma HLS ARRAY_PARTITION variable = scores type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = kept type = complete
#pragma HLS ARRAY_PARTITION variable = best type = complete
#pragma HLS ARRAY_PARTITION variable = best_column type = complete

BEST_OF_ROW:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
  ROW_SCORE:
    for (int column = 0; column < Config::width; column++) {
#pragma HLS UNROLL
      scores[row][column] = pixel_score<Config>(image, row, column);
    }
    const Winner<Config::width, Score> winner = tournament<Config::width>(scores[row], active[row]);
    best[row] = winner.value;
    best_column[row] = winner.index;
    set_flag<Config::height>(rows, row, winner.found);
    kept[row] = 0;
  }

KEEP_PIXEL:
  for (int pixel = 0; pixel < Config::max_pixels; pixel++) {
#pragma HLS PIPELINE
    const Winner<Config::height, Score> first = tournament<Config::height>(best, rows);
    const Index<Config::width> column = best_column[first.index];

    Flags<Config::width> taken = 0;
  TAKE_COLUMN:
    for (int i = 0; i < Config::width; i++) {
#pragma HLS UNROLL
      set_flag<Config::width>(taken, i, first.found && column == i);
    }
    const Flags<Config::width> left = active[first.index] & ~taken;
    Score line[Config::width];
#pragma HLS ARRAY_PARTITION variable = line type = complete
  READ_SCORES:
    for (int i = 0; i < Config::width; i++) {
#pragma HLS UNROLL
      line[i] = scores[first.index][i];
    }
    const Winner<Config::width, Score> next = tournament<Config::width>(line, left);

  UPDATE_ROW:
    for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
      const bool here = first.found && first.index == row;
      kept[row] = here ? Flags<Config::width>(kept[row] | taken) : kept[row];
      active[row] = here ? left : active[row];
      best[row] = here ? next.value : best[row];
      best_column[row] = here ? next.index : best_column[row];
      set_flag<Config::height>(rows, row, here ? next.found : get_flag<Config::height>(rows, row));
    }
  }

RETURN_KEPT:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
    active[row] = kept[row];
  }
}

/// List the first max_pixels flagged pixels in row-major order.
/// \tparam Config see input_reduce
/// \tparam Image type of the image's elements
/// \tparam Features type of the listed values
/// \tparam Coords type of the listed coordinates
template <class Config, class Image, class Features, class Coords>
inline void scan(const Image image[Config::channels][Config::height][Config::width],
                 Flags<Config::width> active[Config::height], Features features[Config::max_pixels][Config::channels],
                 Coords coords[Config::max_pixels][2]) {
#pragma HLS INLINE
  Flags<Config::height> rows = 0;
  Features listed_features[Config::max_pixels][Config::channels];
  Coords listed_coords[Config::max_pixels][2];
#pragma HLS ARRAY_PARTITION variable = listed_features type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = listed_coords type = complete dim = 0

FLAG_ROW:
  for (int row = 0; row < Config::height; row++) {
#pragma HLS UNROLL
    set_flag<Config::height>(rows, row, any_flag<Config::width>(active[row]));
  }

LIST_PIXEL:
  for (int slot = 0; slot < Config::max_pixels; slot++) {
#pragma HLS PIPELINE II = 1
    const bool found = any_flag<Config::height>(rows);
    const Index<Config::height> row = lowest_flag<Config::height>(rows);
    const Index<Config::width> column = lowest_flag<Config::width>(active[row]);

  READ_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      Image line[Config::width];
#pragma HLS ARRAY_PARTITION variable = line type = complete
    READ_LINE:
      for (int i = 0; i < Config::width; i++) {
#pragma HLS UNROLL
        line[i] = image[channel][row][i];
      }
      listed_features[slot][channel] = found ? Features(line[column]) : Features(0);
    }
    listed_coords[slot][0] = found ? Coords(row) : Coords(-1);
    listed_coords[slot][1] = found ? Coords(column) : Coords(-1);

    Flags<Config::height> rows_left = rows;
  CLEAR_PIXEL:
    for (int i = 0; i < Config::height; i++) {
#pragma HLS UNROLL
      const bool here = found && row == i;
      const Flags<Config::width> left = clear_lowest<Config::width>(active[i]);
      active[i] = here ? left : active[i];
      set_flag<Config::height>(rows_left, i, here ? any_flag<Config::width>(left) : get_flag<Config::height>(rows, i));
    }
    rows = rows_left;
  }

  // The outputs are channels to another process: each is written once, outside the loop.
STORE_PIXEL:
  for (int slot = 0; slot < Config::max_pixels; slot++) {
#pragma HLS UNROLL
  STORE_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      features[slot][channel] = listed_features[slot][channel];
    }
    coords[slot][0] = listed_coords[slot][0];
    coords[slot][1] = listed_coords[slot][1];
  }
}

/// Image to the list of its active pixels: a pixel is active if its score is above the threshold.
///
/// Empty slots stand at the end of the list: features 0, coords (-1, -1).
///
/// \tparam Config a struct with
///   int channels, height, width: shape of the image;
///   int max_pixels: slots of the list;
///   Activity activity: what the score of a pixel is;
///   Selection selection: which pixels are kept if there are too many;
///   type score_t: holds the score of any pixel exactly
/// \tparam Image type of the image's elements
/// \tparam Threshold type of the threshold
/// \tparam Features type of the listed values; holds those of the image exactly
/// \tparam Coords signed integer type of the coordinates
template <class Config, class Image, class Threshold, class Features, class Coords>
inline void input_reduce(const Image image[Config::channels][Config::height][Config::width], const Threshold &threshold,
                         Features features[Config::max_pixels][Config::channels],
                         Coords coords[Config::max_pixels][2]) {
#pragma HLS INLINE
  static_assert(Config::channels >= 1, "an image has one channel or more");
  static_assert(Config::height >= 1 && Config::width >= 1, "an image has one pixel or more");
  static_assert(Config::max_pixels >= 1, "the list needs one slot or more");
  static_assert(Config::max_pixels <= Config::height * Config::width, "the list has more slots than there are pixels");
  static_assert(IsSigned<Coords>::value, "coordinates are signed: -1 marks an empty slot");
  Flags<Config::width> active[Config::height];
#pragma HLS ARRAY_PARTITION variable = active type = complete
  find_active<Config>(image, threshold, active);
  if (Config::selection == Selection::magnitude) {
    keep_largest<Config>(image, active);
  }
  scan<Config>(image, active, features, coords);
}

} // namespace sparsepix

#endif
