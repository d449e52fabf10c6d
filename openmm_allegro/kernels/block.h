// SPDX-License-Identifier: MIT
// The loop over blocks of centres. Included once per instruction set, after network.h.

// Cubic Hermite interpolation of a row's first segments; with `g`, the derivative by x of
// the energy from theirs.
template <typename T>
static double interpolate(const Model &m, double x, int kind, T *values, const T *g) {
  typedef typename Vector<T>::V V;
  const double interval = (1.0 - m.table_from) / m.points;
  const double place = (x - m.table_from) / interval;
  const long node = std::min((long)place, m.points - 1);
  const T t = T(place - node);
  const T *row = (const T *)m.weights + m.table +
                 4 * m.first_width * (m.points * kind + node);
  V slope = {};
  for (long i = 0; i < m.first_width; i += lanes<T>) {
    const V s = load(row + m.first_width + i), b = load(row + 2 * m.first_width + i);
    const V c = load(row + 3 * m.first_width + i);
    if (g)
      slope += load(g + i) * (s + t * (T(2) * b + t * (T(3) * c)));
    else
      store(values + i, load(row + i) + t * (s + t * (b + t * c)));
  }
  return g ? sum<T>(slope) / interval : 0.0;
}

template <typename T> static void forward(const Model &m, Workspace<T> &w) {
  const int rows = w.neighbors.size();
  w.exact = m.points == 0;
  for (int row = 0; row < rows; ++row) w.exact |= w.scaled[4 * row + 2] < m.table_from;
  if (w.exact)
    for (int row = 0; row < rows; ++row) {
      T *values = &w.x[(long)row * m.stride];
      radial(m, w.scaled[4 * row + 2], values + m.basis, values + m.slope);
    }
  for (int n = w.exact ? 0 : m.stage; n < m.operations; ++n) {
    if (n == m.stage && m.points)
      for (int row = 0; row < rows; ++row)
        if (w.scaled[4 * row + 2] >= m.table_from)
          interpolate<T>(m, w.scaled[4 * row + 2], w.kinds[row],
                         &w.x[(long)row * m.stride + m.first], nullptr);
    const long *op = m.operation + 8 * n;
    const T *weights = (const T *)m.weights;
    T *x = w.x.data();
    if (op[0] == LINEAR) {
      const int width = (op[4] + panel<T> - 1) / panel<T> * panel<T>;
      product(x + op[1], weights + op[5], x + op[3], m.stride, rows, op[2], width, op[7]);
    } else if (op[0] == ACTIVATION) {
      for (int row = 0; row < rows; ++row, x += m.stride)
        activate(op[1], x + op[2], x + op[4], op[3]);
    } else if (op[0] == TYPES) {
      for (int row = 0; row < rows; ++row, x += m.stride) {
        const T *scale = weights + op[3] + (long)w.kinds[row] * op[2];
        for (int i = 0; i < op[2]; ++i) x[op[1] + i] *= scale[i];
      }
    } else if (op[0] == SPLINE) {
      for (int row = 0; row < rows; ++row, x += m.stride) {
        const T *table = weights + op[3] + (long)w.kinds[row] * op[2] * m.radial;
        std::fill(x + op[1], x + op[1] + op[2], T(0));
        for (int k = 0; k < m.radial; ++k)
          for (int i = 0; i < op[2]; ++i)
            x[op[1] + i] += x[m.basis + k] * table[k * op[2] + i];
      }
    } else if (op[0] == TENSOR) {
      for (size_t c = 0; c < w.atoms.size(); ++c)
        tensor_forward(m, w, op, c, w.first[c], w.first[c + 1]);
    }
  }
}

// Rows whose first segments came from the table are done with them.
template <typename T> static void from_table(const Model &m, Workspace<T> &w) {
  if (!m.points) return;
  for (size_t row = 0; row < w.neighbors.size(); ++row) {
    if (w.scaled[4 * row + 2] < m.table_from) continue;
    T *g = &w.g[(long)row * m.stride + m.first];
    w.scaled[4 * row + 3] =
        interpolate<T>(m, w.scaled[4 * row + 2], w.kinds[row], nullptr, g);
    std::fill(g, g + m.first_width, T(0));
  }
}

