// SPDX-License-Identifier: GPL-2.0-or-later
// Models with charges: those of the atoms, and the energy of their Gaussians at long range.
// In a box it is the reciprocal part, with the self term, that LAMMPS's kspace_style computes
// when the pair style asks for it; without a box it is a sum over all pairs of atoms.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

#include "allegro_model.h"
#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "kspace.h"
#include "pair_allegro.h"
#include "update.h"
#include "utils.h"

using namespace LAMMPS_NS;
namespace oa = openmm_allegro;

static constexpr double PI = 3.14159265358979323846;
// LAMMPS gives energies of atoms, q φ / 2, and this for charges that are 0 lets φ be found.
static constexpr double TINY = 1e-100;
// Of the sum of squared charges, by which kspace styles choose their resolution.
static constexpr double OTHER_CHARGES = 0.1;
// Between the width of the model and that which kspace_modify was given, as a fraction.
static constexpr double WIDTH_ERROR = 1e-4;

// Sums of two numbers over all ranks.
struct Sums {
  double first, second;
};

static Sums sum_over(MPI_Comm world, double first, double second) {
  const double own[2] = {first, second};
  double all[2];
  MPI_Allreduce(own, all, 2, MPI_DOUBLE, MPI_SUM, world);
  return {all[0], all[1]};
}

bool PairAllegro::is_charged() const { return members.front().about.is_charged(); }

bool PairAllegro::is_periodic() const { return domain->nonperiodic == 0; }

// Refuse what lacks charges, or has others beside those of the model.
void PairAllegro::check_charges() const {
  const oa::Model &first = members.front();
  const std::string model = "the model with charges " + first.path;
  if (!first.about.is_charged()) {
    if (has_total_charge)
      error->all(FLERR, STYLE + "expected a model with charges beside total_charge, found " +
                            first.path + " without");
    return;
  }
  if (!atom->q_flag)
    error->all(FLERR, STYLE + "expected an atom_style with charges for " + model +
                          ", such as charge or full, found atom_style " + atom->atom_style);
  if (first.about.is_delta())
    error->all(FLERR, STYLE + "expected a model of kind total, found " + model +
                          " of kind delta, whose charges would be those of the force field");
  if (update->whichflag == 1 && std::strcmp(update->integrate_style, "verlet") != 0)
    error->all(FLERR, STYLE + "expected run_style verlet for " + model +
                          ", found run_style " + update->integrate_style);
  for (int type = 1; type <= atom->ntypes; ++type)
    if (element_of[static_cast<size_t>(type)] < 0)
      error->all(FLERR, STYLE + "expected an element for each type, since " + model +
                            " must know all charges, found NULL for type " +
                            std::to_string(type));
  if (has_other_charges())
    error->all(FLERR, STYLE + "expected no other pair style of charges beside " + model +
                          ", found one in pair_style " + force->pair_style);
  const int *periodic = domain->periodicity;
  const int vectors = periodic[0] + periodic[1] + periodic[2];
  if (vectors != 0 && vectors != 3)
    error->all(FLERR, STYLE + "expected a box that is periodic along all of its vectors or "
                              "none for " + model + ", found " + std::to_string(vectors) +
                          " of 3 (boundary)");
  if (vectors) check_kspace(model);
}

// Tell whether another pair style of a hybrid one has charges, or is a second allegro.
bool PairAllegro::has_other_charges() const {
  if (!utils::strmatch(force->pair_style, "^hybrid")) return false;
  const Pair *first = force->pair_match("^allegro$", 0, 1);
  return force->pair_match("coul", 0, 1) || force->pair_match("^allegro$", 0, 2) != first;
}

