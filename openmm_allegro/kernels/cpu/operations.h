// SPDX-License-Identifier: MIT
// The operations of the program on the rows of a block, forward and backward. Included
// after tensor.h.

// Cubic Hermite interpolation of a row's first segments, and their derivatives by x if the
// way back follows.
template <typename T> static void interpolate(const Model &m, Workspace<T> &w, long row) {
  typedef typename Vector<T>::V V;
  const double nodes = m.points / (1.0 - m.table_from);  // for each unit of x
  const double place = (w.scaled[4 * row + 2] - m.table_from) * nodes;
  const long node = std::min((long)place, (long)m.points - 1), width = m.first_width;
  const T t = T(place - node), scale = T(nodes);
  const T *cubic =
      (const T *)m.weights + m.table + 4 * width * (m.points * w.kinds[row] + node);
  T *values = &w.x[row * m.stride + m.first], *slopes = &w.slopes[row * width];
  for (long i = 0; i < width; i += lanes<T>) {
    const V s = load(cubic + width + i), b = load(cubic + 2 * width + i);
    const V c = load(cubic + 3 * width + i);
    store(values + i, load(cubic + i) + t * (s + t * (b + t * c)));
    if (!w.goes_back) continue;
    store(slopes + i, scale * (s + t * (T(2) * b + t * (T(3) * c))));
  }
}

// A row's part of the weights of a TYPES or SPLINE operation, `size` for each kind of pair.
template <typename T>
static inline const T *of_kind(const Model &m, const Workspace<T> &w, long start, long row,
                               long size) {
  return (const T *)m.weights + start + w.kinds[row] * size;
}

// A row's part of the weights of a CHARGE operation.
template <typename T>
static inline const T *of_center(const Model &m, const Workspace<T> &w,
                                 const allegro_charge &op, long row) {
  return (const T *)m.weights + op.weights + w.kinds[row] / m.types * padded<T>(op.width);
}

template <typename T>
static void forward_operation(const Model &m, Workspace<T> &w, long n, long begin,
                              long end) {
  const allegro_operation &operation = m.operation[n];
  const T *weights = (const T *)m.weights;
  T *x = &w.x[begin * m.stride];
  switch (operation.code) {
    case ALLEGRO_LINEAR: {
      const auto &op = as<allegro_linear>(operation);
      product(x + op.source, weights + op.forward, x + op.target, m.stride, end - begin,
              op.depth, padded<T>(op.width), op.add);
      break;
    }
    case ALLEGRO_ACTIVATION: {
      const auto &op = as<allegro_activation>(operation);
      for (long row = begin; row < end; ++row, x += m.stride)
        (w.goes_back ? activate<true, T> : activate<false, T>)(op.kind, x + op.target,
                                                               x + op.slope, op.width);
      break;
    }
    case ALLEGRO_TYPES: {
      const auto &op = as<allegro_types>(operation);
      for (long row = begin; row < end; ++row, x += m.stride) {
        const T *scale = of_kind(m, w, op.weights, row, op.width);
        for (int i = 0; i < op.width; ++i) x[op.target + i] *= scale[i];
      }
      break;
    }
    case ALLEGRO_SPLINE: {
      const auto &op = as<allegro_spline>(operation);
      for (long row = begin; row < end; ++row, x += m.stride) {
        const T *table = of_kind(m, w, op.weights, row, op.width * m.radial);
        std::fill(x + op.target, x + op.target + op.width, T(0));
        for (int k = 0; k < m.radial; ++k)
          for (int i = 0; i < op.width; ++i)
            x[op.target + i] += x[m.basis + k] * table[k * op.width + i];
      }
      break;
    }
    case ALLEGRO_TENSOR: tensor_forward(m, w, as<allegro_tensor>(operation));
  }
}

template <typename T>
static void spline_backward(const Model &m, const allegro_spline &op, const T *table,
                            T *g) {
  for (int k = 0; k < m.radial; ++k) {
    T total = 0;
    for (int i = 0; i < op.width; ++i) total += g[op.target + i] * table[k * op.width + i];
    g[m.basis + k] += total;
  }
}

