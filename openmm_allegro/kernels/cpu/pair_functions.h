// SPDX-License-Identifier: MIT
// What the direction and the distance of a pair give alone: spherical harmonics, radial
// functions and the pair core. Included after model.h.

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

// f of each lane.
template <typename F> static inline Lanes lanewise(Lanes x, F f) {
  for (int i = 0; i < lanes<double>; ++i) x[i] = f(x[i]);
  return x;
}

static Lanes envelope(Lanes x, double p, Lanes *slope) {
  Lanes before = Lanes{} + 1.0;  // x to the power p - 1
  if (p == (int)p)
    for (int n = 1; n < (int)p; ++n) before *= x;
  else
    before = lanewise(x, [=](double x) { return pow(x, p - 1.0); });
  const Lanes xp = before * x;
  const double a = (p + 1) * (p + 2) / 2, b = p * (p + 2), c = p * (p + 1) / 2;
  *slope = x >= 1.0 ? Lanes{} : -a * p * before + b * (p + 1) * xp - c * (p + 2) * xp * x;
  return x >= 1.0 ? Lanes{} : 1.0 - a * xp + b * xp * x - c * xp * x * x;
}

constexpr double PI = 3.14159265358979323846;

// sin and cos of πx for x from 0 to 1: Taylor series at the nearer end, to z^23.
static inline void sine_and_cosine(Lanes x, Lanes *sine, Lanes *cosine) {
  const Lanes z = PI * (x > 0.5 ? 1.0 - x : x), z2 = z * z;
  Lanes s = Lanes{} + 1.0, c = s;
#pragma GCC unroll 11
  for (int n = 22; n > 0; n -= 2) {
    s = 1.0 - z2 * (1.0 / (n * (n + 1))) * s;
    c = 1.0 - z2 * (1.0 / (n * (n - 1))) * c;
  }
  *sine = z * s, *cosine = x > 0.5 ? -c : c;
}

// f(n, value, derivative by x) of the radial functions of x = r / cutoff.
template <typename F> static void radial_functions(const Model &m, Lanes x, F f) {
  if (m.spline) {
    for (int n = 0; n < m.radial; ++n) {
      Lanes phase = (x - m.roots[n]) / m.envelope_p;  // start and width of a spline
      phase = phase < 0.0 ? Lanes{} : phase > 1.0 ? Lanes{} + 1.0 : phase;
      const Lanes s = lanewise(phase, [](double phase) { return sin(2 * PI * phase); });
      const Lanes c = 1.0 - lanewise(phase, [](double phase) { return cos(2 * PI * phase); });
      f(n, 0.25 * c * c, PI * c * s / m.envelope_p);
    }
    return;
  }
  Lanes d_cut, cut = envelope(x, m.envelope_p, &d_cut);
  Lanes s1, c1, s = {}, c = s + 1.0;
  sine_and_cosine(x > 1.0 ? Lanes{} + 1.0 : x, &s1, &c1);
  Lanes previous_s = -s1, previous_c = c1;
  const Lanes inverse = 1.0 / x;
  for (int n = 0; n < m.radial; ++n) {
    const double root = m.roots[n];
    if (m.integer_roots) {  // sin and cos of the next multiple
      const Lanes next_s = 2.0 * c1 * s - previous_s, next_c = 2.0 * c1 * c - previous_c;
      previous_s = s, previous_c = c, s = next_s, c = next_c;
    } else {
      s = lanewise(x, [=](double x) { return sin(PI * root * x); });
      c = lanewise(x, [=](double x) { return cos(PI * root * x); });
    }
    const Lanes value = s * inverse * (1.0 / PI);
    f(n, value * cut, (root * c - value) * inverse * cut + value * d_cut);
  }
}

// The radial functions of `count` x, each `step` after the one before, and their derivatives
// by x, into rows `stride` apart.
template <typename T>
static void radial(const Model &m, const double *x, long step, long count, T *basis, T *slope,
                   long stride) {
  for (long row = 0; row < count; row += lanes<double>) {
    const int rows = std::min((long)lanes<double>, count - row);
    Lanes place = Lanes{} + 1.0;
    for (int i = 0; i < rows; ++i) place[i] = x[(row + i) * step];
    radial_functions(m, place, [&](int n, Lanes value, Lanes derivative) {
      for (int i = 0; i < rows; ++i) {
        basis[(row + i) * stride + n] = T(value[i]);
        slope[(row + i) * stride + n] = T(derivative[i]);
      }
    });
  }
}

// The distance that the radial functions take for r, and its derivative by r; see
// allegro_inner.
template <typename T>
static double seen_distance(const Model &m, int kind, double r, double *slope) {
  *slope = 1.0;
  if (!m.has_inner) return r;
  const long start = as<allegro_inner>(m.operation[0]).weights;
  const double inner = ((const T *)m.weights)[start + kind];
  if (!(r < inner)) return r;
  const double width = 0.01 * ALLEGRO_INNER_WIDTH * inner;
  const double u = std::max(0.0, (r - inner + width) / width);
  *slope = u * u * (3.0 - 2.0 * u);
  return inner - width * (0.5 - u * u * u + 0.5 * u * u * u * u);
}

// Energy of the core of an ordered pair of elements at the distance r, x being r / cutoff, and
// its derivative by r.
static double pair_core(const Model &m, int kind, double r, double x, double cutoff,
                        double *slope) {
  const double *strength = m.core_strengths + kind * m.core;
  const double *rate = m.core_rates + kind * m.core;
  double sum = 0.0, d_sum = 0.0;
  for (int n = 0; n < m.core; ++n) {
    const double part = strength[n] * exp(-rate[n] * r);
    sum += part;
    d_sum -= rate[n] * part;
  }
  Lanes slopes;
  const double cut = envelope(Lanes{} + x, m.core_p, &slopes)[0], d_cut = slopes[0];
  *slope = ((d_sum - sum / r) * cut + sum * d_cut / cutoff) / r;
  return sum * cut / r;
}
