// SPDX-License-Identifier: MIT
// The tensor product of a layer, forward and backward: what is computed once for a centre.
// Included after rows.h.

// The operator [in, out, u] of a layer from its environment, Σ_b W_{a, d, b, u}
// gamma_{b, u}; or, on the way back, the derivatives by gamma from those by the operator.
template <typename T>
static void contract(const Model &m, const Layer &l, const T *from, T *to, bool back) {
  const long U = m.channels;
  std::fill(to, to + (back ? m.components : l.dim_in * l.dim_out) * U, T(0));
  const T *weight = (const T *)m.weights + l.weights;
  for (long n = 0; n < l.entries; ++n) {
    const allegro_entry &entry = l.entry[n];
    const long place = (entry.row * l.dim_out + entry.column) * U;
    const long b = entry.environment * U;
    const T *source = from + (back ? place : b);
    T *target = to + (back ? b : place);
    for (long u = 0; u < U; u += lanes<T>)
      store(target + u, load(target + u) + load(weight + n * U + u) * load(source + u));
  }
}

// The rows of a centre, with the weights that start at a column.
template <typename T>
static Rows<T> rows_of(const Model &m, Workspace<T> &w, const allegro_tensor &op, long weight,
                       size_t slot) {
  const long begin = w.first[slot], count = w.first[slot + 1] - begin;
  T *x = &w.x[begin * m.stride], *g = &w.g[begin * m.stride];
  return {x + m.harmonic, g + m.harmonic, x + weight, g + weight, x + op.target,
          g + op.target,  m.stride,       count};
}

// One layer's environment, operator and scalars of one centre.
template <typename T>
static void center_forward(const Model &m, Workspace<T> &w, const allegro_tensor &op,
                           size_t slot) {
  typedef typename Vector<T>::V V;
  const long U = m.channels, layer = op.layer;
  const Layer &l = m.layer[layer];
  const Rows<T> rows = rows_of(m, w, op, op.environment, slot);
  T *gamma = w.environment.data();
  const T norm = T(m.norm[w.kinds[w.first[slot]] / m.types]);
  sum_rows(m, rows, rows.weight, m.stride, norm, gamma);
  T *M = &w.operators[slot * m.operator_size + l.start];
  contract(m, l, gamma, M, false);
  // v = M0 M1 ... m, each product kept for the way back
  T *chain = &w.chain[slot * m.chain_size + l.chain];
  T *t = chain + layer * m.widest * U;
  for (long a = 0; a < l.dim_in; ++a)
    std::copy(M + a * l.dim_out * U, M + (a * l.dim_out + 1) * U, t + a * U);
  for (long j = layer - 1; j >= 0; --j) {
    const Layer &before = m.layer[j];
    const T *B = &w.operators[slot * m.operator_size + before.start];
    const T *next = t;
    t = chain + j * m.widest * U;
    for (long a = 0; a < before.dim_in; ++a, B += before.dim_out * U)
      for (long u = 0; u < U; u += lanes<T>) {
        V total = {};
        for (long d = 0; d < before.dim_out; ++d)
          total += load(B + d * U + u) * load(next + d * U + u);
        store(t + a * U + u, total);
      }
  }
  scalars_forward(m, rows_of(m, w, op, op.tensor, slot), t);
}

// The way back through the same.
template <typename T>
static void center_backward(const Model &m, Workspace<T> &w, const allegro_tensor &op,
                            long n, size_t slot) {
  typedef typename Vector<T>::V V;
  const long U = m.channels, layer = op.layer;
  const Layer &l = m.layer[layer];
  T *chain = &w.chain[slot * m.chain_size + l.chain];
  T *dt = w.gradient.data(), *dt_next = dt + m.widest * U;
  const Rows<T> rows = rows_of(m, w, op, op.tensor, slot);
  w.products.resize(std::max(w.products.size(), size_t(rows.count * m.degrees * U)));
  rows_backward<T, true>(m, rows, chain, m.overwrites[n], w.products.data());
  sum_rows(m, rows, w.products.data(), m.degrees * U, T(1), dt);
  for (long j = 0; j < layer; ++j) {
    const Layer &before = m.layer[j];
    const T *B = &w.operators[slot * m.operator_size + before.start];
    T *dB = &w.d_operators[slot * m.operator_size + before.start];
    const T *next = chain + (j + 1) * m.widest * U;
    std::fill(dt_next, dt_next + before.dim_out * U, T(0));
    for (long a = 0; a < before.dim_in; ++a)
      for (long u = 0; u < U; u += lanes<T>) {
        const V da = load(dt + a * U + u);
        for (long d = 0; d < before.dim_out; ++d) {
          const long at = (a * before.dim_out + d) * U + u;
          store(dB + at, load(dB + at) + da * load(next + d * U + u));
          store(dt_next + d * U + u, load(dt_next + d * U + u) + load(B + at) * da);
        }
      }
    std::swap(dt, dt_next);
  }
  T *dM = &w.d_operators[slot * m.operator_size + l.start];
  for (long a = 0; a < l.dim_in; ++a)
    for (long u = 0; u < U; u += lanes<T>) {
      T *target = dM + a * l.dim_out * U + u;
      store(target, load(target) + load(dt + a * U + u));
    }
  T *gamma = w.environment.data();
  contract(m, l, dM, gamma, true);
  const T norm = T(m.norm[w.kinds[w.first[slot]] / m.types]);
  for (long i = 0; i < m.components * U; ++i) gamma[i] *= norm;
  rows_backward<T, false>(m, rows_of(m, w, op, op.environment, slot), gamma,
                          m.overwrites_environment[n], nullptr);
}

// A tensor product of all centres of the block.
template <typename T>
static void tensor_forward(const Model &m, Workspace<T> &w, const allegro_tensor &op) {
  for (size_t slot = 0; slot < w.atoms.size(); ++slot) center_forward(m, w, op, slot);
}

template <typename T>
static void tensor_backward(const Model &m, Workspace<T> &w, const allegro_tensor &op,
                            long n) {
  for (size_t slot = 0; slot < w.atoms.size(); ++slot) center_backward(m, w, op, n, slot);
}
