// SPDX-License-Identifier: MIT
// Vectors of the machine, the products of small matrices and the nonlinearities.
//
// Included once per instruction set, in a namespace of its own; WIDTH is the number of
// bytes of a vector register and ROWS the height of a tile of a matrix product.

template <typename T> struct Vector;
template <> struct Vector<float> {
  typedef float V __attribute__((vector_size(WIDTH), aligned(4), may_alias));
  typedef int I __attribute__((vector_size(WIDTH), aligned(4), may_alias));
};
template <> struct Vector<double> {
  typedef double V __attribute__((vector_size(WIDTH), aligned(8), may_alias));
  typedef long I __attribute__((vector_size(WIDTH), aligned(8), may_alias));
};

template <typename T> constexpr int lanes = WIDTH / sizeof(T);
// Columns of a panel of packed weights: the same on every machine.
template <typename T> constexpr int panel = 128 / sizeof(T);

// To whole panels.
template <typename T> static inline long padded(long width) {
  return (width + panel<T> - 1) / panel<T> * panel<T>;
}

template <typename T> static inline typename Vector<T>::V load(const T *p) {
  return *reinterpret_cast<const typename Vector<T>::V *>(p);
}

template <typename T> static inline void store(T *p, typename Vector<T>::V v) {
  *reinterpret_cast<typename Vector<T>::V *>(p) = v;
}

// Sums of neighbouring lanes of a, then of b.
template <typename T, int... I>
static inline typename Vector<T>::V halve(typename Vector<T>::V a, typename Vector<T>::V b,
                                          std::integer_sequence<int, I...>) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, (2 * I)...) +
         __builtin_shufflevector(a, b, (2 * I + 1)...);
#else
  typedef typename Vector<T>::I Index;
  return __builtin_shuffle(a, b, Index{(2 * I)...}) +
         __builtin_shuffle(a, b, Index{(2 * I + 1)...});
#endif
}

template <typename T>
static inline typename Vector<T>::V halve(typename Vector<T>::V a,
                                          typename Vector<T>::V b) {
  return halve<T>(a, b, std::make_integer_sequence<int, lanes<T>>());
}

template <typename T> static inline T sum(typename Vector<T>::V v) {
  for (int width = lanes<T>; width > 1; width /= 2) v = halve<T>(v, v);
  return v[0];
}

// out[i] += sum of the lanes of v[i], for whole vectors of out; v is overwritten.
template <typename T> static inline void add_sums(typename Vector<T>::V *v, int n, T *out) {
  constexpr int L = lanes<T>;
  for (; n > 0; n -= L, v += L, out += L) {
    int left = std::min(n, L);
    for (int width = L; width > 1; width /= 2) {
      for (int i = 0; i < left / 2; ++i) v[i] = halve<T>(v[2 * i], v[2 * i + 1]);
      if (left % 2) v[left / 2] = halve<T>(v[left - 1], typename Vector<T>::V{});
      left = (left + 1) / 2;
    }
    store(out, load(out) + v[0]);
  }
}

// A tile of c (+)= a b: M rows, two vectors of columns. A panel of b is stored row by row;
// a and c have rows of `stride`.
template <typename T, int M>
static inline void tile(const T *a, const T *b, T *c, long stride, int depth, bool add) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  V left[M], right[M];
  for (int i = 0; i < M; ++i) {
    left[i] = add ? load(c + i * stride) : V{};
    right[i] = add ? load(c + i * stride + L) : V{};
  }
  for (int k = 0; k < depth; ++k) {
    const V b0 = load(b + k * panel<T>), b1 = load(b + k * panel<T> + L);
    for (int i = 0; i < M; ++i) {
      const T x = a[i * stride + k];
      left[i] += x * b0;
      right[i] += x * b1;
    }
  }
  for (int i = 0; i < M; ++i) {
    store(c + i * stride, left[i]);
    store(c + i * stride + L, right[i]);
  }
}

