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

}  // extern "C"
