// SPDX-License-Identifier: MIT
// The functions of allegro_gpu.h.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "allegro_gpu.h"

#define WIDTH 16  // of the processor's vectors, which only `padded` of model.h looks at

namespace {
#include "../cpu/vector.h"
#include "../cpu/model.h"
#include "emit/source.h"
}  // namespace

int64_t allegro_gpu_interface() { return ALLEGRO_GPU_INTERFACE; }

int64_t allegro_gpu_plan(const allegro_program *program, const allegro_gpu_options *options,
                         allegro_gpu_sizes *sizes, char *message, int64_t room) {
  try {
    write_source(read(*program), *options, sizes);
    std::snprintf(message, room, "%s", "");
    return ALLEGRO_OK;
  } catch (const Unfit &unfit) {
    std::snprintf(message, room, "%s", unfit.message.c_str());
    return ALLEGRO_REFUSED;
  } catch (const std::exception &) {
    return ALLEGRO_NO_MEMORY;
  }
}

int64_t allegro_gpu_emit(const allegro_program *program, const allegro_gpu_options *options,
                         char *text, void *weights, double *constants, int32_t *integers) {
  try {
    allegro_gpu_sizes sizes;
    const Model m = read(*program);
    const std::string source = write_source(m, *options, &sizes);
    std::copy_n(source.c_str(), sizes.text, text);
    if (weights) fill_arrays(m, *options, weights, constants, integers);
    return ALLEGRO_OK;
  } catch (const Unfit &) {
    return ALLEGRO_REFUSED;
  } catch (const std::exception &) {
    return ALLEGRO_NO_MEMORY;
  }
}

#include "exports.h"
