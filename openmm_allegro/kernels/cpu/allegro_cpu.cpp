// SPDX-License-Identifier: MIT
// Energy, forces and strain derivative of an Allegro model on the CPU, as plain C
// functions. Compiled once per instruction set: WIDTH is the vector width in bytes, ROWS
// the height of a tile. What the arrays hold is written in fold.py.

#include <algorithm>
#include <cmath>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

constexpr int LARGEST = 32;  // spherical harmonics of a pair
enum { LINEAR, ACTIVATION, TYPES, SPLINE, TENSOR, ENERGY };

struct Layer {
  long in, out, start, chain, entries, weight;  // start, chain: of its part of the arrays
  const long *entry;                            // [entries, 3]: a, d, b
};

struct Range {
  long begin, end;
};

struct Model {
  long stride, components, channels, types, layers, radial, spline, integer_roots, zbl;
  long basis, slope, harmonic, operations, terms, widest, operator_size, chain_size;
  long stage, first, first_width, points, table;  // what depends on the distance alone
  long is_double;
  const long *operation, *term;
  const double *norm, *factors, *shifts, *cutoffs, *roots, *charges, *term_value;
  double envelope_p, zbl_p, coulomb, table_from;
  const void *weights;
  std::vector<Layer> layer;
  std::vector<long> first_component;  // of each degree, and the end
  std::vector<bool> overwrites;       // operations that are the first to write, backward
  std::vector<Range> zeroed;          // columns whose derivatives are only added to
  long degrees;
};

struct Atoms {
  const double *positions, *cell;
  const long *types, *offsets;
  const int *neighbors;
  const signed char *shifts;
};

#include "vector.h"
#include "network.h"
#include "tensor.h"
#include "program.h"
#include "block.h"
#include "contraction.h"
#include "projection.h"

// Which columns of the derivatives must be zero before the way back. Of operations that
// add to the same columns the first may write instead.
void plan_backward(Model &m) {
  std::vector<bool> written(m.stride), zeroed(m.stride);
  const auto room = [&](long width) {
    return m.is_double ? padded<double>(width) : padded<float>(width);
  };
  const auto need = [&](long begin, long width) {
    for (long i = begin; i < std::min(begin + room(width), m.stride); ++i)
      if (!written[i]) written[i] = zeroed[i] = true;
  };
  need(m.harmonic, m.components);
  need(m.basis, m.radial);
  m.overwrites.assign(m.operations, false);
  for (long n = m.operations - 1; n >= 0; --n) {
    const long *op = m.operation + 8 * n;
    if (op[0] == LINEAR) {
      need(op[3], op[4]);
      const auto begin = written.begin() + op[1], end = begin + room(op[2]);
      m.overwrites[n] = std::find(begin, end, true) == end;
      if (m.overwrites[n]) std::fill(begin, end, true);
      need(op[1], op[2]);
    } else if (op[0] == ACTIVATION) {
      need(op[2], op[3]);
    } else if (op[0] == TENSOR) {
      need(op[4], m.channels);
      need(op[2], m.degrees * m.channels);
      need(op[3], m.degrees * m.channels);
    } else {
      need(op[1], op[2]);
    }
  }
  for (long i = 0; i < m.stride; ++i)
    if (zeroed[i]) {
      const long begin = i;
      while (i < m.stride && zeroed[i]) ++i;
      m.zeroed.push_back({begin, i});
    }
}

Model read(const long *program, const double *constants, const void *weights,
           bool is_double) {
  Model m;
  const long *p = program + 1;  // after the format
  for (long *field : {&m.stride, &m.components, &m.channels, &m.types, &m.layers,
                      &m.radial, &m.spline, &m.integer_roots, &m.zbl, &m.basis, &m.slope,
                      &m.harmonic, &m.operations, &m.terms, &m.widest, &m.stage,
                      &m.first, &m.first_width, &m.points, &m.table})
    *field = *p++;
  for (long a = 0; a < m.components; ++a)
    if (a == 0 || p[a] != p[a - 1]) m.first_component.push_back(a);
  m.degrees = m.first_component.size();
  m.first_component.push_back(m.components);
  p += m.components;
  m.operation = p, p += 8 * m.operations;
  m.term = p, p += 4 * m.terms;
  m.operator_size = m.chain_size = 0;
  for (long n = 0; n < m.layers; ++n) {
    Layer l;
    l.in = *p++, l.out = *p++, l.entries = *p++, l.weight = *p++;
    l.entry = p, p += 3 * l.entries;
    l.start = m.operator_size, m.operator_size += l.in * l.out * m.channels;
    l.chain = m.chain_size, m.chain_size += (n + 1) * m.widest * m.channels;
    m.layer.push_back(l);
  }
  const double *c = constants;
  m.envelope_p = *c++, m.zbl_p = *c++, m.coulomb = *c++, m.table_from = *c++;
  m.norm = c, c += m.types;
  m.factors = c, c += m.types;
  m.shifts = c, c += m.types;
  m.charges = c, c += m.types;
  m.cutoffs = c, c += m.types * m.types;
  m.roots = c, c += m.radial;
  m.term_value = c;
  m.weights = weights;
  m.is_double = is_double;
  plan_backward(m);
  return m;
}

}  // namespace

