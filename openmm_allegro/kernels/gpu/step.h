// SPDX-License-Identifier: MIT
// A step on a device: positions to energies and forces, in at most six launches, and twelve
// more for charges, without waiting for the card. What kernels find is read a step late, and buffers are made larger
// before they are full; centres that have no room meanwhile are the kernel `wide`'s.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "buffers.h"
#include "field.h"
#include "members.h"
#include "messages.h"
#include "sources.h"

namespace allegro_gpu {

class Step {
 public:
  // `surroundings` is empty, or "#define OPENMM" with "#define CORRECTED" where posq has
  // corrections: then `place` reads what run_openmm is given.
  Step(const allegro_gpu_device &given, const allegro_gpu_atoms &atoms, const Emitter &emitter,
       const allegro_gpu_tuning &tuning = {}, const std::string &surroundings = "")
      : device(given),
        kinds(checked(atoms)),
        maker(device, emitter),
        count(atoms.count),
        caps(atoms.caps),
        skin(std::max(atoms.skin, 0.0)) {
    for (int k = 0; k < 3; ++k) periodic |= int(atoms.periodic[k] != 0) << k;
    const int64_t most = tuning.rows ? std::max<int64_t>(tuning.rows, 0) : USUAL_ROWS;
    members = maker.make(atoms, most);
    may_widen = !tuning.rows && members.rows == USUAL_ROWS;
    const int64_t from = tuning.cells ? tuning.cells : CELLS_FROM;
    buckets = count >= from ? 2 * count : 0;
    chunk = count < SMALL ? SMALL_CHUNK : LARGEST_CHUNK;
    find_kernels(step_source(surroundings), !surroundings.empty());
    make_buffers(atoms);
    if (atoms.charges) field = std::make_unique<Field>(device, atoms, numbers_after(""));
    // Matter has at most 0.18 atoms in Å³, liquids 0.12.
    const double guess = 0.14 * 4.19 * std::pow(kinds.reach, 3);
    make_list(tuning.capacity ? tuning.capacity : rounded(std::max(guess, 64.0)));
    wide_rows = tuning.wide_rows ? tuning.wide_rows : 512;
    make_scratch();
  }

  // Queue a step of all members, whose results are means, or of one. Throws what steps
  // before found.
  void run(const allegro_gpu_input &input, const allegro_gpu_output &output,
           int64_t member = -1) {
    if (periodic && !input.box)
      throw Refusal("Allegro: expected box vectors, found none, for atoms in a box");
    Arguments from, to;
    from << input.positions << (periodic ? input.box : input.positions) << input.is_double
         << input.to_angstrom;
    if (field && field->has_mesh()) field->resize(box_of(input).data());
    void *const forces = output.forces ? output.forces : output.energies;
    to << output.energies << forces << (output.forces ? output.strain : output.energies);
    run_between(from, finish, groups_for(count, 16), to, output.forces != nullptr, member);
  }

  // The same from OpenMM's arrays. `from` has posq, its corrections if there are any, and
  // nine numbers of the box, nm; `to` has its forces, energies, padded number of atoms, and
  // kJ/mol of an eV. Indices of particles are those of posq, see `reorder`. Energies are
  // added by at most as many threads as `adders`. `cell` is the box, Å.
  void run_openmm(const Arguments &from, const Arguments &to, int64_t adders,
                  const double *cell, bool wants_forces, int64_t member = -1) {
    if (field && field->has_mesh()) field->resize(cell);
    Arguments own;
    own << particles << ends << ratios << to << caps;
    const int64_t most = std::max<int64_t>(1, adders / finish_openmm.threads);
    run_between(from, finish_openmm, std::min(groups_for(count, 16), most), own, wants_forces,
                member);
  }

  // Other places of the particles, and of the two of each cap.
  void reorder(const std::vector<int32_t> &new_particles,
               const std::vector<int32_t> &new_ends) {
    particles.upload(new_particles);
    ends.upload(new_ends);
  }

  // Wait for the steps, and throw what they found. Counters may be null.
  void wait(int32_t *to) {
    const std::vector<int32_t> seen = counters.download<int32_t>(ALLEGRO_GPU_COUNTERS);
    if (to) std::copy(seen.begin(), seen.end(), to);
    hear(seen.data(), true);
  }

  int64_t most_rows() const { return members.rows; }

 private:
  static constexpr int64_t CELLS_FROM = 4000, SMALL = 4096;  // atoms
  static constexpr int64_t KEYS_BYTES = 1 << 26;
  static constexpr int64_t USUAL_ROWS = 64;
  static constexpr double FEW = 0.02;  // of the centres
  static constexpr int64_t LITTLE_SCRATCH = 1 << 26, MUCH_SCRATCH = 1 << 29;

