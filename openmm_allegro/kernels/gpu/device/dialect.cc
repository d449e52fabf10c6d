R"DEVICE(
// The words in which all kernels are written. They are those of OpenMM's Common Compute
// framework, which defines them for CUDA, HIP and OpenCL itself; what the surroundings have
// not defined is defined here. Only what C99 and C++ share is written with them.
#if defined(__OPENCL_VERSION__)
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable
#ifndef KERNEL
#define KERNEL __kernel
#define DEVICE static
#define GLOBAL __global
#define LOCAL __local
#define LOCAL_ARG __local
#define RESTRICT restrict
#define LOCAL_ID get_local_id(0)
#define LOCAL_SIZE get_local_size(0)
#define GLOBAL_ID get_global_id(0)
#define GLOBAL_SIZE get_global_size(0)
#define GROUP_ID get_group_id(0)
#define NUM_GROUPS get_num_groups(0)
#define SYNC_THREADS barrier(CLK_LOCAL_MEM_FENCE + CLK_GLOBAL_MEM_FENCE);
#define ATOMIC_ADD(dest, value) atom_add(dest, value)
typedef long mm_long;
typedef unsigned long mm_ulong;
#endif
// Raise an int to a value, or add to it.
#define ATOMIC_MAX(dest, value) atomic_max(dest, value)
#define ATOMIC_COUNT(dest, value) atomic_add(dest, value)
#define LAUNCH_BOUNDS(threads) __attribute__((reqd_work_group_size(threads, 1, 1)))
#define ALIGNED(bytes) __attribute__((aligned(bytes)))
// Memory of a work-group, at the beginning of a kernel: `name` points to `count` numbers.
#define WORK_MEMORY(type, name, count)                    \
  LOCAL ALIGNED(16) type name##_numbers[count];           \
  LOCAL_ARG type *name = name##_numbers
// For functions with many calls, so that sources compile in seconds.
#define DEVICE_CALLED static __attribute__((noinline))
#define UNROLL
#define EXPF(x) exp(x)
#define DIVIDEF(a, b) ((a) / (b))

#elif defined(__CUDACC__) || defined(__HIPCC__) || defined(__HIPCC_RTC__)
#ifndef KERNEL
#define KERNEL extern "C" __global__
#define DEVICE static __device__ __forceinline__
#define GLOBAL
#define LOCAL __shared__
#define LOCAL_ARG
#define RESTRICT __restrict__
#define LOCAL_ID threadIdx.x
#define LOCAL_SIZE blockDim.x
#define GLOBAL_ID (blockIdx.x * blockDim.x + threadIdx.x)
#define GLOBAL_SIZE (blockDim.x * gridDim.x)
#define GROUP_ID blockIdx.x
#define NUM_GROUPS gridDim.x
#define SYNC_THREADS __syncthreads();
#define ATOMIC_ADD(dest, value) atomicAdd(dest, value)
typedef long long mm_long;
typedef unsigned long long mm_ulong;
#endif
#define ATOMIC_MAX(dest, value) atomicMax(dest, value)
#define ATOMIC_COUNT(dest, value) atomicAdd(dest, value)
#define LAUNCH_BOUNDS(threads) __launch_bounds__(threads, 1)
#define ALIGNED(bytes) __align__(bytes)
// Its size is an argument of the launch.
#define WORK_MEMORY(type, name, count)                    \
  extern __shared__ float4 work_group_memory[];           \
  LOCAL_ARG type *name = (LOCAL_ARG type *)work_group_memory
#define DEVICE_CALLED static __device__ __noinline__
#define UNROLL _Pragma("unroll")
#define EXPF(x) expf(x)
#define DIVIDEF(a, b) __fdividef(a, b)  // to 2 units of the last place

#else  // C++ on a processor; what surrounds this runs the threads and names them
#ifndef KERNEL
#error "expected definitions of KERNEL, LOCAL_ID and the like before the kernels"
#endif
#ifndef ATOMIC_MAX
#define ATOMIC_MAX(dest, value) host_atomic_max(dest, value)
static inline int host_atomic_max(int *dest, int value) {
  int seen = __atomic_load_n(dest, __ATOMIC_RELAXED);
  while (seen < value && !__atomic_compare_exchange_n(dest, &seen, value, true,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return seen;
}
#endif
#ifndef ATOMIC_COUNT
#define ATOMIC_COUNT(dest, value) __atomic_fetch_add(dest, value, __ATOMIC_RELAXED)
#endif
#ifndef LAUNCH_BOUNDS
#define LAUNCH_BOUNDS(threads)
#endif
#ifndef ALIGNED
#define ALIGNED(bytes) __attribute__((aligned(bytes)))
#endif
#ifndef WORK_MEMORY
#define WORK_MEMORY(type, name, count)                    \
  LOCAL ALIGNED(16) type name##_numbers[count];           \
  LOCAL_ARG type *name = name##_numbers
#endif
#ifndef DEVICE_CALLED
#define DEVICE_CALLED static __attribute__((noinline))
#endif
#ifndef UNROLL
#define UNROLL
#endif
#define EXPF(x) std::exp(x)
#define DIVIDEF(a, b) ((a) / (b))
#endif

// The calling thread, its work-group and their numbers, as ints.
#define THREAD ((int)LOCAL_ID)
#define THREADS ((int)LOCAL_SIZE)
#define GROUP ((int)GROUP_ID)
#define GROUPS ((int)NUM_GROUPS)
// The threads of a work-group share the indices from 0 to before `count`.
#define SHARE(index, count) for (int index = THREAD; index < (count); index += THREADS)

// Forces (eV/Å) and strain (eV) are sums of integers: they do not depend on the order.
#define FIXED_POINT 1099511627776.0
DEVICE mm_ulong to_fixed_point(double value) {
  return (mm_ulong)(mm_long)rint(value * FIXED_POINT);
}
DEVICE double from_fixed_point(mm_ulong value) {
  return (double)(mm_long)value * (1.0 / FIXED_POINT);
}

// Numbers of the network: NET is float or double.
#ifdef NET
typedef struct ALIGNED(16) {
  NET x, y, z, w;
} NET4;
#if NET_IS_DOUBLE
#define EXP(x) exp(x)
#define DIVIDE(a, b) ((a) / (b))
#else
#define EXP(x) EXPF(x)
#define DIVIDE(a, b) DIVIDEF(a, b)
#endif
#endif
)DEVICE"
