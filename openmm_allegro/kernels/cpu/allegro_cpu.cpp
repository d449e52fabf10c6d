// SPDX-License-Identifier: MIT
// The functions of allegro.h, long_range.h and training.h on the CPU. Compiled once per
// instruction set: WIDTH is the width of a vector in bytes, ROWS the height of a tile.

#include "../allegro.h"
#include "../long_range.h"
#include "../training.h"
#include "standard.h"

namespace {

#include "threads.h"
#include "vector.h"
#include "matrix.h"
#include "activation.h"
#include "model.h"
#include "pair_functions.h"
#include "rows.h"
#include "tensor.h"
#include "operations.h"
#include "block.h"
#include "table.h"
#include "product.h"
#include "pairs.h"
#include "check.h"
#include "fourier.h"
#include "mesh.h"
#include "field.h"
#include "screening.h"
#include "charges.h"

// f(0.0) or f(0.0f): code for the precision of the arrays.
template <typename F> void in_precision(bool is_double, const F &f) {
  if (is_double)
    f(0.0);
  else
    f(0.0f);
}

// The results of a thread, which has its own, but for energies and charges.
allegro_results of_thread(const allegro_results &all, int64_t count, long thread) {
  allegro_results own = all;
  if (own.strain) own.strain += 9 * thread;
  if (own.forces) own.forces += 3 * count * thread;
  if (own.virials) own.virials += 9 * count * thread;
  return own;
}

// The centres in parts, each of a thread.
void run_threads(const Model &m, const allegro_atoms &atoms, int64_t threads,
                 const allegro_results &results) {
  const int64_t count = atoms.count;
  // Equal numbers of pairs within the cutoff. They do not depend on which others are in the
  // list, so neither does the order of sums: the result is the same to the last bit.
  std::vector<long> before(count + 1, 0);
  if (threads > 1) {
    share_evenly(count, threads, [&](long, long begin, long end) {
      for (long center = begin; center < end; ++center)
        before[center + 1] = near_pairs(m, atoms, center);
    });
    for (long center = 0; center < count; ++center) before[center + 1] += before[center];
  }
  const auto end = [&](long t, long begin) {
    if (t + 1 == threads) return (long)count;
    const long wanted = before[count] * (t + 1) / threads;
    const auto first = before.begin();
    const long end = std::upper_bound(first + begin, first + count, wanted) - first;
    return std::max(begin, std::min(end, (long)count));
  };
  share(threads, end, [&](long t, long begin, long end) {
    run(m, atoms, begin, end, of_thread(results, count, t));
  });
}

// ALLEGRO_OK after f(), ALLEGRO_NO_MEMORY if there was too little memory for it.
template <typename F> int64_t outcome(const F &f) {
  try {
    f();
    return ALLEGRO_OK;
  } catch (const std::exception &) {
    return ALLEGRO_NO_MEMORY;
  }
}

// f(0.0) or f(0.0f) for the parts of `count` that are each a thread's, with the thread.
template <typename F>
int64_t outcome_of_parts(int64_t count, int64_t threads, bool is_double, const F &f) {
  return outcome([&] {
    share_evenly(count, threads, [&](long t, long begin, long end) {
      in_precision(is_double, [&](auto zero) { f(zero, t, begin, end); });
    });
  });
}

}  // namespace

int64_t allegro_format() { return ALLEGRO_FORMAT; }

int64_t allegro_interface() { return ALLEGRO_INTERFACE; }

int64_t allegro_check(const allegro_program *program, int64_t integers, int64_t constants,
                      int64_t weights, char *message, int64_t room) {
  const auto say = [&](const std::string &text) {
    std::snprintf(message, room, "%s", text.c_str());
  };
  try {
    say("");
    if (integers > 0 && program->integers[0] != ALLEGRO_FORMAT) {
      say("format " + std::to_string(ALLEGRO_FORMAT) + ", found " +
          std::to_string(program->integers[0]));
      return ALLEGRO_OTHER_FORMAT;
    }
    ProgramCheck{*program, integers, constants, weights}.run();
    return ALLEGRO_OK;
  } catch (const Refusal &refusal) {
    say(refusal.expected + ", found " + refusal.found);
    return ALLEGRO_REFUSED;
  } catch (const std::exception &) {
    return ALLEGRO_NO_MEMORY;
  }
}

double allegro_cutoff(const allegro_program *program) {
  const auto &head = *reinterpret_cast<const allegro_header *>(program->integers);
  const double *cutoffs = cutoffs_of(head, program->constants);
  return *std::max_element(cutoffs, cutoffs + head.types * head.types);
}

allegro_model *allegro_open(const allegro_program *program) {
  if (program->integers[0] != ALLEGRO_FORMAT) return nullptr;
  Model *model = nullptr;
  outcome([&] { model = new Model(read(*program)); });
  return reinterpret_cast<allegro_model *>(model);
}

