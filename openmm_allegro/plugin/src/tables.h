// SPDX-License-Identifier: MIT
// Two-body tables: made where they are needed, and shared by all engines of a process.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "allegro_plugin.h"
#include "models.h"

namespace Allegro {

class Tables {
 public:
  // Programs of all members, those with the tables that they are to have.
  static std::vector<std::shared_ptr<const Model>> complete(
      const std::shared_ptr<const Models> &models, const Kernels &kernels, int threads) {
    std::vector<std::shared_ptr<const Model>> all;
    for (const Model &member : models->members)
      all.push_back(member.intervals ? share(member, kernels, threads)
                                     : std::shared_ptr<const Model>(models, &member));
    return all;
  }

  // A model's program with its table, which lives as long as somebody has it. Equal
  // programs get the same one; its numbers do not depend on the threads.
  static std::shared_ptr<const Model> share(const Model &model, const Kernels &kernels,
                                            int threads) {
    std::shared_ptr<const Model> table = known(model, kernels, nullptr);
    // Without the lock: what fills it may wait for a thread that waits for the lock.
    return table ? table : known(model, kernels, make(model, kernels, threads));
  }

  // Fill tables by this function; NULL: by the kernels.
  static void fill_by(allegro_fill_table function) { filler() = function; }

 private:
  struct Entry {
    std::weak_ptr<const Model> made;
    decltype(&allegro_tabulate) tabulate;  // of one library, whose rounding is its own
  };

  // The table of a program that somebody has, or this one, which is then known, too.
  static std::shared_ptr<const Model> known(const Model &model, const Kernels &kernels,
                                            const std::shared_ptr<const Model> &made) {
    static std::mutex mutex;
    static std::vector<Entry> entries;
    const std::lock_guard<std::mutex> lock(mutex);
    std::vector<Entry> kept;
    std::shared_ptr<const Model> table;
    for (const Entry &entry : entries) {
      const auto held = entry.made.lock();
      if (held) kept.push_back(entry);
      if (held && entry.tabulate == kernels.tabulate && is_of(*held, model)) table = held;
    }
    if (!table && made) kept.push_back({table = made, kernels.tabulate});
    entries.swap(kept);
    return table;
  }

  static std::atomic<allegro_fill_table> &filler() {
    static std::atomic<allegro_fill_table> function{nullptr};
    return function;
  }

  static std::vector<int64_t> integers_with_table(const Model &model) {
    std::vector<int64_t> integers = model.integers;
    auto &header = *reinterpret_cast<allegro_header *>(integers.data());
    header.points = model.intervals;
    header.table = int64_t(model.weight_bytes / model.bytes_of_number());
    return integers;
  }

  static bool is_of(const Model &made, const Model &model) {
    return made.is_double == model.is_double &&
           made.integers == integers_with_table(model) &&
           equal(made.constants.data(), model.constants.data(),
                 model.constants.size() * sizeof(double)) &&
           equal(made.weights.get(), model.weights.get(), model.weight_bytes);
  }

  static bool equal(const void *first, const void *second, size_t bytes) {
    return !bytes || std::memcmp(first, second, bytes) == 0;
  }

  static std::shared_ptr<const Model> make(const Model &model, const Kernels &kernels,
                                           int threads) {
    const size_t bytes = model.table_bytes();
    auto made = std::make_shared<Model>();
    made->integers = integers_with_table(model);
    made->constants = model.constants;
    made->is_double = model.is_double;
    try {
      // Linux promises more than there is, and ends the process when it is used.
      const double memory = double(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
      if (double(bytes) > memory) throw std::bad_alloc();
      unsigned char *weights = made->reserve_weights(model.weight_bytes + bytes);
      std::copy_n(model.weights.get(), model.weight_bytes, weights);
      const allegro_fill_table fill = filler();
      const allegro_program program = model.program();
      if (fill && fill(&program, model.integers.size(), model.constants.size(),
                       model.weight_bytes / model.bytes_of_number(), model.intervals,
                       threads, weights + model.weight_bytes))
        return made;
      const Opened exact = open(kernels, model);
      if (kernels.tabulate(exact.get(), model.intervals, threads,
                           weights + model.weight_bytes) != ALLEGRO_OK)
        throw std::bad_alloc();
    } catch (const std::bad_alloc &) {
      fail("memory for a two-body table of " + std::to_string(bytes / 1000000) + " MB",
           "less; use two_body='exact'");
    }
    return made;
  }
};

}  // namespace Allegro
