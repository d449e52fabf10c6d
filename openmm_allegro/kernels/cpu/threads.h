// SPDX-License-Identifier: MIT
// Work shared by threads.

// Calls work(t, end(t - 1), end(t)) for t from 0 to threads - 1, each in a thread; the
// calling one does the last part, and what the system has no thread for.
template <typename End, typename Work>
static void share(long threads, const End &end, const Work &work) {
  std::vector<std::thread> team;
  team.reserve(threads);
  long begin = 0;
  for (long t = 0; t < threads; ++t) {
    const long next = end(t, begin);
    const auto part = [=, &work] { work(t, begin, next); };
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
}

// The same for equal parts of `count`.
template <typename Work> static void share_evenly(long count, long threads, const Work &work) {
  share(threads, [=](long t, long) { return count * (t + 1) / threads; }, work);
}
