// SPDX-License-Identifier: MIT
// The functions of allegro.h on the CPU. Compiled once per instruction set: WIDTH is the
// width of a vector in bytes, ROWS the height of a tile.

#include <algorithm>
#include <cmath>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "../allegro.h"

namespace {

#include "threads.h"
#include "vector.h"
#include "matrix.h"
#include "activation.h"
#include "model.h"
#include "pair_functions.h"
#include "tensor.h"
#include "operations.h"
#include "block.h"
#include "product.h"
#include "pairs.h"

// f(0.0) or f(0.0f): code for the precision of the arrays.
template <typename F> void in_precision(bool is_double, const F &f) {
  if (is_double)
    f(0.0);
  else
    f(0.0f);
}

}  // namespace

int64_t allegro_format() { return ALLEGRO_FORMAT; }

int64_t allegro_interface() { return ALLEGRO_INTERFACE; }

allegro_model *allegro_open(const allegro_program *program) {
  if (program->integers[0] != ALLEGRO_FORMAT) return nullptr;
  return reinterpret_cast<allegro_model *>(new Model(read(*program)));
}

void allegro_run(const allegro_model *model, const allegro_atoms *atoms, int64_t begin,
                 int64_t end, const allegro_results *results) {
  run(*reinterpret_cast<const Model *>(model), *atoms, begin, end, results->energies,
      results->forces, results->strain);
}

void allegro_run_threads(const allegro_model *model, const allegro_atoms *atoms,
                         int64_t threads, const allegro_results *results) {
  const int64_t count = atoms->count;
  // Equal numbers of pairs within the cutoff. They do not depend on which others are in the
  // list, so neither does the order of sums: the result is the same to the last bit.
  std::vector<long> before(count + 1, 0);
  const Model &m = *reinterpret_cast<const Model *>(model);
  if (threads > 1) {
    share_evenly(count, threads, [&](long, long begin, long end) {
      for (long center = begin; center < end; ++center)
        before[center + 1] = near_pairs(m, *atoms, center);
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
  share(threads, end, [=](long t, long begin, long end) {
    const allegro_results own = {results->energies, results->forces + 3 * count * t,
                                 results->strain + 9 * t};
    allegro_run(model, atoms, begin, end, &own);
  });
}

void allegro_close(allegro_model *model) { delete reinterpret_cast<Model *>(model); }

int64_t allegro_contract(const allegro_product *product, int64_t threads) {
  if (!within(*product)) return 1;
  share_evenly(product->centers, threads, [=](long, long begin, long end) {
    in_precision(product->is_double,
                 [=](auto zero) { contract<decltype(zero)>(*product, begin, end); });
  });
  return 0;
}

int64_t allegro_contract_weights(const allegro_product *product, int64_t threads) {
  if (!within(*product)) return 1;
  share_evenly(product->centers, threads, [=](long t, long begin, long end) {
    in_precision(product->is_double, [=](auto zero) {
      contract_weights<decltype(zero)>(*product, t, begin, end);
    });
  });
  return 0;
}

void allegro_project(const allegro_pairs *pairs, int64_t threads) {
  share_evenly(pairs->centers, threads, [=](long, long begin, long end) {
    in_precision(pairs->is_double,
                 [=](auto zero) { project<decltype(zero)>(*pairs, begin, end); });
  });
}

void allegro_spread(const allegro_pairs *pairs, int64_t threads) {
  share_evenly(pairs->centers, threads, [=](long, long begin, long end) {
    in_precision(pairs->is_double,
                 [=](auto zero) { spread<decltype(zero)>(*pairs, begin, end); });
  });
}

void allegro_meet(const allegro_pairs *pairs, int64_t threads) {
  share_evenly(pairs->centers, threads, [=](long, long begin, long end) {
    in_precision(pairs->is_double,
                 [=](auto zero) { meet<decltype(zero)>(*pairs, begin, end); });
  });
}