extern "C" {

// Of the arrays, as in fold.py.
long openmm_allegro_format() { return 2; }

// The arrays have integers of 64 bits.
static_assert(sizeof(long) == 8);

// energies [atoms], forces [threads, atoms, 3] and strain [threads, 9] must be zero; the
// sums over threads are the result.
void openmm_allegro_evaluate(const long *program, const double *constants,
                             const void *weights, long is_double, long count,
                             const double *positions, const double *cell,
                             const long *types, const long *offsets, const int *neighbors,
                             const signed char *shifts, long threads, double *energies,
                             double *forces, double *strain) {
  const Model m = read(program, constants, weights, is_double);
  const Atoms atoms = {positions, cell, types, offsets, neighbors, shifts};
  std::vector<std::thread> team;
  team.reserve(threads);
  long begin = 0;
  for (long t = 0; t < threads; ++t) {
    // equal numbers of pairs, in a fixed order: the same result each time
    const long wanted = offsets[count] * (t + 1) / threads;
    long end = t + 1 == threads
                   ? count
                   : std::upper_bound(offsets + begin, offsets + count, wanted) - offsets;
    end = std::max(begin, std::min(end, count));
    auto work = [=, &m, &atoms] {
      run(m, atoms, begin, end, energies, forces + 3 * count * t, strain + 9 * t);
    };
    begin = end;
    if (t + 1 < threads) try {
        team.emplace_back(work);
        continue;
      } catch (const std::system_error &) {
        // the system gives no more threads: this one does the work
      }
    work();
  }
  for (std::thread &member : team) member.join();
}

// shape: centres, channels, terms, paths, then columns and sizes of the result, the left
// and the right factor. out [centres, components, channels]. Not 0 if an entry is beyond
// its array: nothing is done then.
int openmm_allegro_contract(const long *shape, const long *entries, const double *values,
                            long is_double, const void *weights, const void *left,
                            const void *right, long threads, void *out) {
  const Product p = product(shape, entries, values);
  if (!within(p)) return 1;
  share(p.centers, threads, [=](long, long begin, long end) {
    if (is_double)
      contract(p, (const double *)weights, (const double *)left, (const double *)right,
               (double *)out, begin, end);
    else
      contract(p, (const float *)weights, (const float *)left, (const float *)right,
               (float *)out, begin, end);
  });
  return 0;
}

// out [threads, channels, paths], the sum of which is the result
int openmm_allegro_contract_weights(const long *shape, const long *entries,
                                    const double *values, long is_double,
                                    const void *first, const void *left,
                                    const void *right, long threads, void *out) {
  const Product p = product(shape, entries, values);
  if (!within(p)) return 1;
  share(p.centers, threads, [=](long t, long begin, long end) {
    const long offset = t * p.channels * p.paths;
    if (is_double)
      contract_weights(p, (const double *)first, (const double *)left,
                       (const double *)right, (double *)out + offset, begin, end);
    else
      contract_weights(p, (const float *)first, (const float *)left, (const float *)right,
                       (float *)out + offset, begin, end);
  });
  return 0;
}

// what: 0 project, 1 spread, 2 meet. shape: centres, neighbours, components, channels,
// degrees, elements from one pair's weights to the next one's, components of each degree
void openmm_allegro_project(long what, const long *shape, long is_double,
                            const void *left, const void *right, long threads, void *out) {
  const Pairs p = {shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape + 6};
  share(p.centers, threads, [=](long, long begin, long end) {
    const auto run = [=](auto zero) {
      typedef decltype(zero) T;
      const T *x = (const T *)left, *y = (const T *)right;
      if (what == 0)
        project(p, x, y, (T *)out, begin, end);
      else if (what == 1)
        spread(p, x, y, (T *)out, begin, end);
      else
        meet(p, x, y, (T *)out, begin, end);
    };
    if (is_double)
      run(0.0);
    else
      run(0.0f);
  });
}
}
