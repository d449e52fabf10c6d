// SPDX-License-Identifier: MIT
// The source of a program's kernels, and the sizes of what they read. Included after the
// standard library, ../allegro_gpu.h, ../../cpu/vector.h and ../../cpu/model.h.

// Why a program cannot have the kernels that were asked for: "expected ..., found ...".
struct Unfit {
  std::string message;
};

#include "text.h"
#include "arrays.h"
#include "pair.h"
#include "plan.h"
#include "barriers.h"
#include "wide_lines.h"
#include "wide.h"
#include "packed_values.h"
#include "packed_weights.h"
#include "packed_phases.h"
#include "packed_network.h"
#include "packed_back.h"
#include "packed_tensor.h"
#include "packed.h"

static void check_fit(int64_t weights) {
  constexpr int64_t largest = INT32_MAX;
  if (weights > largest)
    throw Unfit{"expected at most " + std::to_string(largest) +
                " weights for a graphics card, found " + std::to_string(weights) +
                "; a two-body table of fewer intervals, or none, has fewer"};
}

// The text of the kernels; their sizes are then in `sizes`.
static std::string write_source(const Model &m, const allegro_gpu_options &options,
                                allegro_gpu_sizes *sizes) {
  const Places places = place_arrays(m);
  check_fit(places.weights);
  *sizes = {};
  Text text;
  write_numbers(m, places, text);
  text << DIALECT << PAIR;
  write_harmonics(m, text);
  write_wide(m, places, sizes, text);
  sizes->weights = places.weights;
  sizes->integers = places.integers;
  if (options.rows) {
    const PackedPlan plan = plan_packed(m, places, options);
    sizes->weights = plan.weights.size + PackedWeights::BEYOND;
    sizes->integers = plan.weights.integers;
    check_fit(sizes->weights);
    write_packed(m, plan, sizes, text);
  }
  sizes->constants = places.constants;
  sizes->text = text.all.size() + 1;
  return text.all;
}

template <typename T>
static void fill_all_weights(const Model &m, const Places &places,
                             const allegro_gpu_options &options, T *weights,
                             int32_t *integers) {
  fill_weights(m, places, weights);
  if (options.rows) plan_packed(m, places, options).weights.fill(weights, integers);
}

static void fill_arrays(const Model &m, const allegro_gpu_options &options, void *weights,
                        double *constants, int32_t *integers) {
  const Places places = place_arrays(m);
  fill_constants(m, places, constants);
  fill_integers(m, places, integers);
  if (m.is_double)
    fill_all_weights(m, places, options, static_cast<double *>(weights), integers);
  else
    fill_all_weights(m, places, options, static_cast<float *>(weights), integers);
}
