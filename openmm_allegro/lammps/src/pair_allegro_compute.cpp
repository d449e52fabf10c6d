// SPDX-License-Identifier: GPL-2.0-or-later
// A step of the pair style: energies, forces, virials, and deviations of a committee.
#include <cmath>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "allegro_model.h"
#include "atom.h"
#include "comm.h"
#include "error.h"
#include "neigh_list.h"
#include "pair_allegro.h"
#include "update.h"

using namespace LAMMPS_NS;
namespace oa = openmm_allegro;

static constexpr int CENTERS = 1024;  // of a chunk
static constexpr int WIDEST = 16384;  // from the first to the last of a chunk's atoms
// Components of a matrix [3, 3] in LAMMPS's order: xx yy zz xy xz yz yx zx zy.
static constexpr int ORDER[9] = {0, 4, 8, 1, 2, 5, 3, 6, 7};
static constexpr int TRANSPOSED[6] = {0, 4, 8, 3, 6, 7};

void PairAllegro::compute(int eflag, int vflag) {
  ev_init(eflag, vflag);
  if (is_charged() && (vflag_atom || cvflag_atom))
    error->all(FLERR, STYLE + "expected no stress of atoms and no heat flux for a model with "
                              "charges, whose waves belong to no atom, found a compute or "
                              "fix that asks for it");
  if (!is_list_checked) check_list();
  is_list_checked = true;
  const size_t nlocal = atom->nlocal, nall = nlocal + atom->nghost;
  std::string problem;
  try {
    place_atoms();
    total = 0.0;
    std::fill(strain, strain + 9, 0.0);
    if (vflag_atom || cvflag_atom) virials.assign(9 * nall, 0.0);
    if (has_deviation) deviation.assign(nlocal + 1, 0.0);
    if (has_deviation && (deviation_flag || !has_flag))
      compute_deviation();
    else
      run_members(0, members.size(), nall ? atom->f[0] : nullptr);
  } catch (const std::bad_alloc &) {
    problem = oa::NO_MEMORY;
  } catch (const std::length_error &) {  // of a vector
    problem = oa::NO_MEMORY;
  }
  if (!problem.empty()) error->one(FLERR, STYLE + problem);
  if (eflag_global) eng_vdwl += total;
  tally_virials();
}

// Elements of all atoms. Positions must be finite, which the kernel does not check.
void PairAllegro::place_atoms() {
  const int nlocal = atom->nlocal, nall = nlocal + atom->nghost;
  if (types.capacity() < size_t(nall)) types.reserve(nall + nall / 20);  // not twice as many
  types.resize(nall);
  for (int i = 0; i < nall; ++i) {
    const int element = element_of[atom->type[i]];
    types[i] = element < 0 ? 0 : element;  // the list has no pairs of those
  }
  for (int i = 0; i < nlocal; ++i) {
    const double *x = atom->x[i];
    if (!std::isfinite(x[0] + x[1] + x[2])) refuse_atom(i, "a finite position");
  }
}

// Run some of the members on all atoms of the list; forces are added to.
void PairAllegro::run_members(size_t first, size_t last, double *forces) {
  if (!is_charged()) return run_kernel({first, last, forces, nullptr, nullptr});
  for (size_t m = first; m < last; ++m) run_charged(m, forces);
}

// Without forces, energies are not summed.
void PairAllegro::run_kernel(const Work &work) {
  const int64_t nall = atom->nlocal + int64_t(atom->nghost);
  const double *x = nall ? atom->x[0] : nullptr;
  static const double cell[9] = {};
  const bool per_atom = vflag_atom || cvflag_atom;
  for (int next = 0; next < list->inum;) {
    const Chunk chunk = gather(next);
    next = chunk.last;
    energies.resize(chunk.end - chunk.begin);
    // The kernel takes indices of atoms, and these arrays begin with the chunk's first.
    const allegro_atoms atoms = {nall, x, cell, types.data(),
                                 offsets.data() - chunk.begin, neighbors.data(), nullptr,
                                 work.seeds};
    const allegro_results results = {work.forces ? energies.data() - chunk.begin : nullptr,
                                     work.forces, strain,
                                     per_atom ? virials.data() : nullptr, work.charges};
    for (size_t m = work.first; m < work.last; ++m) {
      if (kernels->run(members[m].opened.get(), &atoms, chunk.begin, chunk.end, &results) !=
          ALLEGRO_OK)
        throw std::bad_alloc();
      if (work.forces) tally_energies(chunk);
    }
  }
}

// Neighbours of the next atoms of the list. In pair_style hybrid, others are between them,
// which have none.
PairAllegro::Chunk PairAllegro::gather(int first) {
  const int *ilist = list->ilist;
  Chunk chunk = {first, first, ilist[first], ilist[first]};
  offsets.assign(1, 0);
  neighbors.clear();
  while (chunk.last < list->inum && chunk.last - first < CENTERS) {
    const int i = ilist[chunk.last];
    if (i < chunk.end || i - chunk.begin >= WIDEST) break;
    offsets.resize(i - chunk.begin + 1, offsets.back());
    const int *jlist = list->firstneigh[i];
    const size_t start = neighbors.size(), count = list->numneigh[i];
    neighbors.resize(start + count);
    for (size_t k = 0; k < count; ++k) neighbors[start + k] = jlist[k] & NEIGHMASK;
    offsets.push_back(static_cast<int64_t>(neighbors.size()));
    chunk.end = i + 1;
    ++chunk.last;
  }
  return chunk;
}

