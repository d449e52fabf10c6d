// SPDX-License-Identifier: MIT
// What the direction and the distance of a pair give alone: spherical harmonics, radial
// functions and the nuclear repulsion. Included after model.h.

// Spherical harmonics of unit vectors, one in each lane; with `gradient`, [3 A], their
// derivatives (not projected).
typedef Vector<double>::V Lanes;

static void harmonics(const Model &m, const Lanes *u, Lanes *value, Lanes *gradient) {
  Lanes power[3][8];
  for (int axis = 0; axis < 3; ++axis) {
    power[axis][0] = Lanes{} + 1.0;
    for (int n = 1; n < 8; ++n) power[axis][n] = power[axis][n - 1] * u[axis];
  }
  for (int a = 0; a < m.components; ++a) value[a] = Lanes{};
  if (gradient)
    for (int a = 0; a < 3 * m.components; ++a) gradient[a] = Lanes{};
  for (int term = 0; term < m.terms; ++term) {
    const allegro_term &t = m.term[term];
    const double c = m.term_value[term];
    const Lanes x = power[0][t.x], y = power[1][t.y], z = power[2][t.z];
    value[t.component] += c * x * y * z;
    if (!gradient) continue;
    Lanes *slope = gradient + 3 * t.component;
    if (t.x) slope[0] += c * t.x * power[0][t.x - 1] * y * z;
    if (t.y) slope[1] += c * t.y * x * power[1][t.y - 1] * z;
    if (t.z) slope[2] += c * t.z * x * y * power[2][t.z - 1];
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