template <typename T> static void backward(const Model &m, Workspace<T> &w) {
  const int rows = w.neighbors.size();
  std::fill(w.g.begin(), w.g.begin() + (long)rows * m.stride, T(0));
  std::fill(w.d_operators.begin(), w.d_operators.end(), T(0));
  for (int n = m.operations - 1; n >= (w.exact ? 0 : m.stage); --n) {
    if (n == m.stage - 1) from_table(m, w);
    const long *op = m.operation + 8 * n;
    const T *weights = (const T *)m.weights;
    T *x = w.x.data(), *g = w.g.data();
    if (op[0] == LINEAR) {
      const int width = (op[2] + panel<T> - 1) / panel<T> * panel<T>;
      product(g + op[3], weights + op[6], g + op[1], m.stride, rows, op[4], width, true);
    } else if (op[0] == ACTIVATION) {
      for (int row = 0; row < rows; ++row, x += m.stride, g += m.stride)
        for (int i = 0; i < op[3]; ++i) g[op[2] + i] *= x[op[4] + i];
    } else if (op[0] == TYPES) {
      for (int row = 0; row < rows; ++row, g += m.stride) {
        const T *scale = weights + op[3] + (long)w.kinds[row] * op[2];
        for (int i = 0; i < op[2]; ++i) g[op[1] + i] *= scale[i];
      }
    } else if (op[0] == SPLINE) {
      for (int row = 0; row < rows; ++row, g += m.stride) {
        const T *table = weights + op[3] + (long)w.kinds[row] * op[2] * m.radial;
        for (int k = 0; k < m.radial; ++k) {
          T total = 0;
          for (int i = 0; i < op[2]; ++i) total += g[op[1] + i] * table[k * op[2] + i];
          g[m.basis + k] += total;
        }
      }
    } else if (op[0] == TENSOR) {
      for (size_t c = 0; c < w.atoms.size(); ++c)
        tensor_backward(m, w, op, c, w.first[c], w.first[c + 1]);
    } else {  // ENERGY: the last operations, so these come first
      for (int row = 0; row < rows; ++row, g += m.stride) {
        const T factor = T(m.factors[w.kinds[row] / m.types]);
        for (int i = 0; i < op[2]; ++i) g[op[1] + i] += factor * weights[op[3] + i];
      }
    }
  }
  if (!w.exact) from_table(m, w);
}

template <typename T>
static void add_pair(const Model &m, Workspace<T> &w, const Atoms &atoms, int center,
                     long pair, double *energy) {
  const int neighbor = atoms.neighbors[pair];
  const signed char *shift = atoms.shifts + 3 * pair;
  double d[3], r2 = 0.0;
  for (int axis = 0; axis < 3; ++axis) {
    d[axis] = atoms.positions[3 * neighbor + axis] - atoms.positions[3 * center + axis];
    for (int k = 0; k < 3; ++k) d[axis] += shift[k] * atoms.cell[3 * k + axis];
    r2 += d[axis] * d[axis];
  }
  const int ti = atoms.types[center], tj = atoms.types[neighbor];
  const int kind = ti * m.types + tj;
  const double cutoff = m.cutoffs[kind];
  if (r2 >= cutoff * cutoff) return;
  const double r = sqrt(r2), x = r / cutoff;
  const long row = w.neighbors.size();
  if ((row + 1) * m.stride > (long)w.x.size()) {
    w.x.resize(2 * w.x.size() + m.stride, T(0));
    w.g.resize(w.x.size());
    w.vectors.resize(4 * (w.x.size() / m.stride));
    w.scaled.resize(4 * (w.x.size() / m.stride));
  }
  w.neighbors.push_back(neighbor);
  w.kinds.push_back(kind);
  for (int axis = 0; axis < 3; ++axis) w.vectors[4 * row + axis] = d[axis] / r;
  w.vectors[4 * row + 3] = r;
  double *scaled = &w.scaled[4 * row];
  scaled[0] = 1.0 / cutoff, scaled[1] = 0.0, scaled[2] = x, scaled[3] = 0.0;
  if (m.zbl) *energy += repulsion(m, ti, tj, r, x, cutoff, scaled + 1);
  T *values = &w.x[row * m.stride];
  double y[32];
  harmonics(m, &w.vectors[4 * row], y, nullptr);
  for (int a = 0; a < m.components; ++a) values[m.harmonic + a] = T(y[a]);
}

