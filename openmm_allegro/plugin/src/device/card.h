// SPDX-License-Identifier: MIT
// A card as OpenMM has it, as the kernels' library wants it: struct allegro_gpu_device.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "../../../kernels/gpu/allegro_gpu.h"
#include "openmm/OpenMMException.h"
#include "openmm/common/ComputeArray.h"
#include "openmm/common/ComputeContext.h"
#include "platform.h"

namespace Allegro {

// What all Contexts have done so far, for tests.
struct Counts {
  std::atomic<int64_t> launches{0}, uploads{0}, downloads{0}, buffers{0};

  static Counts &get() {
    static Counts counts;
    return counts;
  }
};

// The name of an array for the kernels' library.
inline void *handle(OpenMM::ArrayInterface &array) { return &array; }

// Buffers are OpenMM's arrays, of numbers of 4 bytes; what the Platforms do not share is
// in `Programs` and `Watch` of platform.h.
class Card {
 public:
  explicit Card(OpenMM::ComputeContext &context)
      : context(context), programs(context), watch(context) {
    nothing.initialize<int>(context, 1, "allegroNothing");
  }
  Card(const Card &) = delete;

  allegro_gpu_device device() {
    allegro_gpu_device made = {};
    made.self = this;
    made.groups = programs.groups();
    made.memory = programs.memory();
    made.products = programs.products();
    made.one_space = Programs::HAS_ONE_SPACE;
    made.allocate = allocate;
    made.release = release;
    made.upload = upload;
    made.download = download;
    made.watch = start_watch;
    made.watched = end_watch;
    made.compile = compile;
    made.kernel = kernel;
    made.launch = launch;
    return made;
  }

  // Of the last function that failed.
  std::string failure;
  std::string reason() const { return failure.empty() ? "" : " (" + failure + ")"; }

 private:
  OpenMM::ComputeContext &context;
  Programs programs;
  Watch watch;
  OpenMM::ComputeArray nothing;  // stands for no buffer
  std::vector<std::unique_ptr<Programs::Kernel>> kernels;

  static Card &of(void *self) { return *static_cast<Card *>(self); }
  static OpenMM::ArrayInterface &array(void *buffer) {
    return *static_cast<OpenMM::ArrayInterface *>(buffer);
  }
  static int64_t words(int64_t bytes) { return (bytes + 3) / 4; }

  // What f returns, or `otherwise` after an exception.
  template <typename T, typename F> static T guarded(void *self, T otherwise, const F &f) {
    try {
      return f(of(self));
    } catch (const std::exception &error) {
      of(self).failure = error.what();
      return otherwise;
    }
  }

  static void *allocate(void *self, int64_t bytes) {
    return guarded<void *>(self, nullptr, [&](Card &card) {
      auto made = std::make_unique<OpenMM::ComputeArray>();
      const int64_t size = words(std::max<int64_t>(bytes, 1));
      made->initialize(card.context, size_t(size), 4, "allegro");
      ++Counts::get().buffers;
      return handle(*made.release());
    });
  }

  static void release(void *, void *buffer) {
    --Counts::get().buffers;
    delete &array(buffer);
  }

  static int64_t upload(void *self, void *buffer, const void *from, int64_t bytes) {
    return guarded<int64_t>(self, ALLEGRO_REFUSED, [&](Card &) {
      ++Counts::get().uploads;
      if (bytes) array(buffer).uploadSubArray(from, 0, int(words(bytes)), true);
      return ALLEGRO_OK;
    });
  }

  static int64_t download(void *self, void *buffer, void *to, int64_t bytes) {
    return guarded<int64_t>(self, ALLEGRO_REFUSED, [&](Card &) {
      OpenMM::ArrayInterface &whole = array(buffer);
      ++Counts::get().downloads;
      std::vector<int32_t> values(whole.getSize());
      whole.download(values.data(), true);
      std::copy_n(reinterpret_cast<const char *>(values.data()), bytes,
                  static_cast<char *>(to));
      return ALLEGRO_OK;
    });
  }

  static int64_t start_watch(void *self, void *buffer, int64_t bytes) {
    return guarded<int64_t>(self, ALLEGRO_REFUSED, [&](Card &card) {
      card.watch.start(array(buffer), size_t(bytes));
      return ALLEGRO_OK;
    });
  }

  static int64_t end_watch(void *self, void *to, int64_t bytes) {
    return guarded<int64_t>(self, ALLEGRO_REFUSED, [&](Card &card) {
      return card.watch.copy(to, size_t(bytes)) ? ALLEGRO_OK : ALLEGRO_REFUSED;
    });
  }

  static void *compile(void *self, const char *source) {
    return guarded<void *>(self, nullptr,
                           [&](Card &card) { return card.programs.compile(source); });
  }

  static void *kernel(void *self, void *compiled, const char *name, int64_t threads,
                      int64_t memory) {
    return guarded<void *>(self, nullptr, [&](Card &card) {
      card.kernels.push_back(card.programs.kernel(compiled, name, threads, memory));
      return card.kernels.back().get();
    });
  }

  static int64_t launch(void *self, void *kernel, int64_t groups, int64_t threads,
                        int64_t memory, const allegro_gpu_argument *arguments,
                        int64_t count) {
    return guarded<int64_t>(self, ALLEGRO_REFUSED, [&](Card &card) {
      ++Counts::get().launches;
      std::vector<Argument> values;
      for (int64_t i = 0; i < count; ++i) {
        const allegro_gpu_argument &one = arguments[i];
        values.push_back({one.kind, one.buffer ? &array(one.buffer) : &card.nothing,
                          int(one.integer), one.real});
      }
      static_cast<Programs::Kernel *>(kernel)->launch(groups, threads, memory, values);
      return ALLEGRO_OK;
    });
  }
};

}  // namespace Allegro
