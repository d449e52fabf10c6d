// SPDX-License-Identifier: MIT
// Steps of a tensor product on each row of one centre, forward and backward, with the
// sums over components in registers. Included after model.h.

// Numbers of components of degrees that follow each other, for loops whose sums over them
// stay in registers.
template <int... C> struct Degrees {
  static constexpr int components = (0 + ... + C);
};

// A degree of those: its number, and its components from BEGIN to before END.
template <int L, int BEGIN, int END> struct Degree {
  static constexpr int index = L, begin = BEGIN, end = END;
};

// f of each Degree.
template <int L = 0, int A = 0, typename F> static inline void each(Degrees<>, F) {}
template <int L = 0, int A = 0, int C, int... REST, typename F>
static inline void each(Degrees<C, REST...>, F f) {
  f(Degree<L, A, A + C>());
  each<L + 1, A + C>(Degrees<REST...>(), f);
}

// f(a) for the components of a degree.
template <typename D, typename F> static inline void components(D, F f) {
#pragma GCC unroll 9
  for (int a = D::begin; a < D::end; ++a) f(a);
}

// f(Degrees, first degree, first component) for all degrees, the first three together if
// they are 0, 1 and 2: more sums would need more registers than there are.
template <typename F> static inline void each_degrees(const Model &m, F f) {
  const auto size = [&](long l) {
    return l < m.degrees ? m.first_component[l + 1] - m.first_component[l] : 0;
  };
  for (long l = 0; l < m.degrees;) {
    const long a = m.first_component[l];
    if (size(l) == 1 && size(l + 1) == 3) {
      if (size(l + 2) == 5)
        f(Degrees<1, 3, 5>(), l, a), l += 3;
      else
        f(Degrees<1, 3>(), l, a), l += 2;
      continue;
    }
    switch (size(l)) {
      case 1: f(Degrees<1>(), l, a); break;
      case 3: f(Degrees<3>(), l, a); break;
      case 5: f(Degrees<5>(), l, a); break;
      case 7: f(Degrees<7>(), l, a); break;
      case 9: f(Degrees<9>(), l, a); break;
    }
    ++l;
  }
}

// The rows of one centre: columns of the first one, the others `stride` further on.
template <typename T> struct Rows {
  const T *y;       // spherical harmonics
  T *dy;            // their derivatives
  const T *weight;  // [degrees, channels]
  T *d_weight;
  T *scalars;       // [channels]
  const T *d_scalars;
  long stride, count;
};

// out[a, u] = scale · the sum over rows of y_a w_{l(a), u}, weights being `step` apart.
template <typename T>
static void sum_rows(const Model &m, const Rows<T> &rows, const T *weights, long step,
                     T scale, T *out) {
  typedef typename Vector<T>::V V;
  const long U = m.channels;
  each_degrees(m, [&](auto degrees, long l, long a) {
    for (long u = 0; u < U; u += lanes<T>) {
      V total[degrees.components] = {};
      const T *y = rows.y + a, *w = weights + l * U + u;
      for (long row = 0; row < rows.count; ++row, y += rows.stride, w += step)
        each(degrees, [&](auto degree) {
          const V weight = load(w + degree.index * U);
          components(degree, [&](int i) { total[i] += y[i] * weight; });
        });
      each(degrees, [&](auto degree) {
        components(degree, [&](int i) { store(out + (a + i) * U + u, scale * total[i]); });
      });
    }
  });
}

// One scalar a channel: s_u = Σ_a w_{l(a), u} y_a v_{a, u}.
template <typename T>
static void scalars_forward(const Model &m, const Rows<T> &rows, const T *v) {
  typedef typename Vector<T>::V V;
  const long U = m.channels;
  each_degrees(m, [&](auto degrees, long l, long a) {
    for (long u = 0; u < U; u += lanes<T>) {
      V value[degrees.components];
      each(degrees, [&](auto degree) {
        components(degree, [&](int i) { value[i] = load(v + (a + i) * U + u); });
      });
      for (long row = 0; row < rows.count; ++row) {
        const T *y = rows.y + row * rows.stride + a;
        const T *w = rows.weight + row * rows.stride + l * U + u;
        T *s = rows.scalars + row * rows.stride + u;
        V total = l ? load(s) : V{};
        each(degrees, [&](auto degree) {
          V part = {};
          components(degree, [&](int i) { part += y[i] * value[i]; });
          total += part * load(w + degree.index * U);
        });
        store(s, total);
      }
    }
  });
}

// Adds to the derivatives of each row's y, and adds to or overwrites those of w: those of
// Σ_{a, u} ds_u w_{l(a), u} y_a v_{a, u}, where ds is 1 or, if HAS_SCALARS, the derivative
// by the scalars; keeps ds_u w_{l, u} then, [rows, degrees, channels].
template <typename T, bool HAS_SCALARS>
static void rows_backward(const Model &m, const Rows<T> &rows, const T *v, bool overwrites,
                          T *kept) {
  typedef typename Vector<T>::V V;
  const long U = m.channels;
  each_degrees(m, [&](auto degrees, long l, long a) {
    for (long row = 0; row < rows.count; ++row) {
      const T *y = rows.y + row * rows.stride + a;
      const T *w = rows.weight + row * rows.stride + l * U;
      const T *ds = rows.d_scalars + row * rows.stride;
      T *dw = rows.d_weight + row * rows.stride + l * U;
      T *products = kept + (row * m.degrees + l) * U;
      V dy[degrees.components] = {};
      for (long u = 0; u < U; u += lanes<T>)
        each(degrees, [&](auto degree) {
          const long at = degree.index * U + u;
          V weight = load(w + at), part = {};
          if constexpr (HAS_SCALARS) {
            weight *= load(ds + u);
            store(products + at, weight);
          }
          components(degree, [&](int i) {
            const V value = load(v + (a + i) * U + u);
            part += y[i] * value;
            dy[i] += weight * value;
          });
          if constexpr (HAS_SCALARS) part *= load(ds + u);
          store(dw + at, overwrites ? part : load(dw + at) + part);
        });
      add_sums<T, degrees.components>(dy, rows.dy + row * rows.stride + a);
    }
  });
}