int64_t allegro_run(const allegro_model *model, const allegro_atoms *atoms, int64_t begin,
                    int64_t end, const allegro_results *results) {
  return outcome([&] {
    run(*reinterpret_cast<const Model *>(model), *atoms, begin, end, *results);
  });
}

int64_t allegro_run_threads(const allegro_model *model, const allegro_atoms *atoms,
                            int64_t threads, const allegro_results *results) {
  return outcome([&] {
    run_threads(*reinterpret_cast<const Model *>(model), *atoms, threads, *results);
  });
}

void allegro_close(allegro_model *model) { delete reinterpret_cast<Model *>(model); }

int64_t allegro_two_body(const allegro_model *model, int64_t center, int64_t neighbor,
                         int64_t count, const double *x, double *values, double *slopes) {
  const Model &m = *reinterpret_cast<const Model *>(model);
  const auto all = [&](auto zero, long, long begin, long end) {
    const long kind = center * m.types + neighbor;
    two_body<decltype(zero)>(m, kind, begin, end, x, values, slopes);
  };
  return outcome_of_parts(count, 1, m.is_double, all);
}

int64_t allegro_tabulate(const allegro_model *model, int64_t intervals, int64_t threads,
                         void *cubics) {
  const Intervals table = {*reinterpret_cast<const Model *>(model), intervals};
  const auto part = [&](auto zero, long, long begin, long end) {
    tabulate(table, begin, end, static_cast<decltype(zero) *>(cubics));
  };
  return outcome_of_parts(table.blocks(), threads, table.m.is_double, part);
}

int64_t allegro_table_errors(const allegro_model *model, int64_t intervals, int64_t threads,
                             double *errors) {
  const Intervals table = {*reinterpret_cast<const Model *>(model), intervals};
  return outcome([&] {
    std::vector<Errors> found(threads, Errors(table));
    const auto part = [&](auto zero, long t, long begin, long end) {
      found[t].find<decltype(zero)>(begin, end);
    };
    if (outcome_of_parts(table.blocks(), threads, table.m.is_double, part) != ALLEGRO_OK)
      throw std::bad_alloc();
    for (int64_t t = 1; t < threads; ++t) found[0].add(found[t]);
    found[0].relative(errors);
  });
}

int64_t allegro_contract(const allegro_product *product, int64_t threads) {
  const allegro_product &p = *product;
  if (!within(p)) return ALLEGRO_REFUSED;
  const auto part = [&](auto zero, long, long begin, long end) {
    contract<decltype(zero)>(p, begin, end);
  };
  return outcome_of_parts(p.centers, threads, p.is_double, part);
}

int64_t allegro_contract_weights(const allegro_product *product, int64_t threads) {
  const allegro_product &p = *product;
  if (!within(p)) return ALLEGRO_REFUSED;
  const auto part = [&](auto zero, long t, long begin, long end) {
    contract_weights<decltype(zero)>(p, t, begin, end);
  };
  return outcome_of_parts(p.centers, threads, p.is_double, part);
}

int64_t allegro_project(const allegro_pairs *pairs, int64_t threads) {
  const auto part = [=](auto zero, long, long begin, long end) {
    project<decltype(zero)>(*pairs, begin, end);
  };
  return outcome_of_parts(pairs->centers, threads, pairs->is_double, part);
}

int64_t allegro_spread(const allegro_pairs *pairs, int64_t threads) {
  const auto part = [=](auto zero, long, long begin, long end) {
    spread<decltype(zero)>(*pairs, begin, end);
  };
  return outcome_of_parts(pairs->centers, threads, pairs->is_double, part);
}

int64_t allegro_meet(const allegro_pairs *pairs, int64_t threads) {
  const auto part = [=](auto zero, long, long begin, long end) {
    meet<decltype(zero)>(*pairs, begin, end);
  };
  return outcome_of_parts(pairs->centers, threads, pairs->is_double, part);
}

allegro_mesh *allegro_mesh_open() {
  Mesh *mesh = nullptr;
  outcome([&] { mesh = new Mesh; });
  return reinterpret_cast<allegro_mesh *>(mesh);
}

int64_t allegro_mesh_sum(allegro_mesh *mesh, const allegro_charges *charges, int64_t threads,
                         const allegro_field *field) {
  int64_t result = ALLEGRO_OK;
  const int64_t done = outcome([&] {
    result = sum_charges(*reinterpret_cast<Mesh *>(mesh), *charges, threads, *field);
  });
  return done == ALLEGRO_OK ? result : done;
}

int64_t allegro_mesh_points(const allegro_charges *charges, int64_t *points) {
  return find_points(*charges, points);
}

void allegro_mesh_close(allegro_mesh *mesh) { delete reinterpret_cast<Mesh *>(mesh); }

int64_t allegro_fourier(int64_t rows, int64_t length, int64_t is_real, double *real,
                        double *imaginary) {
  bool is_possible = false;
  const int64_t done = outcome([&] {
    is_possible = transform_rows(rows, length, is_real, real, imaginary);
  });
  return done == ALLEGRO_OK && !is_possible ? ALLEGRO_REFUSED : done;
}