template <typename T>
static void backward_operation(const Model &m, Workspace<T> &w, long n, long begin,
                               long end) {
  const allegro_operation &operation = m.operation[n];
  const T *weights = (const T *)m.weights;
  T *x = &w.x[begin * m.stride], *g = &w.g[begin * m.stride];
  switch (operation.code) {
    case ALLEGRO_LINEAR: {
      const auto &op = as<allegro_linear>(operation);
      product(g + op.target, weights + op.backward, g + op.source, m.stride, end - begin,
              op.width, padded<T>(op.depth), !m.overwrites[n]);
      break;
    }
    case ALLEGRO_ACTIVATION: {
      const auto &op = as<allegro_activation>(operation);
      for (long row = begin; row < end; ++row, x += m.stride, g += m.stride)
        for (int i = 0; i < op.width; ++i) g[op.target + i] *= x[op.slope + i];
      break;
    }
    case ALLEGRO_TYPES: {
      const auto &op = as<allegro_types>(operation);
      for (long row = begin; row < end; ++row, g += m.stride) {
        const T *scale = of_kind(m, w, op.weights, row, op.width);
        for (int i = 0; i < op.width; ++i) g[op.target + i] *= scale[i];
      }
      break;
    }
    case ALLEGRO_SPLINE: {
      const auto &op = as<allegro_spline>(operation);
      for (long row = begin; row < end; ++row, g += m.stride)
        spline_backward(m, op, of_kind(m, w, op.weights, row, op.width * m.radial), g);
      break;
    }
    case ALLEGRO_TENSOR: tensor_backward(m, w, as<allegro_tensor>(operation), n); break;
    case ALLEGRO_ENERGY: {
      const auto &op = as<allegro_energy>(operation);
      for (long row = begin; row < end; ++row, g += m.stride) {
        const T factor = T(m.factors[w.kinds[row] / m.types]);
        for (int i = 0; i < op.width; ++i) {
          const T before = m.overwrites[n] ? T(0) : g[op.source + i];
          g[op.source + i] = before + factor * weights[op.weights + i];
        }
      }
      break;
    }
    case ALLEGRO_CHARGE: {
      const auto &op = as<allegro_charge>(operation);
      for (long row = begin; row < end; ++row, g += m.stride) {
        const T *weight = of_center(m, w, op, row);
        for (int i = 0; i < op.width; ++i) {
          const T before = m.overwrites[n] ? T(0) : g[op.source + i];
          g[op.source + i] = before + w.seeds[row] * weight[i];
        }
      }
    }
  }
}

// True where functions of a row's distance are computed, not taken from the table. This
// includes distances that are not numbers, which have no place in the table.
template <typename T>
static bool is_exact(const Model &m, const Workspace<T> &w, long row) {
  return !m.points || !(w.scaled[4 * row + 2] >= m.table_from);
}

// Calls f(begin, end) for each run of such rows.
template <typename T, typename F>
static void each_exact(const Model &m, const Workspace<T> &w, F f) {
  const long rows = w.neighbors.size();
  for (long begin = 0, end; begin < rows; begin = end + 1) {
    for (end = begin; end < rows && is_exact(m, w, end);) ++end;
    if (end > begin) f(begin, end);
  }
}

template <typename T> static void forward(const Model &m, Workspace<T> &w) {
  const long rows = w.neighbors.size();
  each_exact(m, w, [&](long begin, long end) {
    T *values = &w.x[begin * m.stride];
    radial(m, &w.scaled[4 * begin + 2], 4, end - begin, values + m.basis, values + m.slope,
           m.stride);
    for (long n = 0; n < m.stage; ++n)
      forward_operation(m, w, n, begin, end);
  });
  for (long row = 0; row < rows; ++row)
    if (!is_exact(m, w, row)) interpolate(m, w, row);
  for (long n = m.stage; n < m.operations; ++n)
    forward_operation(m, w, n, 0, rows);
}

// Zeros where the way back adds.
template <typename T> static void clear_derivatives(const Model &m, Workspace<T> &w) {
  const long rows = w.neighbors.size();
  for (long row = 0; row < rows; ++row)
    for (const Range &range : m.zeroed) {
      T *g = &w.g[row * m.stride];
      std::fill(g + range.begin, g + range.end, T(0));
    }
  std::fill(w.d_operators.begin(), w.d_operators.end(), T(0));
}

template <typename T> static void backward(const Model &m, Workspace<T> &w) {
  const long rows = w.neighbors.size();
  clear_derivatives(m, w);
  for (long n = m.operations - 1; n >= m.stage; --n) backward_operation(m, w, n, 0, rows);
  for (long row = 0; row < rows; ++row) {
    if (is_exact(m, w, row)) continue;
    const T *g = &w.g[row * m.stride + m.first];
    const T *slopes = &w.slopes[row * m.first_width];
    typename Vector<T>::V total = {};
    for (long i = 0; i < m.first_width; i += lanes<T>)
      total += load(g + i) * load(slopes + i);
    w.scaled[4 * row + 3] = sum<T>(total);
  }
  each_exact(m, w, [&](long begin, long end) {
    for (long n = m.stage - 1; n >= 0; --n) backward_operation(m, w, n, begin, end);
    for (long row = begin; row < end; ++row) {
      const T *x = &w.x[row * m.stride], *g = &w.g[row * m.stride];
      for (int k = 0; k < m.radial; ++k)
        w.scaled[4 * row + 3] += (double)g[m.basis + k] * (double)x[m.slope + k];
    }
  });
}
