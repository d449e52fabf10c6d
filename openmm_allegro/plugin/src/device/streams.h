// SPDX-License-Identifier: MIT
// CUDA and HIP: kernels with more work-group memory than OpenMM's ComputeKernel has, and
// copies that the program does not wait for.
#pragma once

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "openmm/common/ComputeContext.h"

namespace Allegro {

inline OpenMM::ComputeContext &first_context(void *data) {
  return *static_cast<Api::Data *>(data)->contexts[0];
}

inline Api::Context &native(OpenMM::ComputeContext &context) {
  return static_cast<Api::Context &>(context);
}

class Programs {
 public:
  class Kernel {
   public:
    Kernel(Api::Context &context, Api::Function function)
        : context(context), function(function) {}

    void launch(int64_t groups, int64_t threads, int64_t memory,
                const std::vector<Argument> &arguments) {
      std::vector<void *> addresses;
      for (const Argument &value : arguments) {
        const void *address = &value.real;
        if (value.kind == ALLEGRO_GPU_BUFFER)
          address = &context.unwrap(*value.buffer).getDevicePointer();
        if (value.kind == ALLEGRO_GPU_INT) address = &value.integer;
        addresses.push_back(const_cast<void *>(address));
      }
      Api::launch(context, function, unsigned(groups), unsigned(threads), unsigned(memory),
                  addresses.data());
    }

   private:
    Api::Context &context;
    const Api::Function function;
  };

  // Of addresses, for work-group and device memory.
  static constexpr bool HAS_ONE_SPACE = true;

  explicit Programs(OpenMM::ComputeContext &context) : context(native(context)) {}

  int64_t groups() const { return Api::multiprocessors(context); }
  int64_t memory() const { return Api::memory(context); }
  int64_t products() const {
    return Api::has_fast_tensor_cores(context) ? ALLEGRO_GPU_TF32X3 : ALLEGRO_GPU_FMA;
  }

  void *compile(const char *source) {
    modules.push_back(std::make_unique<Api::Module>(Api::compile(context, source)));
    return modules.back().get();
  }

  std::unique_ptr<Kernel> kernel(void *module, const char *name, int64_t, int64_t memory) {
    auto &one = *static_cast<Api::Module *>(module);
    const Api::Function found = context.getKernel(one, name);
    Api::allow_memory(found, int(memory));
    return std::make_unique<Kernel>(context, found);
  }

 private:
  Api::Context &context;
  std::vector<std::unique_ptr<Api::Module>> modules;  // which OpenMM unloads
};

// Several copies on their way, each into memory that the card writes by itself.
class Watch {
 public:
  explicit Watch(OpenMM::ComputeContext &context) : context(native(context)) {
    for (Copy &copy : copies) copy.event = Api::make_event();
    memory = static_cast<char *>(Api::pinned(copies.size() * ROOM));
  }

  void start(OpenMM::ArrayInterface &from, size_t bytes) {
    Copy &copy = copies[number++ % copies.size()];
    if (copy.is_pending) Api::wait(copy.event);
    Api::read(context, memory_of(copy), context.unwrap(from), bytes);
    Api::record(context, copy.event);
    copy.is_pending = true;
  }

  // The newest that has ended; those before it are of no use then.
  bool copy(void *to, size_t bytes) {
    for (size_t back = 1; back <= copies.size() && back <= number; ++back) {
      Copy &copy = copies[(number - back) % copies.size()];
      if (!copy.is_pending || !Api::has_ended(copy.event)) continue;
      std::memcpy(to, memory_of(copy), bytes);
      for (; back <= copies.size() && back <= number; ++back)
        copies[(number - back) % copies.size()].is_pending = false;
      return true;
    }
    return false;
  }

  ~Watch() {
    for (Copy &copy : copies) {
      if (copy.is_pending) Api::wait(copy.event);
      Api::destroy_event(copy.event);
    }
    Api::free_pinned(memory);
  }

 private:
  static constexpr size_t ROOM = 256;
  struct Copy {
    Api::Event event;
    bool is_pending = false;
  };
  Api::Context &context;
  std::array<Copy, 8> copies;
  char *memory = nullptr;
  size_t number = 0;

  char *memory_of(const Copy &copy) { return memory + ROOM * (&copy - copies.data()); }
};

}  // namespace Allegro
