// SPDX-License-Identifier: MIT
// The points of a mesh over a periodic box, for processors and cards. Included once, after
// the standard library and long_range.h.

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

// One over the square of the splines' transform at wave i of `count`. With this transform
// instead of the one at the points of the mesh alone, which the paper has, the error of the
// energy is a tenth.
static double inverse_square(long i, long count, double order) {
  if (i == 0) return 1.0;
  // A wave of half the points is left out: its vector has two signs.
  if (2 * i == count) return 0.0;
  // The splines' transform over that of a point is sin(x) / x to the power of the order.
  const double x = M_PI * double(2 * i < count ? i : i - count) / double(count);
  const double transform = std::pow(std::sin(x) / x, order);
  return 1.0 / (transform * transform);
}
