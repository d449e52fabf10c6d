// SPDX-License-Identifier: MIT
// The library of one Platform: what OpenMM calls when it loads it.

#include "common_kernel.h"
#include "openmm/KernelFactory.h"

// The library of the kernels is a part of this one, whose device it runs on.
#include "../../../kernels/gpu/allegro_gpu.cpp"

namespace {

class Factory : public OpenMM::KernelFactory {
 public:
  OpenMM::KernelImpl *createKernelImpl(std::string name, const OpenMM::Platform &platform,
                                       OpenMM::ContextImpl &context) const override {
    return new Allegro::CommonKernel(name, platform,
                                     Allegro::first_context(context.getPlatformData()));
  }
};

}  // namespace

extern "C" {

__attribute__((visibility("default"))) void registerPlatforms() {}

__attribute__((visibility("default"))) void registerKernelFactories() {
  OpenMM::Platform &platform = OpenMM::Platform::getPlatformByName(Allegro::PLATFORM);
  platform.registerKernelFactory(Allegro::CardKernel::Name(), new Factory());
}

// Launches, uploads and downloads of all Contexts so far, and buffers that they have.
__attribute__((visibility("default"))) void allegro_card_counts(int64_t *counts) {
  const Allegro::Counts &all = Allegro::Counts::get();
  counts[0] = all.launches, counts[1] = all.uploads;
  counts[2] = all.downloads, counts[3] = all.buffers;
}

}  // extern "C"
