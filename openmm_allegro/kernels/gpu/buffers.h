// SPDX-License-Identifier: MIT
// Buffers and launches of a device.
#pragma once

#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "allegro_gpu.h"

namespace allegro_gpu {

// What a device or its user cannot have: "Allegro: expected ..., found ...".
struct Refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void check(int64_t outcome, const char *what) {
  if (outcome == ALLEGRO_NO_MEMORY) throw std::bad_alloc();
  if (outcome != ALLEGRO_OK)
    throw Refusal("Allegro: expected the card to " + std::string(what) + ", found that it "
                  "failed");
}

// Memory of a device, which it gives back at the end.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const allegro_gpu_device &device, int64_t bytes) { reset(device, bytes); }
  template <typename T> Buffer(const allegro_gpu_device &device, const std::vector<T> &values) {
    reset(device, int64_t(values.size() * sizeof(T)));
    upload(values);
  }
  Buffer(Buffer &&other) noexcept { swap(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() { release(); }

  // Other memory, of at least a byte; what the old one held is lost.
  void reset(const allegro_gpu_device &on, int64_t bytes) {
    release();
    device = &on;
    pointer = on.allocate(on.self, bytes > 0 ? bytes : 8);
    if (!pointer) throw std::bad_alloc();
  }

  template <typename T> void upload(const std::vector<T> &values) {
    if (values.empty()) return;
    const int64_t bytes = int64_t(values.size() * sizeof(T));
    check(device->upload(device->self, pointer, values.data(), bytes), "take numbers");
  }

  template <typename T> std::vector<T> download(size_t count) const {
    std::vector<T> values(count);
    const int64_t bytes = int64_t(count * sizeof(T));
    check(device->download(device->self, pointer, values.data(), bytes), "give numbers");
    return values;
  }

  void *get() const { return pointer; }

 private:
  const allegro_gpu_device *device = nullptr;
  void *pointer = nullptr;

  void release() {
    if (pointer) device->release(device->self, pointer);
    pointer = nullptr;
  }
  void swap(Buffer &other) {
    std::swap(device, other.device);
    std::swap(pointer, other.pointer);
  }
};

// Arguments of a launch, in the order in which they are added.
class Arguments {
 public:
  std::vector<allegro_gpu_argument> all;

  Arguments &operator<<(const Buffer &buffer) { return *this << buffer.get(); }
  Arguments &operator<<(void *buffer) {
    all.push_back({ALLEGRO_GPU_BUFFER, buffer, 0, 0.0});
    return *this;
  }
  Arguments &operator<<(int64_t number) {
    all.push_back({ALLEGRO_GPU_INT, nullptr, number, 0.0});
    return *this;
  }
  Arguments &operator<<(int number) { return *this << int64_t(number); }
  Arguments &operator<<(double number) {
    all.push_back({ALLEGRO_GPU_DOUBLE, nullptr, 0, number});
    return *this;
  }
  Arguments &operator<<(const Arguments &others) {
    all.insert(all.end(), others.all.begin(), others.all.end());
    return *this;
  }
};

// A kernel with the sizes of its work-groups.
struct Kernel {
  void *handle = nullptr;
  int64_t threads = 0, memory = 0;

  void launch(const allegro_gpu_device &device, int64_t groups,
              const Arguments &arguments) const {
    check(device.launch(device.self, handle, groups, threads, memory, arguments.all.data(),
                        int64_t(arguments.all.size())),
          "run a kernel");
  }
};

// A kernel by its name; nothing but the device knows why there may be none.
inline Kernel find_kernel(const allegro_gpu_device &device, void *compiled, const char *name,
                          int64_t threads, int64_t memory) {
  void *handle = device.kernel(device.self, compiled, name, threads, memory);
  if (!handle)
    throw Refusal("Allegro: expected a kernel " + std::string(name) + " of " +
                  std::to_string(threads) + " threads and " + std::to_string(memory) +
                  " bytes of work-group memory, found that the card has none");
  return {handle, threads, memory};
}

}  // namespace allegro_gpu
