// SPDX-License-Identifier: MIT
// Which operations of a work-group need a barrier between them. Included after text.h.

// Numbers that an operation reads or writes: from `begin` to before `end`. Two operations
// whose threads share them in the same way, from the same number on, meet in each number
// the same thread.
struct Touched {
  enum Sharing { ANY, ELEMENTS, TILES, CENTER };
  int64_t begin, end;
  Sharing sharing = ANY;
  int64_t start = 0;

  bool conflicts(const Touched &other) const {
    const bool has_overlap = begin < other.end && other.begin < end;
    const bool is_own = sharing != ANY && sharing == other.sharing && start == other.start;
    return has_overlap && !is_own;
  }
};

// What was touched since the last barrier.
class Barriers {
 public:
  // True if a barrier must come before an operation, which is then the first after it.
  bool needed(const std::vector<Touched> &reads, const std::vector<Touched> &writes) {
    const bool is_needed =
        meet(written, reads) || meet(written, writes) || meet(read, writes);
    if (is_needed) clear();
    read.insert(read.end(), reads.begin(), reads.end());
    written.insert(written.end(), writes.begin(), writes.end());
    return is_needed;
  }
  void clear() { read.clear(), written.clear(); }

 private:
  std::vector<Touched> read, written;

  static bool meet(const std::vector<Touched> &some, const std::vector<Touched> &others) {
    for (const Touched &one : some)
      for (const Touched &other : others)
        if (one.conflicts(other)) return true;
    return false;
  }
};
