// SPDX-License-Identifier: MIT
// The operations of the program on the rows of a block, forward and backward. Included
// once per instruction set, after tensor.h.

// Cubic Hermite interpolation of a row's first segments, and their derivatives by x.
template <typename T> static void interpolate(const Model &m, Workspace<T> &w, int row) {
  typedef typename Vector<T>::V V;
  const double nodes = m.points / (1.0 - m.table_from);  // for each unit of x
  const double place = (w.scaled[4 * row + 2] - m.table_from) * nodes;
  const long node = std::min((long)place, m.points - 1), width = m.first_width;
  const T t = T(place - node), scale = T(nodes);
  const T *cubic =
      (const T *)m.weights + m.table + 4 * width * (m.points * w.kinds[row] + node);
  T *values = &w.x[(long)row * m.stride + m.first], *slopes = &w.slopes[row * width];
  for (long i = 0; i < width; i += lanes<T>) {
    const V s = load(cubic + width + i), b = load(cubic + 2 * width + i);
    const V c = load(cubic + 3 * width + i);
    store(values + i, load(cubic + i) + t * (s + t * (b + t * c)));
    store(slopes + i, scale * (s + t * (T(2) * b + t * (T(3) * c))));
  }
}

template <typename T>
static void forward_operation(const Model &m, Workspace<T> &w, const long *op, int begin,
                              int end) {
  const T *weights = (const T *)m.weights;
  T *x = &w.x[begin * m.stride];
  if (op[0] == LINEAR) {
    product(x + op[1], weights + op[5], x + op[3], m.stride, end - begin, op[2],
            padded<T>(op[4]), op[7]);
  } else if (op[0] == ACTIVATION) {
    for (int row = begin; row < end; ++row, x += m.stride)
      activate(op[1], x + op[2], x + op[4], op[3]);
  } else if (op[0] == TYPES) {
    for (int row = begin; row < end; ++row, x += m.stride) {
      const T *scale = weights + op[3] + (long)w.kinds[row] * op[2];
      for (int i = 0; i < op[2]; ++i) x[op[1] + i] *= scale[i];
    }
  } else if (op[0] == SPLINE) {
    for (int row = begin; row < end; ++row, x += m.stride) {
      const T *table = weights + op[3] + (long)w.kinds[row] * op[2] * m.radial;
      std::fill(x + op[1], x + op[1] + op[2], T(0));
      for (int k = 0; k < m.radial; ++k)
        for (int i = 0; i < op[2]; ++i)
          x[op[1] + i] += x[m.basis + k] * table[k * op[2] + i];
    }
  } else if (op[0] == TENSOR) {
    tensor(m, w, op, false);
  }
}

template <typename T>
static void backward_operation(const Model &m, Workspace<T> &w, long n, int begin,
                               int end) {
  const long *op = m.operation + 8 * n;
  const T *weights = (const T *)m.weights;
  T *x = &w.x[begin * m.stride], *g = &w.g[begin * m.stride];
  if (op[0] == LINEAR) {
    product(g + op[3], weights + op[6], g + op[1], m.stride, end - begin, op[4],
            padded<T>(op[2]), !m.overwrites[n]);
  } else if (op[0] == ACTIVATION) {
    for (int row = begin; row < end; ++row, x += m.stride, g += m.stride)
      for (int i = 0; i < op[3]; ++i) g[op[2] + i] *= x[op[4] + i];
  } else if (op[0] == TYPES) {
    for (int row = begin; row < end; ++row, g += m.stride) {
      const T *scale = weights + op[3] + (long)w.kinds[row] * op[2];
      for (int i = 0; i < op[2]; ++i) g[op[1] + i] *= scale[i];
    }
  } else if (op[0] == SPLINE) {
    for (int row = begin; row < end; ++row, g += m.stride) {
      const T *table = weights + op[3] + (long)w.kinds[row] * op[2] * m.radial;
      for (int k = 0; k < m.radial; ++k) {
        T total = 0;
        for (int i = 0; i < op[2]; ++i) total += g[op[1] + i] * table[k * op[2] + i];
        g[m.basis + k] += total;
      }
    }
  } else if (op[0] == TENSOR) {
    tensor(m, w, op, true);
  } else {  // ENERGY
    for (int row = begin; row < end; ++row, g += m.stride) {
      const T factor = T(m.factors[w.kinds[row] / m.types]);
      for (int i = 0; i < op[2]; ++i) g[op[1] + i] += factor * weights[op[3] + i];
    }
  }
}

// Whether what depends on a row's distance alone is computed, not taken from the table.
// So it is where the distance is not a number, which has no place in the table.
template <typename T>
static bool is_exact(const Model &m, const Workspace<T> &w, int row) {
  return !m.points || !(w.scaled[4 * row + 2] >= m.table_from);
}

// Calls f for each run of such rows.
template <typename T, typename F>
static void each_exact(const Model &m, const Workspace<T> &w, F f) {
  const int rows = w.neighbors.size();
  for (int begin = 0, end; begin < rows; begin = end + 1) {
    for (end = begin; end < rows && is_exact(m, w, end);) ++end;
    if (end > begin) f(begin, end);
  }
}

template <typename T> static void forward(const Model &m, Workspace<T> &w) {
  const int rows = w.neighbors.size();
  each_exact(m, w, [&](int begin, int end) {
    for (int row = begin; row < end; ++row) {
      T *values = &w.x[(long)row * m.stride];
      radial(m, w.scaled[4 * row + 2], values + m.basis, values + m.slope);
    }
    for (long n = 0; n < m.stage; ++n)
      forward_operation(m, w, m.operation + 8 * n, begin, end);
  });
  for (int row = 0; row < rows; ++row)
    if (!is_exact(m, w, row)) interpolate(m, w, row);
  for (long n = m.stage; n < m.operations; ++n)
    forward_operation(m, w, m.operation + 8 * n, 0, rows);
}

template <typename T> static void backward(const Model &m, Workspace<T> &w) {
  const int rows = w.neighbors.size();
  for (int row = 0; row < rows; ++row)
    for (const Range &range : m.zeroed) {
      T *g = &w.g[(long)row * m.stride];
      std::fill(g + range.begin, g + range.end, T(0));
    }
  std::fill(w.d_operators.begin(), w.d_operators.end(), T(0));
  for (long n = m.operations - 1; n >= m.stage; --n) backward_operation(m, w, n, 0, rows);
  for (int row = 0; row < rows; ++row) {
    if (is_exact(m, w, row)) continue;
    const T *g = &w.g[(long)row * m.stride + m.first];
    const T *slopes = &w.slopes[row * m.first_width];
    typename Vector<T>::V total = {};
    for (long i = 0; i < m.first_width; i += lanes<T>)
      total += load(g + i) * load(slopes + i);
    w.scaled[4 * row + 3] = sum<T>(total);
  }
  each_exact(m, w, [&](int begin, int end) {
    for (long n = m.stage - 1; n >= 0; --n) backward_operation(m, w, n, begin, end);
    for (int row = begin; row < end; ++row) {
      const T *x = &w.x[(long)row * m.stride], *g = &w.g[(long)row * m.stride];
      for (int k = 0; k < m.radial; ++k)
        w.scaled[4 * row + 3] += (double)g[m.basis + k] * (double)x[m.slope + k];
    }
  });
}
