// SPDX-License-Identifier: MIT
// What device/dialect.cc expects of its surroundings, in C++20 on a processor.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <bit>
#include <type_traits>
#include <utility>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

// Not seen by a sanitizer.
#define CARD_RAW __attribute__((noinline, no_sanitize("thread"), no_sanitize("address")))
#if defined(__SANITIZE_THREAD__)
#define CARD_OWN static thread_local
#define LOCAL static thread_local
#define CARD_ACQUIRE(mark) __tsan_acquire(mark)
#define CARD_RELEASE(mark) __tsan_release(mark)
extern "C" {
void *__tsan_get_current_fiber();
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *address);
void __tsan_release(void *address);
}
#else
#define CARD_OWN static
#define CARD_ACQUIRE(mark)
#define CARD_RELEASE(mark)
#if defined(__SANITIZE_ADDRESS__)
// What has a section has no red zones.
#define LOCAL static
extern "C" {
void __sanitizer_start_switch_fiber(void **fake, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake, const void **bottom, size_t *size);
}
#else
#define LOCAL static __attribute__((section("work_group")))
#define CARD_SECTION
extern "C" __attribute__((weak, visibility("hidden"))) char __start_work_group[];
extern "C" __attribute__((weak, visibility("hidden"))) char __stop_work_group[];
#endif
#endif

#define KERNEL static
#define DEVICE static inline
#define GLOBAL
#define LOCAL_ARG
#define RESTRICT __restrict__
#define LOCAL_ID (card::lane)
#define LOCAL_SIZE (card::lanes)
#define GROUP_ID (card::group)
#define NUM_GROUPS (card::groups)
#define GLOBAL_ID (card::group * card::lanes + card::lane)
#define GLOBAL_SIZE (card::groups * card::lanes)
#define SYNC_THREADS card::wait_group(__LINE__);
#define ATOMIC_ADD(to, value) __atomic_fetch_add(to, value, __ATOMIC_RELAXED)
typedef long long mm_long;
typedef unsigned long long mm_ulong;
#define AS_FLOAT(x) std::bit_cast<float>(x)
#define AS_BITS(x) std::bit_cast<unsigned>(x)
#define TF32(x) card::tf32(x)
#define MMA(d, a, b) card::mma(d, a, b)
