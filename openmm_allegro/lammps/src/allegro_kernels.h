// SPDX-License-Identifier: GPL-2.0-or-later
// The compiled kernels: the fastest that this processor runs.
#ifndef ALLEGRO_KERNELS_H
#define ALLEGRO_KERNELS_H

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "allegro.h"

#ifndef ALLEGRO_KERNELS
#define ALLEGRO_KERNELS ""  // paths of libraries, best first, with colons between them
#endif

namespace openmm_allegro {

struct Kernels {
  std::string name;
  decltype(&allegro_format) format;
  decltype(&allegro_interface) interface;
  decltype(&allegro_check) check;
  decltype(&allegro_cutoff) cutoff;
  decltype(&allegro_open) open;
  decltype(&allegro_run) run;
  decltype(&allegro_close) close;
};

// The instruction set that the name of a library or of its functions has, of those that
// kernels/builds.py knows.
inline std::string instruction_set(const std::string &name) {
  for (const char *set : {"avx512", "avx2"})
    if (name.find(set) != std::string::npos) return set;
  return "generic";
}

// All processors with these have the rest that kernels/builds.py asks for.
inline bool runs_here(const std::string &set) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (set == "avx512")
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("fma");
  if (set == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return set == "generic";
}

inline Kernels load_kernels(const std::string &path, const std::string &name) {
  // Never closed: another pair style may have them too.
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(dlerror());
  Kernels k{};
  k.name = name;
  const auto get = [&](auto &function, const char *symbol) {
    void *const address = dlsym(library, symbol);
    if (!address) throw std::runtime_error(path + " has no function " + symbol);
    std::memcpy(&function, &address, sizeof function);
  };
  get(k.format, "allegro_format"), get(k.interface, "allegro_interface");
  get(k.check, "allegro_check"), get(k.cutoff, "allegro_cutoff");
  get(k.open, "allegro_open"), get(k.run, "allegro_run"), get(k.close, "allegro_close");
  if (k.interface() != ALLEGRO_INTERFACE || k.format() != ALLEGRO_FORMAT)
    throw std::runtime_error(path + " is of interface " + std::to_string(k.interface()) +
                             " and format " + std::to_string(k.format()));
  return k;
}

#ifdef ALLEGRO_STANDALONE
#define ALLEGRO_DECLARE(suffix)                                       \
  extern "C" {                                                        \
  decltype(allegro_format) allegro_format##suffix;                    \
  decltype(allegro_interface) allegro_interface##suffix;              \
  decltype(allegro_check) allegro_check##suffix;                      \
  decltype(allegro_cutoff) allegro_cutoff##suffix;                    \
  decltype(allegro_open) allegro_open##suffix;                        \
  decltype(allegro_run) allegro_run##suffix;                          \
  decltype(allegro_close) allegro_close##suffix;                      \
  }
#define ALLEGRO_BUILD(suffix)                                                         \
  Kernels {                                                                           \
    instruction_set(#suffix), allegro_format##suffix, allegro_interface##suffix,      \
        allegro_check##suffix, allegro_cutoff##suffix, allegro_open##suffix,          \
        allegro_run##suffix, allegro_close##suffix                                    \
  }
#if defined(__x86_64__)
ALLEGRO_DECLARE(_avx512)
ALLEGRO_DECLARE(_avx2)
#endif
ALLEGRO_DECLARE(_generic)

// The kernels that were compiled into this library.
inline Kernels find_kernels() {
#if defined(__x86_64__)
  for (const Kernels &kernels : {ALLEGRO_BUILD(_avx512), ALLEGRO_BUILD(_avx2)})
    if (runs_here(kernels.name)) return kernels;
#endif
  return ALLEGRO_BUILD(_generic);
}
#else
// The installed kernels, or those that the variable names.
inline Kernels find_kernels() {
  const char *given = std::getenv("OPENMM_ALLEGRO_KERNELS");
  const std::string paths = given && *given ? given : ALLEGRO_KERNELS;
  std::string problems;
  std::istringstream stream(paths);
  for (std::string path; std::getline(stream, path, ':');) {
    const std::string set = instruction_set(path.substr(path.rfind('/') + 1));
    if (path.empty() || !runs_here(set)) continue;
    try {
      return load_kernels(path, set);
    } catch (const std::runtime_error &error) {
      problems += (problems.empty() ? "" : "; ") + std::string(error.what());
    }
  }
  throw std::runtime_error(
      "expected compiled kernels of interface " + std::to_string(ALLEGRO_INTERFACE) +
      " and format " + std::to_string(ALLEGRO_FORMAT) + " that this processor runs, found " +
      (problems.empty() ? "none among '" + paths + "'" : problems) +
      "; install openmm-allegro[lammps] again, or name a library by the variable "
      "OPENMM_ALLEGRO_KERNELS");
}
#endif

}  // namespace openmm_allegro

#endif
