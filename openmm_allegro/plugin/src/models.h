// SPDX-License-Identifier: MIT
// Parts of an AllegroForce: folded models, and the particles that they compute.
// Never changed once a force has it, so forces and Contexts share it.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "kernels.h"

namespace Allegro {

[[noreturn]] inline void fail(const std::string &expected, const std::string &found) {
  throw OpenMM::OpenMMException("AllegroForce: expected " + expected + ", found " + found);
}

// What stands beside the program of a model whose atoms have charges.
struct Charges {
  std::vector<double> start;  // of each element, e; empty of a model without charges
  double alpha = 0.0;         // 1/Å, see allegro_charges
  bool is_learned = false;    // whether the program adds to them

  void check(int64_t elements) const {
    if (int64_t(start.size()) != elements)
      fail("charges of " + std::to_string(elements) + " elements",
           std::to_string(start.size()));
    for (const double charge : start)
      if (!(std::fabs(charge) <= LARGEST_CHARGE))
        fail("charges of elements from -100 to 100 e", std::to_string(charge));
    if (!(alpha >= 1e-3 && alpha <= 100.0))
      fail("an alpha of charges from 0.001 to 100 1/Å", std::to_string(alpha));
  }

  static constexpr double LARGEST_CHARGE = 100.0;  // e
};

// Which images of the atoms a charge interacts with: all that the box has; or, of a region
// that has no images, the nearest ones or those given.
enum class Images { all, nearest, none };

// Numbers of a folded model; see allegro_program.
struct Model {
  std::vector<int64_t> integers;
  std::vector<double> constants;
  std::shared_ptr<const unsigned char> weights;  // aligned to a register
  size_t weight_bytes = 0;
  bool is_double = false;
  std::vector<int64_t> types;  // of each atom, then of each cap
  int64_t intervals = 0;       // of the two-body table that is to be made, if any
  Charges charges;

  void set_weights(const std::string &bytes) {
    std::copy(bytes.begin(), bytes.end(), reserve_weights(bytes.size()));
  }

  unsigned char *reserve_weights(size_t bytes) {
    constexpr size_t PAGE = 1 << 21;
    const std::align_val_t line{bytes < PAGE ? 64 : PAGE};
    auto *room = static_cast<unsigned char *>(operator new(bytes + 64, line));
#ifdef MADV_HUGEPAGE  // a table is made in half the time, and found faster in each step
    if (bytes >= PAGE) madvise(room, bytes, MADV_HUGEPAGE);
#endif
    weights = {room, [line](unsigned char *p) { operator delete(p, line); }};
    weight_bytes = bytes;
    return room;
  }

  size_t bytes_of_number() const { return is_double ? sizeof(double) : sizeof(float); }

  size_t table_bytes() const {
    const allegro_header &h = header();
    return h.types * h.types * intervals * 4 * h.first_width * bytes_of_number();
  }

  allegro_program program() const {
    return {integers.data(), constants.data(), weights.get(), is_double};
  }

