// SPDX-License-Identifier: MIT
// An AllegroForce on OpenMM's card: positions and forces never leave it.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "../../../kernels/gpu/step.h"
#include "../card_kernel.h"
#include "../units.h"
#include "card.h"
#include "openmm/common/ComputeForceInfo.h"
#include "openmm/common/ContextSelector.h"

namespace Allegro {

// OpenMM moves atoms of a molecule together from one image of the box to another. Where
// the force is periodic it sees no difference; else, or where charges interact with the
// images that are given, its particles have to stay together.
class ForceInfo : public OpenMM::ComputeForceInfo {
 public:
  explicit ForceInfo(const Models &models) {
    const bool has_given = models.is_charged() && models.images == Images::none;
    if (models.is_periodic && !has_given) return;
    together.assign(models.particles.begin(), models.particles.end());
    for (const Cap &cap : models.caps) {
      together.push_back(int(cap.inner));
      together.push_back(int(cap.outer));
    }
    std::sort(together.begin(), together.end());
    together.erase(std::unique(together.begin(), together.end()), together.end());
  }
  int getNumParticleGroups() override { return together.empty() ? 0 : 1; }
  void getParticlesInGroup(int, std::vector<int> &particles) override {
    particles = together;
  }
  bool areGroupsIdentical(int, int) override { return true; }

 private:
  std::vector<int> together;
};

// Notes that OpenMM keeps its atoms in another order.
class OrderListener : public OpenMM::ComputeContext::ReorderListener {
 public:
  explicit OrderListener(std::shared_ptr<bool> is_other) : is_other(std::move(is_other)) {}
  void execute() override { *is_other = true; }

 private:
  const std::shared_ptr<bool> is_other;
};

class CommonKernel : public CardKernel {
 public:
  CommonKernel(std::string name, const OpenMM::Platform &platform,
               OpenMM::ComputeContext &context)
      : CardKernel(std::move(name), platform), context(context) {}

  ~CommonKernel() override {
    const OpenMM::ContextSelector selector(context);
    step.reset();
    sums.reset();
    card.reset();
  }

  std::string obstacle() override {
    if (context.getNumContexts() > 1)
      return "the Context has " + std::to_string(context.getNumContexts()) +
             " devices, and the native force computes on one";
    if (!context.getSupportsDoublePrecision()) return "its device has no double precision";
    if (!context.getSupports64BitGlobalAtomics()) return "its device has no 64-bit atomics";
    return "";
  }

  bool is_processor() override { return context.getIsCPU(); }

  void initialize(const Models &models,
                  const std::vector<allegro_program> &programs) override {
    const OpenMM::ContextSelector selector(context);
    for (const int64_t particle : models.particles) particles.push_back(int32_t(particle));
    for (const Cap &cap : models.caps)
      for (const int64_t end : {cap.inner, cap.outer}) ends.push_back(int32_t(end));
    card = std::make_unique<Card>(context);
    explained([&] { open(models, programs); });
    adders = std::min<int64_t>((models.count() + 63) / 64 * 64, MOST_ADDERS);
    sums = std::make_unique<OpenMM::ComputeArray>();
    sums->initialize<double>(context, adders, "allegroEnergies");
    context.addForce(new ForceInfo(models));
    context.addReorderListener(new OrderListener(is_other_order));
  }

  double execute(bool wants_forces, bool wants_energy) override {
    const OpenMM::ContextSelector selector(context);
    double energy = 0.0;
    explained([&] {
      if (*is_other_order) reorder();
      if (wants_energy) context.clearBuffer(*sums);
      queue(wants_forces);
      if (wants_energy)
        energy = wait_for_energy();
      else if (is_first)  // for the sizes of the list and of groups, which are a guess before
        step->wait(nullptr);
      is_first = false;
    });
    return energy;
  }

 private:
  static constexpr int64_t MOST_ADDERS = 8192;

