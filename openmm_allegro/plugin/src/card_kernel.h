// SPDX-License-Identifier: MIT
// What computes an AllegroForce on the card of an OpenMM Platform: made by a library of
// its own for each Platform (device/), which is compiled only where there is one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models.h"
#include "openmm/KernelImpl.h"
#include "openmm/Platform.h"
#include "openmm/internal/ContextImpl.h"

namespace Allegro {

class CardKernel : public OpenMM::KernelImpl {
 public:
  static std::string Name() { return "CalcAllegroForce"; }
  CardKernel(std::string name, const OpenMM::Platform &platform)
      : KernelImpl(name, platform) {}

  // Why the card of this Context cannot compute the force; empty if it can.
  virtual std::string obstacle() = 0;
  // Whether the card is a processor in truth.
  virtual bool is_processor() = 0;
  // `programs` are those of the models' members, with their tables; all are copied.
  virtual void initialize(const Models &models,
                          const std::vector<allegro_program> &programs) = 0;
  // Queue the work, and add the forces. The energy, kJ/mol, only where it is wanted.
  virtual double execute(bool wants_forces, bool wants_energy) = 0;
};

}  // namespace Allegro
