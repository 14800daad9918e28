// The window around each pixel of a stream, for a convolution; with strides, around the first place of each cell.
//
// Each pixel is written to one of kernel_height x kernel_width memories, by its row and column modulo the kernel, so
// that a window reads each memory once. A window is complete when a pixel has come that lies beyond it, or the event
// has ended; until then its centre waits in a queue. What is in a memory counts if it is of the row that is looked for,
// and of this event: generations of events come again, so before that the old one is wiped away, some words in each
// event.
#ifndef SPARSEPIX_STREAM_WINDOW_H
#define SPARSEPIX_STREAM_WINDOW_H

#include "convolution.h"
#include "pixel_stream.h"
#include "types.h"

namespace sparsepix {

/// Check the parameters of a window.
///
/// \tparam Config a struct with
///   int in_channels, out_channels, groups: see check_convolution;
///   int kernel_height, kernel_width: odd;
///   int height, width: shape of the image;
///   int stride_height, stride_width: of a cell; 1 and 1: each pixel has a window;
///   int grid_height, grid_width: cells;
///   int centres: that may wait, so many that the oldest is complete if there are as many;
///   BiasOn bias_on: where the bias is added
template <class Config>
inline void check_window() {
#pragma HLS INLINE
  static_assert(Config::in_channels >= 1 && Config::out_channels >= 1, "a convolution has channels");
  static_assert(Config::groups >= 1 && Config::in_channels % Config::groups == 0, "groups share out the inputs");
  static_assert(Config::out_channels % Config::groups == 0, "groups share out the filters");
  static_assert(Config::kernel_height >= 1 && Config::kernel_height % 2 == 1, "the kernel height must be odd");
  static_assert(Config::kernel_width >= 1 && Config::kernel_width % 2 == 1, "the kernel width must be odd");
  static_assert(Config::stride_height >= 1 && Config::stride_height <= Config::kernel_height,
                "a cell is in its window");
  static_assert(Config::stride_width >= 1 && Config::stride_width <= Config::kernel_width, "a cell is in its window");
  static_assert(Config::centres >= 2, "a centre can wait");
}

/// The windows of a stream of pixels.
/// \tparam Config see check_window
/// \tparam Feature type of the features
template <class Config, class Feature>
struct StreamWindow {
  static constexpr int AREA = Config::kernel_height * Config::kernel_width;
  static constexpr int ABOVE = Config::kernel_height / 2;
  static constexpr int BEFORE = Config::kernel_width / 2;
  static constexpr int GROUPS = (Config::width + Config::kernel_width - 1) / Config::kernel_width;
  static constexpr int ROWS = 2 * Config::kernel_height; // that the memories hold
  static constexpr int WORDS = 2 * GROUPS;
  static constexpr int GENERATIONS = 64;
  static constexpr int SWEEP = (WORDS + GENERATIONS / 2 - 1) / (GENERATIONS / 2); // words wiped in an event
  typedef Pixel<Feature, Config::in_channels, Config::height, Config::width> Word;
  typedef Index<Config::grid_height> Line;
  typedef Index<Config::grid_width> Place;
  typedef UInt<index_bits(2 * Config::height + 2 * ROWS)> Down; // of sums of rows

  struct Tag {
    bool written;
    Index<GENERATIONS> generation;
    Index<Config::height> row;
  };

  // Kept from event to event.
  Feature features[AREA][WORDS][Config::in_channels];
  Tag tags[AREA][WORDS] = {};
  Index<GENERATIONS> generation = 0;
  Index<WORDS> swept = 0;

  // Of this event.
  Line lines[Config::centres]; // centres that wait
  Place places[Config::centres];
  Index<Config::centres> oldest, next;
  UInt<index_bits(Config::centres + 1)> waiting;
  Word held, last; // the pixel that waits to come in, and the newest that has
  bool holds, begun, ended;
  Flags<Config::grid_width> some, given; // with strides: cells of this row that have a pixel; of the one that joins
  Line line, given_line;

