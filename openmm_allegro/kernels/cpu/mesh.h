// SPDX-License-Identifier: MIT
// A mesh over a periodic box, and the splines that spread charges on it: smooth particle
// mesh Ewald, doi:10.1063/1.470117. Included once per instruction set, after fourier.h.

constexpr int64_t MOST_POINTS = ALLEGRO_MOST_POINTS;
constexpr double SPACING_BY_WIDTH = ALLEGRO_USUAL_SPACING / 100.0;  // spacing times alpha
constexpr int MOST_ORDER = ALLEGRO_MOST_ORDER;

// Box vectors, one in a row, and the fractions of them: fraction k of x is row k · x.
struct Lattice {
  double vectors[9], inverse[9], volume;

  explicit Lattice(const double *cell) {
    std::copy(cell, cell + 9, vectors);
    for (int k = 0; k < 3; ++k) {
      const double *u = cell + 3 * ((k + 1) % 3), *v = cell + 3 * ((k + 2) % 3);
      for (int i = 0; i < 3; ++i) {
        const int a = (i + 1) % 3, b = (i + 2) % 3;
        inverse[3 * k + i] = u[a] * v[b] - u[b] * v[a];
      }
    }
    volume = cell[0] * inverse[0] + cell[1] * inverse[1] + cell[2] * inverse[2];
    for (double &value : inverse) value /= volume;
    volume = std::fabs(volume);
  }

  bool is_possible() const {
    for (int i = 0; i < 9; ++i)
      if (!std::isfinite(inverse[i]) || !std::isfinite(vectors[i])) return false;
    return std::isfinite(volume) && volume > 0.0;
  }
};

static bool is_periodic(const allegro_charges &all) {
  return all.cell && std::any_of(all.cell, all.cell + 9, [](double x) { return x != 0.0; });
}

// Even numbers of points along each vector. ALLEGRO_OK, or why there is no such mesh.
static int64_t find_points(const allegro_charges &all, int64_t *points) {
  const double spacing = all.spacing > 0.0 ? all.spacing : SPACING_BY_WIDTH / all.alpha;
  if (!(spacing > 0.0) || !std::isfinite(spacing) || all.order < ALLEGRO_LEAST_ORDER ||
      all.order > MOST_ORDER || !is_periodic(all) || !Lattice(all.cell).is_possible())
    return ALLEGRO_REFUSED;
  double total = 1.0;
  for (int k = 0; k < 3; ++k) {
    const double *v = all.cell + 3 * k;
    const double length = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    // the tolerance keeps a multiple of the spacing from one more point by rounding
    const double needed = std::ceil(length / spacing * (1.0 - 1e-12) / 2.0);
    if (!(needed <= double(MOST_POINTS))) return ALLEGRO_TOO_LARGE;
    int64_t half = std::max(int64_t(1), int64_t(needed));
    for (;; ++half) {
      int64_t rest = half;
      for (const int factor : {2, 3, 5, 7})
        while (rest % factor == 0) rest /= factor;
      if (rest == 1) break;
    }
    points[k] = 2 * half;
    total *= double(points[k]);
  }
  return total <= double(MOST_POINTS) ? ALLEGRO_OK : ALLEGRO_TOO_LARGE;
}

// Values of a cardinal spline at the points around a place, the first point first.
template <int N> struct Spline {
  double value[N], slope[N];

  // `u` is the distance to the point below, in points, from 0 to 1.
  explicit Spline(double u) {
    double m[N + 1] = {};  // m[j]: spline of the order so far at u + j
    m[0] = u, m[1] = 1.0 - u;
#pragma GCC unroll 8
    for (int order = 3; order < N; ++order) raise(m, u, order);
    slope[N - 1] = m[0];
#pragma GCC unroll 8
    for (int j = 1; j < N; ++j) slope[N - 1 - j] = m[j] - m[j - 1];
    raise(m, u, N);
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) value[N - 1 - j] = m[j];
  }

 private:
  static inline void raise(double *m, double u, int order) {
    const double scale = 1.0 / double(order - 1);
#pragma GCC unroll 8
    for (int j = order - 1; j > 0; --j)
      m[j] = scale * ((u + j) * m[j] + (order - u - j) * m[j - 1]);
    m[0] *= scale * u;
  }
};

// f(spline of an order), its template argument: code for each order.
template <typename F> static void for_order(int64_t order, const F &f) {
  switch (order) {
    case 4: return f(std::integral_constant<int, 4>());
    case 5: return f(std::integral_constant<int, 5>());
    case 6: return f(std::integral_constant<int, 6>());
    case 7: return f(std::integral_constant<int, 7>());
    default: return f(std::integral_constant<int, 8>());
  }
}

// The mesh [x, y, row]. A row holds numbers along z, or the real parts of their transform
// and then the imaginary ones.
struct Mesh {
  long points[3] = {}, order = 0, waves = 0, row = 0;
  Array<double> values;
  std::vector<Fourier> along;     // x, y
  std::vector<RealFourier> rows;  // z, one
  // For each wave along each vector its number, and one over the square of the splines'
  // transform. With this transform instead of the one at the points of the mesh alone,
  // which the paper has, the error of the energy is a tenth.
  std::vector<double> number[3], inverse_squares[3];

  // Lengths as find_points gave them.
  void resize(const int64_t *wanted, int64_t wanted_order) {
    if (order == wanted_order && std::equal(points, points + 3, wanted)) return;
    order = 0;  // nothing is kept if there is too little memory
    along.clear(), rows.clear();
    along.emplace_back(wanted[0]), along.emplace_back(wanted[1]);
    rows.emplace_back(wanted[2]);
    waves = wanted[2] / 2 + 1, row = 2 * waves;
    const size_t size = size_t(wanted[0]) * wanted[1] * row;
    if (size != values.size()) {
      Array<double>().swap(values);
      values = Array<double>(size);
    }
    for (int k = 0; k < 3; ++k) {
      points[k] = wanted[k];
      fill_tables(k, wanted_order);
    }
    order = wanted_order;
  }

  // Complex numbers of room that a transform along any vector needs.
  long room() const { return std::max({points[0], points[1], waves}) + 1; }

 private:
  void fill_tables(int k, int64_t power) {
    const long count = points[k];
    inverse_squares[k].resize(count), number[k].resize(count);
    for (long i = 0; i < count; ++i) {
      const long m = 2 * i < count ? i : i - count;
      // The splines' transform over that of a point is sin(x) / x to the power of the order.
      const double x = M_PI * double(m) / double(count);
      const double transform = m ? std::pow(std::sin(x) / x, double(power)) : 1.0;
      // A wave of half the points is left out: its vector has two signs.
      const bool is_half = 2 * i == count;
      inverse_squares[k][i] = is_half ? 0.0 : 1.0 / (transform * transform);
      number[k][i] = double(m);
    }
  }
};