template <typename T>
static void finish(const Model &m, Workspace<T> &w, double *energies, double *forces,
                   double *strain) {
  double y[32], slopes[96];
  for (size_t c = 0; c < w.atoms.size(); ++c) {
    const int center = w.atoms[c];
    for (int row = w.first[c]; row < w.first[c + 1]; ++row) {
      const T *x = &w.x[(long)row * m.stride], *g = &w.g[(long)row * m.stride];
      const double *u = &w.vectors[4 * row], r = u[3];
      double energy = 0.0, along = w.scaled[4 * row + 1], across[3] = {0.0, 0.0, 0.0};
      for (int n = 0; n < m.operations; ++n) {
        const long *op = m.operation + 8 * n;
        if (op[0] != ENERGY) continue;
        const T *weight = (const T *)m.weights + op[3];
        T total = 0;
        for (int i = 0; i < op[2]; ++i) total += x[op[1] + i] * weight[i];
        energy += total;
      }
      energies[center] += energy * m.factors[w.kinds[row] / m.types];
      double by_x = w.scaled[4 * row + 3];
      if (w.exact)
        for (int k = 0; k < m.radial; ++k)
          by_x += (double)g[m.basis + k] * (double)x[m.slope + k];
      along += by_x * w.scaled[4 * row];
      harmonics(m, u, y, slopes);
      for (int a = 0; a < m.components; ++a) {
        const double dy = g[m.harmonic + a];
        for (int axis = 0; axis < 3; ++axis) across[axis] += dy * slopes[3 * a + axis];
      }
      const double radial_part = across[0] * u[0] + across[1] * u[1] + across[2] * u[2];
      for (int axis = 0; axis < 3; ++axis) {
        const double f = along * u[axis] + (across[axis] - radial_part * u[axis]) / r;
        forces[3 * center + axis] += f;
        forces[3 * w.neighbors[row] + axis] -= f;
        for (int k = 0; k < 3; ++k) strain[3 * k + axis] += r * u[k] * f;
      }
    }
  }
}

// Energies of the centres [begin, end), their contributions to all forces and to the strain.
template <typename T>
static void evaluate(const Model &m, const Atoms &atoms, long begin, long end,
                     double *energies, double *forces, double *strain) {
  Workspace<T> w;
  const long rows = std::max(32L, 400000 / (m.stride * (long)sizeof(T)));
  w.x.resize(2 * rows * m.stride, T(0));
  w.g.resize(w.x.size());
  w.vectors.resize(8 * rows);
  w.scaled.resize(8 * rows);
  w.environment.resize(m.components * m.channels);
  w.gradient.resize(2L * m.widest * m.channels);
  for (long center = begin; center < end;) {
    w.neighbors.clear(), w.kinds.clear(), w.atoms.clear(), w.first.assign(1, 0);
    while (center < end && (long)w.neighbors.size() < rows) {
      const size_t before = w.neighbors.size();
      energies[center] = m.shifts[atoms.types[center]];
      for (long pair = atoms.offsets[center]; pair < atoms.offsets[center + 1]; ++pair)
        add_pair(m, w, atoms, center, pair, &energies[center]);
      if (w.neighbors.size() > before) {
        w.atoms.push_back(center);
        w.first.push_back(w.neighbors.size());
      }
      ++center;
    }
    if (w.atoms.empty()) continue;
    const long slots = w.atoms.size();
    w.operators.resize(slots * m.operator_size);
    w.d_operators.resize(slots * m.operator_size);
    w.chain.resize(slots * m.chain_size);
    forward(m, w);
    backward(m, w);
    finish(m, w, energies, forces, strain);
  }
}

void run(const Model &m, const Atoms &atoms, long begin, long end, double *energies,
         double *forces, double *strain) {
  (m.is_double ? evaluate<double> : evaluate<float>)(m, atoms, begin, end, energies, forces,
                                                     strain);
}
