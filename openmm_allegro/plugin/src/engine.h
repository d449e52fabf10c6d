// SPDX-License-Identifier: MIT
// Models at work, with a pair list and threads: from positions to energies and forces.
#pragma once

#include <cmath>
#include <memory>
#include <new>
#include <vector>

#include "charges.h"
#include "embedding.h"
#include "models.h"
#include "openmm/Vec3.h"
#include "pair_list.h"
#include "tables.h"
#include "team.h"
#include "units.h"

namespace Allegro {

// Results of one model, or means over several: eV and Å.
struct Results {
  std::vector<double> energies;  // of atoms, then of caps
  std::vector<double> forces;    // [atoms and caps, 3]; empty if not wanted
  std::vector<double> reactions;  // forces on the points around [points, 3], likewise
  double strain[9];              // dE/dε
};

class Engine {
 public:
  Engine(std::shared_ptr<const Models> given, int threads)
      : models(std::move(given)),
        kernels(ChosenKernels::get()),
        team(std::max(1, int(std::min(long(threads), models->count())))),
        list(models->cutoff, models->skin, models->is_periodic) {}

  // Energies of the atoms, and forces on them, at positions of particles and box vectors
  // in nm. `positions[3 * p + axis]` and `box[3 * k + axis]` are read.
  void run(const double *positions, const double *box, bool wants_forces, Results &mean) {
    place(positions, box);
    run_member(0, wants_forces, mean);
    if (opened.size() == 1) return;
    for (size_t m = 1; m < opened.size(); ++m) {
      run_member(m, wants_forces, other);
      for (size_t i = 0; i < mean.energies.size(); ++i) mean.energies[i] += other.energies[i];
      for (size_t i = 0; i < mean.forces.size(); ++i) mean.forces[i] += other.forces[i];
      for (size_t i = 0; i < mean.reactions.size(); ++i)
        mean.reactions[i] += other.reactions[i];
      if (wants_forces)
        for (int i = 0; i < 9; ++i) mean.strain[i] += other.strain[i];
    }
    const double members = double(opened.size());
    for (double &energy : mean.energies) energy /= members;
    for (double &force : mean.forces) force /= members;
    for (double &force : mean.reactions) force /= members;
    if (wants_forces)
      for (double &strain : mean.strain) strain /= members;
  }

  // Deviation of the force on each atom over the models, eV/Å:
  // s_i = sqrt(1/(M - 1) Σ_m |F_i^m - F_i|²), doi:10.1063/5.0016004.
  std::vector<double> deviation(const double *positions, const double *box) {
    if (models->members.size() < 2)
      throw OpenMM::OpenMMException("Allegro: expected a committee, found one model");
    place(positions, box);
    const size_t atoms = models->particles.size();
    std::vector<std::vector<OpenMM::Vec3>> forces(opened.size());
    std::vector<OpenMM::Vec3> everywhere(particles_needed());
    for (size_t m = 0; m < opened.size(); ++m) {
      run_member(m, true, other);
      std::fill(everywhere.begin(), everywhere.end(), OpenMM::Vec3());
      add_forces(other, 1.0, everywhere);
      for (const int64_t particle : models->particles)
        forces[m].push_back(everywhere[particle]);
    }
    std::vector<double> deviations(atoms, 0.0);
    for (size_t i = 0; i < atoms; ++i) {
      OpenMM::Vec3 mean;
      for (const auto &member : forces) mean += member[i] / double(forces.size());
      for (const auto &member : forces)
        deviations[i] += (member[i] - mean).dot(member[i] - mean);
      deviations[i] = std::sqrt(deviations[i] / double(forces.size() - 1));
    }
    return deviations;
  }

  // The derivative of the energy by the strain for each atom, as in allegro.h: [atoms, 3, 3],
  // eV, means over the models.
  std::vector<double> virials(const double *positions, const double *box) {
    if (!models->caps.empty())
      throw OpenMM::OpenMMException(
          "Allegro: expected a model without link atoms for virials of the atoms, found " +
          std::to_string(models->caps.size()));
    if (models->is_charged())
      throw OpenMM::OpenMMException(
          "Allegro: expected a model without charges for virials of the atoms, found one "
          "with charges, whose energy at long range is of all atoms");
    place(positions, box);
    std::vector<double> sums(9 * models->count(), 0.0);
    for (size_t m = 0; m < opened.size(); ++m) run_member(m, true, other, &sums);
    for (double &virial : sums) virial /= double(opened.size());
    return sums;
  }