// Refuse a kspace_style that would compute another energy.
void PairAllegro::check_kspace(const std::string &model) const {
  const KSpace *kspace = force->kspace;
  const double alpha = members.front().about.charges.alpha;
  char remedy[120];
  std::snprintf(remedy, sizeof remedy,
                "; kspace_style pppm 1e-6 and kspace_modify gewald %.17g compute no", alpha);
  const std::string style = kspace ? force->kspace_style : "none";
  if (style != "pppm" && style != "ewald")
    error->all(FLERR, STYLE + "expected kspace_style pppm or ewald for " + model +
                          ", found " + style + remedy);
  if (kspace->slabflag)
    error->all(FLERR, STYLE + "expected no kspace_modify slab for " + model + ", found it");
  if (kspace->compute_flag)
    error->all(FLERR, STYLE + "expected kspace_modify compute no, since the pair style itself "
                              "asks for the waves of " + model + ", found yes" + remedy);
  if (std::fabs(kspace->g_ewald - alpha) > WIDTH_ERROR * alpha)
    error->all(FLERR, STYLE + "expected kspace_modify gewald of the width of the charges of " +
                          model + ", found gewald " + std::to_string(kspace->g_ewald) +
                          remedy);
}

// Run a member: its charges, what they do to each other, and the forces of both.
void PairAllegro::run_charged(size_t m, double *forces) {
  const double factor = energy_unit() / static_cast<double>(members.size());
  const oa::Charges &model = members[m].about.charges;
  find_charges(m);
  potentials.assign(charges.size(), 0.0);
  if (is_periodic())
    add_waves(model, factor, model.are_learned() || eflag_atom, forces);
  else
    add_pairs(model, factor, forces);
  set_charges(m);
  if (eflag_atom)
    for (size_t i = 0; i < charges.size(); ++i) eatom[i] += 0.5 * charges[i] * potentials[i];
  if (!model.are_learned()) return run_kernel({m, m + 1, forces, nullptr, nullptr});
  // What is added to all charges for their sum depends on each of them.
  double own = 0.0;
  for (const double potential : potentials) own += potential;
  const Sums sums = sum_over(world, own, double(charges.size()));
  for (double &potential : potentials) potential -= sums.first / sums.second;
  run_kernel({m, m + 1, forces, nullptr, potentials.data()});
}

// Charges of the atoms by a member; all atoms together have the given total.
void PairAllegro::find_charges(size_t m) {
  const oa::Charges &model = members[m].about.charges;
  const int nlocal = atom->nlocal;
  charges.assign(nlocal, 0.0);
  if (model.are_learned()) run_kernel({m, m + 1, nullptr, charges.data(), nullptr});
  double own = 0.0;
  for (int i = 0; i < nlocal; ++i) {
    charges[i] += model.start[static_cast<size_t>(types[i])];
    if (!std::isfinite(charges[i])) refuse_atom(i, "a finite charge");
    own += charges[i];
  }
  const Sums sums = sum_over(world, own, double(nlocal));
  for (double &charge : charges) charge += (total_charge - sums.first) / sums.second;
}

// Give atoms the means of the charges by the members so far.
void PairAllegro::set_charges(size_t m) {
  if (m == 0) mean_charges.assign(charges.size(), 0.0);
  for (size_t i = 0; i < charges.size(); ++i) {
    mean_charges[i] += (charges[i] - mean_charges[i]) / static_cast<double>(m + 1);
    atom->q[i] = mean_charges[i];
  }
}

// Let LAMMPS sum over waves. Its energy has a term of a uniform background for charges that
// do not add up to zero, which the model does not have.
void PairAllegro::add_waves(const oa::Charges &model, double factor, bool of_atoms,
                            double *forces) {
  KSpace *kspace = force->kspace;
  double *q = atom->q;
  const int nlocal = atom->nlocal;
  double before = 0.0, now = 0.0;
  for (int i = 0; i < nlocal; ++i) {
    before += q[i] * q[i];
    q[i] = charges[i] == 0.0 ? TINY : charges[i];
    now += q[i] * q[i];
  }
  kspace->g_ewald = model.alpha;
  prepare_kspace(before, now);
  kspace->qsum_qsq(0);
  const double unit = model.coulomb * factor;
  *static_cast<double *>(kspace->extract("scale")) = unit / force->qqrd2e;
  std::vector<double> others;  // what LAMMPS's forces hold already
  double *f = nlocal ? atom->f[0] : nullptr;
  const bool apart = f && f != forces;
  if (apart) {
    others.assign(f, f + 3 * size_t(nlocal));
    std::fill_n(f, others.size(), 0.0);
  }
  kspace->compute(of_atoms ? ENERGY_GLOBAL | ENERGY_ATOM : ENERGY_GLOBAL,
                  vflag_global ? VIRIAL_PAIR : VIRIAL_NONE);
  for (size_t i = 0; i < others.size(); ++i) {
    forces[i] += f[i];
    f[i] = others[i];
  }
  const double volume = domain->xprd * domain->yprd * domain->zprd;
  const double range = model.alpha * model.alpha * volume;
  const double background = 0.5 * PI * unit * total_charge / range;  // of a charge of 1 e
  for (int i = 0; i < nlocal && of_atoms; ++i)
    potentials[i] = 2.0 * (kspace->eatom[i] / q[i] + background);
  if (comm->me == 0) {  // LAMMPS has these sums on all ranks
    if (eflag_global) eng_coul += kspace->energy + background * total_charge;
    for (int k = 0; k < 6 && vflag_global; ++k) virial[k] += kspace->virial[k];
  }
  kspace->energy = 0.0;  // LAMMPS adds these to those of the pair style
  std::fill_n(kspace->virial, 6, 0.0);
}

