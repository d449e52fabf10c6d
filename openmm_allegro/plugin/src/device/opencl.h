// SPDX-License-Identifier: MIT
// OpenCL through OpenMM's own classes alone: OpenCL's headers are not needed.
#pragma once

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "openmm/common/ComputeContext.h"
#include "openmm/opencl/OpenCLPlatform.h"

namespace Allegro {

constexpr char PLATFORM[] = "OpenCL";

// OpenCLContext, whose header needs OpenCL's, has no other base, so both begin alike.
inline OpenMM::ComputeContext &first_context(void *data) {
  return *reinterpret_cast<OpenMM::ComputeContext *>(
      static_cast<OpenMM::OpenCLPlatform::PlatformData *>(data)->contexts[0]);
}

class Programs {
 public:
  class Kernel {
   public:
    explicit Kernel(OpenMM::ComputeKernel kernel) : kernel(std::move(kernel)) {}

    // OpenMM runs as many groups as the device has room for, or fewer.
    void launch(int64_t groups, int64_t threads, int64_t,
                const std::vector<Argument> &arguments) {
      for (; declared < arguments.size(); ++declared) kernel->addArg();
      for (int i = 0; i < int(arguments.size()); ++i) {
        const Argument &value = arguments[i];
        switch (value.kind) {
          case ALLEGRO_GPU_BUFFER: kernel->setArg(i, *value.buffer); break;
          case ALLEGRO_GPU_INT: kernel->setArg(i, value.integer); break;
          default: kernel->setArg(i, value.real);
        }
      }
      kernel->execute(int(groups * threads), int(threads));
    }

   private:
    OpenMM::ComputeKernel kernel;
    size_t declared = 0;
  };

  // OpenCL 1.2 has no pointers to any memory.
  static constexpr bool HAS_ONE_SPACE = false;

  explicit Programs(OpenMM::ComputeContext &context) : context(context) {}

  int64_t groups() const { return context.getNumThreadBlocks(); }

  // OpenMM tells half of it, when it is asked for threads of one byte each.
  int64_t memory() const { return 2 * context.computeThreadBlockSize(1.0); }

  int64_t products() const { return ALLEGRO_GPU_FMA; }

  void *compile(const char *source) {
    compiled.push_back(
        std::make_unique<OpenMM::ComputeProgram>(context.compileProgram(source)));
    return compiled.back().get();
  }

  std::unique_ptr<Kernel> kernel(void *program, const char *name, int64_t, int64_t) {
    auto &one = *static_cast<OpenMM::ComputeProgram *>(program);
    return std::make_unique<Kernel>(one->createKernel(name));
  }

 private:
  OpenMM::ComputeContext &context;
  std::vector<std::unique_ptr<OpenMM::ComputeProgram>> compiled;
};

// Reads without waiting: of two copies on their way, the older has ended long since.
class Watch {
 public:
  explicit Watch(OpenMM::ComputeContext &context) {
    for (auto &copy : copies) copy.event = context.createEvent();
  }

  void start(OpenMM::ArrayInterface &from, size_t bytes) {
    Copy &copy = copies[number++ % copies.size()];
    copy.values.resize(std::max(copy.values.size(), from.getSize()));
    from.download(copy.values.data(), false);
    copy.event->enqueue();
    copy.bytes = bytes;
  }

  bool copy(void *to, size_t bytes) {
    if (number < int64_t(copies.size())) return false;
    Copy &oldest = copies[number % copies.size()];
    if (!oldest.bytes) return false;
    oldest.event->wait();
    std::memcpy(to, oldest.values.data(), bytes);
    oldest.bytes = 0;
    return true;
  }

  ~Watch() {
    for (Copy &copy : copies)
      if (copy.bytes) copy.event->wait();
  }

 private:
  struct Copy {
    OpenMM::ComputeEvent event;
    std::vector<int32_t> values;
    size_t bytes = 0;
  };
  std::array<Copy, 2> copies;
  int64_t number = 0;
};

}  // namespace Allegro
