/* -*- c++ -*- SPDX-License-Identifier: GPL-2.0-or-later */
#ifdef PAIR_CLASS
// clang-format off
PairStyle(allegro,PairAllegro);
// clang-format on
#else

#ifndef LMP_PAIR_ALLEGRO_H
#define LMP_PAIR_ALLEGRO_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pair.h"

namespace openmm_allegro {
struct Charges;
struct Kernels;
struct Model;
}  // namespace openmm_allegro

namespace LAMMPS_NS {

// Allegro models that openmm_allegro exported, one or the mean of several.
class PairAllegro : public Pair {
 public:
  explicit PairAllegro(class LAMMPS *);
  ~PairAllegro() override;
  void settings(int, char **) override;
  void coeff(int, char **) override;
  void init_style() override;
  double init_one(int, int) override;
  void compute(int, int) override;
  void *extract(const char *, int &) override;
  void *extract_peratom(const char *, int &) override;
  int pack_reverse_comm(int, int, double *) override;
  void unpack_reverse_comm(int, int *, double *) override;
  double memory_usage() override;

 private:
  static const std::string STYLE;  // begins all messages

  // Atoms of the list whose energies the kernel computes at a time.
  struct Chunk {
    int first, last;  // in the list
    int begin, end;   // their indices, and those of others between
  };

  // What the kernel is to do for all atoms of the list, with some of the members.
  struct Work {
    size_t first, last;   // members
    double *forces;       // of local and ghost atoms, added to; null: not wanted
    double *charges;      // of local atoms, without those of elements; null: not wanted
    const double *seeds;  // derivatives of a further energy by those; null: none
  };

  std::unique_ptr<openmm_allegro::Kernels> kernels;
  std::vector<openmm_allegro::Model> members;
  std::vector<int> element_of;  // of each type, as the models number them; -1: none
  bool are_masses_checked;      // since the last pair_coeff
  bool is_list_checked;         // since the last init_style

  std::vector<int64_t> types;           // of local and ghost atoms
  std::vector<int64_t> offsets;         // of a chunk
  std::vector<int32_t> neighbors;       // of a chunk
  std::vector<double> energies;         // of a chunk
  std::vector<double> virials;          // of local and ghost atoms, as allegro_results
  double strain[9], total;

  std::vector<double> deviation;      // of the forces on local atoms over the members
  std::vector<double> member_forces;  // of local and ghost atoms, of one member
  int deviation_flag;                 // 1: wanted in this step, as fix pair says
  bool has_deviation, has_flag;       // whether somebody reads the array and sets the flag

  // Of models with charges
  double total_charge, coulomb_cutoff;
  bool has_total_charge;
  bool is_kspace_ready;              // since the last init_style
  double kspace_box[9];              // for which it is ready
  std::vector<double> charges;       // of local atoms, e
  std::vector<double> mean_charges;  // over the members so far
  std::vector<double> potentials;    // derivatives of the energy by charges

  std::vector<std::string> files_of(int, char **) const;
  void read_members(const std::vector<std::string> &);
  void map_elements(int, char **);
  void allocate();
  double energy_unit() const;
  void check_committee(const std::vector<openmm_allegro::Model> &) const;
  void check_masses() const;
  void check_list() const;
  bool has_partner(int, int) const;

  void place_atoms();
  void run_members(size_t, size_t, double *);
  void run_kernel(const Work &);
  Chunk gather(int);
  void tally_energies(const Chunk &);
  void tally_virials();
  void compute_deviation();

  bool is_charged() const;
  bool is_periodic() const;
  void check_charges() const;
  bool has_other_charges() const;
  void check_kspace(const std::string &) const;
  void run_charged(size_t, double *);
  void find_charges(size_t);
  void set_charges(size_t);
  void add_waves(const openmm_allegro::Charges &, double, bool, double *);
  void prepare_kspace(double, double);
  void add_pairs(const openmm_allegro::Charges &, double, double *);
  [[noreturn]] void refuse_atom(int, const char *) const;
};

}  // namespace LAMMPS_NS

#endif
#endif
