// SPDX-License-Identifier: MIT
// Energy and forces of some centres, forward and backward, by the program of fold.py.
//
// Included once per instruction set, after vector.h. All pairs of a few centres are the
// rows of one matrix X whose columns are the values along the network; G has the
// derivatives of the energy by them. A row of X stays in the cache from the first to the
// last operation, and nothing of it outlives the block.

template <typename T> struct Workspace {
  std::vector<T> x, g;                         // [rows, stride]
  std::vector<double> vectors;                 // [rows, 4]: unit vector, r
  std::vector<double> scaled;                  // [rows, 4]: 1 / cutoff, dE/dr, x, dE/dx
  std::vector<int> neighbors, kinds;           // [rows]; kind: ordered pair of types
  std::vector<int> first, atoms;               // of the block's centres
  std::vector<T> environment, gradient;        // [A, U]
  std::vector<T> operators, d_operators;       // [centres, all layers' A, D, U]
  std::vector<T> chain;                        // [centres, all layers' t, A, U]
  bool exact;                                  // some row is not from the table
};

// Spherical harmonics of a unit vector; with `gradient`, their derivatives (not projected).
static void harmonics(const Model &m, const double *u, double *value, double *gradient) {
  double power[3][8];
  for (int axis = 0; axis < 3; ++axis) {
    power[axis][0] = 1.0;
    for (int n = 1; n < 8; ++n) power[axis][n] = power[axis][n - 1] * u[axis];
  }
  for (int a = 0; a < m.components; ++a) value[a] = 0.0;
  if (gradient)
    for (int a = 0; a < 3 * m.components; ++a) gradient[a] = 0.0;
  for (int term = 0; term < m.terms; ++term) {
    const long *t = m.term + 4 * term;
    const double c = m.term_value[term];
    const double x = power[0][t[1]], y = power[1][t[2]], z = power[2][t[3]];
    value[t[0]] += c * x * y * z;
    if (!gradient) continue;
    double *slope = gradient + 3 * t[0];
    if (t[1]) slope[0] += c * t[1] * power[0][t[1] - 1] * y * z;
    if (t[2]) slope[1] += c * t[2] * x * power[1][t[2] - 1] * z;
    if (t[3]) slope[2] += c * t[3] * x * y * power[2][t[3] - 1];
  }
}

static double envelope(double x, double p, double *slope) {
  if (x >= 1.0) return *slope = 0.0;
  double before;  // x to the power p - 1
  if (p == (int)p) {
    before = 1.0;
    for (int n = 1; n < (int)p; ++n) before *= x;
  } else {
    before = pow(x, p - 1.0);
  }
  const double xp = before * x;
  const double a = (p + 1) * (p + 2) / 2, b = p * (p + 2), c = p * (p + 1) / 2;
  *slope = -a * p * before + b * (p + 1) * xp - c * (p + 2) * xp * x;
  return 1.0 - a * xp + b * xp * x - c * xp * x * x;
}

// The radial functions of x = r / cutoff and their derivatives by x.
template <typename T>
static void radial(const Model &m, double x, T *basis, T *slope) {
  const double pi = 3.14159265358979323846;
  if (m.spline) {
    for (int n = 0; n < m.radial; ++n) {
      double phase = (x - m.roots[n]) / m.envelope_p;  // start and width of a spline
      phase = phase < 0.0 ? 0.0 : phase > 1.0 ? 1.0 : phase;
      const double s = sin(2 * pi * phase), c = 1.0 - cos(2 * pi * phase);
      basis[n] = T(0.25 * c * c);
      slope[n] = T(pi * c * s / m.envelope_p);
    }
    return;
  }
  double d_cut, cut = envelope(x, m.envelope_p, &d_cut);
  const double s1 = sin(pi * x), c1 = cos(pi * x);
  double s = 0.0, c = 1.0, previous_s = -s1, previous_c = c1;
  for (int n = 0; n < m.radial; ++n) {
    if (m.integer_roots) {  // sin and cos of the next multiple
      const double next_s = 2 * c1 * s - previous_s, next_c = 2 * c1 * c - previous_c;
      previous_s = s, previous_c = c, s = next_s, c = next_c;
    } else {
      s = sin(pi * m.roots[n] * x), c = cos(pi * m.roots[n] * x);
    }
    const double value = s / (pi * x);
    basis[n] = T(value * cut);
    slope[n] = T((m.roots[n] * c / x - value / x) * cut + value * d_cut);
  }
}