  // The charge of each atom without caps, e, means over the models.
  std::vector<double> charges(const double *positions, const double *box) {
    if (!models->is_charged())
      throw OpenMM::OpenMMException(
          "Allegro: expected a model with charges for those of the atoms, found one of "
          "charges = 'none'");
    if (!models->caps.empty())
      throw OpenMM::OpenMMException(
          "Allegro: expected a model without link atoms for charges of the atoms, found " +
          std::to_string(models->caps.size()));
    place(positions, box);
    std::vector<double> means(models->count(), 0.0);
    for (size_t m = 0; m < opened.size(); ++m) {
      find_charges(m, nullptr);
      for (size_t i = 0; i < means.size(); ++i)
        means[i] += field->charges[i] / double(opened.size());
    }
    return means;
  }

  // Add forces times `unit` to those of all particles; a cap's act on both ends.
  void add_forces(const Results &results, double unit, std::vector<OpenMM::Vec3> &to) const {
    const size_t atoms = models->particles.size();
    const auto force = [unit](const std::vector<double> &forces, size_t i) {
      return OpenMM::Vec3(forces[3 * i], forces[3 * i + 1], forces[3 * i + 2]) * unit;
    };
    const auto divide = [&](const Cap &place, const OpenMM::Vec3 &whole) {
      to[place.inner] += whole * (1.0 - place.ratio);
      to[place.outer] += whole * place.ratio;
    };
    for (size_t i = 0; i < atoms; ++i) to[models->particles[i]] += force(results.forces, i);
    for (size_t n = 0; n < models->caps.size(); ++n)
      divide(models->caps[n], force(results.forces, atoms + n));
    for (size_t n = 0; n < models->points.size(); ++n)
      divide(models->points[n].place, force(results.reactions, n));
  }

  // One more than the largest particle that is read.
  size_t particles_needed() const {
    int64_t largest = 0;
    for (const int64_t particle : models->particles) largest = std::max(largest, particle);
    for (const Cap &cap : models->caps) largest = std::max({largest, cap.inner, cap.outer});
    for (const Point &point : models->points)
      largest = std::max({largest, point.place.inner, point.place.outer});
    return size_t(largest + 1);
  }

  const std::shared_ptr<const Models> models;
  int64_t rebuilds() const { return list.rebuilds; }

 private:
  const std::shared_ptr<const Kernels> kernels;
  Team team;
  PairList list;
  std::vector<std::shared_ptr<const Model>> complete;
  std::vector<Opened> opened;
  std::vector<double> x, forces, strains;  // x: of atoms, caps and points
  const double *near = nullptr;  // x, near the box
  double cell[9];
  Results other;
  std::unique_ptr<Field> field;          // of models with charges
  std::unique_ptr<Embedding> embedding;  // of those among points

  // Not when it is made: some engines only tell what they are of.
  void open_members() {
    std::vector<Opened> all;
    complete = Tables::complete(models, *kernels, team.size);
    for (const auto &member : complete) all.push_back(open(*kernels, *member));
    if (models->is_charged()) field = std::make_unique<Field>(*kernels);
    if (models->is_embedded) embedding = std::make_unique<Embedding>(*models);
    opened.swap(all);
  }

  // Positions of atoms, caps and points, Å, and their pairs.
  void place(const double *positions, const double *box) {
    const Models &m = *models;
    if (opened.empty()) open_members();
    for (int i = 0; i < 9; ++i) cell[i] = m.is_periodic ? box[i] * NM_TO_ANGSTROM : 0.0;
    for (const double length : cell)
      if (!std::isfinite(length))  // it would crash the search for pairs
        throw OpenMM::OpenMMException(
            "Allegro: expected finite box vectors, found NaN or infinity");
    x.clear();
    for (const int64_t particle : m.particles)
      for (int axis = 0; axis < 3; ++axis)
        x.push_back(positions[3 * particle + axis] * NM_TO_ANGSTROM);
    for (const Cap &cap : m.caps) place_cap(cap, positions);
    for (const Point &point : m.points) place_cap(point.place, positions);
    for (const double coordinate : x)
      if (!std::isfinite(coordinate))
        throw OpenMM::OpenMMException(
            "Allegro: expected finite positions, found NaN or infinity; the simulation has "
            "become unstable or was started from bad coordinates");
    list.update(m.count(), x.data(), cell, team);
    near = list.positions(x.data(), cell);
    if (embedding) embedding->place(x, cell, team);
  }