// Fit the kspace_style to the box, and to charges that it was not initialised with.
void PairAllegro::prepare_kspace(double before, double now) {
  KSpace *kspace = force->kspace;
  double box[9];
  std::copy_n(domain->h, 6, box);
  std::copy_n(domain->boxlo, 3, box + 6);
  if (is_kspace_ready && std::equal(box, box + 9, kspace_box)) return;
  if (!is_kspace_ready) {
    const Sums sums = sum_over(world, before, now);
    if (std::fabs(sums.first - sums.second) > OTHER_CHARGES * sums.second) kspace->init();
  }
  kspace->setup();
  std::copy_n(box, 9, kspace_box);
  is_kspace_ready = true;
}

// Sum over all pairs of atoms, each rank those of its own with all others.
void PairAllegro::add_pairs(const oa::Charges &model, double factor, double *forces) {
  const int nlocal = atom->nlocal, ranks = comm->nprocs;
  std::vector<double> own, all;
  for (int i = 0; i < nlocal; ++i) {
    own.insert(own.end(), atom->x[i], atom->x[i] + 3);
    own.push_back(charges[i]);
  }
  const int size = 4 * nlocal;
  std::vector<int> sizes(ranks), starts(ranks, 0);
  MPI_Allgather(&size, 1, MPI_INT, sizes.data(), 1, MPI_INT, world);
  for (int rank = 1; rank < ranks; ++rank) starts[rank] = starts[rank - 1] + sizes[rank - 1];
  all.resize(static_cast<size_t>(starts.back()) + sizes.back());
  MPI_Allgatherv(own.data(), size, MPI_DOUBLE, all.data(), sizes.data(), starts.data(),
                 MPI_DOUBLE, world);
  const size_t count = all.size() / 4, first = static_cast<size_t>(starts[comm->me]) / 4;
  const double unit = model.coulomb * factor, alpha = model.alpha;
  double energy = 0.0, sum[6] = {};
  for (int i = 0; i < nlocal; ++i) {
    const double *a = &own[4 * size_t(i)];
    for (size_t j = 0; j < count; ++j) {
      if (j == first + i) continue;
      const double *b = &all[4 * j];
      const double d[3] = {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
      const double r2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2], r = std::sqrt(r2);
      const double kernel = unit * std::erf(alpha * r) / r;
      const double slope = 2.0 * unit * alpha / std::sqrt(PI) * std::exp(-alpha * alpha * r2);
      const double force_over_r = a[3] * b[3] * (kernel - slope) / r2;
      potentials[i] += b[3] * kernel;
      for (int axis = 0; axis < 3; ++axis) forces[3 * i + axis] += force_over_r * d[axis];
      static constexpr int ROW[6] = {0, 1, 2, 0, 0, 1}, COLUMN[6] = {0, 1, 2, 1, 2, 2};
      for (int k = 0; k < 6; ++k) sum[k] += 0.5 * force_over_r * d[ROW[k]] * d[COLUMN[k]];
    }
    energy += 0.5 * a[3] * potentials[i];
  }
  if (eflag_global) eng_coul += energy;
  for (int k = 0; k < 6 && vflag_global; ++k) virial[k] += sum[k];
}
