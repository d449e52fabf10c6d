// SPDX-License-Identifier: MIT
// The kernels for processors with AVX-512, with names of their own.
#if defined(__x86_64__)
#include "../standard.h"  // for all instruction sets, see renamed.h
#ifdef __clang__
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512cd,fma"))), \
    apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx512cd,fma", \
                   "prefer-vector-width=512")
#endif
#define WIDTH 64
#define ROWS 12
#define ALLEGRO_NAME(name) name##_avx512
#include "renamed.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
