// SPDX-License-Identifier: MIT
// Work shared by threads.

// Calls work(t, end(t - 1), end(t)) for t from 0 to threads - 1, each in a thread; the
// calling one does the last part, and what the system has no thread for. What one of them
// throws is thrown here.
template <typename End, typename Work>
static void share(long threads, const End &end, const Work &work) {
  std::vector<std::thread> team;
  std::vector<std::exception_ptr> failures(threads);
  team.reserve(threads);
  long begin = 0;
  for (long t = 0; t < threads; ++t) {
    const long next = end(t, begin);
    const auto part = [=, &work, &failures] {
      try {
        work(t, begin, next);
      } catch (...) {
        failures[t] = std::current_exception();
      }
    };
    begin = next;
    if (t + 1 < threads) try {
        team.emplace_back(part);
        continue;
      } catch (const std::system_error &) {
        // no more threads
      }
    part();
  }
  for (std::thread &member : team) member.join();
  for (const std::exception_ptr &failure : failures)
    if (failure) std::rethrow_exception(failure);
}

// The same for equal parts of `count`.
template <typename Work> static void share_evenly(long count, long threads, const Work &work) {
  share(threads, [=](long t, long) { return count * (t + 1) / threads; }, work);
}
