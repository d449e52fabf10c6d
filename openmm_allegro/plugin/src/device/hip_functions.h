// SPDX-License-Identifier: MIT
// HIP's functions, under the names that streams.h uses.
#pragma once

#include <string>

#include "openmm/OpenMMException.h"
#include "openmm/hip/HipArray.h"
#include "openmm/hip/HipContext.h"
#include "openmm/hip/HipPlatform.h"

namespace Allegro {

constexpr char PLATFORM[] = "HIP";

struct Api {
  using Context = OpenMM::HipContext;
  using Data = OpenMM::HipPlatform::PlatformData;
  using Array = OpenMM::HipArray;
  using Module = hipModule_t;
  using Function = hipFunction_t;
  using Event = hipEvent_t;

  static void check(hipError_t result) {
    if (result == hipSuccess) return;
    throw OpenMM::OpenMMException("Allegro: HIP reports " + std::to_string(result) + " (" +
                                  hipGetErrorString(result) + ")");
  }

  // OpenMM compiles with -ffast-math, which this ends: a NaN would not be noticed.
  static Module compile(Context &context, const std::string &source) {
    return context.createModule("#pragma float_control(precise, on)\n" + source);
  }

  static int multiprocessors(Context &context) { return context.getMultiprocessors(); }
  static int memory(Context &context) {
    int value = 0;
    check(hipDeviceGetAttribute(&value, hipDeviceAttributeMaxSharedMemoryPerBlock,
                                context.getDeviceIndex()));
    return value;
  }
  static bool has_fast_tensor_cores(Context &) { return false; }
  static void allow_memory(Function, int) {}

  static void launch(Context &context, Function function, unsigned groups, unsigned threads,
                     unsigned memory, void **arguments) {
    check(hipModuleLaunchKernel(function, groups, 1, 1, threads, 1, 1, memory,
                                context.getCurrentStream(), arguments, nullptr));
  }

  static void *pinned(size_t bytes) {
    void *made = nullptr;
    check(hipHostMalloc(&made, bytes, 0));
    return made;
  }
  static void free_pinned(void *memory) { static_cast<void>(hipHostFree(memory)); }

  static void read(Context &context, void *to, Array &from, size_t bytes) {
    const hipStream_t stream = context.getCurrentStream();
    check(hipMemcpyDtoHAsync(to, from.getDevicePointer(), bytes, stream));
  }

  static Event make_event() {
    Event made;
    check(hipEventCreateWithFlags(&made, hipEventDisableTiming));
    return made;
  }
  static void destroy_event(Event event) { static_cast<void>(hipEventDestroy(event)); }
  static void record(Context &context, Event event) {
    check(hipEventRecord(event, context.getCurrentStream()));
  }
  static bool has_ended(Event event) {
    const hipError_t result = hipEventQuery(event);
    if (result != hipErrorNotReady) check(result);
    return result == hipSuccess;
  }
  static void wait(Event event) { static_cast<void>(hipEventSynchronize(event)); }
};

}  // namespace Allegro
