// SPDX-License-Identifier: MIT
// Programs on a device, each with its kernels and arrays, and what the pair list must know
// of all of them.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "buffers.h"
#include "messages.h"

namespace allegro_gpu {

constexpr double LARGEST_REACH = 1000.0;  // Å
constexpr int64_t LARGEST_ROWS = 128, LARGEST_SLOTS = 8;  // rows and centres of a group

// Functions that write the sources of programs; see allegro_gpu.h.
struct Emitter {
  decltype(&allegro_gpu_plan) plan;
  decltype(&allegro_gpu_emit) emit;
};

inline const allegro_header &header_of(const allegro_program &program) {
  return *reinterpret_cast<const allegro_header *>(program.integers);
}

// Whether a program has an operation for charges.
inline bool gives_charges(const allegro_program &program) {
  const allegro_header &head = header_of(program);
  const int64_t *from = program.integers + sizeof(allegro_header) / 8 + head.components;
  const auto *operation = reinterpret_cast<const allegro_operation *>(from);
  return std::any_of(operation, operation + head.operations,
                     [](const auto &one) { return one.code == ALLEGRO_CHARGE; });
}

// A program without its weights, on which kernels do not depend.
struct Outline {
  std::vector<int64_t> integers;
  std::vector<double> constants;
  int64_t is_double = 0;

  Outline() = default;
  explicit Outline(const allegro_program &from) : is_double(from.is_double) {
    const allegro_header &head = header_of(from);
    const int64_t components = head.components, operations = head.operations;
    const int64_t terms = head.terms, types = head.types, radial = head.radial;
    const int64_t core = head.core;
    int64_t size = sizeof(allegro_header) / 8;
#define ADD(type, name, length, about) size += (length) * int64_t(sizeof(type) / 8);
    ALLEGRO_INTEGERS(ADD)
    for (int64_t n = 0; n < head.layers; ++n) {
      const auto *layer = reinterpret_cast<const allegro_layer *>(from.integers + size);
      size += int64_t(sizeof(allegro_layer) + layer->entries * sizeof(allegro_entry)) / 8;
    }
    integers.assign(from.integers, from.integers + size);
    size = sizeof(allegro_scalars) / 8;
    ALLEGRO_CONSTANTS(ADD)
#undef ADD
    constants.assign(from.constants, from.constants + size);
  }

  allegro_program program() const {
    return {integers.data(), constants.data(), nullptr, is_double};
  }
};

// A program on the device.
struct Member {
  Outline outline;
  allegro_gpu_sizes sizes = {};
  Kernel network, wide;
  Buffer types, weights, constants, integers;
  int64_t bytes_of_number = 4;
  bool gives_charges = false;
};

// All programs, with groups of as many rows as each of them can have.
struct Members {
  int64_t rows = 0, slots = 1;
  std::vector<Member> each;
};

// Arrays of the constants that are wanted here.
struct Constants {
  const double *shifts, *cutoffs;

