// Runs a batch of events for software: in one thread or several, on stacks that are large enough. Not part of the
// firmware.
#ifndef SPARSEPIX_SIMULATION_EVENTS_H
#define SPARSEPIX_SIMULATION_EVENTS_H

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace sparsepix {
namespace simulation {

/// How a batch ended; known to sparsepix_hls/library.py.
enum Status { DONE = 0, REFUSED_EVENT = 1, NO_MEMORY = 2 };

// Kernels keep their arrays on the stack: together some times as much as the model's own arrays, which tests measure.
constexpr std::size_t STACK_FACTOR = 16;
constexpr std::size_t STACK_REST = 64 * 1024; // what else a call takes
// Every thread has that much, whoever started it.
constexpr std::size_t ANY_STACK = 512 * 1024;

/// Events that threads share: each takes the next few, until none is left.
/// \tparam Arrays of one event; each thread has its own, on the heap
/// \tparam Run bool (Arrays &, long long event), false to end the batch
template <class Arrays, class Run>
class Batch {
public:
  Batch(long long count, int threads, const Run &function)
      : events(count), block(1), next(0), status(DONE), run(function) {
    const long long shares = 8LL * threads; // some for each, so that a slow thread leaves the rest to the others
    block = events / shares < 1 ? 1 : events / shares > 64 ? 64 : events / shares;
  }

  void work() {
    try {
      const std::unique_ptr<Arrays> arrays(new Arrays());
      while (status == DONE) {
        const long long first = next.fetch_add(block);
        for (long long event = first; event < first + block && event < events; event++) {
          if (!run(*arrays, event)) {
            status = REFUSED_EVENT;
            return;
          }
        }
        if (first + block >= events) {
          return;
        }
      }
    } catch (...) { // nothing but memory can run out; no exception may leave a thread
      status = NO_MEMORY;
    }
  }

  static void *start(void *batch) {
    static_cast<Batch *>(batch)->work();
    return nullptr;
  }

  int result() const {
    return status;
  }

private:
  const long long events;
  long long block;
  std::atomic<long long> next;
  std::atomic<int> status;
  const Run &run;
};

/// Run a function on each event of a batch; it keeps no state, so any number of batches may run at once.
/// \tparam Arrays of one event
/// \param array_bytes size of all arrays of the model
/// \param threads how many work at once, at most: a system that gives fewer only takes longer
/// \return a Status
template <class Arrays, class Run>
int run_events(long long events, int threads, std::size_t array_bytes, const Run &run) {
  if (events < 1) {
    return DONE;
  }
  const std::size_t stack = STACK_FACTOR * array_bytes + STACK_REST;
  const bool here = stack <= ANY_STACK; // the caller's thread is one of them
  Batch<Arrays, Run> batch(events, threads, run);
  std::vector<pthread_t> started;
  try {
    started.reserve(std::size_t(threads));
  } catch (...) {
    return NO_MEMORY;
  }
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) {
    return NO_MEMORY;
  }
  if (pthread_attr_setstacksize(&attributes, stack < ANY_STACK ? ANY_STACK : (stack / 4096 + 1) * 4096) == 0) {
    for (int i = here; i < threads; i++) {
      pthread_t thread;
      if (pthread_create(&thread, &attributes, Batch<Arrays, Run>::start, &batch) != 0) {
        break;
      }
      started.push_back(thread);
    }
  }
  pthread_attr_destroy(&attributes);
  if (here) {
    batch.work();
  }
  for (pthread_t thread : started) {
    pthread_join(thread, nullptr);
  }
  return here || !started.empty() ? batch.result() : int(NO_MEMORY);
}

} // namespace simulation
} // namespace sparsepix

#endif
