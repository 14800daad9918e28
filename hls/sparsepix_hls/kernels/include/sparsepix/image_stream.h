// AXI4-Stream ports: an image as beats of some pixels in row-major order, a result as one beat.
//
// Pixel k, channel c of a beat is at bit (k * channels + c) * width of TDATA; element i of a result at bit
// i * width. TLAST of the input is not read: the number of beats tells where an image ends.
#ifndef SPARSEPIX_IMAGE_STREAM_H
#define SPARSEPIX_IMAGE_STREAM_H

#include <ap_axi_sdata.h>
#include <hls_stream.h>

#include "reduce_stream.h"
#include "types.h"

namespace sparsepix {

/// The next beat of an image.
/// \tparam Config see check_reduction
/// \tparam Beat an hls::axis
/// \tparam Image type of the image's elements
template <class Config, class Beat, class Image>
inline void receive_beat(hls::stream<Beat> &stream, Image pixels[Config::pixels_per_cycle][Config::channels]) {
#pragma HLS INLINE
  constexpr int BITS = decltype(Beat::data)::width;
  static_assert(Config::pixels_per_cycle * Config::channels * Image::width <= BITS, "a beat holds its pixels");
  const Beat beat = stream.read();
#ifdef SPARSEPIX_NATIVE
  native::unpack<Config::pixels_per_cycle * Config::channels>(beat.data, &pixels[0][0]);
#else
RECEIVE_LANE:
  for (int lane = 0; lane < Config::pixels_per_cycle; lane++) {
#pragma HLS UNROLL
  RECEIVE_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      pixels[lane][channel] = read_bits<Image, BITS>(beat.data, (lane * Config::channels + channel) * Image::width);
    }
  }
#endif
}

/// Put a beat into its place in the image.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
template <class Config, class Image>
inline void store_beat(int beat, const Image pixels[Config::pixels_per_cycle][Config::channels],
                       Image image[Config::channels * Config::height * Config::width]) {
#pragma HLS INLINE
  constexpr int LANES = Config::pixels_per_cycle;
  constexpr int SIZE = Config::height * Config::width;
#ifdef SPARSEPIX_SYNTHESIS
STORE_PIXEL:
  for (int i = 0; i < SIZE; i++) {
#pragma HLS UNROLL
  STORE_CHANNEL:
    for (int channel = 0; channel < Config::channels; channel++) {
#pragma HLS UNROLL
      if (i / LANES == beat) {
        image[channel * SIZE + i] = pixels[i % LANES][channel];
      }
    }
  }
#else
  for (int i = beat * LANES; i < (beat + 1) * LANES && i < SIZE; i++) {
    for (int channel = 0; channel < Config::channels; channel++) {
      image[channel * SIZE + i] = pixels[i % LANES][channel];
    }
  }
#endif
}

/// Send a result.
/// \tparam SIZE number of elements
/// \tparam Number type of the elements
/// \tparam Beat an hls::axis
template <int SIZE, class Number, class Beat>
inline void send(const Number values[SIZE], hls::stream<Beat> &stream) {
#pragma HLS INLINE
  constexpr int BITS = decltype(Beat::data)::width;
  static_assert(SIZE * Number::width <= BITS, "a beat holds the result");
  Beat beat;
  beat.data = 0;
SEND:
  for (int i = 0; i < SIZE; i++) {
#pragma HLS UNROLL
    write_bits<BITS>(beat.data, i * Number::width, values[i]);
  }
  beat.keep = -1;
  beat.strb = -1;
  beat.last = true;
  stream.write(beat);
}

/// Send a result of two dimensions, row by row in one beat.
/// \tparam ROWS, COLUMNS its shape
/// \tparam Number type of the elements
/// \tparam Beat an hls::axis
template <int ROWS, int COLUMNS, class Number, class Beat>
inline void send(const Number values[ROWS][COLUMNS], hls::stream<Beat> &stream) {
#pragma HLS INLINE
  Number flat[ROWS * COLUMNS];
#pragma HLS ARRAY_PARTITION variable = flat type = complete
SEND_ELEMENT:
  for (int i = 0; i < ROWS * COLUMNS; i++) {
#pragma HLS UNROLL
    flat[i] = values[i / COLUMNS][i % COLUMNS];
  }
  send<ROWS * COLUMNS>(flat, stream);
}

#ifndef __SYNTHESIS__

/// All beats of an image, for simulation.
/// \tparam Config see check_reduction
/// \tparam Image type of the image's elements
/// \tparam Beat an hls::axis
template <class Config, class Image, class Beat>
void write_image(const Image image[Config::channels * Config::height * Config::width], hls::stream<Beat> &stream) {
  constexpr int BITS = decltype(Beat::data)::width;
  for (int i = 0; i < beat_count<Config>(); i++) {
    Image pixels[Config::pixels_per_cycle][Config::channels];
    Beat beat;
    beat.data = 0;
    read_beat<Config>(i, image, pixels);
    for (int lane = 0; lane < Config::pixels_per_cycle; lane++) {
      for (int channel = 0; channel < Config::channels; channel++) {
        const int position = (lane * Config::channels + channel) * Image::width;
        if (pixels[lane][channel] != 0) { // most are 0, and so is the beat
          write_bits<BITS>(beat.data, position, pixels[lane][channel]);
        }
      }
    }
    beat.keep = -1;
    beat.strb = -1;
    beat.last = i == beat_count<Config>() - 1;
    stream.write(beat);
  }
}

/// A result, for simulation.
/// \tparam SIZE number of elements
/// \tparam Beat an hls::axis
/// \tparam Number type of the elements
template <int SIZE, class Beat, class Number>
void read_result(hls::stream<Beat> &stream, Number *values) {
  constexpr int BITS = decltype(Beat::data)::width;
  const Beat beat = stream.read();
  for (int i = 0; i < SIZE; i++) {
    values[i] = read_bits<Number, BITS>(beat.data, i * Number::width);
  }
}

#endif

} // namespace sparsepix

#endif
