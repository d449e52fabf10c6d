/* SPDX-License-Identifier: MIT
 * A driver without a card: it notes the calls, its memory is the host's, and of the
 * kernels it runs scale(double *x, int count, double factor) alone. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char fake_calls[1 << 16];        /* name and numbers of each call, one in a line */
char fake_failing[64];           /* name of a function that fails */
int fake_code, fake_failures;    /* with this code, so many times */
int fake_version = 12080, fake_major = 9, fake_minor = 0, fake_pools = 1, fake_blocks = 1;
long fake_passed;                /* events recorded until then have passed */
long fake_recorded, fake_depth;   /* events, contexts that were pushed */

static int call(const char *name, const char *form, ...) {
  char *end = fake_calls + strlen(fake_calls);
  va_list numbers;
  end += sprintf(end, "%ld %s", fake_depth, name);
  va_start(numbers, form);
  vsprintf(end, form, numbers);
  va_end(numbers);
  strcat(end, "\n");
  return strcmp(name, fake_failing) == 0 && fake_failures-- > 0 ? fake_code : 0;
}
static int give(int code, void **target) {
  if (code == 0) *target = calloc(1, 16);
  return code;
}

int cuInit(unsigned flags) { return call("cuInit", " %u", flags); }
int cuDriverGetVersion(int *version) { *version = fake_version; return 0; }
int cuGetErrorName(int code, const char **name) {
  *name = code == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OTHER";
  return 0;
}
int cuGetErrorString(int code, const char **text) { *text = "as asked for"; return 0; }
int cuDeviceGet(int *card, int ordinal) {
  *card = ordinal;
  return call("cuDeviceGet", " %d", ordinal);
}
int cuDeviceGetName(char *name, int size, int card) {
  snprintf(name, size, "card %d", card);
  return 0;
}
int cuDeviceGetAttribute(int *value, int number, int card) {
  *value = number == 16 ? 132 : number == 75 ? fake_major : number == 76 ? fake_minor
         : number == 97 ? 232448 : number == 115 ? fake_pools : -1;
  return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int card) {
  return give(call("cuDevicePrimaryCtxRetain", " %d", card), context);
}
int cuDevicePrimaryCtxRelease_v2(int card) {
  return call("cuDevicePrimaryCtxRelease", " %d", card);
}
int cuCtxPushCurrent_v2(void *context) { fake_depth++; return 0; }
int cuCtxPopCurrent_v2(void **context) { fake_depth--; *context = NULL; return 0; }
int cuCtxSynchronize(void) { return call("cuCtxSynchronize", ""); }

int cuMemAlloc_v2(uint64_t *buffer, size_t size) {
  *buffer = (uint64_t)malloc(size);
  return call("cuMemAlloc", " %zu", size);
}
int cuMemFree_v2(uint64_t buffer) { free((void *)buffer); return call("cuMemFree", ""); }
int cuMemAllocAsync(uint64_t *buffer, size_t size, void *stream) {
  *buffer = (uint64_t)calloc(size, 1);
  return call("cuMemAllocAsync", " %zu %zu", size, (size_t)stream);
}
int cuMemFreeAsync(uint64_t buffer, void *stream) {
  free((void *)buffer);
  return call("cuMemFreeAsync", " %zu", (size_t)stream);
}
int cuMemAllocHost_v2(void **memory, size_t size) {
  *memory = malloc(size);
  return call("cuMemAllocHost", " %zu", size);
}
int cuMemFreeHost(void *memory) { free(memory); return call("cuMemFreeHost", ""); }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream) {
  memcpy((void *)to, from, size);
  return call("cuMemcpyHtoDAsync", " %zu %zu", size, (size_t)stream);
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream) {
  memcpy(to, (void *)from, size);
  return call("cuMemcpyDtoHAsync", " %zu %zu", size, (size_t)stream);
}

int cuEventCreate(long **event, unsigned flags) {
  return give(call("cuEventCreate", " %u", flags), (void **)event);
}
int cuEventDestroy_v2(long *event) { free(event); return call("cuEventDestroy", ""); }
int cuEventRecord(long *event, void *stream) {
  *event = ++fake_recorded;
  return call("cuEventRecord", " %zu", (size_t)stream);
}
int cuEventQuery(long *event) {
  return *event > fake_passed ? 600 : call("cuEventQuery", "");
}
int cuStreamSynchronize(void *stream) {
  return call("cuStreamSynchronize", " %zu", (size_t)stream);
}
int cuStreamWaitEvent(void *stream, void *event, unsigned flags) {
  return call("cuStreamWaitEvent", " %zu %u", (size_t)stream, flags);
}

int cuModuleLoadDataEx(void **module, const char *code, unsigned count, int *options,
                       void **values) {
  int failure = call("cuModuleLoadDataEx", " %.8s %u %d %d", code, count, options[0],
                     options[1]);
  if (failure) snprintf(values[0], (size_t)values[1], "as the log says");
  return give(failure, module);
}
int cuModuleUnload(void *module) { free(module); return call("cuModuleUnload", ""); }
int cuModuleGetFunction(void **kernel, void *module, const char *name) {
  static size_t last = 4096;
  *kernel = (void *)(strcmp(name, "scale") ? ++last : 4096);
  return call("cuModuleGetFunction", " %s", name);
}
int cuFuncSetAttribute(void *kernel, int number, int value) {
  return call("cuFuncSetAttribute", " %d %d", number, value);
}
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void *kernel, int threads,
                                                size_t memory) {
  *blocks = fake_blocks;
  return call("cuOccupancy", " %d %zu", threads, memory);
}
int cuLaunchKernel(void *kernel, unsigned x, unsigned y, unsigned z, unsigned a, unsigned b,
                   unsigned c, unsigned memory, void *stream, void **parameters,
                   void **extra) {
  int code = call("cuLaunchKernel", " %u %u %u %u %u %u %u %zu %d", x, y, z, a, b, c,
                  memory, (size_t)stream, extra != NULL);
  if (kernel != (void *)4096) return code;
  double *numbers = *(double **)parameters[0];
  for (int i = 0; code == 0 && i < *(int *)parameters[1]; i++)
    numbers[i] *= *(double *)parameters[2];
  return code;
}
