// Each pixel of a stream gets the features of its cell: those of a second stream, whose pixels are cells.
//
// Both come in row-major order. Cells of the row of the pixel that is next are kept; once a cell of a later row has
// come, or their end, all that the pixel could lie in are there.
#ifndef SPARSEPIX_STREAM_UNPOOL_H
#define SPARSEPIX_STREAM_UNPOOL_H

#include "pixel_stream.h"
#include "types.h"

namespace sparsepix {

/// The cells of the pixels of a stream.
///
/// \tparam Config a struct with
///   int channels: of a cell;
///   int height, width: shape of the image;
///   int cell_height, cell_width: shape of a cell;
///   int grid_height, grid_width: cells
/// \tparam Feature type of the features of a cell
/// \tparam Fine type of a word of the stream of pixels
template <class Config, class Feature, class Fine>
struct StreamUnpool {
  typedef Pixel<Feature, Config::channels, Config::grid_height, Config::grid_width> Cell;
  typedef Index<Config::height> Line;
  typedef Index<Config::width> Place;

  Feature kept[Config::grid_width][Config::channels]; // a row of cells
  Flags<Config::grid_width> some;                     // of them, those that have come
  Index<Config::grid_height> kept_row;
  Cell cell;
  Fine pixel;
  bool has_cell, has_pixel, ended;

  StreamUnpool() {
#pragma HLS ARRAY_PARTITION variable = kept type = complete dim = 2
  }

  /// Begin an event.
  void begin_event() {
#pragma HLS INLINE
    some = 0;
    kept_row = 0;
    has_cell = false;
    has_pixel = false;
    ended = false;
  }

  /// Keep a cell, or find that of a pixel if it is known.
  /// \param result its features; 0 where it has none
  /// \return whether there is a pixel
  bool step(hls::stream<Cell> &cells, hls::stream<Fine> &pixels, Feature result[1][Config::channels], Line &row,
            Place &column) {
#pragma HLS INLINE
    if (!has_cell) {
      cell = cells.read();
    }
    if (!has_pixel) {
      pixel = pixels.read();
    }
    const int line = int(pixel.row) / Config::cell_height;
    const int place = int(pixel.column) / Config::cell_width;
    const bool known = cell.ends || (!pixel.ends && int(cell.row) > line);
    const bool same_row = kept_row == cell.row;
    const bool inside = place < Config::grid_width;
    const int at = inside ? place : 0;
    const bool found = inside && int(kept_row) == line && get_flag<Config::grid_width>(some, at);
    row = pixel.row;
    column = pixel.column;
  FIND_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      result[0][channel] = found ? kept[at][channel] : Feature(0);
    }
    if (!known) {
      some = same_row ? some : Flags<Config::grid_width>(0);
      set_flag<Config::grid_width>(some, int(cell.column), true);
      kept_row = cell.row;
    KEEP_CHANNEL:
      for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
        kept[cell.column][channel] = cell.features[channel];
      }
    }
    has_cell = known;
    has_pixel = !known;
    ended = known && pixel.ends;
    return known && !pixel.ends;
  }

  /// Whether the event is over: no pixel will come.
  bool over() const {
#pragma HLS INLINE
    return ended;
  }
};

/// The features of a cell, as those of a pixel.
/// \tparam Config see StreamUnpool
/// \tparam Feature type of the features of a cell
/// \tparam Output type of the output features; holds those of a cell and 0 exactly
template <class Config, class Feature, class Output>
inline void features_of_cell(const Feature merged[1][Config::channels], Output output[1][Config::channels]) {
#pragma HLS INLINE
FEATURES_OF_CELL:
  for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
    output[0][channel] = merged[0][channel];
  }
}

} // namespace sparsepix

#endif
