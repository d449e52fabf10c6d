// SPDX-License-Identifier: MIT
// Charges of a model's atoms, and their field at long range.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "box.h"
#include "models.h"
#include "units.h"

namespace Allegro {

// The charges of one model after the other; the mesh is kept from step to step.
class Field {
 public:
  std::vector<double> charges;     // [count], e, of the model last given
  std::vector<double> potentials;  // dE/dq [count], V
  std::vector<double> seeds;       // the same less its mean: a charge that all raw ones
                                   // gain is taken off again
  std::vector<double> shares;      // of the energy [count], eV
  std::vector<double> forces;      // [count, 3], eV/Å; empty if not wanted
  double strain[9];                // eV, if there are forces

  explicit Field(const Kernels &kernels)
      : kernels(kernels), mesh(kernels.mesh_open(), kernels.mesh_close) {
    if (!mesh) throw std::bad_alloc();
  }

  // Room for charges that the network adds to those of the elements: [count], zeros.
  double *reserve(long count) {
    charges.assign(count, 0.0);
    return charges.data();
  }

  // Add to the raw charges those of the elements, and what gives all atoms the total.
  void complete(const Model &model, double total) {
    double sum = 0.0;
    for (size_t i = 0; i < charges.size(); ++i)
      sum += charges[i] += model.charges.start[model.types[i]];
    const double missing = (total - sum) / double(charges.size());
    for (double &charge : charges) charge += missing;
  }

  // Sum over the charges at positions x [count, 3], Å, in a box or images as `models` says.
  void sum(const Models &models, const Model &model, const double *x, const double *cell,
           int threads, bool wants_forces) {
    const long count = long(charges.size());
    const bool has_box = models.is_periodic && models.images == Images::all;
    if (models.is_periodic && models.images == Images::nearest) x = take_nearest(x, cell);
    potentials.resize(count);
    shares.resize(count);
    forces.resize(wants_forces ? 3 * count : 0);
    sum_over({count, x, has_box ? cell : nullptr, charges.data(), COULOMB_EV_ANGSTROM,
              model.charges.alpha, 0.0, ALLEGRO_USUAL_ORDER},
             threads, potentials, forces, strain);
    for (long i = 0; i < count; ++i) shares[i] = 0.5 * charges[i] * potentials[i];
    seed();
  }

  // Sum over any charges; forces, which are not wanted if they are none, have strain beside.
  void sum_over(const allegro_charges &given, int threads, std::vector<double> &potentials,
                std::vector<double> &forces, double *strain) {
    double energy;
    const bool wants_forces = !forces.empty();
    const allegro_field results = {&energy, potentials.data(),
                                   wants_forces ? forces.data() : nullptr,
                                   wants_forces ? strain : nullptr};
    switch (kernels.mesh_sum(mesh.get(), &given, threads, &results)) {
      case ALLEGRO_OK: break;
      case ALLEGRO_NO_MEMORY: throw std::bad_alloc();
      default:
        throw OpenMM::OpenMMException(
            "Allegro: expected a box whose charges need a mesh of at most 2^28 points, "
            "found box vectors that need more, or without a volume; is the box right?");
    }
  }

  // Find the seeds from the potentials.
  void seed() {
    double mean = 0.0;
    for (const double potential : potentials) mean += potential / double(charges.size());
    seeds = potentials;
    for (double &seed : seeds) seed -= mean;
  }

 private:
  const Kernels &kernels;
  const std::unique_ptr<allegro_mesh, decltype(&allegro_mesh_close)> mesh;
  std::vector<double> moved;

  // The image of each atom that is nearest to the first one.
  const double *take_nearest(const double *x, const double *cell) {
    const Box box(cell);
    moved.assign(x, x + 3 * charges.size());
    for (size_t i = 0; i < moved.size(); i += 3) {
      const double from[3] = {x[i] - x[0], x[i + 1] - x[1], x[i + 2] - x[2]};
      double images[3];
      box.images(from, images);
      for (int k = 0; k < 3; ++k)
        for (int axis = 0; axis < 3; ++axis)
          moved[i + axis] -= images[k] * cell[3 * k + axis];
    }
    return moved.data();
  }
};

}  // namespace Allegro
