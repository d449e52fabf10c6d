// SPDX-License-Identifier: MIT
// Steps of a kernel that follow each other with barriers between them only where one reads
// what another writes, and memory for what they share. Included after text.h.

// An array of a work-group: in its memory, or spilled to its scratch in device memory.
struct Buffer {
  std::string name, type;
  int64_t bytes;
  bool may_spill;
  bool is_spilled = false;
  int64_t uses = 0;                      // times that its numbers are read or written
  int64_t first = INT64_MAX, last = -1;  // phases that use it
  int64_t offset = 0;

  int64_t traffic() const { return uses * bytes; }
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

  int64_t buffer(const std::string &name, const std::string &type, int64_t bytes,
                 bool may_spill = false) {
    buffers.push_back({name, type, rounded_up(bytes, 16), may_spill});
    return buffers.size() - 1;
  }

  // Count more uses of a buffer than those of phases.
  void use(int64_t buffer, int64_t times) { buffers[buffer].uses += times; }

  void add(const std::vector<int64_t> &reads, const std::vector<int64_t> &writes,
           const std::string &text) {
    for (const auto *list : {&reads, &writes})
      for (const int64_t i : *list) touch(i), use(i, 1);
    phases.push_back({reads, writes, text, is_back});
  }

  // Phases from here on only run where forces are wanted.
  void start_back() { is_back = true; }

  // Give each buffer its place in work-group memory; returns the bytes that all need.
  int64_t place() { return pack(false); }

  // Spill those buffers that are used least for the memory that they free, until the others
  // need no more bytes than that; returns how many they need.
  int64_t place_within(int64_t most) {
    std::vector<int64_t> spilled;
    while (pack(false) > most) {
      const int64_t i = cheapest(most);
      if (i < 0) break;
      buffers[i].is_spilled = true;
      spilled.push_back(i);
    }
    std::stable_sort(spilled.begin(), spilled.end(), [&](int64_t a, int64_t b) {
      return buffers[a].traffic() > buffers[b].traffic();
    });
    for (const int64_t i : spilled) {  // what later ones made needless
      buffers[i].is_spilled = false;
      if (pack(false) > most) buffers[i].is_spilled = true;
    }
    spilled_bytes = pack(true);
    return pack(false);
  }

  // Bytes of scratch of a work-group, and those that a group reads and writes there.
  int64_t spilled() const { return spilled_bytes; }
  int64_t traffic() const {
    int64_t bytes = 0;
    for (const Buffer &b : buffers) bytes += b.is_spilled ? b.traffic() : 0;
    return bytes;
  }

  // Pointers to all buffers. One to device memory is one to any: see `one_space`. It is made
  // anew wherever it is used, with a `zero` that the compiler does not know, because it would
  // keep addresses in registers that there are not.
  std::string declarations() const {
    std::string text;
    if (spilled_bytes)
      text += "  LOCAL_ARG double *const spilled = (LOCAL_ARG double *)scratch + GROUP * " +
              std::to_string(spilled_bytes / 8) + ";\n";
    for (const Buffer &b : buffers) {
      if (b.last < 0) continue;
      const std::string from = std::to_string(b.offset / 8);
      text += b.is_spilled ? "#define " + b.name + " ((LOCAL_ARG " + b.type +
                                 " *)(spilled + zero + " + from + "))\n"
                           : "  LOCAL_ARG " + b.type + " *const " + b.name + " = (LOCAL_ARG " +
                                 b.type + " *)(memory + " + from + ");\n";
    }
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
  int64_t spilled_bytes = 0;

  // Places of the buffers that are in work-group memory, or of those that are not: two that
  // are used at the same time do not overlap. Returns the bytes that all need.
  int64_t pack(bool is_spilled) {
    std::vector<int64_t> order;
    for (size_t i = 0; i < buffers.size(); ++i)
      if (buffers[i].last >= 0 && buffers[i].is_spilled == is_spilled) order.push_back(i);
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

  // The buffer that frees most of what is too much, for its traffic; -1 for none.
  int64_t cheapest(int64_t most) const {
    std::vector<int64_t> taken(phases.size());
    for (const Buffer &b : buffers)
      for (int64_t n = b.first; n <= b.last && !b.is_spilled; ++n) taken[n] += b.bytes;
    // there are gaps between buffers, too
    most = std::min(most, *std::max_element(taken.begin(), taken.end()) - 1);
    int64_t best = -1;
    double largest = 0.0;
    for (size_t i = 0; i < buffers.size(); ++i) {
      const Buffer &b = buffers[i];
      if (!b.may_spill || b.is_spilled) continue;
      double freed = 0.0;
      for (int64_t n = b.first; n <= b.last; ++n)
        freed += double(std::min(b.bytes, std::max<int64_t>(taken[n] - most, 0)));
      if (freed > largest * double(b.traffic()))
        best = int64_t(i), largest = freed / double(b.traffic());
    }
    return best;
  }

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
        if (a.is_spilled == b.is_spilled && a.offset < b.offset + b.bytes &&
            b.offset < a.offset + a.bytes)
          return true;
      }
    return false;
  }
};
