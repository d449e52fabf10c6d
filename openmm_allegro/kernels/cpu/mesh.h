// SPDX-License-Identifier: MIT
// A mesh over a periodic box, and the splines that spread charges on it: smooth particle
// mesh Ewald, doi:10.1063/1.470117. Included once per instruction set, after fourier.h.

#include "../mesh_points.h"

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
  // For each wave along each vector its number, and what `inverse_square` gives.
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
      inverse_squares[k][i] = inverse_square(i, count, double(power));
      number[k][i] = double(m);
    }
  }
};
