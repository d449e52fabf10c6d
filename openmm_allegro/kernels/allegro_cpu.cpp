// SPDX-License-Identifier: MIT
// Energy, forces and strain derivative of an Allegro model on the CPU, as plain C
// functions. Compiled once per instruction set: WIDTH is the vector width in bytes, ROWS
// the height of a tile. What the arrays hold is written in fold.py.

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

namespace {

enum { LINEAR, ACTIVATION, TYPES, SPLINE, TENSOR, ENERGY };

struct Layer {
  long in, out, start, chain, entries, weight;  // start, chain: of its part of the arrays
  const long *entry;                            // [entries, 3]: a, d, b
};

struct Model {
  long stride, components, channels, types, layers, radial, spline, integer_roots, zbl;
  long basis, slope, harmonic, operations, terms, widest, operator_size, chain_size;
  long stage, first, first_width, points, table;  // what depends on the distance alone
  long is_double;
  const long *operation, *term, *irrep;
  const double *norm, *factors, *shifts, *cutoffs, *roots, *charges, *term_value;
  double envelope_p, zbl_p, coulomb, table_from;
  const void *weights;
  std::vector<Layer> layer;
};

struct Atoms {
  const double *positions, *cell;
  const long *types, *offsets;
  const int *neighbors;
  const signed char *shifts;
};

#include "vector.h"
#include "network.h"
#include "block.h"

Model read(const long *program, const double *constants, const void *weights,
           bool is_double) {
  Model m;
  const long *p = program + 1;  // after the format
  for (long *field : {&m.stride, &m.components, &m.channels, &m.types, &m.layers,
                      &m.radial, &m.spline, &m.integer_roots, &m.zbl, &m.basis, &m.slope,
                      &m.harmonic, &m.operations, &m.terms, &m.widest, &m.stage,
                      &m.first, &m.first_width, &m.points, &m.table})
    *field = *p++;
  m.irrep = p, p += m.components;
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
  return m;
}

}  // namespace

extern "C" {

// Of the arrays, as in fold.py.
long openmm_allegro_format() { return 1; }

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
    if (t + 1 == threads)
      work();
    else
      team.emplace_back(work);
    begin = end;
  }
  for (std::thread &member : team) member.join();
}
}