  const allegro_gpu_device device;
  const Kinds kinds;
  MembersMaker maker;
  Members members;
  bool may_widen = false;
  const int64_t count, caps;
  const double skin;
  int periodic = 0;
  int64_t buckets = 0, chunk = 0, capacity = 0, wide_rows = 0, wide_groups = 0;
  int64_t list_groups = 0, turn = 0, scratch_bytes = LITTLE_SCRATCH;
  bool must_build = true, is_after_error = false, has_list = false, has_scratch = false;
  uint32_t last_wrong = 0;  // step
  Kernel place, bin, list, finish, finish_openmm;
  Buffer particles, ends, ratios, kinds_of, limits;
  std::vector<Buffer> shifts;  // of all members together, then of each
  Buffer x, wrapped, reference, wraps, new_wraps, box, frames, built, report;
  Buffer cells, heads, after, state, counters;
  Buffer keys, counts, neighbors, images, degrees, rows, groups, wide_centers;
  Buffer energies, forces, strain, scratch;
  std::unique_ptr<Field> field;  // of models with charges

  // The box of an input, Å.
  std::vector<double> box_of(const allegro_gpu_input &input) const {
    const auto read = [&](auto numbers) {
      const int64_t bytes = int64_t(numbers.size() * sizeof numbers[0]);
      check(device.download(device.self, input.box, numbers.data(), bytes), "give its box");
      return std::vector<double>(numbers.begin(), numbers.end());
    };
    std::vector<double> cell =
        input.is_double ? read(std::vector<double>(9)) : read(std::vector<float>(9));
    for (double &length : cell) length *= input.to_angstrom;
    return cell;
  }

  void find_kernels(const std::string &source, bool is_openmm) {
    void *compiled = device.compile(device.self, source.c_str());
    if (!compiled)
      throw Refusal("Allegro: expected a compiler that takes the pair list, found that the "
                    "card's does not");
    const auto find = [&](const char *name, int64_t threads) {
      return find_kernel(device, compiled, name, threads, 0);
    };
    place = find("place", PLACE_THREADS);
    if (buckets) bin = find("bin", PLACE_THREADS);
    list = find("list", LIST_THREADS);
    finish = find("finish", PLACE_THREADS);
    if (is_openmm) finish_openmm = find("finish_openmm", ADD_THREADS);
  }

  void make_buffers(const allegro_gpu_atoms &atoms) {
    const auto ints = [](const int64_t *from, int64_t number) {
      return std::vector<int32_t>(from, from + number);
    };
    const auto bytes = [this](int64_t number, int64_t size) {
      return Buffer(device, number * size);
    };
    particles = Buffer(device, ints(atoms.particles, count - caps));
    ends = Buffer(device, ints(atoms.ends, 2 * caps));
    ratios = Buffer(device, std::vector<double>(atoms.ratios, atoms.ratios + caps));
    kinds_of = Buffer(device, kinds.of_atom);
    limits = Buffer(device, kinds.limits);
    shifts.emplace_back(device, shifts_of(atoms, -1));
    for (int64_t m = 0; m < atoms.members && atoms.members > 1; ++m)
      shifts.emplace_back(device, shifts_of(atoms, m));
    for (Buffer *each : {&x, &wrapped}) *each = bytes(3 * count, 8);
    reference = Buffer(device, std::vector<double>(3 * count, 0.0));
    for (Buffer *each : {&wraps, &new_wraps})
      *each = Buffer(device, std::vector<int32_t>(3 * count, 0));
    box = bytes(12, 8);
    frames = bytes(16, 8);
    built = Buffer(device, std::vector<double>(9, 0.0));
    report = Buffer(device, std::vector<double>(12, 0.0));
    cells = bytes(buckets ? 3 * count : 0, 4);
    heads = bytes(buckets, 4);
    after = bytes(buckets ? count : 0, 4);
    state = Buffer(device, std::vector<int32_t>(4, 0));
    counters = Buffer(device, std::vector<int32_t>(ALLEGRO_GPU_COUNTERS, 0));
    counts = bytes(count, 4);
    degrees = bytes(count, 4);
    groups = bytes(members.rows ? count * members.slots : 0, 4);
    wide_centers = bytes(count, 4);
    energies = bytes(count, 8);
    forces = bytes(3 * count, 8);
    strain = bytes(9, 8);
  }

  static int64_t rounded(double number) { return (int64_t(number) + 31) / 32 * 32; }