  OpenMM::ComputeContext &context;
  std::unique_ptr<Card> card;
  std::unique_ptr<allegro_gpu::Step> step;
  std::vector<int32_t> particles, ends;  // in the order of the System
  const std::shared_ptr<bool> is_other_order = std::make_shared<bool>(true);
  bool is_first = true;
  // Energies of so many threads: in double, which OpenMM's buffer is not in single precision.
  int64_t adders = 0;
  std::unique_ptr<OpenMM::ComputeArray> sums;

  // Calls f; what it throws becomes OpenMM's exception, with what the card had to say.
  template <typename F> void explained(const F &f) {
    try {
      card->failure.clear();
      f();
    } catch (const std::bad_alloc &) {
      throw OpenMM::OpenMMException(
          "Allegro: expected more memory of the card, found too little; use fewer atoms, a "
          "smaller skin or a larger card" + card->reason());
    } catch (const allegro_gpu::Refusal &refusal) {
      throw OpenMM::OpenMMException(refusal.what() + card->reason());
    }
  }

  void open(const Models &models, const std::vector<allegro_program> &programs) {
    std::vector<int64_t> types, ends_of_caps(ends.begin(), ends.end());
    std::vector<double> ratios;
    for (const Model &member : models.members)
      types.insert(types.end(), member.types.begin(), member.types.end());
    for (const Cap &cap : models.caps) ratios.push_back(cap.ratio);
    allegro_gpu_atoms atoms = {};
    atoms.count = models.count();
    atoms.members = int64_t(programs.size());
    atoms.programs = programs.data();
    atoms.types = types.data();
    atoms.particles = models.particles.data();
    atoms.caps = int64_t(models.caps.size());
    atoms.ends = ends_of_caps.data();
    atoms.ratios = ratios.data();
    for (int64_t &axis : atoms.periodic) axis = models.is_periodic;
    atoms.skin = models.skin;
    std::vector<double> starts, alphas;
    for (const Model &member : models.members) {
      const std::vector<double> &own = member.charges.start;
      starts.insert(starts.end(), own.begin(), own.end());
      alphas.push_back(member.charges.alpha);
    }
    const allegro_gpu_charges charges = {starts.data(), alphas.data(), models.total_charge,
                                         COULOMB_EV_ANGSTROM, int64_t(models.images)};
    if (models.is_charged()) atoms.charges = &charges;
    std::string surroundings = "#define OPENMM\n";
    if (context.getUseMixedPrecision()) surroundings += "#define CORRECTED\n";
    const allegro_gpu::Emitter emitter = {allegro_gpu_plan, allegro_gpu_emit};
    step = std::make_unique<allegro_gpu::Step>(card->device(), atoms, emitter,
                                               allegro_gpu_tuning{}, surroundings);
  }

  // Find the particles in OpenMM's order of now.
  void reorder() {
    const std::vector<int> &order = context.getAtomIndex();
    std::vector<int32_t> places(order.size());
    for (size_t place = 0; place < order.size(); ++place)
      places[order[place]] = int32_t(place);
    const auto placed = [&places](std::vector<int32_t> of) {
      for (int32_t &particle : of) particle = places[particle];
      return of;
    };
    step->reorder(placed(particles), placed(ends));
    *is_other_order = false;
  }

  void queue(bool wants_forces) {
    allegro_gpu::Arguments from, to;
    from << handle(context.getPosq());
    if (context.getUseMixedPrecision()) from << handle(context.getPosqCorrection());
    OpenMM::Vec3 box[3];
    double cell[9];
    context.getPeriodicBoxVectors(box[0], box[1], box[2]);
    for (int k = 0; k < 3; ++k)
      for (int axis = 0; axis < 3; ++axis) {
        from << box[k][axis];
        cell[3 * k + axis] = box[k][axis] * NM_TO_ANGSTROM;
      }
    to << handle(context.getLongForceBuffer()) << handle(*sums)
       << context.getPaddedNumAtoms() << EV_TO_KJ_PER_MOL;
    step->run_openmm(from, to, adders, cell, wants_forces);
  }

  double wait_for_energy() {
    step->wait(nullptr);
    std::vector<double> parts;
    sums->download(parts);
    double energy = 0.0;
    for (const double part : parts) energy += part;
    return energy;
  }
};

}  // namespace Allegro