// Half of the screened nuclear repulsion of a pair, and its derivative by r.
static double repulsion(const Model &m, int center, int neighbor, double r, double x,
                        double cutoff, double *slope) {
  const double value[] = {0.02817, 0.28022, 0.50986, 0.18175};
  const double rate[] = {0.20162, 0.40290, 0.94229, 3.19980};
  const double zi = m.charges[center], zj = m.charges[neighbor];
  const double a = (pow(zi, 0.23) + pow(zj, 0.23)) / 0.46850;
  double screening = 0.0, d_screening = 0.0, d_cut;
  for (int n = 0; n < 4; ++n) {
    const double part = value[n] * exp(-rate[n] * a * r);
    screening += part;
    d_screening -= rate[n] * a * part;
  }
  const double cut = envelope(x, m.zbl_p, &d_cut);
  const double coulomb = 0.5 * m.coulomb * zi * zj / r;
  *slope = coulomb * ((d_screening - screening / r) * cut + screening * d_cut / cutoff);
  return coulomb * screening * cut;
}

// One layer's environment, operator and scalars of one centre.
template <typename T>
static void tensor_forward(const Model &m, Workspace<T> &w, const long *op, int slot,
                           int begin, int end) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  const int U = m.channels, A = m.components, layer = op[1];
  const Layer &l = m.layer[layer];
  T *gamma = w.environment.data();
  std::fill(gamma, gamma + A * U, T(0));
  for (int row = begin; row < end; ++row) {
    const T *x = &w.x[(long)row * m.stride], *y = x + m.harmonic, *e = x + op[3];
    for (int b = 0; b < A; ++b)
      for (int u = 0; u < U; u += L)
        store(gamma + b * U + u,
              load(gamma + b * U + u) + y[b] * load(e + m.irrep[b] * U + u));
  }
  const T norm = T(m.norm[w.kinds[begin] / m.types]);
  for (int i = 0; i < A * U; ++i) gamma[i] *= norm;

  T *M = &w.operators[(long)slot * m.operator_size + l.start];
  std::fill(M, M + (long)l.in * l.out * U, T(0));
  const T *weight = (const T *)m.weights + l.weight;
  for (long n = 0; n < l.entries; ++n) {
    const long *entry = l.entry + 3 * n;
    T *target = M + (entry[0] * l.out + entry[1]) * U;
    const T *source = gamma + entry[2] * U;
    for (int u = 0; u < U; u += L)
      store(target + u, load(target + u) + load(weight + n * U + u) * load(source + u));
  }
  // v = M0 M1 ... m, each product kept for the way back
  T *chain = &w.chain[(long)slot * m.chain_size + l.chain];
  T *t = chain + (long)layer * m.widest * U;
  for (int a = 0; a < l.in; ++a) std::copy(M + (long)a * l.out * U, M + ((long)a * l.out + 1) * U, t + a * U);
  for (int j = layer - 1; j >= 0; --j) {
    const Layer &before = m.layer[j];
    const T *B = &w.operators[(long)slot * m.operator_size + before.start];
    T *next = t;
    t = chain + (long)j * m.widest * U;
    std::fill(t, t + before.in * U, T(0));
    for (int a = 0; a < before.in; ++a)
      for (int d = 0; d < before.out; ++d)
        for (int u = 0; u < U; u += L)
          store(t + a * U + u,
                load(t + a * U + u) +
                    load(B + ((long)a * before.out + d) * U + u) * load(next + d * U + u));
  }
  for (int row = begin; row < end; ++row) {
    T *x = &w.x[(long)row * m.stride];
    const T *y = x + m.harmonic, *tensor = x + op[2];
    for (int u = 0; u < U; u += L) {
      V s = {}, partial = {};
      for (int a = 0; a < A; ++a) {
        partial += y[a] * load(t + a * U + u);
        if (a + 1 == A || m.irrep[a + 1] != m.irrep[a]) {
          s += partial * load(tensor + m.irrep[a] * U + u);
          partial = V{};
        }
      }
      store(x + op[4] + u, s);
    }
  }
}