  // A list with room for so many pairs of each centre, which is to be built.
  void make_list(int64_t pairs) {
    capacity = std::min(pairs, rounded(MOST_NEIGHBORS + 1));
    if (count * capacity > INT32_MAX)
      throw Refusal("Allegro: expected at most " + std::to_string(INT32_MAX) +
                    " pairs of atoms, found " + std::to_string(count * capacity));
    has_list = false;
    const int64_t own = TEAMS * capacity * 8;
    list_groups = std::min((count + chunk - 1) / chunk, 4 * device.groups);
    list_groups = std::max<int64_t>(1, std::min(list_groups, KEYS_BYTES / own));
    keys.reset(device, list_groups * own);
    for (Buffer *each : {&neighbors, &images, &rows})
      each->reset(device, count * capacity * 4);
    has_list = must_build = true;
  }

  // Work-groups of `network`.
  int64_t network_groups() const { return std::min(count, device.groups); }

  // Memory of `wide`, for as many work-groups as have room, and of `network`, which runs
  // before it.
  void make_scratch() {
    has_scratch = false;
    int64_t own = 8, spilled = 0;
    for (const Member &member : members.each) {
      spilled = std::max(spilled, member.sizes.spilled);
      const int64_t numbers = wide_rows * member.sizes.wide_row + member.sizes.wide_rest;
      own = std::max(own, numbers * member.bytes_of_number);
    }
    if (!members.rows) scratch_bytes = MUCH_SCRATCH;
    wide_groups = std::min({device.groups, scratch_bytes / own, count});
    wide_groups = std::max<int64_t>(1, wide_groups);
    scratch.reset(device, std::max(wide_groups * own, network_groups() * spilled));
    has_scratch = true;
  }

  // Throw what is wrong, or make room for what has become more. Groups become larger only
  // where the host has waited: how late a watch ends is chance, and sums over the rows of a
  // centre differ in their last bits between `network` and `wide`.
  void hear(const int32_t *seen, bool has_waited) {
    // A step that was queued before an error was thrown is part of it.
    if (is_after_error && int32_t(uint32_t(seen[ALLEGRO_GPU_STEPS]) - last_wrong) <= 0) return;
    is_after_error = false;
    if (seen[ALLEGRO_GPU_NOT_FINITE] || seen[ALLEGRO_GPU_BAD_BOX] ||
        seen[ALLEGRO_GPU_TOO_MANY]) {
      const std::string problem =
          problem_in(seen, report.download<double>(12), kinds.reach, count);
      make_room(seen, has_waited);
      forget();
      throw Refusal(problem);
    }
    make_room(seen, has_waited);
  }

  // Larger groups where many centres have more rows than there are. Where that cannot be,
  // they stay the kernel `wide`'s.
  bool widen(const int32_t *seen) {
    const int64_t degree = seen[ALLEGRO_GPU_LARGEST_DEGREE];
    if (!may_widen || seen[ALLEGRO_GPU_WIDE] <= FEW * double(count) ||
        degree <= members.rows || seen[ALLEGRO_GPU_LARGEST_COUNT] > capacity)
      return false;
    const int64_t rows = degree <= 96 ? 96 : LARGEST_ROWS;
    may_widen = rows < LARGEST_ROWS;
    try {
      Buffer larger(device, count * LARGEST_SLOTS * 4);
      maker.resize(members, rows);
      groups = std::move(larger);
    } catch (const std::exception &) {
      may_widen = false;
      return false;
    }
    make_scratch();
    return true;
  }

  void make_room(const int32_t *seen, bool may_change_groups) {
    const double pairs = seen[ALLEGRO_GPU_LARGEST_COUNT];
    double degree = seen[ALLEGRO_GPU_LARGEST_DEGREE];
    if (pairs > capacity) degree = std::max(degree, pairs);  // of those without room
    degree = std::max(degree, double(seen[ALLEGRO_GPU_TOO_MANY]));
    degree = std::min(degree, double(MOST_NEIGHBORS));
    const bool has_wide = !(may_change_groups && widen(seen)) &&
                          seen[ALLEGRO_GPU_WIDE] > 0 && scratch_bytes == LITTLE_SCRATCH;
    if (1.25 * degree > wide_rows || has_wide) {
      if (1.25 * degree > wide_rows) wide_rows = rounded(1.5 * degree);
      if (has_wide) scratch_bytes = MUCH_SCRATCH;
      make_scratch();
    }
    if (1.25 * pairs > capacity && capacity <= MOST_NEIGHBORS) make_list(rounded(1.5 * pairs));
  }