  void place_cap(const Cap &cap, const double *positions) {
    const double *inner = positions + 3 * cap.inner, *outer = positions + 3 * cap.outer;
    double bond[3];
    if (cap.ratio == 0.0) {
      for (int axis = 0; axis < 3; ++axis) x.push_back(inner[axis] * NM_TO_ANGSTROM);
      return;
    }
    for (int axis = 0; axis < 3; ++axis)
      bond[axis] = (outer[axis] - inner[axis]) * NM_TO_ANGSTROM;
    if (models->is_periodic) {
      const Box box(cell);
      double images[3];
      box.images(bond, images);
      for (int k = 0; k < 3; ++k)
        for (int axis = 0; axis < 3; ++axis) bond[axis] -= images[k] * cell[3 * k + axis];
    }
    for (int axis = 0; axis < 3; ++axis)
      x.push_back(inner[axis] * NM_TO_ANGSTROM + cap.ratio * bond[axis]);
  }

  // Energies, forces and strain of one model. Virials of the atoms are added to, if they
  // are wanted.
  void run_member(size_t member, bool wants_forces, Results &results,
                  std::vector<double> *virials = nullptr) {
    if (!field) return run_kernel(member, wants_forces, nullptr, results, virials);
    const Model &model = models->members[member];
    results.energies.resize(models->count());
    // Without forces the first pass is the only one, and gives the energies too.
    const bool is_one_pass = !wants_forces && model.charges.is_learned;
    find_charges(member, is_one_pass ? results.energies.data() : nullptr);
    if (embedding)
      embedding->sum(*field, model, x, cell, team, wants_forces, results.reactions);
    else
      field->sum(*models, model, x.data(), cell, team.size, wants_forces);
    if (is_one_pass)
      results.forces.clear();
    else
      run_kernel(member, wants_forces,
                 model.charges.is_learned ? field->seeds.data() : nullptr, results, virials);
    for (size_t i = 0; i < results.energies.size(); ++i)
      results.energies[i] += field->shares[i];
    for (size_t i = 0; i < results.forces.size(); ++i) results.forces[i] += field->forces[i];
    for (int i = 0; i < 9 && wants_forces; ++i) results.strain[i] += field->strain[i];
  }

  // Charges of the atoms; energies too, if they are wanted and the charges are learned.
  void find_charges(size_t member, double *energies) {
    const Model &model = models->members[member];
    double *raw = field->reserve(models->count());
    if (model.charges.is_learned) {
      const allegro_results wanted = {energies, nullptr, nullptr, nullptr, raw};
      team.run([&](int thread) { run_centers(member, thread, nullptr, wanted); });
    }
    field->complete(model, models->total_charge);
  }

  // Each thread has equal numbers of centres, whatever the list: so a restart divides the
  // sums as the run before did, and gives the same numbers to the last bit.
  void run_centers(size_t member, int thread, const double *seeds,
                   const allegro_results &results) {
    const long count = models->count();
    const allegro_atoms atoms = {count,
                                 near,
                                 cell,
                                 models->members[member].types.data(),
                                 list.offsets.data(),
                                 list.neighbors.data(),
                                 list.shifts.data(),
                                 seeds};
    const int64_t outcome =
        kernels->run(opened[member].get(), &atoms, team.begin(thread, count),
                     team.end(thread, count), &results);
    if (outcome != ALLEGRO_OK) throw std::bad_alloc();
  }

  // What the program gives, with seeds for its charges if there are any.
  void run_kernel(size_t member, bool wants_forces, const double *seeds, Results &results,
                  std::vector<double> *virials) {
    const long count = models->count();
    results.energies.resize(count);
    results.forces.assign(wants_forces ? 3 * count : 0, 0.0);
    forces.assign(wants_forces ? 3 * count * (team.size - 1) : 0, 0.0);
    strains.assign(9 * team.size, 0.0);
    std::vector<double> own_virials(virials ? 9 * count * team.size : 0, 0.0);
    team.run([&](int thread) {
      double *own = nullptr;  // the first thread's are the result's
      if (wants_forces)
        own = thread ? &forces[3 * count * (thread - 1)] : results.forces.data();
      run_centers(member, thread, seeds,
                  {results.energies.data(), own, &strains[9 * thread],
                   virials ? &own_virials[9 * count * thread] : nullptr, nullptr});
    });
    for (int i = 0; i < 9; ++i) {
      results.strain[i] = 0.0;
      for (int thread = 0; thread < team.size; ++thread)
        results.strain[i] += strains[9 * thread + i];
    }
    for (int thread = 1; thread < team.size && wants_forces; ++thread)
      for (long i = 0; i < 3 * count; ++i)
        results.forces[i] += forces[3 * count * (thread - 1) + i];
    for (int thread = 0; thread < team.size && virials; ++thread)
      for (long i = 0; i < 9 * count; ++i) (*virials)[i] += own_virials[9 * count * thread + i];
  }
};

}  // namespace Allegro