// The way back through the same.
template <typename T>
static void tensor_backward(const Model &m, Workspace<T> &w, const long *op, int slot,
                            int begin, int end) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  const int U = m.channels, A = m.components, layer = op[1];
  const Layer &l = m.layer[layer];
  T *chain = &w.chain[(long)slot * m.chain_size + l.chain];
  const T *v = chain;
  T *dt = w.gradient.data(), *dt_next = dt + (long)m.widest * U;
  std::fill(dt, dt + (long)m.widest * U, T(0));
  for (int row = begin; row < end; ++row) {
    T *x = &w.x[(long)row * m.stride], *g = &w.g[(long)row * m.stride];
    const T *y = x + m.harmonic, *tensor = x + op[2];
    T *dy = g + m.harmonic;
    for (int u = 0; u < U; u += L) {
      const V ds = load(g + op[4] + u);
      for (int a = 0; a < A;) {
        const int irrep = m.irrep[a];
        V partial = {};
        const V of_weight = ds * load(tensor + irrep * U + u);
        for (; a < A && m.irrep[a] == irrep; ++a) {
          const V va = load(v + a * U + u);
          partial += y[a] * va;
          store(dt + a * U + u, load(dt + a * U + u) + y[a] * of_weight);
          dy[a] += sum<T>(of_weight * va);
        }
        T *dw = g + op[2] + irrep * U + u;
        store(dw, load(dw) + ds * partial);
      }
    }
  }
  for (int j = 0; j < layer; ++j) {
    const Layer &before = m.layer[j];
    const T *B = &w.operators[(long)slot * m.operator_size + before.start];
    T *dB = &w.d_operators[(long)slot * m.operator_size + before.start];
    const T *next = chain + (long)(j + 1) * m.widest * U;
    std::fill(dt_next, dt_next + (long)before.out * U, T(0));
    for (int a = 0; a < before.in; ++a)
      for (int d = 0; d < before.out; ++d)
        for (int u = 0; u < U; u += L) {
          const long at = ((long)a * before.out + d) * U + u;
          const V da = load(dt + a * U + u);
          store(dB + at, load(dB + at) + da * load(next + d * U + u));
          store(dt_next + d * U + u, load(dt_next + d * U + u) + load(B + at) * da);
        }
    std::swap(dt, dt_next);
  }
  T *dM = &w.d_operators[(long)slot * m.operator_size + l.start];
  for (int a = 0; a < l.in; ++a)
    for (int u = 0; u < U; u += L) {
      T *target = dM + (long)a * l.out * U + u;
      store(target, load(target) + load(dt + a * U + u));
    }
  T *gamma = w.environment.data();
  std::fill(gamma, gamma + A * U, T(0));
  const T *weight = (const T *)m.weights + l.weight;
  for (long n = 0; n < l.entries; ++n) {
    const long *entry = l.entry + 3 * n;
    const T *source = dM + (entry[0] * l.out + entry[1]) * U;
    T *target = gamma + entry[2] * U;
    for (int u = 0; u < U; u += L)
      store(target + u, load(target + u) + load(weight + n * U + u) * load(source + u));
  }
  const T norm = T(m.norm[w.kinds[begin] / m.types]);
  for (int i = 0; i < A * U; ++i) gamma[i] *= norm;
  for (int row = begin; row < end; ++row) {
    T *x = &w.x[(long)row * m.stride], *g = &w.g[(long)row * m.stride];
    const T *y = x + m.harmonic, *e = x + op[3];
    T *de = g + op[3], *dy = g + m.harmonic;
    for (int b = 0; b < A; ++b) {
      V total = {};
      for (int u = 0; u < U; u += L) {
        const V of = load(gamma + b * U + u);
        T *target = de + m.irrep[b] * U + u;
        store(target, load(target) + y[b] * of);
        total += of * load(e + m.irrep[b] * U + u);
      }
      dy[b] += sum<T>(total);
    }
  }
}