  // Take back the flags of an error that has been thrown. Here the host may wait.
  void forget() {
    std::vector<int32_t> left = counters.download<int32_t>(ALLEGRO_GPU_COUNTERS);
    left[ALLEGRO_GPU_NOT_FINITE] = left[ALLEGRO_GPU_BAD_BOX] = 0;
    left[ALLEGRO_GPU_TOO_MANY] = 0;
    if (left[ALLEGRO_GPU_LARGEST_COUNT] > MOST_NEIGHBORS) left[ALLEGRO_GPU_LARGEST_COUNT] = 0;
    is_after_error = true, last_wrong = uint32_t(left[ALLEGRO_GPU_STEPS]);
    counters.upload(left);
  }

  // Work-groups of PLACE_THREADS for so many atoms, at most `most` for each that runs.
  int64_t groups_for(int64_t number, int64_t most) const {
    return std::max<int64_t>(
        1, std::min((number + PLACE_THREADS - 1) / PLACE_THREADS, most * device.groups));
  }

  void run_between(const Arguments &from, const Kernel &last, int64_t last_groups,
                   const Arguments &to, bool wants_forces, int64_t member) {
    const int64_t number = int64_t(members.each.size());
    if (member < -1 || member >= number)
      throw Refusal("Allegro: expected a member from -1 to " + std::to_string(number - 1) +
                    ", found " + std::to_string(member));
    int32_t seen[ALLEGRO_GPU_COUNTERS];
    if (device.watched(device.self, seen, sizeof seen) == ALLEGRO_OK) hear(seen, false);
    if (!has_list) make_list(capacity);  // there was too little memory before
    if (!has_scratch) make_scratch();
    turn = 1 - turn;
    launch_place(from, member);
    launch_list();
    for (int64_t m = 0; m < number; ++m)
      if (member < 0 || m == member) launch_one(m, wants_forces);
    Arguments all;
    all << energies << forces << strain << state << counters << to << count << turn
        << (member < 0 ? number : 1) << int(wants_forces);
    last.launch(device, last_groups, all);
    check(device.watch(device.self, counters.get(), sizeof seen), "be watched");
    must_build = false;
  }

  void launch_place(const Arguments &from, int64_t member) {
    const size_t own = shifts.size() > 1 ? size_t(member + 1) : 0;
    Arguments all;
    all << from << particles << ends << ratios << shifts[own] << x << wrapped << reference
        << wraps << new_wraps << box << frames << built << heads << state << counters << report
        << energies << forces << strain << count << caps << periodic
        << int(must_build || skin <= 0.0) << turn << buckets << kinds.reach << skin;
    place.launch(device, groups_for(count, 16), all);
  }

  void launch_list() {
    if (buckets) {
      Arguments all;
      all << wrapped << frames << cells << heads << after << state << count << turn << buckets
          << kinds.reach;
      bin.launch(device, groups_for(count, 16), all);
    }
    Arguments all;
    all << x << wrapped << reference << wraps << new_wraps << box << frames << built << kinds_of
        << limits << cells << heads << after << keys << counts << neighbors << images << degrees
        << rows << groups << wide_centers << state << counters << count << capacity
        << kinds.number << buckets << turn << chunk << members.rows << members.slots;
    list.launch(device, list_groups, all);
  }

  // A model without charges, or with them: charges, their sum, and forces. The first pass of
  // a network that gives charges has its energies too, with forces or without.
  void launch_one(int64_t m, bool wants_forces) {
    const Member &member = members.each[m];
    if (!field) return launch_member(member, wants_forces);
    const bool is_learned = field->is_learned(m);
    field->start(m);
    if (is_learned) {
      launch_member(member, false, true, true);
      field->complete_charges();
    }
    const Placed placed = {wrapped, new_wraps, box, frames, energies, forces, strain};
    field->sum(m, placed, wants_forces);
    if (is_learned && !wants_forces) return;
    if (is_learned) field->center_potentials();
    launch_member(member, wants_forces, !is_learned);
  }

  void launch_member(const Member &m, bool wants_forces, bool wants_energies = true,
                     bool wants_charges = false) {
    const auto all = [&](const Buffer &centers) {
      Arguments arguments;
      arguments << x << box << m.types << neighbors << images << degrees << rows << centers
                << counters << m.weights << m.constants << m.integers << scratch << energies
                << forces << strain << count << capacity << int(wants_forces) << wide_rows;
      if (m.gives_charges)
        arguments << field->charges << field->potentials << int(wants_energies)
                  << int(wants_charges);
      return arguments;
    };
    if (members.rows) m.network.launch(device, network_groups(), all(groups));
    m.wide.launch(device, wide_groups, all(wide_centers));
  }
};

}  // namespace allegro_gpu
