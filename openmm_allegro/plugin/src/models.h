// SPDX-License-Identifier: MIT
// What an AllegroForce is made of: folded models, and the particles that they are of.
// Never changed once a force has it, so forces and Contexts share it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "kernels.h"

namespace Allegro {

// Numbers of a folded model; see allegro_program.
struct Model {
  std::vector<int64_t> integers;
  std::vector<double> constants;
  std::shared_ptr<const unsigned char> weights;  // aligned to a register
  size_t weight_bytes = 0;
  bool is_double = false;
  std::vector<int64_t> types;  // of each atom, then of each cap

  void set_weights(const std::string &bytes) {
    constexpr std::align_val_t line{64};
    auto *copy = static_cast<unsigned char *>(operator new(bytes.size() + 64, line));
    std::copy(bytes.begin(), bytes.end(), copy);
    weights = {copy, [line](unsigned char *p) { operator delete(p, line); }};
    weight_bytes = bytes.size();
  }

  const allegro_header &header() const {
    return *reinterpret_cast<const allegro_header *>(integers.data());
  }
};

// A hydrogen on the bond between two particles, see mixing/link_atoms.py.
struct Cap {
  int64_t inner, outer;
  double ratio;
};

struct Models {
  std::vector<Model> members;     // one, or a committee
  std::vector<int64_t> particles;  // of each atom
  std::vector<Cap> caps;
  bool is_periodic = false;
  std::string about;  // of potential/description.py, for records
  double cutoff = 0.0, skin = 0.0;  // Å; the largest cutoff of any pair of any member

  long count() const { return long(particles.size() + caps.size()); }

  // Refuse what would be computed wrongly.
  void check() const {
    using OpenMM::OpenMMException;
    if (members.empty() || particles.empty())
      throw OpenMMException("AllegroForce: expected a model and an atom or more, found none");
    for (const Model &member : members) {
      const auto format = member.integers.empty() ? -1 : member.integers[0];
      if (format != ALLEGRO_FORMAT)
        throw OpenMMException("AllegroForce: expected a program of format " +
                              std::to_string(ALLEGRO_FORMAT) + ", found " +
                              std::to_string(format) +
                              ": the System comes from another version of openmm_allegro; "
                              "create it again");
      if (member.integers.size() < sizeof(allegro_header) / sizeof(int64_t))
        throw OpenMMException("AllegroForce: expected a whole program, found a part of one");
      if (long(member.types.size()) != count())
        throw OpenMMException("AllegroForce: expected an element for each of " +
                              std::to_string(count()) + " atoms and caps, found " +
                              std::to_string(member.types.size()));
      for (const int64_t type : member.types)
        if (type < 0 || type >= member.header().types)
          throw OpenMMException("AllegroForce: expected elements below " +
                                std::to_string(member.header().types) + ", found " +
                                std::to_string(type));
    }
    if (!(cutoff > 0.0) || !std::isfinite(cutoff) || !(skin >= 0.0) || !std::isfinite(skin))
      throw OpenMMException("AllegroForce: expected a finite cutoff and skin, found " +
                            std::to_string(cutoff) + " and " + std::to_string(skin) + " Å");
  }

  // Refuse particles that a System of `number` does not have.
  void check_particles(long number) const {
    const auto check = [number](int64_t particle) {
      if (particle < 0 || particle >= number)
        throw OpenMM::OpenMMException(
            "AllegroForce: expected particles of the System, which has " +
            std::to_string(number) + ", found " + std::to_string(particle));
    };
    for (const int64_t particle : particles) check(particle);
    for (const Cap &cap : caps) check(cap.inner), check(cap.outer);
  }
};

}  // namespace Allegro
