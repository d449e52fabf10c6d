// SPDX-License-Identifier: MIT
// The source of a program's kernels, and the sizes of what they read. Included after the
// standard library, ../allegro_gpu.h, ../../cpu/vector.h and ../../cpu/model.h.

#include "text.h"
#include "arrays.h"
#include "pair.h"
#include "plan.h"
#include "wide.h"

// Why a program cannot have the kernels that were asked for: "expected ..., found ...".
struct Unfit {
  std::string message;
};

static void check_fit(const Places &p, const allegro_gpu_options &options) {
  constexpr int64_t largest = INT32_MAX;
  if (p.weights > largest)
    throw Unfit{"expected at most " + std::to_string(largest) +
                " weights for a graphics card, found " + std::to_string(p.weights) +
                "; a two-body table of fewer intervals, or none, has fewer"};
  if (options.rows)
    throw Unfit{"expected groups of 0 rows, found " + std::to_string(options.rows)};
}

// The text of the kernels; their sizes are then in `sizes`.
static std::string write_source(const Model &m, const allegro_gpu_options &options,
                                allegro_gpu_sizes *sizes) {
  const Places places = place_arrays(m);
  check_fit(places, options);
  *sizes = {};
  Text text;
  write_numbers(m, places, text);
  text << DIALECT << PAIR;
  write_harmonics(m, text);
  write_wide(m, places, sizes, text);
  sizes->weights = places.weights;
  sizes->constants = places.constants;
  sizes->integers = places.integers;
  sizes->text = text.all.size() + 1;
  return text.all;
}

static void fill_arrays(const Model &m, void *weights, double *constants, int32_t *integers) {
  const Places places = place_arrays(m);
  if (m.is_double)
    fill_weights(m, places, static_cast<double *>(weights));
  else
    fill_weights(m, places, static_cast<float *>(weights));
  fill_constants(m, places, constants);
  fill_integers(m, places, integers);
}
