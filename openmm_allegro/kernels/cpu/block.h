// SPDX-License-Identifier: MIT
// The loop over blocks of centres: from positions to rows, and from rows to forces.
// Included after operations.h.

// A block has at least this many rows, and no centre more than reaches that.
template <typename T> static long rows_of_block(const Model &m) {
  return std::max(32L, long(BLOCK / (m.stride * sizeof(T))));
}

// Room for at least this many rows. What the columns of new rows hold must be finite.
template <typename T> static void reserve(const Model &m, Workspace<T> &w, long rows) {
  rows = (rows + lanes<double> - 1) / lanes<double> * lanes<double>;
  // Sums over lanes are added to whole vectors, which may end after the last row.
  w.x.resize(rows * m.stride, T(0));
  w.g.resize(rows * m.stride + panel<T>, T(0));
  for (Array<double> &unit : w.unit) unit.resize(rows, 0.0);
  w.distance.resize(rows, 1.0);
  w.scaled.resize(4 * rows);
  if (m.points) w.slopes.resize(rows * m.first_width);
}

// The seeds of the rows, which operations on charges read.
template <typename T>
static void fill_seeds(Workspace<T> &w, const allegro_atoms &atoms) {
  w.seeds.resize(w.neighbors.size());
  for (size_t c = 0; c < w.atoms.size(); ++c) {
    const T seed = atoms.seeds ? T(atoms.seeds[w.atoms[c]]) : T(0);
    std::fill(w.seeds.begin() + w.first[c], w.seeds.begin() + w.first[c + 1], seed);
  }
}

// The vector of a pair into d; returns its square.
static inline double difference(const allegro_atoms &atoms, long center, long pair,
                                double *d) {
  const long neighbor = atoms.neighbors[pair];
  double r2 = 0.0;
  for (int axis = 0; axis < 3; ++axis) {
    d[axis] = atoms.positions[3 * neighbor + axis] - atoms.positions[3 * center + axis];
    for (int k = 0; k < 3 && atoms.shifts; ++k)
      d[axis] += atoms.shifts[3 * pair + k] * atoms.cell[3 * k + axis];
    r2 += d[axis] * d[axis];
  }
  return r2;
}

// Ordered pair of types: less than 2^20, see check.h.
static inline int kind_of(const Model &m, const allegro_atoms &atoms, long center,
                          long pair) {
  return atoms.types[center] * m.types + atoms.types[atoms.neighbors[pair]];
}

// Number of a centre's pairs within the cutoff.
static long near_pairs(const Model &m, const allegro_atoms &atoms, long center) {
  long near = 0;
  double d[3];
  for (long pair = atoms.offsets[center]; pair < atoms.offsets[center + 1]; ++pair) {
    const double cutoff = m.cutoffs[kind_of(m, atoms, center, pair)];
    near += difference(atoms, center, pair, d) < cutoff * cutoff;
  }
  return near;
}

template <typename T>
static void add_pair(const Model &m, Workspace<T> &w, const allegro_atoms &atoms,
                     long center, long pair, bool has_core, double *energy) {
  double d[3];
  const double r2 = difference(atoms, center, pair, d);
  const int kind = kind_of(m, atoms, center, pair);
  const double cutoff = m.cutoffs[kind];
  if (r2 >= cutoff * cutoff) return;
  const double r = sqrt(r2), x = r / cutoff;
  const long row = w.neighbors.size();
  if (row == (long)w.distance.size()) reserve(m, w, 2 * row);
  w.neighbors.push_back(atoms.neighbors[pair]);
  w.kinds.push_back(kind);
  for (int axis = 0; axis < 3; ++axis) w.unit[axis][row] = d[axis] / r;
  w.distance[row] = r;
  double *scaled = &w.scaled[4 * row], slope;
  const double seen = seen_distance<T>(m, kind, r, &slope);
  scaled[0] = slope / cutoff, scaled[1] = 0.0, scaled[2] = seen / cutoff, scaled[3] = 0.0;
  if (has_core) *energy += pair_core(m, kind, r, x, cutoff, scaled + 1);
}

// Rows in groups of a register of doubles.
template <typename T> static void fill_harmonics(const Model &m, Workspace<T> &w) {
  const long rows = w.neighbors.size();
  Lanes y[LARGEST];
  for (long row = 0; row < rows; row += lanes<double>) {
    const Lanes u[3] = {load(&w.unit[0][row]), load(&w.unit[1][row]),
                        load(&w.unit[2][row])};
    harmonics(m, u, y, nullptr);
    for (int i = 0; i < std::min<long>(lanes<double>, rows - row); ++i) {
      T *values = &w.x[(row + i) * m.stride + m.harmonic];
      for (int a = 0; a < m.components; ++a) values[a] = T(y[a][i]);
    }
  }
}

template <typename T>
static double row_energy(const Model &m, const Workspace<T> &w, long row) {
  typedef typename Vector<T>::V V;
  V total = {};
  for (int n = 0; n < m.operations; ++n) {
    if (m.operation[n].code != ALLEGRO_ENERGY) continue;
    const auto &op = as<allegro_energy>(m.operation[n]);
    const T *x = &w.x[row * m.stride + op.source];
    const T *weight = (const T *)m.weights + op.weights;
    for (long i = 0; i < op.width; i += lanes<T>) total += load(x + i) * load(weight + i);
  }
  return sum<T>(total) * m.factors[w.kinds[row] / m.types];
}

