// SPDX-License-Identifier: GPL-2.0-or-later
// A model on a rank: read and checked by rank 0, opened by all.
#ifndef ALLEGRO_MODEL_H
#define ALLEGRO_MODEL_H

#include <algorithm>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "allegro_file.h"
#include "allegro_kernels.h"
#include "allegro_ranks.h"

namespace openmm_allegro {

struct Model {
  std::string path;
  Description about;
  std::vector<int64_t> integers;
  std::vector<double> constants;
  std::shared_ptr<const unsigned char> weights;  // aligned to a register
  std::shared_ptr<allegro_model> opened;

  const allegro_header &header() const {
    return *reinterpret_cast<const allegro_header *>(integers.data());
  }

  allegro_program program() const {
    return {integers.data(), constants.data(), weights.get(), about.is_double()};
  }

  // Å; see `cutoffs` of ALLEGRO_CONSTANTS.
  double cutoff(int center, int neighbor) const {
    const int64_t types = header().types;
    return constant(CUTOFFS)[center * types + neighbor];
  }

  // Bytes that this rank alone has. A table is shared by the ranks of a node.
  double bytes() const {
    return 8.0 * static_cast<double>(integers.size() + constants.size()) +
           (about.has_table() ? 0.0 : static_cast<double>(about.weight_bytes()));
  }

  // Multiply all energies by a factor.
  void scale(double factor) {
    double *start = constants.data();
    const int64_t types = header().types, terms = types * types * header().core;
    for (const Constant which : {FACTORS, SHIFTS, CORE_STRENGTHS}) {
      double *values = start + (constant(which) - start);
      const int64_t count = which == CORE_STRENGTHS ? terms : types;
      for (int64_t i = 0; i < count; ++i) values[i] *= factor;
    }
  }

 private:
  enum Constant { FACTORS, SHIFTS, CUTOFFS, CORE_STRENGTHS };

  const double *constant(Constant which) const {
    const allegro_header &h = header();
    const int64_t types = h.types, radial = h.radial, terms = h.terms, core = h.core;
    const double *at = constants.data() + sizeof(allegro_scalars) / sizeof(double);
#define START(type, name, length, about) \
  const double *const name = at;         \
  at = name + (length);
    ALLEGRO_CONSTANTS(START)
#undef START
    (void)norm, (void)core_rates, (void)roots, (void)term_value;
    switch (which) {
      case FACTORS: return factors;
      case SHIFTS: return shifts;
      case CUTOFFS: return cutoffs;
      default: return core_strengths;
    }
  }
};

// Refuse arrays that are no program.
inline void check_program(const Model &model, const Kernels &kernels) {
  const allegro_program program = model.program();
  char message[300] = "";
  const Description &about = model.about;
  switch (kernels.check(&program, about.integers.count, about.constants.count,
                        about.weights.count, message, sizeof message)) {
    case ALLEGRO_OK: break;
    case ALLEGRO_NO_MEMORY: throw std::bad_alloc();
    case ALLEGRO_OTHER_FORMAT:
      throw std::runtime_error("expected a program of " + std::string(message) +
                               ", written by openmm-allegro " + about.version +
                               "; export the model again with the version that is "
                               "installed where LAMMPS runs");
    default:
      throw std::runtime_error("expected a program with " + std::string(message) +
                               "; export the model again");
  }
  if (model.header().types != static_cast<int64_t>(about.elements.size()))
    throw std::runtime_error("expected as many elements as the program has, " +
                             std::to_string(model.header().types) + ", found " +
                             std::to_string(about.elements.size()));
}

// Copy integers and constants from the file.
inline void read_arrays(Model &model, const Mapping &file) {
  const Description &about = model.about;
  const auto copy = [&](const Place &place, auto &to) {
    const auto *from = file.data() + place.offset;
    std::copy_n(from, 8 * to.size(), reinterpret_cast<unsigned char *>(to.data()));
  };
  copy(about.integers, model.integers);
  copy(about.constants, model.constants);
}

// Room for the weights of this rank, or the file's own where they hold a table, which is
// large, so that the ranks of a node share one copy.
inline void place_weights(Model &model, std::shared_ptr<const Mapping> file) {
  const Description &about = model.about;
  if (about.has_table()) {
    model.weights = {file, file->data() + about.weights.offset};
    return;
  }
  const std::align_val_t line{64};
  auto *room = static_cast<unsigned char *>(operator new(about.weight_bytes() + 64, line));
  model.weights = {room, [line](unsigned char *p) { operator delete(p, line); }};
  if (file)
    std::copy_n(file->data() + about.weights.offset, about.weight_bytes(), room);
}

// Read a model on rank 0 and give it to all ranks; `factor` converts energies from eV.
// Collective: all ranks throw the same std::runtime_error.
inline Model read_model(const std::string &path, const Kernels &kernels, MPI_Comm world,
                        double factor) {
  int me;
  MPI_Comm_rank(world, &me);
  Model model;
  model.path = path;
  std::shared_ptr<const Mapping> file;
  std::string text;
  const auto make_room = [&] {
    model.integers.resize(static_cast<size_t>(model.about.integers.count));
    model.constants.resize(static_cast<size_t>(model.about.constants.count));
  };
  together(world, [&] {
    if (me) return;
    file = std::make_shared<const Mapping>(path);
    text = header_text(*file, path);
    try {
      model.about = describe(text);
      check_contents(*file, text, model.about);
      make_room();
      read_arrays(model, *file);
      place_weights(model, file);
      check_program(model, kernels);
    } catch (const std::runtime_error &error) {
      throw std::runtime_error(path + ": " + error.what());
    }
  });
  broadcast(world, text);
  together(world, [&] {
    if (!me) return;
    model.about = describe(text);
    make_room();
    if (model.about.has_table()) {
      file = std::make_shared<const Mapping>(path);
      if (header_text(*file, path) != text)
        throw std::runtime_error(path +
                                 ": expected the file that rank 0 reads, found another");
    }
    place_weights(model, file);
  });
  broadcast(world, model.integers.data(), 8 * model.integers.size());
  broadcast(world, model.constants.data(), 8 * model.constants.size());
  if (!model.about.has_table())
    broadcast(world, const_cast<unsigned char *>(model.weights.get()),
              model.about.weight_bytes());
  model.scale(factor);
  together(world, [&] {
    const allegro_program program = model.program();
    allegro_model *opened = kernels.open(&program);
    if (!opened) throw std::bad_alloc();
    model.opened = {opened, kernels.close};
  });
  return model;
}

}  // namespace openmm_allegro

#endif