  explicit Constants(const allegro_program &program) {
    const allegro_header &head = header_of(program);
    const int64_t types = head.types, radial = head.radial, terms = head.terms;
    const int64_t core = head.core;
    const double *from = program.constants + sizeof(allegro_scalars) / sizeof(double);
    const std::string wanted[] = {"shifts", "cutoffs"};
#define FIND(type, name, length, about)           \
  if (#name == wanted[0]) shifts = from;          \
  if (#name == wanted[1]) cutoffs = from;         \
  from += (length);
    ALLEGRO_CONSTANTS(FIND)
#undef FIND
  }
};

// Refuse what would lead out of an array, or into a search without end.
inline const allegro_gpu_atoms &checked(const allegro_gpu_atoms &atoms) {
  const auto expect = [](bool is_so, const std::string &expected, double found) {
    if (!is_so) throw Refusal("Allegro: expected " + expected + ", found " + number(found));
  };
  expect(atoms.members > 0, "a model or more", double(atoms.members));
  expect(atoms.caps >= 0, "a number of caps", double(atoms.caps));
  expect(atoms.count > atoms.caps, "an atom or more", double(atoms.count - atoms.caps));
  expect(atoms.count <= INT32_MAX / 3, "atoms whose coordinates an int can count",
         double(atoms.count));
  expect(atoms.skin <= LARGEST_REACH, "a skin up to 1000 Å", atoms.skin);
  for (int64_t i = 0; i < atoms.count - atoms.caps; ++i)
    expect(atoms.particles[i] >= 0, "particles from 0 on", double(atoms.particles[i]));
  for (int64_t i = 0; i < 2 * atoms.caps; ++i)
    expect(atoms.ends[i] >= 0, "caps on particles from 0 on", double(atoms.ends[i]));
  for (int64_t m = 0; m < atoms.members; ++m) {
    const int64_t elements = header_of(atoms.programs[m]).types;
    for (int64_t i = m * atoms.count; i < (m + 1) * atoms.count; ++i)
      expect(atoms.types[i] >= 0 && atoms.types[i] < elements,
             "elements from 0 to " + std::to_string(elements - 1), double(atoms.types[i]));
    if (gives_charges(atoms.programs[m]) && !atoms.charges)
      throw Refusal("Allegro: expected a model without learned charges, found one whose "
                    "charges nobody sums; the native force of OpenMM does");
  }
  return atoms;
}

// Atoms that all programs take for the same element are of a kind.
struct Kinds {
  int64_t number = 0;
  std::vector<int32_t> of_atom;
  std::vector<double> limits;  // [kinds, kinds, 2]: square of the cutoff, and the reach, Å
  double reach = 0.0;          // the largest

  // Of atoms that were checked.
  explicit Kinds(const allegro_gpu_atoms &atoms) {
    std::map<std::vector<int64_t>, int32_t> found;
    for (int64_t i = 0; i < atoms.count; ++i) {
      std::vector<int64_t> types;
      for (int64_t m = 0; m < atoms.members; ++m)
        types.push_back(atoms.types[m * atoms.count + i]);
      of_atom.push_back(found.emplace(types, int32_t(found.size())).first->second);
    }
    number = int64_t(found.size());
    limits.assign(2 * number * number, 0.0);
    for (const auto &[centers, c] : found)
      for (const auto &[neighbors, n] : found) {
        double cutoff = 0.0;
        for (int64_t m = 0; m < atoms.members; ++m) {
          const int64_t types = header_of(atoms.programs[m]).types;
          const Constants constants(atoms.programs[m]);
          cutoff = std::max(cutoff, constants.cutoffs[centers[m] * types + neighbors[m]]);
        }
        double *limit = &limits[2 * (c * number + n)];
        limit[0] = cutoff * cutoff;
        limit[1] = cutoff > 0.0 ? cutoff + std::max(atoms.skin, 0.0) : 0.0;
        reach = std::max(reach, limit[1]);
      }
    if (!(reach > 0.0 && reach <= LARGEST_REACH))
      throw Refusal("Allegro: expected a cutoff above 0 and up to 1000 Å, found " +
                    allegro_gpu::number(reach));
  }
};

// Energies of the atoms without neighbours, of one member or, for -1, summed over all.
inline std::vector<double> shifts_of(const allegro_gpu_atoms &atoms, int64_t member) {
  std::vector<double> shifts(atoms.count, 0.0);
  for (int64_t m = 0; m < atoms.members; ++m) {
    if (member >= 0 && m != member) continue;
    const Constants constants(atoms.programs[m]);
    for (int64_t i = 0; i < atoms.count; ++i)
      shifts[i] += constants.shifts[atoms.types[m * atoms.count + i]];
  }
  return shifts;
}

// Makes members on a device.
class MembersMaker {
 public:
  MembersMaker(const allegro_gpu_device &device, const Emitter &emitter)
      : device(device), emitter(emitter) {}

  // Members with groups of at most `most` rows.
  Members make(const allegro_gpu_atoms &atoms, int64_t most) {
    std::string why;
    for (const int64_t rows : {LARGEST_ROWS, int64_t(96), int64_t(64), int64_t(32), int64_t(16),
                               int64_t(0)}) {
      if (rows > most) continue;
      try {
        return make_all(atoms, rows);
      } catch (const Refusal &refusal) {
        why = refusal.what();
      }
    }
    throw Refusal(why);
  }

  // Give members that have groups other ones, of so many rows; all of them or none.
  void resize(Members &members, int64_t rows) {
    std::vector<Member> made(members.each.size());
    for (size_t m = 0; m < made.size(); ++m) {
      const allegro_program program = members.each[m].outline.program();
      plan(program, rows, made[m]);
      std::vector<char> text(made[m].sizes.text);
      emit(program, rows, text.data(), nullptr, nullptr, nullptr);
      find_kernels(text.data(), rows, made[m]);
    }
    const int64_t slots = slots_of(made, rows);
    for (size_t m = 0; m < made.size(); ++m) {
      Member &member = members.each[m];
      member.sizes = made[m].sizes;
      member.network = made[m].network, member.wide = made[m].wide;
    }
    members.rows = rows, members.slots = slots;
  }

 private:
  const allegro_gpu_device &device;
  const Emitter emitter;
  std::map<std::string, void *> compiled;  // members often have the same source

  Members make_all(const allegro_gpu_atoms &atoms, int64_t rows) {
    Members members;
    members.rows = rows;
    for (int64_t m = 0; m < atoms.members; ++m)
      members.each.push_back(make_one(atoms, m, rows));
    members.slots = slots_of(members.each, rows);
    return members;
  }

  // Centres of a group of all members.
  static int64_t slots_of(const std::vector<Member> &members, int64_t rows) {
    const int64_t first = members.front().sizes.slots;
    if (first > LARGEST_SLOTS)
      throw Refusal("Allegro: expected groups of at most " + std::to_string(LARGEST_SLOTS) +
                    " centres, found " + std::to_string(first));
    for (const Member &member : members)
      if (rows && member.sizes.slots != first)
        throw Refusal("Allegro: expected programs with groups of as many centres, found " +
                      std::to_string(first) + " and " + std::to_string(member.sizes.slots));
    return std::max<int64_t>(1, first);
  }

  allegro_gpu_options options(const allegro_program &program, int64_t rows) const {
    return {rows, program.is_double ? int64_t(ALLEGRO_GPU_FMA) : device.products,
            device.memory, device.one_space};
  }

  void plan(const allegro_program &program, int64_t rows, Member &member) {
    const allegro_gpu_options chosen = options(program, rows);
    char message[400] = "";
    const int64_t outcome =
        emitter.plan(&program, &chosen, &member.sizes, message, sizeof message);
    if (outcome == ALLEGRO_NO_MEMORY) throw std::bad_alloc();
    if (outcome != ALLEGRO_OK) throw Refusal("Allegro: " + std::string(message));
  }

  void emit(const allegro_program &program, int64_t rows, char *text, void *weights,
            double *constants, int32_t *integers) {
    const allegro_gpu_options chosen = options(program, rows);
    if (emitter.emit(&program, &chosen, text, weights, constants, integers) != ALLEGRO_OK)
      throw std::bad_alloc();
  }

  void find_kernels(const char *text, int64_t rows, Member &member) {
    void *source = compile(text);
    const allegro_gpu_sizes &sizes = member.sizes;
    member.wide = find_kernel(device, source, "wide", sizes.wide_threads, sizes.wide_memory);
    if (rows)
      member.network = find_kernel(device, source, "network", sizes.threads, sizes.memory);
  }

  Member make_one(const allegro_gpu_atoms &atoms, int64_t m, int64_t rows) {
    const allegro_program &program = atoms.programs[m];
    Member member{Outline(program)};
    plan(program, rows, member);
    const allegro_gpu_sizes &sizes = member.sizes;
    member.bytes_of_number = program.is_double ? 8 : 4;
    member.gives_charges = gives_charges(program);
    std::vector<char> text(sizes.text);
    std::vector<char> weights(sizes.weights * member.bytes_of_number);
    std::vector<double> constants(sizes.constants);
    std::vector<int32_t> integers(sizes.integers);
    emit(program, rows, text.data(), weights.data(), constants.data(), integers.data());
    find_kernels(text.data(), rows, member);
    const int64_t *types = atoms.types + m * atoms.count;
    member.types = Buffer(device, std::vector<int32_t>(types, types + atoms.count));
    member.weights = Buffer(device, weights);
    member.constants = Buffer(device, constants);
    member.integers = Buffer(device, integers);
    return member;
  }

  void *compile(const char *text) {
    void *&source = compiled[text];
    if (!source) source = device.compile(device.self, text);
    if (!source)
      throw Refusal("Allegro: expected a source that the card's compiler takes, found that "
                    "it does not");
    return source;
  }
};

}  // namespace allegro_gpu
