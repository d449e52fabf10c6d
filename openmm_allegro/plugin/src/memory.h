// SPDX-License-Identifier: MIT
// Errors about too little memory.
#pragma once

#include <new>
#include <stdexcept>

#include "openmm/OpenMMException.h"

namespace Allegro {

// Call f; where it lacks memory, say so.
template <typename F> auto with_memory(const F &f) -> decltype(f()) {
  const char *message =
      "Allegro: expected more memory, found none left; use fewer atoms or threads, or a "
      "smaller cutoff";
  try {
    return f();
  } catch (const std::bad_alloc &) {
    throw OpenMM::OpenMMException(message);
  } catch (const std::length_error &) {  // of a vector
    throw OpenMM::OpenMMException(message);
  }
}

}  // namespace Allegro
