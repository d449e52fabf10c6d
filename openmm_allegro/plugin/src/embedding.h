// SPDX-License-Identifier: MIT
// Charges of a region's atoms among the point charges of a force field: the energy of
// potential/embedded_module.py, E_lr(q, Q) - E_lr(Q) + the direct sum over charge and point.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "charges.h"
#include "pair_list.h"

namespace Allegro {

#include "../../kernels/cpu/screening.h"

class Embedding {
 public:
  explicit Embedding(const Models &models)
      : models(models), own(models.count()), points(long(models.points.size())),
        list(models.reach, models.skin, models.is_periodic, own) {}

  // Find the pairs of atoms and points at finite positions [own + points, 3], Å.
  void place(const std::vector<double> &x, const double *cell, Team &team) {
    near = x.data();
    if (!models.is_periodic || !points) return;
    list.update(own + points, x.data(), cell, team);
    near = list.positions(x.data(), cell);
  }

  // Sum over the field's charges and the points, for which positions were placed. What the
  // field has of its charges is written there, and forces on points go to `reactions`.
  void sum(Field &field, const Model &model, const std::vector<double> &x, const double *cell,
           Team &team, bool wants_forces, std::vector<double> &reactions) {
    reactions.assign(wants_forces ? 3 * points : 0, 0.0);
    if (models.is_periodic)
      sum_of_waves(field, model, x, cell, team, wants_forces, reactions);
    else
      field.sum(models, model, x.data(), cell, team.size, wants_forces);
    add_pairs(field, model.charges.alpha, cell, team, reactions);
    field.seed();
  }

 private:
  const Models &models;
  const long own, points;
  PairList list;  // of pairs within reach, if there is one
  const double *near = nullptr;
  const Screening screening;
  std::vector<double> charges, potentials, forces;        // of charges and points
  std::vector<double> of_points, of_points_alone, less;   // of points alone
  std::vector<double> shared;                             // of threads

  // E_lr(q, Q) - E_lr(Q), and the background of the whole box in the place of the points'.
  void sum_of_waves(Field &field, const Model &model, const std::vector<double> &x,
                    const double *cell, Team &team, bool wants_forces,
                    std::vector<double> &reactions) {
    const long all = own + points;
    const double alpha = model.charges.alpha;
    charges = field.charges, of_points.assign(own, 0.0);
    double sum_of_points = 0.0;
    for (const Point &point : models.points) {
      charges.push_back(point.charge), of_points.push_back(point.charge);
      sum_of_points += point.charge;
    }
    double strain_less[9];
    potentials.resize(all), of_points_alone.resize(all);
    forces.resize(wants_forces ? 3 * all : 0), less.resize(forces.size());
    const auto given = [&](const std::vector<double> &of) {
      return allegro_charges{all,   x.data(), cell, of.data(), COULOMB_EV_ANGSTROM,
                             alpha, 0.0,      ALLEGRO_USUAL_ORDER};
    };
    field.sum_over(given(charges), team.size, potentials, forces, field.strain);
    field.sum_over(given(of_points), team.size, of_points_alone, less, strain_less);
    const double whole = sum_of_points + models.total_charge;
    const double squares = sum_of_points * sum_of_points - whole * whole;
    const double background =
        M_PI * COULOMB_EV_ANGSTROM * squares / (2.0 * alpha * alpha) / Box(cell).volume();
    field.potentials.assign(potentials.begin(), potentials.begin() + own);
    field.shares.resize(own);
    for (long i = 0; i < own; ++i)
      field.shares[i] = 0.5 * charges[i] * (potentials[i] + of_points_alone[i]) +
                        background / double(own);
    if (!wants_forces) return field.forces.clear();
    for (size_t i = 0; i < forces.size(); ++i) forces[i] -= less[i];
    field.forces.assign(forces.begin(), forces.begin() + 3 * own);
    std::copy(forces.begin() + 3 * own, forces.end(), reactions.begin());
    for (int i = 0; i < 9; ++i)
      field.strain[i] -= strain_less[i] + (i % 4 ? 0.0 : background);
  }

  // Add k_e q Q erfc(α r) / r of pairs within reach, or without a box k_e q Q / r of all.
  void add_pairs(Field &field, double alpha, const double *cell, Team &team,
                 std::vector<double> &reactions) {
    const size_t size = reactions.size() + 9;
    const bool wants_forces = !field.forces.empty();
    shared.assign(size * team.size, 0.0);
    team.run([&](int thread) {
      double *strain = &shared[size * thread], *on_points = strain + 9;
      for (long i = team.begin(thread, own); i < team.end(thread, own); ++i) {
        const double *at = near + 3 * i;
        double potential = 0.0, force[3] = {};
        const auto add = [&](long j, const double *shift) {
          const double *to = near + 3 * (own + j);
          const double v[3] = {to[0] + shift[0] - at[0], to[1] + shift[1] - at[1],
                               to[2] + shift[2] - at[2]};
          const double square = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
          if (models.is_periodic && square >= models.reach * models.reach) return;
          const double r = std::sqrt(square), scale = COULOMB_EV_ANGSTROM;
          double value = 1.0 / r, slope = -1.0 / (square * r);  // f(r), and f'(r) / r
          if (models.is_periodic) {
            double gauss, gauss_slope;
            screening(alpha * r, &gauss, &gauss_slope);
            value -= alpha * gauss, slope -= alpha * alpha * alpha * gauss_slope;
          }
          potential += scale * models.points[j].charge * value;
          if (!wants_forces) return;
          const double pull = scale * models.points[j].charge * field.charges[i] * slope;
          for (int a = 0; a < 3; ++a) {
            force[a] += pull * v[a];
            on_points[3 * j + a] -= pull * v[a];
            for (int b = 0; b < 3; ++b) strain[3 * a + b] += pull * v[a] * v[b];
          }
        };
        if (models.is_periodic)
          for (int64_t p = points ? list.offsets[i] : 0; points && p < list.offsets[i + 1]; ++p) {
            const int8_t *n = &list.shifts[3 * p];
            double shift[3];
            for (int a = 0; a < 3; ++a)
              shift[a] = n[0] * cell[a] + n[1] * cell[3 + a] + n[2] * cell[6 + a];
            add(list.neighbors[p] - own, shift);
          }
        else {
          const double none[3] = {};
          for (long j = 0; j < points; ++j) add(j, none);
        }
        field.potentials[i] += potential;
        field.shares[i] += field.charges[i] * potential;
        if (wants_forces)
          for (int a = 0; a < 3; ++a) field.forces[3 * i + a] += force[a];
      }
    });
    if (!wants_forces) return;
    for (int thread = 0; thread < team.size; ++thread) {
      const double *part = &shared[size * thread];
      for (int i = 0; i < 9; ++i) field.strain[i] += part[i];
      for (size_t i = 0; i < reactions.size(); ++i) reactions[i] += part[9 + i];
    }
  }
};

}  // namespace Allegro