template <typename T, int M>
static void rest(const T *a, const T *b, T *c, long stride, int depth, bool add, int rows) {
  if constexpr (M > 0) {
    if (rows == M) return tile<T, M>(a, b, c, stride, depth, add);
    rest<T, M - 1>(a, b, c, stride, depth, add, rows);
  }
}

// c[rows, width] (+)= a[rows, depth] b; width is a multiple of a panel.
template <typename T>
static void product(const T *a, const T *b, T *c, long stride, int rows, int depth,
                    int width, bool add) {
  constexpr int P = panel<T>;
  for (int column = 0; column < width; column += 2 * lanes<T>) {
    const T *packed = b + (long)(column / P * P) * depth + column % P;
    int row = 0;
    for (; row + ROWS <= rows; row += ROWS)
      tile<T, ROWS>(a + row * stride, packed, c + row * stride + column, stride, depth,
                    add);
    rest<T, ROWS - 1>(a + row * stride, packed, c + row * stride + column, stride, depth,
                      add, rows - row);
  }
}

// exp by range reduction to [-ln 2 / 2, ln 2 / 2] and its Taylor series; the integer part
// goes straight into the exponent. Arguments are clamped to where the result is normal.
static inline Vector<float>::V exponential(Vector<float>::V x) {
  typedef Vector<float>::V V;
  typedef Vector<float>::I I;
  x = x > 87.0f ? V{} + 87.0f : x;
  x = x < -87.0f ? V{} - 87.0f : x;
  const V shifted = x * 1.44269504f + 12582912.0f;
  const V n = shifted - 12582912.0f;
  const V r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  V p = V{} + 1.9841270e-4f;
  const float series[] = {1.3888889e-3f, 8.3333333e-3f, 4.1666667e-2f, 1.6666667e-1f,
                          0.5f, 1.0f, 1.0f};
  for (float coefficient : series) p = p * r + coefficient;
  return (V)((I)p + ((I)shifted << 23));
}

static inline Vector<double>::V exponential(Vector<double>::V x) {
  typedef Vector<double>::V V;
  typedef Vector<double>::I I;
  x = x > 708.0 ? V{} + 708.0 : x;
  x = x < -708.0 ? V{} - 708.0 : x;
  const V shifted = x * 1.4426950408889634 + 6755399441055744.0;
  const V n = shifted - 6755399441055744.0;
  const V r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
  V p = V{} + 1.0 / 6227020800.0;
  const double factorials[] = {479001600.0, 39916800.0, 3628800.0, 362880.0, 40320.0,
                               5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0};
  for (double factorial : factorials) p = p * r + 1.0 / factorial;
  return (V)((I)p + ((I)shifted << 52));
}

// x becomes f(x) and derivative f'(x), for whole vectors; kinds as in fold.py.
template <typename T> static void activate(int kind, T *x, T *derivative, int count) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  for (int i = 0; i < count; i += L) {
    const V z = load(x + i);
    if (kind == 0) {  // silu: z s, s = 1 / (1 + exp(-z))
      const V s = T(1) / (T(1) + exponential(-z));
      store(x + i, z * s);
      store(derivative + i, s * (T(1) + z * (T(1) - s)));
    } else if (kind == 1) {  // mish: z tanh(ln(1 + exp z)), rational in exp(-|z|)
      const V e = exponential(z < T(0) ? z : -z);
      const V a = z < T(0) ? e * (e + T(2)) : T(1) + T(2) * e;
      const V b = z < T(0) ? a + T(2) : a + T(2) * e * e;
      const V t = a / b, s = (z < T(0) ? e : V{} + T(1)) / (T(1) + e);
      store(x + i, z * t);
      store(derivative + i, t + z * s * (T(1) - t * t));
    } else {  // gelu: z Φ(z)
      for (int j = 0; j < L; ++j) {
        const T phi = T(0.5) * (T(1) + T(erf(z[j] * 0.70710678118654752440)));
        const T density = T(0.39894228040143267794 * exp(-0.5 * z[j] * z[j]));
        x[i + j] = z[j] * phi;
        derivative[i + j] = phi + z[j] * density;
      }
    }
  }
}
