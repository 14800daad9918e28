// A stream of pixels: the active ones of an event in row-major order, then a word that ends the event.
#ifndef SPARSEPIX_PIXEL_STREAM_H
#define SPARSEPIX_PIXEL_STREAM_H

#include <hls_stream.h>

#include "select.h"
#include "sums.h"
#include "types.h"

// What is kept from event to event. In software several threads may run one firmware, each with its own.
#ifdef SPARSEPIX_SYNTHESIS
#define SPARSEPIX_KEPT static
#else
#define SPARSEPIX_KEPT static thread_local
#endif

namespace sparsepix {

/// A word of a stream of pixels.
/// \tparam Feature type of the features
/// \tparam CHANNELS of a pixel
/// \tparam HEIGHT, WIDTH shape of the image that it lies on
template <class Feature, int CHANNELS, int HEIGHT, int WIDTH>
struct Pixel {
  Feature features[CHANNELS];
  Index<HEIGHT> row;
  Index<WIDTH> column;
  bool ends; // no pixel: the event ends
};

/// Put a pixel into a stream.
/// \tparam HEIGHT, WIDTH shape of the image that it lies on
/// \tparam CHANNELS of a pixel
/// \tparam Feature type of the features
template <int HEIGHT, int WIDTH, int CHANNELS, class Feature>
inline void put_pixel(const Feature features[1][CHANNELS], const Index<HEIGHT> &row, const Index<WIDTH> &column,
                      hls::stream<Pixel<Feature, CHANNELS, HEIGHT, WIDTH>> &stream) {
#pragma HLS INLINE
  Pixel<Feature, CHANNELS, HEIGHT, WIDTH> pixel;
PUT_CHANNEL:
  for (int channel = 0; channel < CHANNELS; channel++) {
#pragma HLS UNROLL
    pixel.features[channel] = features[0][channel];
  }
  pixel.row = row;
  pixel.column = column;
  pixel.ends = false;
  stream.write(pixel);
}

/// Put the word into a stream that ends an event.
/// \tparam HEIGHT, WIDTH shape of the image that the pixels lie on
/// \tparam CHANNELS of a pixel
/// \tparam Feature type of the features
template <int HEIGHT, int WIDTH, int CHANNELS, class Feature>
inline void put_end(hls::stream<Pixel<Feature, CHANNELS, HEIGHT, WIDTH>> &stream) {
#pragma HLS INLINE
  Pixel<Feature, CHANNELS, HEIGHT, WIDTH> pixel;
END_CHANNEL:
  for (int channel = 0; channel < CHANNELS; channel++) {
#pragma HLS UNROLL
    pixel.features[channel] = 0;
  }
  pixel.row = 0;
  pixel.column = 0;
  pixel.ends = true;
  stream.write(pixel);
}

/// The features of a pixel, as the layers read them.
/// \tparam CHANNELS of a pixel
/// \tparam Word a Pixel
/// \tparam Feature type of the features
template <int CHANNELS, class Word, class Feature>
inline void features_of(const Word &pixel, Feature features[1][CHANNELS]) {
#pragma HLS INLINE
FEATURE:
  for (int channel = 0; channel < CHANNELS; channel++) {
#pragma HLS UNROLL
    features[0][channel] = pixel.features[channel];
  }
}

/// Elements at the place of a pixel in a vector: row, column, channel.
/// \tparam HEIGHT, WIDTH places of the vector
/// \tparam CHANNELS of a place
/// \tparam Element type of the elements
template <int HEIGHT, int WIDTH, int CHANNELS, class Element>
inline void put_elements(const Element elements[1][CHANNELS], const Index<HEIGHT> &row, const Index<WIDTH> &column,
                         Element vector[HEIGHT * WIDTH * CHANNELS]) {
#pragma HLS INLINE
ELEMENT_ROW:
  for (int y = 0; y < HEIGHT; y++) {
#pragma HLS UNROLL
  ELEMENT_COLUMN:
    for (int x = 0; x < WIDTH; x++) {
#pragma HLS UNROLL
      const bool here = row == y && column == x;
    ELEMENT:
      for (int channel = 0; channel < CHANNELS; channel++) {
#pragma HLS UNROLL
        const int place = (y * WIDTH + x) * CHANNELS + channel;
        vector[place] = here ? elements[0][channel] : vector[place];
      }
    }
  }
}

} // namespace sparsepix

#endif
