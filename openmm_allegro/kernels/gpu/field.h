// SPDX-License-Identifier: MIT
// The charges of models on a device, and their sum at long range.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "../long_range.h"
#include "buffers.h"
#include "members.h"
#include "sources.h"

namespace allegro_gpu {

#include "../mesh_points.h"

// Refuse charges that no sum has.
inline const allegro_gpu_charges &checked(const allegro_gpu_charges &charges,
                                          const allegro_gpu_atoms &atoms) {
  for (int64_t m = 0; m < atoms.members; ++m)
    if (!(charges.alphas[m] > 0.0) || !std::isfinite(charges.alphas[m]))
      throw Refusal("Allegro: expected an alpha of charges above 0 1/Å, found " +
                    number(charges.alphas[m]));
  if (atoms.periodic[0] != atoms.periodic[1] || atoms.periodic[0] != atoms.periodic[2])
    throw Refusal("Allegro: expected a box that repeats along all of its vectors or none, "
                  "for atoms with charges, found one that repeats along some");
  return charges;
}

// What a step has placed, and where results are added.
struct Placed {
  const Buffer &wrapped, &wraps, &box, &frames, &energies, &forces, &strain;
};

class Field {
 public:
  // Charges in the order of the atoms, e; derivatives of the energy by them, V.
  Buffer charges, potentials;

  // Of atoms that were checked.
  Field(const allegro_gpu_device &device, const allegro_gpu_atoms &atoms,
        const std::string &numbers)
      : device(device),
        count(atoms.count),
        total(checked(*atoms.charges, atoms).total),
        coulomb(atoms.charges->coulomb),
        is_periodic(atoms.periodic[0]),
        images(atoms.charges->images) {
    find_kernels(numbers);
    for (Buffer *each : {&charges, &potentials})
      *each = Buffer(device, std::vector<double>(count, 0.0));
    if (!has_mesh()) places = Buffer(device, 3 * count * 8);
    const double *starts = atoms.charges->starts;
    for (int64_t m = 0; m < atoms.members; ++m) {
      const int64_t *types = atoms.types + m * count;
      const bool is_learned = gives_charges(atoms.programs[m]);
      members.push_back({atoms.charges->alphas[m], is_learned});
      members.back().starts = Buffer(device, charges_of(starts, types, members.back()));
      starts += header_of(atoms.programs[m]).types;
    }
  }

  bool has_mesh() const { return is_periodic && images == ALLEGRO_GPU_ALL_IMAGES; }
  bool is_learned(int64_t member) const { return members[member].is_learned; }

  // Make room for the meshes of a box [3, 3], Å; nothing is changed where it is refused.
  void resize(const double *cell) {
    int64_t largest = 0, waves = 0;
    std::vector<Points> all;
    for (const Member &member : members) {
      all.push_back(points_of(cell, member.alpha));
      const Points &p = all.back();
      largest = std::max(largest, p.number[0] * p.number[1] * p.number[2]);
      waves = std::max(waves, p.number[0] * p.number[1] * (p.number[2] / 2 + 1));
    }
    if (largest > room) {
      room = 0;  // if there is too little memory
      mesh.reset(device, largest * 8);
      spectrum.reset(device, waves * 16);
      room = largest, room_of_waves = waves;
    } else if (waves > room_of_waves) {
      room_of_waves = 0;
      spectrum.reset(device, waves * 16);
      room_of_waves = waves;
    }
    for (size_t m = 0; m < members.size(); ++m) members[m].resize(device, all[m]);
  }

  // Charges before the network adds to them, and an empty mesh.
  void start(int64_t m) {
    const Member &member = members[m];
    const int64_t points = has_mesh() ? member.points.count() : 0;
    Arguments all;
    all << member.starts << charges << (has_mesh() ? mesh : charges) << count << points;
    start_charges.launch(device, groups_for(std::max(count, points)), all);
  }

  // Give all charges together the total.
  void complete_charges() { run_level(charges, total); }

  // Take the mean off the potentials: a charge that all raw ones gain is taken off again.
  void center_potentials() { run_level(potentials, 0.0); }

  // Add energies of the charges, and if they are wanted forces and strain, to those of the
  // network. `placed` has positions without whole boxes, these boxes' numbers, the box and
  // its frame.
  void sum(int64_t m, const Placed &placed, bool wants_forces) {
    if (has_mesh())
      sum_waves(members[m], placed, wants_forces);
    else
      sum_over_pairs(members[m], placed, wants_forces);
  }

 private:
  struct Points {
    int64_t number[3] = {0, 0, 0};
    int64_t count() const { return number[0] * number[1] * number[2]; }
  };

  struct Member {
    double alpha;
    bool is_learned;
    Buffer starts, circles, factors, squares;
    Points points;

    // Tables of other numbers of points.
    void resize(const allegro_gpu_device &device, const Points &wanted) {
      if (std::equal(wanted.number, wanted.number + 3, points.number)) return;
      points = Points();
      std::vector<double> all_circles, all_squares;
      std::vector<int32_t> all_factors;
      for (const int64_t length : wanted.number) {
        for (int64_t k = 0; k < length; ++k) {
          const double angle = 2.0 * M_PI * double(k) / double(length);
          all_circles.push_back(std::cos(angle)), all_circles.push_back(-std::sin(angle));
          all_squares.push_back(inverse_square(k, length, ALLEGRO_USUAL_ORDER));
        }
        const size_t end = all_factors.size() + LINE_FACTORS;
        int64_t rest = length;
        for (const int factor : {4, 2, 3, 5, 7})
          for (; rest % factor == 0; rest /= factor) all_factors.push_back(factor);
        all_factors.resize(end, 0);
      }
      circles = Buffer(device, all_circles);
      factors = Buffer(device, all_factors);
      squares = Buffer(device, all_squares);
      points = wanted;
    }
  };

