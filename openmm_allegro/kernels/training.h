// SPDX-License-Identifier: MIT
/// @file
/// C interface of the compiled products that training takes, in the form of `allegro.h`,
/// with its outcomes. Arrays are in C's order.
#ifndef OPENMM_ALLEGRO_TRAINING_H
#define OPENMM_ALLEGRO_TRAINING_H
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/// A sparse product of three arrays, with f = values · weights of the path in each term:
///     out[c, o, u] = sum of f first[c, i, u] second[c, j, u].
typedef struct allegro_product {
  /// Centres c.
  int64_t centers;
  /// Channels u.
  int64_t channels;
  /// Terms of the sum.
  int64_t terms;
  /// Weights of each channel.
  int64_t paths;
  /// Columns of `entries` that index the result or zeroth factor, `first` and `second`.
  int64_t columns[3];
  /// Components of the same three arrays.
  int64_t sizes[3];
  /// A component of each of three arrays and the path of each term [terms, 4].
  const int64_t *entries;
  /// Value of each term [terms].
  const double *values;
  /// 1 if the arrays are double, 0 if they are float.
  int64_t is_double;
  /// Weights [channels, paths]; for their gradient the zeroth factor [centers, ·, channels].
  const void *zeroth;
  /// First factor [centers, ·, channels].
  const void *first;
  /// Second factor [centers, ·, channels].
  const void *second;
  /// Result [centers, ·, channels]; gradients, zeros at first: [threads, channels, paths].
  void *out;
} allegro_product;

/// Harmonics, weights and features of the pairs of centres, each with as many neighbours.
typedef struct allegro_pairs {
  /// Centres c.
  int64_t centers;
  /// Neighbours k of each centre.
  int64_t neighbors;
  /// Components a of the harmonics.
  int64_t components;
  /// Channels u.
  int64_t channels;
  /// Degrees l of the harmonics.
  int64_t degrees;
  /// Numbers from one pair's weights to the next one's.
  int64_t row;
  /// Components of each degree: 1, 3, 5, 7 or 9.
  int64_t components_of[9];
  /// 1 if the arrays are double, 0 if they are float.
  int64_t is_double;
  /// Harmonics y [centers, neighbors, components].
  void *y;
  /// Weights w [centers, neighbors, degrees, channels], pairs a `row` apart.
  void *w;
  /// Features v [centers, components, channels].
  void *v;
} allegro_pairs;

/// Take the product; refused if an entry is beyond its array.
int64_t allegro_contract(const allegro_product *product, int64_t threads);
/// Gradient by the weights, a sum over c and not over terms of a path; refused as above.
int64_t allegro_contract_weights(const allegro_product *product, int64_t threads);
/// v[c, a, u] = sum over k of y[c, k, a] w[c, k, degree of a, u].
int64_t allegro_project(const allegro_pairs *pairs, int64_t threads);
/// w[c, k, l, u] = sum over a of degree l of y[c, k, a] v[c, a, u]; rows are contiguous.
int64_t allegro_spread(const allegro_pairs *pairs, int64_t threads);
/// y[c, k, a] = sum over u of w[c, k, degree of a, u] v[c, a, u].
int64_t allegro_meet(const allegro_pairs *pairs, int64_t threads);
#ifdef __cplusplus
}
#endif
#endif
