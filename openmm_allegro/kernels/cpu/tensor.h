// SPDX-License-Identifier: MIT
// The tensor product of a layer, forward and backward, for the rows of one centre.
//
// Included after model.h. N is the number of degrees of the
// spherical harmonics where these are 0 to N - 1, which gives loops fixed bounds; it is 0
// for any others.

// f(0), f(1), ... f(n - 1); with N, which then is n, each in code of its own.
template <int N, typename F, int... I>
static inline void each(int n, F f, std::integer_sequence<int, I...>) {
  if constexpr (N > 0)
    (f(std::integral_constant<int, I>()), ...);
  else
    for (int i = 0; i < n; ++i) f(i);
}

template <int N, typename F> static inline void each(int n, F f) {
  each<N>(n, f, std::make_integer_sequence<int, N>());
}

// f(a) for the components of a degree.
template <int N, typename F> static inline void components(const Model &m, int l, F f) {
  const int begin = N ? l * l : m.first_component[l];
  const int end = N ? (l + 1) * (l + 1) : m.first_component[l + 1];
#pragma GCC unroll 9
  for (int a = begin; a < end; ++a) f(a);
}

// Sum over rows of y_a e_{l(a), u}.
template <typename T, int N>
static void sum_environment(const Model &m, const Workspace<T> &w, long at, int begin,
                            int end, T *gamma) {
  const int U = m.channels, R = m.degrees;
  for (int row = begin; row < end; ++row) {
    const T *x = &w.x[(long)row * m.stride], *y = x + m.harmonic, *e = x + at;
    for (int u = 0; u < U; u += lanes<T>)
      each<N>(R, [&](auto l) {
        const auto weight = load(e + l * U + u);
        components<N>(m, l, [&](int a) {
          store(gamma + a * U + u, load(gamma + a * U + u) + y[a] * weight);
        });
      });
  }
}

template <typename T, int N>
static void environment_backward(const Model &m, Workspace<T> &w, long at, int begin,
                                 int end, const T *gamma) {
  typedef typename Vector<T>::V V;
  const int U = m.channels, R = m.degrees;
  for (int row = begin; row < end; ++row) {
    const T *x = &w.x[(long)row * m.stride], *y = x + m.harmonic, *e = x + at;
    T *g = &w.g[(long)row * m.stride], *de = g + at;
    V dy[N ? N * N : LARGEST] = {}, sums[N ? N * N : LARGEST];
    for (int u = 0; u < U; u += lanes<T>)
      each<N>(R, [&](auto l) {
        const V weight = load(e + l * U + u);
        V total = load(de + l * U + u);
        components<N>(m, l, [&](int a) {
          const V of = load(gamma + a * U + u);
          total += y[a] * of;
          dy[a] += of * weight;
        });
        store(de + l * U + u, total);
      });
    const int A = N ? N * N : m.components;
    for (int a = 0; a < A; ++a) sums[a] = dy[a];  // so that dy may live in registers
    add_sums<T>(sums, A, g + m.harmonic);
  }
}

// The scalars of each row: Σ_a y_a v_{a, u} w_{l(a), u}.
template <typename T, int N>
static void scalars_forward(const Model &m, Workspace<T> &w, long from, long to, int begin,
                            int end, const T *v) {
  typedef typename Vector<T>::V V;
  const int U = m.channels, R = m.degrees;
  for (int row = begin; row < end; ++row) {
    T *x = &w.x[(long)row * m.stride];
    const T *y = x + m.harmonic, *weight = x + from;
    for (int u = 0; u < U; u += lanes<T>) {
      V s = {};
      each<N>(R, [&](auto l) {
        V part = {};
        components<N>(m, l, [&](int a) { part += y[a] * load(v + a * U + u); });
        s += part * load(weight + l * U + u);
      });
      store(x + to + u, s);
    }
  }
}

// Adds to the derivatives of a row's y and w; those of v are summed over rows.
template <typename T, int N>
static void scalars_backward(const Model &m, Workspace<T> &w, long from, long to, int begin,
                             int end, const T *v, T *dv) {
  typedef typename Vector<T>::V V;
  const int U = m.channels, R = m.degrees;
  for (int row = begin; row < end; ++row) {
    const T *x = &w.x[(long)row * m.stride], *y = x + m.harmonic, *weight = x + from;
    T *g = &w.g[(long)row * m.stride], *dw = g + from;
    V dy[N ? N * N : LARGEST] = {}, sums[N ? N * N : LARGEST];
    for (int u = 0; u < U; u += lanes<T>) {
      const V ds = load(g + to + u);
      each<N>(R, [&](auto l) {
        const V scaled = ds * load(weight + l * U + u);
        V part = {};
        components<N>(m, l, [&](int a) {
          const V va = load(v + a * U + u);
          part += y[a] * va;
          dy[a] += scaled * va;
          store(dv + a * U + u, load(dv + a * U + u) + y[a] * scaled);
        });
        store(dw + l * U + u, load(dw + l * U + u) + ds * part);
      });
    }
    const int A = N ? N * N : m.components;
    for (int a = 0; a < A; ++a) sums[a] = dy[a];
    add_sums<T>(sums, A, g + m.harmonic);
  }
}

