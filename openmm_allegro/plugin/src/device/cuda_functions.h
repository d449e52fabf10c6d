// SPDX-License-Identifier: MIT
// CUDA's driver, under the names that streams.h uses.
#pragma once

#include <string>

#include "openmm/OpenMMException.h"
#include "openmm/cuda/CudaArray.h"
#include "openmm/cuda/CudaContext.h"
#include "openmm/cuda/CudaPlatform.h"

namespace Allegro {

constexpr char PLATFORM[] = "CUDA";

struct Api {
  using Context = OpenMM::CudaContext;
  using Data = OpenMM::CudaPlatform::PlatformData;
  using Array = OpenMM::CudaArray;
  using Module = CUmodule;
  using Function = CUfunction;
  using Event = CUevent;

  static void check(CUresult result) {
    if (result == CUDA_SUCCESS) return;
    const char *text = nullptr;
    cuGetErrorString(result, &text);
    throw OpenMM::OpenMMException("Allegro: CUDA reports " + std::to_string(result) + " (" +
                                  (text ? text : "unknown error") + ")");
  }

  // Not with OpenMM's --use_fast_math: forces would be less exact than those of float.
  static Module compile(Context &context, const std::string &source) {
    return context.createModule(source, "--fmad=true");
  }

  static int attribute(Context &context, CUdevice_attribute which) {
    int value = 0;
    check(cuDeviceGetAttribute(&value, which, context.getDevice()));
    return value;
  }
  static int multiprocessors(Context &context) {
    return attribute(context, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  }
  static int memory(Context &context) {
    return attribute(context, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  }

  static bool has_fast_tensor_cores(Context &context) {
    const int major = attribute(context, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    const int minor = attribute(context, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
#define IS_CARD(number) || 10 * major + minor == number
    return false ALLEGRO_GPU_TENSOR_CORES(IS_CARD);
#undef IS_CARD
  }

  // From 48 kB on it has to be asked for.
  static void allow_memory(Function function, int bytes) {
    const auto which = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    check(cuFuncSetAttribute(function, which, bytes));
  }

  static void launch(Context &context, Function function, unsigned groups, unsigned threads,
                     unsigned memory, void **arguments) {
    check(cuLaunchKernel(function, groups, 1, 1, threads, 1, 1, memory,
                         context.getCurrentStream(), arguments, nullptr));
  }

  static void *pinned(size_t bytes) {
    void *made = nullptr;
    check(cuMemHostAlloc(&made, bytes, 0));
    return made;
  }
  static void free_pinned(void *memory) { cuMemFreeHost(memory); }

  static void read(Context &context, void *to, Array &from, size_t bytes) {
    const CUstream stream = context.getCurrentStream();
    check(cuMemcpyDtoHAsync(to, from.getDevicePointer(), bytes, stream));
  }

  static Event make_event() {
    Event made;
    check(cuEventCreate(&made, CU_EVENT_DISABLE_TIMING));
    return made;
  }
  static void destroy_event(Event event) { cuEventDestroy(event); }
  static void record(Context &context, Event event) {
    check(cuEventRecord(event, context.getCurrentStream()));
  }
  static bool has_ended(Event event) {
    const CUresult result = cuEventQuery(event);
    if (result != CUDA_ERROR_NOT_READY) check(result);
    return result == CUDA_SUCCESS;
  }
  static void wait(Event event) { cuEventSynchronize(event); }
};

}  // namespace Allegro
