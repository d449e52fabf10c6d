// SPDX-License-Identifier: GPL-2.0-or-later
// Commands of the pair style: which models, for which types, and what is refused.
#include "pair_allegro.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "allegro_model.h"
#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

using namespace LAMMPS_NS;
namespace oa = openmm_allegro;

const std::string PairAllegro::STYLE = "Pair style allegro: ";

static bool ends_with(const std::string &text, const std::string &end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

static std::string joined(const std::vector<std::string> &words) {
  std::string text;
  for (const std::string &word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

PairAllegro::PairAllegro(LAMMPS *lammps)
    : Pair(lammps), are_masses_checked(false), is_list_checked(false), strain(), total(0.0),
      deviation_flag(0), has_deviation(false), has_flag(false), total_charge(0.0),
      coulomb_cutoff(0.0), has_total_charge(false), is_kspace_ready(false), kspace_box() {
  single_enable = 0;
  restartinfo = 0;  // after read_restart, pair_style and pair_coeff are given again
  one_coeff = 1;
  manybody_flag = 1;
  centroidstressflag = CENTROID_AVAIL;
  no_virial_fdotr_compute = 1;  // the kernel sums the virial
  comm_reverse = 3;             // forces of a member
  ewaldflag = pppmflag = 1;     // where models have charges; see extract
}

PairAllegro::~PairAllegro() {
  if (copymode || !allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

// pair_style allegro [total_charge Q]
void PairAllegro::settings(int narg, char **arg) {
  has_total_charge = narg == 2 && std::strcmp(arg[0], "total_charge") == 0;
  if (narg && !has_total_charge)
    error->all(FLERR, STYLE + "expected no arguments or total_charge and a number, found " +
                          arg[0] + "; files and elements are given to pair_coeff");
  total_charge = has_total_charge ? utils::numeric(FLERR, arg[1], false, lmp) : 0.0;
  energy_unit();
  std::string problem;
  try {
    oa::together(world, [&] {
      kernels = std::make_unique<oa::Kernels>(oa::find_kernels());
    });
    return;
  } catch (const std::exception &thrown) {
    problem = thrown.what();
  }
  error->all(FLERR, STYLE + problem);
}

// pair_coeff * * FILE.allegro [FILE.allegro ...] ELEMENT|NULL ...
void PairAllegro::coeff(int narg, char **arg) {
  const std::vector<std::string> files = files_of(narg, arg);
  const int count = narg - 2 - static_cast<int>(files.size());
  if (count != atom->ntypes)
    error->all(FLERR, STYLE + "expected an element or NULL for each of the " +
                          std::to_string(atom->ntypes) + " atom types, found " +
                          std::to_string(count));
  read_members(files);
  map_elements(count, arg + narg - count);
  are_masses_checked = false;
}

// Files are the first arguments after * *, as their names end.
std::vector<std::string> PairAllegro::files_of(int narg, char **arg) const {
  std::vector<std::string> files;
  for (int i = 2; i < narg && ends_with(arg[i], ".allegro"); ++i) files.push_back(arg[i]);
  if (narg < 2 || std::strcmp(arg[0], "*") != 0 || std::strcmp(arg[1], "*") != 0)
    error->all(FLERR, STYLE + "expected pair_coeff * *, found other types; those of another "
                              "style have NULL in the place of an element");
  const size_t next = 2 + files.size();
  const std::string other = static_cast<int>(next) < narg ? arg[next] : "";
  if (ends_with(other, ".safetensors"))
    error->all(FLERR, STYLE + "expected an exported model (*.allegro), found the model file " +
                          other + "; " + oa::COMMAND);
  if (files.empty())
    error->all(FLERR, STYLE + "expected a file whose name ends in .allegro after * *, found " +
                          (other.empty() ? "nothing" : other) + "; " + oa::COMMAND);
  return files;
}

void PairAllegro::read_members(const std::vector<std::string> &files) {
  const double factor = energy_unit() / static_cast<double>(files.size());
  std::vector<oa::Model> read;
  std::string problem;
  try {
    for (const std::string &file : files)
      read.push_back(oa::read_model(file, *kernels, world, factor));
  } catch (const std::exception &thrown) {
    problem = thrown.what();
  }
  if (!problem.empty()) error->all(FLERR, STYLE + problem);
  check_committee(read);
  members.swap(read);
  const allegro_program first = members.front().program();
  coulomb_cutoff = kernels->cutoff(&first);
  if (comm->me) return;
  for (const oa::Model &member : members) {
    const allegro_program program = member.program();
    utils::logmesg(lmp,
                   "Allegro model {}: {}, {} precision, two-body part {}, cutoff {} "
                   "Angstrom, kernel {}, digest {}, SHA-256 {}\n",
                   member.path, member.about.kind, member.about.precision,
                   member.about.two_body, kernels->cutoff(&program), kernels->name,
                   member.about.digest, member.about.checksum);
  }
}

void PairAllegro::check_committee(const std::vector<oa::Model> &models) const {
  const oa::Model &first = models.front();
  for (const oa::Model &member : models) {
    if (member.about.kind != first.about.kind)
      error->all(FLERR, STYLE + "expected models of one kind, found " + first.about.kind +
                            " in " + first.path + " and " + member.about.kind + " in " +
                            member.path);
    if (member.about.elements != first.about.elements)
      error->all(FLERR, STYLE + "expected models of the same elements in the same order, "
                                "found " + joined(first.about.elements) + " in " +
                            first.path + " and " + joined(member.about.elements) + " in " +
                            member.path);
    if (member.about.is_charged() != first.about.is_charged() ||
        member.about.charges.alpha != first.about.charges.alpha)
      error->all(FLERR, STYLE + "expected models with charges of one width or none, found " +
                            std::to_string(first.about.charges.alpha) + " in " + first.path +
                            " and " + std::to_string(member.about.charges.alpha) + " in " +
                            member.path + " (charge_alpha, 1/Angstrom; 0: without charges)");
  }
}

void PairAllegro::map_elements(int count, char **names) {
  const bool is_hybrid = utils::strmatch(force->pair_style, "^hybrid");
  const std::vector<std::string> &known = members.front().about.elements;
  element_of.assign(static_cast<size_t>(count) + 1, -1);
  for (int type = 1; type <= count; ++type) {
    const std::string name = names[type - 1];
    if (name == "NULL") {
      if (!is_hybrid)
        error->all(FLERR, STYLE + "expected an element for type " + std::to_string(type) +
                              ", found NULL, which pair_style hybrid and hybrid/overlay "
                              "alone allow");
      continue;
    }
    const auto place = std::find(known.begin(), known.end(), name);
    if (place == known.end())
      error->all(FLERR, STYLE + "expected elements of the model, " + joined(known) +
                            ", found " + name + " for type " + std::to_string(type));
    element_of[static_cast<size_t>(type)] = static_cast<int>(place - known.begin());
  }
  if (*std::max_element(element_of.begin(), element_of.end()) < 0)
    error->all(FLERR, STYLE + "expected an element for some of the types, found NULL for all");
  allocate();
  for (int i = 1; i <= count; ++i)
    for (int j = 1; j <= count; ++j)
      setflag[i][j] = element_of[static_cast<size_t>(i)] >= 0 &&
                      element_of[static_cast<size_t>(j)] >= 0;
}

void PairAllegro::allocate() {
  if (allocated) return;
  const int size = atom->ntypes + 1;
  memory->create(setflag, size, size, "pair:setflag");
  memory->create(cutsq, size, size, "pair:cutsq");
  allocated = 1;
}

// LAMMPS's unit of energy in eV^-1; lengths are in Å in both systems of units.
double PairAllegro::energy_unit() const {
  const std::string style = update->unit_style;
  if (style == "metal") return 1.0;
  if (style == "real")
    return utils::get_conversion_factor(utils::ENERGY, utils::METAL2REAL);
  error->all(FLERR, STYLE + "expected units metal or real, found units " + style);
}

void PairAllegro::init_style() {
  if (!force->newton_pair)
    error->all(FLERR, STYLE + "expected newton on, found newton off for pairs");
  const oa::Model &first = members.front();
  const bool is_overlay = utils::strmatch(force->pair_style, "^hybrid/overlay") ||
                          utils::strmatch(force->pair_style, "^hybrid/scaled");
  if (first.about.is_delta() && !is_overlay)
    error->all(FLERR, STYLE + "expected pair_style hybrid/overlay with the force field that "
                              "the delta model " + first.path + " corrects, found " +
                          "pair_style " + force->pair_style);
  check_charges();
  if (!are_masses_checked) check_masses();
  are_masses_checked = true;
  is_list_checked = is_kspace_ready = false;
  std::fill_n(cutsq[0], (atom->ntypes + 1) * (atom->ntypes + 1), 0.0);
  neighbor->add_request(this, NeighConst::REQ_FULL);
}

double PairAllegro::init_one(int i, int j) {
  const int a = element_of[static_cast<size_t>(i)], b = element_of[static_cast<size_t>(j)];
  if (a < 0 || b < 0) error->all(FLERR, STYLE + "expected pair_coeff for all types");
  double cutoff = 0.0;
  for (const oa::Model &member : members)
    cutoff = std::max({cutoff, member.cutoff(a, b), member.cutoff(b, a)});
  return cutoff;
}

// Warn of types whose masses are those of other elements: a type that is named wrongly
// gives wrong forces without an error. Hydrogen mass repartitioning is no reason: it makes
// hydrogen heavier by the mass that it takes from the atom that has up to four of them.
void PairAllegro::check_masses() const {
  if (comm->me || !atom->mass || !atom->mass_setflag) return;
  constexpr double HYDROGEN = 1.008, HEAVIEST = 4.1;
  const oa::Description &about = members.front().about;
  double added = 0.0;  // to each hydrogen
  for (int type = 1; type <= atom->ntypes; ++type) {
    const int element = element_of[static_cast<size_t>(type)];
    if (element >= 0 && about.elements[element] == "H" && atom->mass_setflag[type] &&
        atom->mass[type] <= HEAVIEST)
      added = std::max(added, atom->mass[type] - HYDROGEN);
  }
  for (int type = 1; type <= atom->ntypes; ++type) {
    const int element = element_of[static_cast<size_t>(type)];
    if (element < 0 || !atom->mass_setflag[type]) continue;
    const double mass = atom->mass[type], expected = about.masses[element];
    const bool is_hydrogen = about.elements[element] == "H";
    const double lowest = expected - (is_hydrogen ? 0.0 : 4.0 * added);
    const double highest = is_hydrogen ? HEAVIEST : expected;
    const double tolerance = 0.02 * expected;
    if (mass >= lowest - tolerance && mass <= highest + tolerance) continue;
    error->warning(FLERR, STYLE + "type {} has mass {}, but {}, which pair_coeff gives it, "
                                  "has {}",
                   type, mass, about.elements[element], expected);
  }
}

// Warn of lists of neighbours without all pairs, and refuse those without bonded ones.
void PairAllegro::check_list() const {
  std::string cause = neighbor->exclude        ? "neigh_modify exclude"
                      : neighbor->includegroup ? "neigh_modify include"
                                               : "";
  for (int i = 1; i <= atom->ntypes; ++i)
    for (int j = i; j <= atom->ntypes; ++j)
      if (setflag[i][j] && cutsq[i][j] == 0.0)  // see init_style
        cause = "pair_coeff " + std::to_string(i) + " " + std::to_string(j) +
                " of another style or none";
  if (!cause.empty() && comm->me == 0)
    error->warning(FLERR, STYLE + cause + " leaves out pairs, and with them neighbours that "
                                          "the energies of atoms depend on");
  if (atom->molecular == Atom::ATOMIC) return;
  for (int k = 0; k < 3; ++k) {
    if (neighbor->special_flag[k + 1]) continue;
    int own = atom->molecular == Atom::TEMPLATE && atom->nbonds > 0, any = 0;
    for (int i = 0; i < atom->nlocal && atom->nspecial && !own; ++i)
      own = has_partner(i, k);
    MPI_Allreduce(&own, &any, 1, MPI_INT, MPI_MAX, world);
    if (any)
      error->all(FLERR, STYLE + "expected bonded pairs in the list of neighbours, found that "
                                "special_bonds leaves out 1-" + std::to_string(k + 2) +
                            " pairs; use special_bonds lj/coul 1 1 1, or 1e-50 for 0 beside "
                            "a force field");
  }
}

// Look for an atom k + 1 bonds away that the model knows.
bool PairAllegro::has_partner(int i, int k) const {
  if (element_of[atom->type[i]] < 0) return false;
  for (int n = k ? atom->nspecial[i][k - 1] : 0; n < atom->nspecial[i][k]; ++n) {
    const int j = atom->map(atom->special[i][n]);
    if (j >= 0 && element_of[atom->type[j]] >= 0) return true;
  }
  return false;
}