// The operator [in, out, u] of a layer from its environment, Σ_b W_{a, d, b, u}
// gamma_{b, u}; or, on the way back, the derivatives by gamma from those by the operator.
template <typename T>
static void contract(const Model &m, const Layer &l, const T *from, T *to, bool back) {
  const int U = m.channels;
  std::fill(to, to + (back ? m.components : l.dim_in * l.dim_out) * U, T(0));
  const T *weight = (const T *)m.weights + l.weights;
  for (long n = 0; n < l.entries; ++n) {
    const allegro_entry &entry = l.entry[n];
    const long place = (entry.row * l.dim_out + entry.column) * U;
    const long b = entry.environment * U;
    const T *source = from + (back ? place : b);
    T *target = to + (back ? b : place);
    for (int u = 0; u < U; u += lanes<T>)
      store(target + u, load(target + u) + load(weight + n * U + u) * load(source + u));
  }
}

// One layer's environment, operator and scalars of one centre.
template <typename T, int N>
static void tensor_forward(const Model &m, Workspace<T> &w, const allegro_tensor &op, int slot,
                           int begin, int end) {
  const int U = m.channels, layer = op.layer;
  const Layer &l = m.layer[layer];
  T *gamma = w.environment.data();
  std::fill(gamma, gamma + m.components * U, T(0));
  sum_environment<T, N>(m, w, op.environment, begin, end, gamma);
  const T norm = T(m.norm[w.kinds[begin] / m.types]);
  for (int i = 0; i < m.components * U; ++i) gamma[i] *= norm;
  T *M = &w.operators[(long)slot * m.operator_size + l.start];
  contract(m, l, gamma, M, false);
  // v = M0 M1 ... m, each product kept for the way back
  T *chain = &w.chain[(long)slot * m.chain_size + l.chain];
  T *t = chain + (long)layer * m.widest * U;
  for (int a = 0; a < l.dim_in; ++a)
    std::copy(M + (long)a * l.dim_out * U, M + ((long)a * l.dim_out + 1) * U, t + a * U);
  for (int j = layer - 1; j >= 0; --j) {
    const Layer &before = m.layer[j];
    const T *B = &w.operators[(long)slot * m.operator_size + before.start];
    const T *next = t;
    t = chain + (long)j * m.widest * U;
    std::fill(t, t + before.dim_in * U, T(0));
    for (int a = 0; a < before.dim_in; ++a)
      for (int d = 0; d < before.dim_out; ++d)
        for (int u = 0; u < U; u += lanes<T>)
          store(t + a * U + u,
                load(t + a * U + u) +
                    load(B + ((long)a * before.dim_out + d) * U + u) * load(next + d * U + u));
  }
  scalars_forward<T, N>(m, w, op.tensor, op.target, begin, end, t);
}

// The way back through the same.
template <typename T, int N>
static void tensor_backward(const Model &m, Workspace<T> &w, const allegro_tensor &op, int slot,
                            int begin, int end) {
  const int U = m.channels, layer = op.layer;
  const Layer &l = m.layer[layer];
  T *chain = &w.chain[(long)slot * m.chain_size + l.chain];
  T *dt = w.gradient.data(), *dt_next = dt + (long)m.widest * U;
  std::fill(dt, dt + (long)m.widest * U, T(0));
  scalars_backward<T, N>(m, w, op.tensor, op.target, begin, end, chain, dt);
  for (int j = 0; j < layer; ++j) {
    const Layer &before = m.layer[j];
    const T *B = &w.operators[(long)slot * m.operator_size + before.start];
    T *dB = &w.d_operators[(long)slot * m.operator_size + before.start];
    const T *next = chain + (long)(j + 1) * m.widest * U;
    std::fill(dt_next, dt_next + (long)before.dim_out * U, T(0));
    for (int a = 0; a < before.dim_in; ++a)
      for (int d = 0; d < before.dim_out; ++d)
        for (int u = 0; u < U; u += lanes<T>) {
          const long at = ((long)a * before.dim_out + d) * U + u;
          const auto da = load(dt + a * U + u);
          store(dB + at, load(dB + at) + da * load(next + d * U + u));
          store(dt_next + d * U + u, load(dt_next + d * U + u) + load(B + at) * da);
        }
    std::swap(dt, dt_next);
  }
  T *dM = &w.d_operators[(long)slot * m.operator_size + l.start];
  for (int a = 0; a < l.dim_in; ++a)
    for (int u = 0; u < U; u += lanes<T>) {
      T *target = dM + (long)a * l.dim_out * U + u;
      store(target, load(target) + load(dt + a * U + u));
    }
  T *gamma = w.environment.data();
  contract(m, l, dM, gamma, true);
  const T norm = T(m.norm[w.kinds[begin] / m.types]);
  for (int i = 0; i < m.components * U; ++i) gamma[i] *= norm;
  environment_backward<T, N>(m, w, op.environment, begin, end, gamma);
}

// A tensor product of all centres of the block.
template <typename T, int N>
static void tensor(const Model &m, Workspace<T> &w, const allegro_tensor &op, bool back) {
  for (size_t c = 0; c < w.atoms.size(); ++c)
    (back ? tensor_backward<T, N> : tensor_forward<T, N>)(m, w, op, c, w.first[c],
                                                         w.first[c + 1]);
}

template <typename T>
static void tensor(const Model &m, Workspace<T> &w, const allegro_tensor &op, bool back) {
  const bool standard = m.components == m.degrees * m.degrees;
  switch (standard ? m.degrees : 0) {
    case 1: return tensor<T, 1>(m, w, op, back);
    case 2: return tensor<T, 2>(m, w, op, back);
    case 3: return tensor<T, 3>(m, w, op, back);
    case 4: return tensor<T, 4>(m, w, op, back);
    case 5: return tensor<T, 5>(m, w, op, back);
    default: return tensor<T, 0>(m, w, op, back);
  }
}