  StreamWindow() {
#pragma HLS ARRAY_PARTITION variable = features type = complete dim = 1
#pragma HLS ARRAY_PARTITION variable = features type = complete dim = 3
#pragma HLS ARRAY_PARTITION variable = tags type = complete dim = 1
  }

  /// Begin an event.
  void begin_event() {
#pragma HLS INLINE
    oldest = 0;
    next = 0;
    waiting = 0;
    holds = false;
    begun = false;
    ended = false;
    some = 0;
    given = 0;
  }

  /// Let a pixel in if there is one and there is room, and find the oldest window if it is complete.
  /// \param window features around the centre, 0 where no pixel is active
  /// \return whether there is a window
  bool step(hls::stream<Word> &stream, Feature window[AREA][Config::in_channels], Line &centre_line,
            Place &centre_place) {
#pragma HLS INLINE
    check_window<Config>();
    constexpr int BELOW = Config::kernel_height - 1 - ABOVE;
    constexpr int AFTER = Config::kernel_width - 1 - BEFORE;
    constexpr bool STRIDES = Config::stride_height > 1 || Config::stride_width > 1;
    if (!holds && !ended) {
      held = stream.read();
      holds = true;
    }
    const bool comes = holds && !ended;

    // The oldest window: its event has ended, or a pixel beyond it has come or waits to come in.
    const bool there = waiting > 0;
    centre_line = lines[oldest];
    centre_place = places[oldest];
    const Down row = int(centre_line) * Config::stride_height;
    const int column = int(centre_place) * Config::stride_width;
    const bool by_last = begun && (Down(last.row) > row + BELOW ||
                                   (Down(last.row) == row + BELOW && int(last.column) >= column + AFTER));
    const bool by_next = comes && (held.ends || Down(held.row) > row + BELOW);
    const bool found = there && (ended || by_last || by_next);

    // A row may be written over what lies in its place if no window that waits needs that.
    const bool filled = STRIDES && any_flag<Config::grid_width>(some);
    const bool done = STRIDES && comes && filled && (held.ends || int(held.row) / Config::stride_height != line);
    const bool giving = STRIDES && any_flag<Config::grid_width>(given);
    const Line later = giving ? given_line : line;
    const Down later_row = STRIDES ? Down(int(later) * Config::stride_height) : Down(held.row);
    const Down first = there ? row : later_row;
    const bool needed = there || giving || filled;
    const bool room = !begun || held.ends || !needed || first + Down(BELOW + Config::kernel_height) >= Down(held.row);
    // The pixel that shows that a row of cells is done with need not come in for it.
    const bool turns = done && !giving;
    const bool takes = comes && room && (STRIDES ? !(done && giving) : waiting < Config::centres);

    read(row, column, window);

    // Centres join.
    bool joins = STRIDES ? giving && waiting < Config::centres : takes && !held.ends;
    const Flags<Config::grid_width> lowest = lowest_only<Config::grid_width>(given);
    if (joins) {
      lines[next] = STRIDES ? given_line : Line(held.row);
      places[next] = STRIDES ? Place(flag_position<Config::grid_width>(lowest)) : Place(held.column);
      next = next == Config::centres - 1 ? 0 : int(next) + 1;
    }
    if (found) {
      oldest = oldest == Config::centres - 1 ? 0 : int(oldest) + 1;
    }
    waiting = int(waiting) + (joins ? 1 : 0) - (found ? 1 : 0);
    if (STRIDES && joins) {
      given = given & ~lowest;
    }
    if (turns) {
      given = some;
      given_line = line;
      some = 0;
    }
    if (takes) {
      take();
    }
    return found;
  }

  /// Whether the event is over: no window will come.
  bool over() const {
#pragma HLS INLINE
    return ended && waiting == 0 && !any_flag<Config::grid_width>(given);
  }

  /// Wipe the next word of each memory: SWEEP times at the end of an event.
  void wipe() {
#pragma HLS INLINE
  WIPE_BANK:
    for (int bank = 0; bank < AREA; bank++) {
#pragma HLS UNROLL
      tags[bank][swept].written = false;
    }
    swept = swept == WORDS - 1 ? 0 : int(swept) + 1;
  }

