// SPDX-License-Identifier: MIT
// The Platform that the library is compiled for, by a definition of the compiler.
#pragma once

#include <cstdint>

#include "openmm/common/ArrayInterface.h"

namespace Allegro {

// An argument of a kernel; see allegro_gpu_argument.
struct Argument {
  int64_t kind;
  OpenMM::ArrayInterface *buffer;
  int integer;
  double real;
};

}  // namespace Allegro

#if defined(ALLEGRO_OPENCL)
#include "opencl.h"
#elif defined(ALLEGRO_CUDA)
#include "cuda_functions.h"
#include "streams.h"
#elif defined(ALLEGRO_HIP)
#include "hip_functions.h"
#include "streams.h"
#else
#error "expected ALLEGRO_OPENCL, ALLEGRO_CUDA or ALLEGRO_HIP"
#endif
