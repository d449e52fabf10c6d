// SPDX-License-Identifier: MIT
// Sums over a centre's pairs, components and channels, degree by degree.

// f(M, degree, first component of it, M components) for each degree.
template <typename F> static void for_degrees(const allegro_pairs &p, const F &f) {
  for (long l = 0, a = 0; l < p.degrees; a += p.components_of[l], ++l)
    switch (p.components_of[l]) {
      case 1: f(std::integral_constant<int, 1>(), l, a); break;
      case 3: f(std::integral_constant<int, 3>(), l, a); break;
      case 5: f(std::integral_constant<int, 5>(), l, a); break;
      case 7: f(std::integral_constant<int, 7>(), l, a); break;
      case 9: f(std::integral_constant<int, 9>(), l, a); break;
    }
}

// out[c, a, u] = Σ_k y[c, k, a] w[c, k, l(a), u]
template <typename T>
static void project(const allegro_pairs &p, long begin, long end) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  const T *y = (const T *)p.y, *w = (const T *)p.w;
  T *out = (T *)p.v;
  const long A = p.components, U = p.channels;
  for (long c = begin; c < end; ++c) {
    const T *yc = y + c * p.neighbors * A, *wc = w + c * p.neighbors * p.row;
    T *to = out + c * A * U;
    for_degrees(p, [&](auto size, long l, long a) {
      constexpr int M = size;
      long u = 0;
      for (; u + L <= U; u += L) {
        V sum[M] = {};
        for (long k = 0; k < p.neighbors; ++k) {
          const V weight = load(wc + k * p.row + l * U + u);
          for (int i = 0; i < M; ++i) sum[i] += yc[k * A + a + i] * weight;
        }
        for (int i = 0; i < M; ++i) store(to + (a + i) * U + u, sum[i]);
      }
      for (; u < U; ++u) {
        T sum[M] = {};
        for (long k = 0; k < p.neighbors; ++k)
          for (int i = 0; i < M; ++i)
            sum[i] += yc[k * A + a + i] * wc[k * p.row + l * U + u];
        for (int i = 0; i < M; ++i) to[(a + i) * U + u] = sum[i];
      }
    });
  }
}

// out[c, k, l, u] = Σ_{a of l} y[c, k, a] v[c, a, u]
template <typename T>
static void spread(const allegro_pairs &p, long begin, long end) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  const T *y = (const T *)p.y, *v = (const T *)p.v;
  T *out = (T *)p.w;
  const long A = p.components, U = p.channels, row = p.degrees * U;
  for (long c = begin; c < end; ++c) {
    const T *yc = y + c * p.neighbors * A, *vc = v + c * A * U;
    T *to = out + c * p.neighbors * row;
    for_degrees(p, [&](auto size, long l, long a) {
      constexpr int M = size;
      long u = 0;
      for (; u + L <= U; u += L) {
        V of[M];
        for (int i = 0; i < M; ++i) of[i] = load(vc + (a + i) * U + u);
        for (long k = 0; k < p.neighbors; ++k) {
          V sum = {};
          for (int i = 0; i < M; ++i) sum += yc[k * A + a + i] * of[i];
          store(to + k * row + l * U + u, sum);
        }
      }
      for (; u < U; ++u)
        for (long k = 0; k < p.neighbors; ++k) {
          T sum = 0;
          for (int i = 0; i < M; ++i) sum += yc[k * A + a + i] * vc[(a + i) * U + u];
          to[k * row + l * U + u] = sum;
        }
    });
  }
}

// out[c, k, a] = Σ_u w[c, k, l(a), u] v[c, a, u]
template <typename T>
static void meet(const allegro_pairs &p, long begin, long end) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  const T *w = (const T *)p.w, *v = (const T *)p.v;
  T *out = (T *)p.y;
  const long A = p.components, U = p.channels;
  std::vector<T> total(A + L);
  for (long c = begin; c < end; ++c) {
    const T *vc = v + c * A * U;
    for (long k = 0; k < p.neighbors; ++k) {
      const T *wk = w + (c * p.neighbors + k) * p.row;
      std::fill(total.begin(), total.end(), T(0));
      for_degrees(p, [&](auto size, long l, long a) {
        constexpr int M = size;
        V sum[M] = {};
        long u = 0;
        for (; u + L <= U; u += L) {
          const V weight = load(wk + l * U + u);
          for (int i = 0; i < M; ++i) sum[i] += weight * load(vc + (a + i) * U + u);
        }
        for (; u < U; ++u)
          for (int i = 0; i < M; ++i) total[a + i] += wk[l * U + u] * vc[(a + i) * U + u];
        add_sums<T, M>(sum, &total[a]);
      });
      std::copy(total.begin(), total.begin() + A, out + (c * p.neighbors + k) * A);
    }
  }
}