template <typename T>
static double row_charge(const Model &m, const Workspace<T> &w, long row) {
  typedef typename Vector<T>::V V;
  V total = {};
  for (int n = 0; n < m.operations; ++n) {
    if (m.operation[n].code != ALLEGRO_CHARGE) continue;
    const auto &op = as<allegro_charge>(m.operation[n]);
    const T *x = &w.x[row * m.stride + op.source], *weight = of_center(m, w, op, row);
    for (long i = 0; i < op.width; i += lanes<T>) total += load(x + i) * load(weight + i);
  }
  return sum<T>(total);
}

// Adds f of each row to the sum of its centre.
template <typename T, typename F>
static void add_rows(const Model &m, const Workspace<T> &w, double *sums, const F &f) {
  for (size_t c = 0; c < w.atoms.size(); ++c)
    for (long row = w.first[c]; row < w.first[c + 1]; ++row)
      sums[w.atoms[c]] += f(m, w, row);
}

// From the derivatives by a row's segments to forces.
template <typename T>
static void finish(const Model &m, Workspace<T> &w, const allegro_results &results) {
  const long rows = w.neighbors.size();
  Lanes y[LARGEST], slopes[3 * LARGEST], virial[9] = {};
  size_t c = 0;
  for (long row = 0; row < rows; row += lanes<double>) {
    const int count = std::min<long>(lanes<double>, rows - row);
    const Lanes u[3] = {load(&w.unit[0][row]), load(&w.unit[1][row]),
                        load(&w.unit[2][row])};
    harmonics(m, u, y, slopes);
    Lanes across[3] = {}, along = {};
    for (int a = 0; a < m.components; ++a) {
      Lanes dy = {};
      for (int i = 0; i < count; ++i) dy[i] = w.g[(row + i) * m.stride + m.harmonic + a];
      for (int axis = 0; axis < 3; ++axis) across[axis] += dy * slopes[3 * a + axis];
    }
    for (int i = 0; i < count; ++i) {
      const double *scaled = &w.scaled[4 * (row + i)];
      along[i] = scaled[1] + scaled[3] * scaled[0];
    }
    const Lanes radial_part = across[0] * u[0] + across[1] * u[1] + across[2] * u[2];
    const Lanes r = load(&w.distance[row]);
    for (int axis = 0; axis < 3; ++axis)
      across[axis] = along * u[axis] + (across[axis] - radial_part * u[axis]) / r;
    // The lanes after the last row have no forces.
    for (int k = 0; k < 3; ++k)
      for (int axis = 0; axis < 3; ++axis) virial[3 * k + axis] += r * u[k] * across[axis];
    for (int i = 0; i < count; ++i) {
      while (row + i >= w.first[c + 1]) ++c;
      const long center = w.atoms[c], neighbor = w.neighbors[row + i];
      for (int axis = 0; axis < 3; ++axis) {
        const double f = across[axis][i];
        results.forces[3 * center + axis] += f;
        results.forces[3 * neighbor + axis] -= f;
      }
      if (!results.virials) continue;
      for (int k = 0; k < 3; ++k)
        for (int axis = 0; axis < 3; ++axis)
          results.virials[9 * neighbor + 3 * k + axis] += r[i] * u[k][i] * across[axis][i];
    }
  }
  for (int i = 0; i < 9; ++i) results.strain[i] += sum<double>(virial[i]);
}

// Rows of the next centres, until they are a block; returns the centre after those. Energies
// and charges begin with what does not come from the network.
template <typename T>
static long gather(const Model &m, Workspace<T> &w, const allegro_atoms &atoms, long center,
                   long end, const allegro_results &results) {
  const long enough = rows_of_block<T>(m);
  const bool has_core = m.core && (results.energies || results.forces);
  w.neighbors.clear(), w.kinds.clear(), w.atoms.clear(), w.first.assign(1, 0);
  for (; center < end && (long)w.neighbors.size() < enough; ++center) {
    const size_t before = w.neighbors.size();
    double energy = m.shifts[atoms.types[center]];
    for (long pair = atoms.offsets[center]; pair < atoms.offsets[center + 1]; ++pair)
      add_pair(m, w, atoms, center, pair, has_core, &energy);
    if (results.energies) results.energies[center] = energy;
    if (results.charges) results.charges[center] = 0.0;
    if (w.neighbors.size() > before) {
      w.atoms.push_back(center);
      w.first.push_back(w.neighbors.size());
    }
  }
  const long slots = w.atoms.size();
  w.operators.resize(slots * m.operator_size);
  w.d_operators.resize(slots * m.operator_size);
  w.chain.resize(slots * m.chain_size);
  return center;
}

template <typename T> static Workspace<T> workspace(const Model &m) {
  Workspace<T> w;
  reserve(m, w, rows_of_block<T>(m) + 64);
  w.environment.resize(m.components * m.channels);
  w.gradient.resize(2L * m.widest * m.channels);
  return w;
}

// Energies and charges of the centres [begin, end), and what they add to the other results;
// without forces those alone.
template <typename T>
static void evaluate(const Model &m, const allegro_atoms &atoms, long begin, long end,
                     const allegro_results &results) {
  Workspace<T> w = workspace<T>(m);
  w.goes_back = results.forces;
  while (begin < end) {
    begin = gather(m, w, atoms, begin, end, results);
    if (w.atoms.empty()) continue;
    fill_harmonics(m, w);
    forward(m, w);
    if (results.energies) add_rows(m, w, results.energies, row_energy<T>);
    if (results.charges) add_rows(m, w, results.charges, row_charge<T>);
    if (!results.forces) continue;
    if (m.is_charged) fill_seeds(w, atoms);
    backward(m, w);
    finish(m, w, results);
  }
}

static void run(const Model &m, const allegro_atoms &atoms, long begin, long end,
                const allegro_results &results) {
  (m.is_double ? evaluate<double> : evaluate<float>)(m, atoms, begin, end, results);
}
