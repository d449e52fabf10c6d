// SPDX-License-Identifier: MIT
// Steps of a kernel that follow each other with barriers between them only where one reads
// what another writes, and work-group memory for what they share. Included after text.h.

// An array in work-group memory.
struct Buffer {
  std::string name, type;
  int64_t bytes;
  int64_t first = INT64_MAX, last = -1;  // phases that use it
  int64_t offset = 0;
};

// What all threads do without waiting for each other. Threads that only look at their own
// numbers of an array need not be named for it.
struct Phase {
  std::vector<int64_t> reads, writes;
  std::string text;
  bool is_back;  // only where forces are wanted
};

class Phases {
 public:
  std::vector<Buffer> buffers;

  int64_t buffer(const std::string &name, const std::string &type, int64_t bytes) {
    buffers.push_back({name, type, rounded_up(bytes, 16)});
    return buffers.size() - 1;
  }

  void add(const std::vector<int64_t> &reads, const std::vector<int64_t> &writes,
           const std::string &text) {
    for (const auto *list : {&reads, &writes})
      for (const int64_t i : *list) touch(i);
    phases.push_back({reads, writes, text, is_back});
  }

  // Phases from here on only run where forces are wanted.
  void start_back() { is_back = true; }

  // Give each buffer its place; returns the bytes that all need.
  int64_t place() {
    std::vector<int64_t> order;
    for (size_t i = 0; i < buffers.size(); ++i)
      if (buffers[i].last >= 0) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return buffers[a].bytes > buffers[b].bytes;
    });
    int64_t total = 0;
    for (size_t n = 0; n < order.size(); ++n) {
      Buffer &own = buffers[order[n]];
      own.offset = 0;
      for (bool is_free = false; !is_free;) {
        is_free = true;
        for (size_t k = 0; k < n; ++k) {
          const Buffer &other = buffers[order[k]];
          const bool meets = own.first <= other.last && other.first <= own.last &&
                             own.offset < other.offset + other.bytes &&
                             other.offset < own.offset + own.bytes;
          if (meets) own.offset = other.offset + other.bytes, is_free = false;
        }
      }
      total = std::max(total, own.offset + own.bytes);
    }
    return total;
  }

  // Pointers to all buffers.
  std::string declarations() const {
    std::string text;
    for (const Buffer &b : buffers)
      if (b.last >= 0)
        text += "  LOCAL_ARG " + b.type + " *const " + b.name + " = (LOCAL_ARG " + b.type +
                " *)(memory + " + std::to_string(b.offset / 8) + ");\n";
    return text;
  }

  // All phases, with barriers, and one at the end for what runs next.
  std::string all() const {
    std::string text;
    std::vector<int64_t> read, written;  // since the last barrier
    bool was_back = false;
    for (const Phase &phase : phases) {
      if (phase.is_back && !was_back) text += "    if (wants_forces) {\n";
      was_back = phase.is_back;
      if (meets(phase.reads, written) || meets(phase.writes, written) ||
          meets(phase.writes, read)) {
        text += "    SYNC_THREADS\n";
        read.clear(), written.clear();
      }
      read.insert(read.end(), phase.reads.begin(), phase.reads.end());
      written.insert(written.end(), phase.writes.begin(), phase.writes.end());
      text += phase.text;
    }
    return text + (was_back ? "    }\n" : "") + "    SYNC_THREADS\n";
  }

 private:
  std::vector<Phase> phases;
  bool is_back = false;

  void touch(int64_t i) {
    const int64_t now = phases.size();
    buffers[i].first = std::min(buffers[i].first, now);
    buffers[i].last = std::max(buffers[i].last, now);
  }

  // True if two lists have memory in common.
  bool meets(const std::vector<int64_t> &some, const std::vector<int64_t> &others) const {
    for (const int64_t i : some)
      for (const int64_t j : others) {
        const Buffer &a = buffers[i], &b = buffers[j];
        if (a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes) return true;
      }
    return false;
  }
};