  const allegro_gpu_device &device;
  const int64_t count;
  const double total, coulomb;
  const bool is_periodic;
  const int64_t images;
  std::vector<Member> members;
  int64_t room = 0, room_of_waves = 0;  // points of the mesh, complex numbers
  Buffer mesh, spectrum, places;
  Kernel start_charges, level, unwrap, sum_pairs, spread, gather;
  Kernel waves_along_z, waves_along_y, waves_along_x, mesh_along_z;

  void find_kernels(const std::string &numbers) {
    const std::string source = field_source(numbers);
    void *compiled = device.compile(device.self, source.c_str());
    if (!compiled)
      throw Refusal("Allegro: expected a compiler that takes the sums over charges, found "
                    "that the card's does not");
    const auto find = [&](const char *name, int64_t threads = FIELD_THREADS) {
      return find_kernel(device, compiled, name, threads, 0);
    };
    start_charges = find("start_charges"), level = find("level", LEVEL_THREADS);
    if (!has_mesh()) {
      unwrap = find("unwrap"), sum_pairs = find("sum_pairs");
      return;
    }
    spread = find("spread_charges"), gather = find("gather_field");
    waves_along_z = find("waves_along_z"), waves_along_y = find("waves_along_y");
    waves_along_x = find("waves_along_x"), mesh_along_z = find("mesh_along_z");
  }

  // Charges of the atoms at the start; those that stay as they are have the total.
  std::vector<double> charges_of(const double *starts, const int64_t *types,
                                 const Member &member) const {
    std::vector<double> all(count);
    double sum = 0.0;
    for (int64_t i = 0; i < count; ++i) sum += all[i] = starts[types[i]];
    for (double &charge : all)
      if (!member.is_learned) charge += (total - sum) / double(count);
    return all;
  }

  // Of a box that is none, which `place` judges, the least.
  Points points_of(const double *cell, double alpha) const {
    Points points;
    std::fill_n(points.number, 3, 2);
    if (!Lattice(cell).is_possible()) return points;
    allegro_charges wanted = {};
    wanted.cell = cell, wanted.alpha = alpha, wanted.order = ALLEGRO_USUAL_ORDER;
    if (find_points(wanted, points.number) != ALLEGRO_OK)
      throw Refusal("Allegro: expected a box whose charges need a mesh of at most 2^28 "
                    "points, found box vectors that need more; is the box right?");
    const int64_t most = *std::max_element(points.number, points.number + 3);
    if (most > LINE_ROOM)
      throw Refusal("Allegro: expected a box whose charges need at most " +
                    std::to_string(LINE_ROOM) + " points of a mesh along each vector on a "
                    "card, found " + std::to_string(most));
    return points;
  }

  int64_t groups_for(int64_t number, int64_t each = FIELD_THREADS) const {
    return std::max<int64_t>(1, std::min((number + each - 1) / each, 16 * device.groups));
  }

  // Work-groups for so many lines; see LINES of device/waves.cc.
  int64_t groups_of_lines(int64_t lines, int64_t length) const {
    return groups_for(lines, std::min<int64_t>(LINE_ROOM / length, 16));
  }

  void run_level(const Buffer &values, double wanted) {
    Arguments all;
    all << values << count << wanted;
    level.launch(device, 1, all);
  }

  void sum_over_pairs(const Member &member, const Placed &placed, bool wants_forces) {
    Arguments from, all;
    from << placed.wrapped << placed.wraps << placed.box << placed.frames << places << count
         << int(images == ALLEGRO_GPU_NEAREST_IMAGES && is_periodic);
    unwrap.launch(device, groups_for(count), from);
    all << places << charges << potentials << placed.energies << placed.forces
        << placed.strain << count << member.alpha << coulomb << int(wants_forces);
    sum_pairs.launch(device, groups_for(count), all);
  }

  void sum_waves(const Member &member, const Placed &placed, bool wants_forces) {
    const int64_t nx = member.points.number[0], ny = member.points.number[1];
    const int64_t nz = member.points.number[2], half = nz / 2 + 1;
    Arguments points, tables, all;
    points << nx << ny << nz;
    tables << member.circles << member.factors;
    all << placed.wrapped << placed.frames << charges << mesh << count << points;
    spread.launch(device, groups_for(count * ALLEGRO_USUAL_ORDER), all);
    all = Arguments();
    all << mesh << spectrum << tables << points;
    waves_along_z.launch(device, groups_of_lines(nx * ny, nz), all);
    Arguments along_y, along_x;
    along_y << spectrum << tables << points;
    waves_along_y.launch(device, groups_of_lines(nx * half, ny), along_y);
    along_x << spectrum << tables << member.squares << placed.box << placed.frames
            << placed.strain << points << member.alpha << 4.0 * M_PI * coulomb
            << int(wants_forces);
    waves_along_x.launch(device, groups_of_lines(ny * half, nx), along_x);
    waves_along_y.launch(device, groups_of_lines(nx * half, ny), along_y);
    all = Arguments();
    all << spectrum << mesh << tables << points;
    mesh_along_z.launch(device, groups_of_lines(nx * ny, nz), all);
    const double of_itself = 2.0 * coulomb * member.alpha / std::sqrt(M_PI);
    all = Arguments();
    all << placed.wrapped << placed.frames << charges << mesh << potentials
        << placed.energies << placed.forces << count << points << of_itself
        << int(wants_forces);
    gather.launch(device, groups_for(count, FIELD_THREADS / 8), all);
  }
};

}  // namespace allegro_gpu
