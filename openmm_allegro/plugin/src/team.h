// SPDX-License-Identifier: MIT
// Threads that wait for work between steps.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "openmm/internal/ThreadPool.h"

namespace Allegro {

class Team {
 public:
  // The calling thread is one of them, so that fewer must be woken in each step.
  explicit Team(int size) : size(size) {
    if (size > 1) pool = std::make_unique<OpenMM::ThreadPool>(size - 1);
  }

  // Calls work(0) to work(size - 1), each in a thread; what one throws is thrown here.
  void run(const std::function<void(int)> &work) {
    if (!pool) return work(0);
    std::vector<std::exception_ptr> failures(size);
    const auto part = [&](int thread) {
      try {
        work(thread);
      } catch (...) {
        failures[thread] = std::current_exception();
      }
    };
    pool->execute([&](OpenMM::ThreadPool &, int thread) { part(thread + 1); });
    part(0);
    pool->waitForThreads();
    for (const std::exception_ptr &failure : failures)
      if (failure) std::rethrow_exception(failure);
  }

  // The part of `count` that belongs to a thread: from begin to before end.
  long begin(int thread, long count) const { return count * thread / size; }
  long end(int thread, long count) const { return count * (thread + 1) / size; }

  const int size;

 private:
  std::unique_ptr<OpenMM::ThreadPool> pool;
};

}  // namespace Allegro
