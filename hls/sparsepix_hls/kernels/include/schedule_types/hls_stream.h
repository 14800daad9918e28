// Stand-in for the vendor's hls_stream.h, for the schedule: each read and each write is one of a port, in its order.
#ifndef SPARSEPIX_SCHEDULE_HLS_STREAM_H
#define SPARSEPIX_SCHEDULE_HLS_STREAM_H

namespace hls {

/// A stream between two processes, which has no schedule: it only compiles.
/// \tparam Word of the stream
template <class Word, class = void>
class stream {
public:
  void write(const Word &word) {
    held = word;
  }
  Word read() {
    return held;
  }

private:
  Word held;
};

/// A stream of beats.
/// \tparam Beat an hls::axis
template <class Beat>
class stream<Beat, decltype(void(&Beat::data))> {
public:
  void write(const Beat &beat) {
    port = beat.data.raw;
  }
  Beat read() {
    Beat beat;
    beat.data.raw = port;
    return beat;
  }

private:
  volatile decltype(Beat::data.raw) port;
};

} // namespace hls

#endif