  /// End an event.
  void end_event() {
#pragma HLS INLINE
    generation = generation == GENERATIONS - 1 ? 0 : int(generation) + 1;
  }

private:
  /// The pixel that is held comes in.
  void take() {
#pragma HLS INLINE
    holds = false;
    ended = held.ends;
    if (held.ends) {
      return;
    }
    last = held;
    begun = true;
    line = int(held.row) / Config::stride_height;
    set_flag<Config::grid_width>(some, int(held.column) / Config::stride_width, true);
    const int slot = int(held.row) % ROWS;
    const int word = (slot < Config::kernel_height ? 0 : GROUPS) + int(held.column) / Config::kernel_width;
    const int bank = slot % Config::kernel_height * Config::kernel_width + int(held.column) % Config::kernel_width;
  TAKE_BANK:
    for (int b = 0; b < AREA; b++) {
#pragma HLS UNROLL
      if (b == bank) {
        tags[b][word].written = true;
        tags[b][word].generation = generation;
        tags[b][word].row = held.row;
      TAKE_CHANNEL:
        for (int channel = 0; channel < Config::in_channels; channel++) {
#pragma HLS UNROLL
          features[b][word][channel] = held.features[channel];
        }
      }
    }
  }

  /// The window around a place.
  void read(const Down &row, int column, Feature window[AREA][Config::in_channels]) const {
#pragma HLS INLINE
  READ_ROW:
    for (int i = 0; i < Config::kernel_height; i++) {
#pragma HLS UNROLL
    READ_COLUMN:
      for (int j = 0; j < Config::kernel_width; j++) {
#pragma HLS UNROLL
        const int y = int(row) + i - ABOVE;
        const int x = column + j - BEFORE;
        const bool inside = y >= 0 && y < Config::height && x >= 0 && x < Config::width;
        const int slot = inside ? y % ROWS : 0;
        const int word = inside ? (slot < Config::kernel_height ? 0 : GROUPS) + x / Config::kernel_width : 0;
        const int bank = inside ? slot % Config::kernel_height * Config::kernel_width + x % Config::kernel_width : 0;
        const Tag tag = tags[bank][word];
        const bool counts = inside && tag.written && tag.generation == generation && tag.row == y;
      READ_CHANNEL:
        for (int channel = 0; channel < Config::in_channels; channel++) {
#pragma HLS UNROLL
          window[i * Config::kernel_width + j][channel] = counts ? features[bank][word][channel] : Feature(0);
        }
      }
    }
  }
};

/// A convolution at one pixel, by its window.
/// \tparam Config see check_window
/// \tparam Feature type of the features
/// \tparam Weight type of the weights
/// \tparam Bias type of the biases
/// \tparam Output type of the output features; see convolve
template <class Config, class Feature, class Weight, class Bias, class Output>
inline void convolve_window(const Feature window[kernel_area<Config>()][Config::in_channels],
                            const Weight weight[kernel_area<Config>()][group_channels<Config>()][Config::out_channels],
                            const Bias bias[Config::out_channels], Output output[1][Config::out_channels]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = weight type = complete dim = 0
#pragma HLS ARRAY_PARTITION variable = bias type = complete
  constexpr int GROUP = group_channels<Config>();
  Output sums[Config::out_channels];
#pragma HLS ARRAY_PARTITION variable = sums type = complete
WINDOW_FILTER:
  for (int filter = 0; filter < Config::out_channels; filter++) {
#pragma HLS UNROLL
    Terms<kernel_area<Config>() * GROUP, Output> terms;
  WINDOW_POSITION:
    for (int position = 0; position < kernel_area<Config>(); position++) {
#pragma HLS UNROLL
    WINDOW_CHANNEL:
      for (int channel = 0; channel < GROUP; channel++) {
#pragma HLS UNROLL
        const int input = first_channel<Config>(filter) + channel;
        terms.set(position * GROUP + channel, weight[position][channel][filter] * window[position][input]);
      }
    }
    sums[filter] = terms.total();
  }
  with_bias<Config>(sums, true, bias, output[0]);
}

} // namespace sparsepix

#endif
