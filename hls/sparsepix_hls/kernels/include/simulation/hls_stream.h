// Stand-in for the vendor's hls_stream.h, for simulation with g++: a first-in first-out queue.
#ifndef SPARSEPIX_SIMULATION_HLS_STREAM_H
#define SPARSEPIX_SIMULATION_HLS_STREAM_H

#include <cstdio>
#include <cstdlib>
#include <deque>

namespace hls {

/// A stream; depth is not limited. To read an empty one is an error: hardware would wait for ever.
/// \tparam Element what it carries
template <class Element>
class stream {
public:
  stream() {
  }
  explicit stream(const char *) {
  }
  stream(const stream &) = delete;
  stream &operator=(const stream &) = delete;

  bool empty() const {
    return elements.empty();
  }
  unsigned size() const {
    return unsigned(elements.size());
  }
  void write(const Element &element) {
    elements.push_back(element);
  }
  Element read() {
    if (elements.empty()) {
      std::fprintf(stderr, "hls::stream: read from an empty stream: the block wants more beats than were sent\n");
      std::abort();
    }
    const Element element = elements.front();
    elements.pop_front();
    return element;
  }

private:
  std::deque<Element> elements;
};

} // namespace hls

#endif
