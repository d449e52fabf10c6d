// SPDX-License-Identifier: MIT
// The OpenMM force. It is computed on the card of a Context's Platform where there is a
// kernel for it (device/), else in plain C++; see CustomCPPForceImpl of OpenMM.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "card_kernel.h"
#include "engine.h"
#include "memory.h"
#include "openmm/Force.h"
#include "openmm/Kernel.h"
#include "openmm/Platform.h"
#include "openmm/System.h"
#include "openmm/internal/ContextImpl.h"
#include "openmm/internal/CustomCPPForceImpl.h"

namespace Allegro {

// OPENMM_CPU_THREADS, or all cores.
inline int default_threads() {
  const char *text = std::getenv("OPENMM_CPU_THREADS");
  const int wanted = text ? std::atoi(text) : 0;
  return wanted > 0 ? wanted : int(std::thread::hardware_concurrency());
}

class AllegroForce : public OpenMM::Force {
 public:
  explicit AllegroForce(std::shared_ptr<const Models> models) : models(std::move(models)) {}
  bool usesPeriodicBoundaryConditions() const override { return models->is_periodic; }

  const std::shared_ptr<const Models> models;

 protected:
  OpenMM::ForceImpl *createImpl() const override;
};

// Why the force of the Context made last in this thread is not on its card; empty if it is.
inline std::string &obstacle_of_last_context() {
  thread_local std::string obstacle = "there is no Context yet";
  return obstacle;
}

// OPENMM_ALLEGRO_CARD: "always" for a card or an error, "never" for none.
inline bool card_setting_is(const char *value) {
  const char *text = std::getenv("OPENMM_ALLEGRO_CARD");
  return text && std::string(text) == value;
}

class AllegroForceImpl : public OpenMM::CustomCPPForceImpl {
 public:
  explicit AllegroForceImpl(const AllegroForce &owner)
      : CustomCPPForceImpl(owner), owner(owner), models(owner.models) {}

  const AllegroForce &getOwner() const override { return owner; }

  void initialize(OpenMM::ContextImpl &context) override {
    models->check_particles(context.getSystem().getNumParticles());
    const auto kernels = ChosenKernels::get();  // fail now rather than in the first step
    const std::string obstacle = with_memory([&] { return use_card(context, *kernels); });
    if (!obstacle.empty()) {
      if (card_setting_is("always"))
        throw OpenMM::OpenMMException(
            "Allegro: expected a card, as OPENMM_ALLEGRO_CARD=always says, but " + obstacle);
      CustomCPPForceImpl::initialize(context);
    }
    obstacle_of_last_context() = obstacle;
  }

  double calcForcesAndEnergy(OpenMM::ContextImpl &context, bool includes_forces,
                             bool includes_energy, int groups) override {
    wants_forces = includes_forces;
    if (is_on_card) {
      if (!(groups & (1 << owner.getForceGroup()))) return 0.0;
      return card.getAs<CardKernel>().execute(includes_forces, includes_energy);
    }
    return CustomCPPForceImpl::calcForcesAndEnergy(context, includes_forces,
                                                   includes_energy, groups);
  }

  double computeForce(OpenMM::ContextImpl &context,
                      const std::vector<OpenMM::Vec3> &positions,
                      std::vector<OpenMM::Vec3> &forces) override {
    return with_memory([&] { return compute(context, positions, forces); });
  }

 private:
  const AllegroForce &owner;
  const std::shared_ptr<const Models> models;
  std::unique_ptr<Engine> engine;
  Results results;
  bool wants_forces = true;
  OpenMM::Kernel card;
  bool is_on_card = false;

  // Why the force cannot be computed on the card of a Context; if empty, it will be.
  std::string use_card(OpenMM::ContextImpl &context, const Kernels &kernels) {
    OpenMM::Platform &platform = context.getPlatform();
    if (models->is_embedded)
      return "the model's charges are among those of a force field, a sum that the kernels for "
             "cards lack";
    if (card_setting_is("never")) return "OPENMM_ALLEGRO_CARD=never says so";
    if (!platform.supportsKernels({CardKernel::Name()}))
      return "there is no library for the Platform " + platform.getName();
    OpenMM::Kernel made = platform.createKernel(CardKernel::Name(), context);
    auto &kernel = made.getAs<CardKernel>();
    const std::string obstacle = kernel.obstacle();
    if (!obstacle.empty()) return obstacle;
    if (kernel.is_processor() && !card_setting_is("always"))
      return "its device is a processor, for which there are kernels that are faster";
    const auto complete = Tables::complete(models, kernels, default_threads());
    std::vector<allegro_program> programs;
    for (const auto &member : complete) programs.push_back(member->program());
    kernel.initialize(*models, programs);
    card = made;
    is_on_card = true;
    return "";
  }

  double compute(OpenMM::ContextImpl &context, const std::vector<OpenMM::Vec3> &positions,
                 std::vector<OpenMM::Vec3> &forces) {
    // Not in initialize: the CPU Platform knows its threads only once a Context exists.
    if (!engine) engine = std::make_unique<Engine>(models, number_of_threads(context));
    static_assert(sizeof(OpenMM::Vec3) == 3 * sizeof(double));
    OpenMM::Vec3 box[3];
    context.getPeriodicBoxVectors(box[0], box[1], box[2]);
    engine->run(reinterpret_cast<const double *>(positions.data()),
                reinterpret_cast<const double *>(box), wants_forces, results);
    if (wants_forces) {
      std::fill(forces.begin(), forces.end(), OpenMM::Vec3());
      engine->add_forces(results, EV_TO_KJ_PER_MOL * NM_TO_ANGSTROM, forces);
    }
    double energy = 0.0;
    for (const double part : results.energies) energy += part;
    return energy * EV_TO_KJ_PER_MOL;
  }

  // As many as the Platform has, if it has threads.
  static int number_of_threads(OpenMM::ContextImpl &context) {
    const OpenMM::Platform &platform = context.getPlatform();
    for (const std::string &name : platform.getPropertyNames())
      if (name == "Threads")
        return std::atoi(platform.getPropertyValue(context.getOwner(), name).c_str());
    return default_threads();
  }
};

inline OpenMM::ForceImpl *AllegroForce::createImpl() const {
  return new AllegroForceImpl(*this);
}

}  // namespace Allegro
