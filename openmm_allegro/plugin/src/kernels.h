// SPDX-License-Identifier: MIT
// The compiled kernels, in a library of their own for each instruction set.
#pragma once

#include <dlfcn.h>

#include <memory>
#include <mutex>
#include <string>

#include "../../kernels/allegro.h"
#include "../../kernels/long_range.h"
#include "openmm/OpenMMException.h"

namespace Allegro {

struct Kernels {
  decltype(&allegro_format) format;
  decltype(&allegro_interface) interface;
  decltype(&allegro_check) check;
  decltype(&allegro_cutoff) cutoff;
  decltype(&allegro_open) open;
  decltype(&allegro_run) run;
  decltype(&allegro_tabulate) tabulate;
  decltype(&allegro_close) close;
  decltype(&allegro_mesh_open) mesh_open;
  decltype(&allegro_mesh_sum) mesh_sum;
  decltype(&allegro_mesh_close) mesh_close;
};

inline Kernels load_kernels(const std::string &path) {
  // Never closed: code of the library may run in another thread.
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw OpenMM::OpenMMException("Allegro: " + std::string(dlerror()));
  Kernels k{};
  const auto get = [&](auto &function, const char *name) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
    if (!function)
      throw OpenMM::OpenMMException("Allegro: expected kernels in " + path +
                                    ", found no function " + name);
  };
  get(k.format, "allegro_format"), get(k.interface, "allegro_interface");
  get(k.check, "allegro_check"), get(k.cutoff, "allegro_cutoff");
  get(k.open, "allegro_open"), get(k.run, "allegro_run"), get(k.close, "allegro_close");
  get(k.tabulate, "allegro_tabulate"), get(k.mesh_open, "allegro_mesh_open");
  get(k.mesh_sum, "allegro_mesh_sum"), get(k.mesh_close, "allegro_mesh_close");
  if (k.interface() != ALLEGRO_INTERFACE)
    throw OpenMM::OpenMMException(
        "Allegro: expected kernels of interface " + std::to_string(ALLEGRO_INTERFACE) +
        ", found " + std::to_string(k.interface()) + " in " + path +
        "; install the package again");
  return k;
}

// The kernels for what is opened from now on; NULL before there are any.
class ChosenKernels {
 public:
  static void set(const Kernels &kernels) {
    const std::lock_guard<std::mutex> lock(mutex());
    place() = std::make_shared<const Kernels>(kernels);
  }
  static std::shared_ptr<const Kernels> get() {
    const std::lock_guard<std::mutex> lock(mutex());
    if (!place())
      throw OpenMM::OpenMMException(
          "Allegro: expected compiled kernels, found none; import openmm_allegro");
    return place();
  }

 private:
  static std::mutex &mutex() {
    static std::mutex m;
    return m;
  }
  static std::shared_ptr<const Kernels> &place() {
    static std::shared_ptr<const Kernels> kernels;
    return kernels;
  }
};

}  // namespace Allegro