  // Refuse arrays that are no program; only then may the rest be called.
  void check(const Kernels &kernels) const {
    const size_t size = bytes_of_number();
    if (weight_bytes % size)
      fail("weights of " + std::to_string(size) + " bytes each",
           std::to_string(weight_bytes) + " bytes in all");
    const allegro_program arrays = program();
    char message[300] = "";
    switch (kernels.check(&arrays, integers.size(), constants.size(), weight_bytes / size,
                          message, sizeof message)) {
      case ALLEGRO_OK: return;
      case ALLEGRO_NO_MEMORY: throw std::bad_alloc();
      case ALLEGRO_OTHER_FORMAT:
        throw OpenMM::OpenMMException(
            "AllegroForce: expected a program of " + std::string(message) +
            ": the System comes from another version of openmm_allegro; create it again");
      default:
        throw OpenMM::OpenMMException(
            "AllegroForce: expected a program with " + std::string(message) +
            ": it was damaged or changed; create the System again");
    }
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

// A point charge of a force field, at a particle (the inner one, ratio 0) or on the line from
// it to another one; see mixing/surroundings.py.
struct Point {
  Cap place;
  double charge;  // e
};

constexpr int64_t MOST_INTERVALS = 4096;  // that kernels/inference/table.py tries

using Opened = std::unique_ptr<allegro_model, decltype(&allegro_close)>;

inline Opened open(const Kernels &kernels, const Model &model) {
  const allegro_program program = model.program();
  Opened opened(kernels.open(&program), kernels.close);
  if (!opened) throw std::bad_alloc();  // the program has been checked
  return opened;
}

struct Models {
  std::vector<Model> members;     // one, or a committee
  std::vector<int64_t> particles;  // of each atom
  std::vector<Cap> caps;
  bool is_periodic = false;
  std::string about;  // of potential/description.py, for records
  double cutoff = 0.0, skin = 0.0;  // Å; the largest cutoff of any pair of any member
  double total_charge = 0.0;        // e, of all atoms and caps
  Images images = Images::all;
  std::vector<Point> points;  // that the charges of a region are among
  double reach = 0.0;         // of a charge and a point in an Ewald sum, Å; 0: no such sum
  bool is_embedded = false;

  bool is_charged() const { return !members.empty() && !members[0].charges.start.empty(); }

  long count() const { return long(particles.size() + caps.size()); }

  // Refuse what would be computed wrongly, or lead out of an array.
  void check(const Kernels &kernels) const {
    if (members.empty() || particles.empty())
      fail("a model and an atom or more", "none");
    check_reach();
    check_places();
    for (const Model &member : members) {
      member.check(kernels);
      if (member.intervals < 0 || member.intervals > MOST_INTERVALS ||
          (member.intervals && member.header().points))
        fail("one two-body table of at most " + std::to_string(MOST_INTERVALS) + " intervals",
             std::to_string(member.intervals));
      if (long(member.types.size()) != count())
        fail("an element for each of " + std::to_string(count()) + " atoms and caps",
             std::to_string(member.types.size()));
      const int64_t elements = member.header().types;
      for (const int64_t type : member.types)
        if (type < 0 || type >= elements)
          fail("elements from 0 to " + std::to_string(elements - 1), std::to_string(type));
      const allegro_program program = member.program();
      const double reach = kernels.cutoff(&program);
      if (cutoff < reach * (1.0 - 1e-9))
        fail("a cutoff of " + std::to_string(reach) + " Å, as a model has, or more",
             std::to_string(cutoff));
      if (is_charged()) member.charges.check(elements);
    }
    if (!(std::fabs(total_charge) <= 1e6))
      fail("a total charge from -1e6 to 1e6 e", std::to_string(total_charge));
    if (is_embedded) check_points();
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
    for (const Point &point : points) check(point.place.inner), check(point.place.outer);
  }

 private:
  static constexpr double LARGEST_REACH = 1000.0;  // Å

  void check_reach() const {
    if (!(cutoff > 0.0 && cutoff <= LARGEST_REACH))
      fail("a finite cutoff up to 1000 Å", std::to_string(cutoff));
    if (!(skin >= 0.0 && skin <= LARGEST_REACH))
      fail("a finite skin from 0 to 1000 Å", std::to_string(skin));
  }

  // Particles and caps, whatever System they are of.
  void check_places() const {
    std::vector<int64_t> sorted = particles;
    std::sort(sorted.begin(), sorted.end());
    if (sorted.front() < 0) fail("particles from 0 on", std::to_string(sorted.front()));
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) fail("each particle once", std::to_string(*twice) + " twice");
    for (const Cap &cap : caps) {
      check_place(cap, "caps");
      if (cap.inner == cap.outer)
        fail("caps on bonds of two particles", std::to_string(cap.inner) + " twice");
    }
  }

  static void check_place(const Cap &place, const std::string &what) {
    if (place.inner < 0 || place.outer < 0)
      fail(what + " on particles from 0 on",
           std::to_string(std::min(place.inner, place.outer)));
    if (!std::isfinite(place.ratio))
      fail("finite places of " + what, std::to_string(place.ratio));
  }

  void check_points() const {
    std::vector<int64_t> region = particles;
    std::sort(region.begin(), region.end());
    for (const Point &point : points) {
      check_place(point.place, "points");
      for (const int64_t particle : {point.place.inner, point.place.outer})
        if (std::binary_search(region.begin(), region.end(), particle))
          fail("points outside of the region", std::to_string(particle));
      if (!(std::fabs(point.charge) <= Charges::LARGEST_CHARGE))
        fail("charges of points from -100 to 100 e", std::to_string(point.charge));
    }
    if (is_periodic ? !(reach > 0.0 && reach <= LARGEST_REACH) : reach != 0.0)
      fail("a reach of points up to 1000 Å in a box, or else 0", std::to_string(reach));
    if (images != Images::all) fail("all images of a region among points", "others");
  }
};

}  // namespace Allegro