void PairAllegro::tally_energies(const Chunk &chunk) {
  double sum = 0.0;
  for (int ii = chunk.first; ii < chunk.last; ++ii) {
    const int i = list->ilist[ii];
    const double energy = energies[i - chunk.begin];
    sum += energy;
    if (eflag_atom) eatom[i] += energy;
  }
  total += sum;
  if (std::isfinite(sum)) return;
  for (int ii = chunk.first; ii < chunk.last; ++ii)
    if (!std::isfinite(energies[list->ilist[ii] - chunk.begin]))
      refuse_atom(list->ilist[ii], "a finite energy");
}

// The kernel's are derivatives of the energy by the strain, LAMMPS's are their negatives.
void PairAllegro::tally_virials() {
  if (vflag_global)
    for (int k = 0; k < 6; ++k)
      virial[k] -= 0.5 * (strain[ORDER[k]] + strain[TRANSPOSED[k]]);
  const size_t nall = atom->nlocal + size_t(atom->nghost);
  if (vflag_atom)
    for (size_t i = 0; i < nall; ++i)
      for (int k = 0; k < 6; ++k)
        vatom[i][k] -= 0.5 * (virials[9 * i + ORDER[k]] + virials[9 * i + TRANSPOSED[k]]);
  if (cvflag_atom)
    for (size_t i = 0; i < nall; ++i)
      for (int k = 0; k < 9; ++k) cvatom[i][k] -= virials[9 * i + ORDER[k]];
}

// Forces of one member after the other, for the mean and
// s_i = sqrt(1/(M - 1) Σ_m |F_i^m - F_i|²), doi:10.1063/5.0016004, by running means
// (doi:10.1080/00401706.1962.10490022). Each member's energies are divided by M.
void PairAllegro::compute_deviation() {
  const size_t nlocal = atom->nlocal, nall = nlocal + atom->nghost;
  const double count = static_cast<double>(members.size());
  std::vector<double> mean(3 * nlocal, 0.0);
  for (size_t m = 0; m < members.size(); ++m) {
    member_forces.assign(3 * nall, 0.0);
    run_members(m, m + 1, member_forces.data());
    comm->reverse_comm(this);
    for (size_t i = 0; i < nlocal; ++i)
      for (int axis = 0; axis < 3; ++axis) {
        const double part = member_forces[3 * i + axis];
        double &so_far = mean[3 * i + axis];
        const double before = count * part - so_far;
        so_far += before / static_cast<double>(m + 1);
        deviation[i] += before * (count * part - so_far);
        atom->f[i][axis] += part;
      }
  }
  for (size_t i = 0; i < nlocal; ++i) deviation[i] = std::sqrt(deviation[i] / (count - 1.0));
}

int PairAllegro::pack_reverse_comm(int count, int first, double *buffer) {
  const double *from = member_forces.data() + 3 * size_t(first);
  std::memcpy(buffer, from, 3 * size_t(count) * sizeof(double));
  return 3 * count;
}

void PairAllegro::unpack_reverse_comm(int count, int *atoms, double *buffer) {
  for (int n = 0; n < count; ++n)
    for (int axis = 0; axis < 3; ++axis)
      member_forces[3 * size_t(atoms[n]) + axis] += *buffer++;
}

// fix ID all pair N allegro deviation 1: it sets the flag in the steps that it reads. From
// the cutoff kspace styles estimate their error; a style without it has no charges.
void *PairAllegro::extract(const char *name, int &dimension) {
  dimension = 0;
  if (std::strcmp(name, "cut_coul") == 0)
    return !members.empty() && is_charged() ? &coulomb_cutoff : nullptr;
  if (std::strcmp(name, "deviation_flag") != 0) return nullptr;
  has_flag = true;
  return &deviation_flag;
}

void *PairAllegro::extract_peratom(const char *name, int &columns) {
  columns = 0;
  if (std::strcmp(name, "deviation") != 0) return nullptr;
  if (members.size() < 2)
    error->all(FLERR, STYLE + "expected two models or more for the deviation of forces, found "
                           + std::to_string(members.size()));
  has_deviation = true;
  if (deviation.empty()) deviation.assign(size_t(atom->nlocal) + 1, 0.0);
  return deviation.data();
}

double PairAllegro::memory_usage() {
  double bytes = Pair::memory_usage();
  bytes += 8.0 * double(types.capacity() + offsets.capacity() + energies.capacity());
  bytes += 8.0 * double(virials.capacity() + deviation.capacity() + member_forces.capacity());
  bytes += 8.0 * double(charges.capacity() + potentials.capacity() + mean_charges.capacity());
  bytes += 4.0 * double(neighbors.capacity());
  for (const oa::Model &member : members) bytes += member.bytes();
  return bytes;
}

void PairAllegro::refuse_atom(int i, const char *expected) const {
  error->one(FLERR, STYLE + "expected " + expected +
                        " of each atom, found NaN or infinity for " +
                        (atom->tag_enable ? "atom " + std::to_string(atom->tag[i])
                                          : std::string("one")) + " in step " +
                        std::to_string(update->ntimestep) +
                        "; the simulation has become unstable, or was started from bad "
                        "coordinates or with two atoms at one place");
}
