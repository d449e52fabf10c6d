// SPDX-License-Identifier: MIT
// The kernels for processors with AVX2, with names of their own.
#if defined(__x86_64__)
#include "../standard.h"  // for all instruction sets, see renamed.h
#ifdef __clang__
#pragma clang attribute push( \
    __attribute__((target("avx2,fma"))), \
    apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define WIDTH 32
#define ROWS 6
#define ALLEGRO_NAME(name) name##_avx2
#include "renamed.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
