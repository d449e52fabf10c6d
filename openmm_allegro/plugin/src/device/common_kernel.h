// SPDX-License-Identifier: MIT
// An AllegroForce on OpenMM's card: positions and forces never leave it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../card_kernel.h"
#include "../units.h"
#include "card.h"
#include "openmm/common/ComputeForceInfo.h"
#include "openmm/common/ContextSelector.h"

namespace Allegro {

// OpenMM moves atoms of a molecule together from one image of the box to another. The
// order in which it keeps atoms does not matter, because it is read in each step.
class ForceInfo : public OpenMM::ComputeForceInfo {
 public:
  explicit ForceInfo(const Models &models) {
    if (models.is_periodic) return;  // and then an atom's image does not matter, either
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

class CommonKernel : public CardKernel {
 public:
  CommonKernel(std::string name, const OpenMM::Platform &platform,
               OpenMM::ComputeContext &context)
      : CardKernel(std::move(name), platform), context(context) {}

  ~CommonKernel() override {
    OpenMM::ContextSelector selector(context);
    if (engine) allegro_gpu_close(engine);
    for (auto *array : {&positions, &places, &box, &energies, &forces, &strain, &particles,
                        &ends, &ratios, &sum})
      array->reset();
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
    OpenMM::ContextSelector selector(context);
    const int atoms = int(models.particles.size()), caps = int(models.caps.size());
    card = std::make_unique<Card>(context);
    device = card->device();
    open(models, programs);
    make_arrays(models);
    compile(atoms, caps);
    context.addForce(new ForceInfo(models));
  }

  double execute(bool wants_forces, bool wants_energy) override {
    OpenMM::ContextSelector selector(context);
    queue_positions();
    allegro_gpu_input input = {positions.get(), is_periodic ? box.get() : nullptr, 1,
                               NM_TO_ANGSTROM};
    allegro_gpu_output output = {energies.get(), wants_forces ? forces.get() : nullptr,
                                 strain.get()};
    char message[MESSAGE] = "";
    check(allegro_gpu_step(engine, &input, &output, message, MESSAGE), message);
    if (wants_forces) scatter->execute(atoms_and_caps);
    if (!wants_energy) return 0.0;
    total->execute(TOTAL_THREADS, TOTAL_THREADS);
    check(allegro_gpu_finish(engine, nullptr, message, MESSAGE), message);
    double energy = 0.0;
    sum->download(&energy, true);
    return energy * EV_TO_KJ_PER_MOL;
  }

 private:
  static constexpr int TOTAL_THREADS = 128, MESSAGE = 600;
  static constexpr double FORCE_UNIT = 4294967296.0;  // of OpenMM's sums, kJ/mol/nm

  using Array = std::unique_ptr<OpenMM::ComputeArray>;

  OpenMM::ComputeContext &context;
  std::unique_ptr<Card> card;
  allegro_gpu_device device;
  allegro_gpu_engine *engine = nullptr;
  bool is_periodic = false;
  int atoms_and_caps = 0;
  Array positions, places, box, energies, forces, strain, particles, ends, ratios, sum;
  OpenMM::ComputeKernel gather, scatter, total;
  int first_box_argument = 0;

  void check(int64_t outcome, const char *message) const {
    if (outcome == ALLEGRO_OK) return;
    std::string text = *message ? message : "Allegro: expected a step, found none";
    if (!card->failure.empty()) text += " (" + card->failure + ")";
    card->failure.clear();
    throw OpenMM::OpenMMException(text);
  }

  void open(const Models &models, const std::vector<allegro_program> &programs) {
    std::vector<int64_t> types, ends;
    std::vector<double> ratios;
    for (const Model &member : models.members)
      types.insert(types.end(), member.types.begin(), member.types.end());
    for (const Cap &cap : models.caps) {
      ends.push_back(cap.inner), ends.push_back(cap.outer);
      ratios.push_back(cap.ratio);
    }
    allegro_gpu_atoms all = {};
    all.count = models.count();
    all.members = int64_t(programs.size());
    all.programs = programs.data();
    all.types = types.data();
    all.particles = models.particles.data();
    all.caps = int64_t(models.caps.size());
    all.ends = ends.data();
    all.ratios = ratios.data();
    for (int64_t &axis : all.periodic) axis = models.is_periodic;
    all.skin = models.skin;
    char message[MESSAGE] = "";
    engine = allegro_gpu_open(&device, &all, message, MESSAGE);
    if (!engine) check(ALLEGRO_REFUSED, message);
    is_periodic = models.is_periodic;
    atoms_and_caps = int(models.count());
  }

  template <typename T> Array array(size_t size, const char *name) {
    auto made = std::make_unique<OpenMM::ComputeArray>();
    made->initialize<T>(context, std::max<size_t>(size, 1), name);
    return made;
  }

  template <typename T> Array array(std::vector<T> values, const char *name) {
    values.resize(std::max<size_t>(values.size(), 1));
    Array made = array<T>(values.size(), name);
    made->upload(values);
    return made;
  }

  void make_arrays(const Models &models) {
    const size_t all = context.getNumAtoms();
    positions = array<double>(3 * all, "allegroPositions");
    places = array<int>(all, "allegroPlaces");
    box = array<double>(9, "allegroBox");
    energies = array<double>(atoms_and_caps, "allegroEnergies");
    forces = array<double>(3 * atoms_and_caps, "allegroForces");
    strain = array<double>(9, "allegroStrain");
    sum = array<double>(1, "allegroSum");
    std::vector<int> ends_of_caps;
    std::vector<double> ratios_of_caps;
    for (const Cap &cap : models.caps) {
      ends_of_caps.push_back(int(cap.inner)), ends_of_caps.push_back(int(cap.outer));
      ratios_of_caps.push_back(cap.ratio);
    }
    particles = array(std::vector<int>(models.particles.begin(), models.particles.end()),
                      "allegroParticles");
    ends = array(ends_of_caps, "allegroEnds");
    ratios = array(ratios_of_caps, "allegroRatios");
  }

  void compile(int atoms, int caps) {
    static const char *SOURCE =
#include "transfer.cc"
        ;
    const double unit = FORCE_UNIT * EV_TO_KJ_PER_MOL * NM_TO_ANGSTROM;
    char unit_text[40];
    std::snprintf(unit_text, sizeof unit_text, "%.17g", unit);
    const std::map<std::string, std::string> defines = {
        {"PARTICLES", context.intToString(context.getNumAtoms())},
        {"PADDED", context.intToString(context.getPaddedNumAtoms())},
        {"ATOMS", context.intToString(atoms)},
        {"CAPS", context.intToString(caps)},
        {"TOTAL_THREADS", context.intToString(TOTAL_THREADS)},
        {"UNIT", unit_text}};
    OpenMM::ComputeProgram program = context.compileProgram(SOURCE, defines);
    gather = program->createKernel("gather");
    gather->addArg(context.getPosq());
    if (context.getUseMixedPrecision()) gather->addArg(context.getPosqCorrection());
    gather->addArg(context.getAtomIndexArray());
    for (auto *array : {&positions, &places, &box}) gather->addArg(**array);
    first_box_argument = context.getUseMixedPrecision() ? 6 : 5;
    for (int i = 0; i < 9; ++i) gather->addArg(0.0);
    scatter = program->createKernel("scatter");
    for (auto *array : {&forces, &particles, &places, &ends, &ratios})
      scatter->addArg(**array);
    scatter->addArg(context.getLongForceBuffer());
    total = program->createKernel("total");
    total->addArg(*energies);
    total->addArg(*sum);
  }

  void queue_positions() {
    OpenMM::Vec3 vectors[3];
    context.getPeriodicBoxVectors(vectors[0], vectors[1], vectors[2]);
    for (int k = 0; k < 3; ++k)
      for (int axis = 0; axis < 3; ++axis)
        gather->setArg(first_box_argument + 3 * k + axis, vectors[k][axis]);
    gather->execute(context.getNumAtoms());
  }
};

}  // namespace Allegro
