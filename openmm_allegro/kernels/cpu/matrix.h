// SPDX-License-Identifier: MIT
// Products of small matrices with packed weights. Included after vector.h.

// A tile of c (+)= a b: M rows, two vectors of columns. A panel of b is stored row by row;
// a and c have rows of `stride`.
template <typename T, int M>
static inline void tile(const T *a, const T *b, T *c, long stride, long depth, bool add) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  V left[M], right[M];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
    left[i] = add ? load(c + i * stride) : V{};
    right[i] = add ? load(c + i * stride + L) : V{};
  }
  for (long k = 0; k < depth; ++k) {
    const V b0 = load(b + k * panel<T>), b1 = load(b + k * panel<T> + L);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const T x = a[i * stride + k];
      left[i] += x * b0;
      right[i] += x * b1;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
    store(c + i * stride, left[i]);
    store(c + i * stride + L, right[i]);
  }
}

template <typename T, int M>
static void rest(const T *a, const T *b, T *c, long stride, long depth, bool add,
                 long rows) {
  if constexpr (M > 0) {
    if (rows == M) return tile<T, M>(a, b, c, stride, depth, add);
    rest<T, M - 1>(a, b, c, stride, depth, add, rows);
  }
}

// c[rows, width] (+)= a[rows, depth] b; width is a multiple of a panel.
template <typename T>
static void product(const T *a, const T *b, T *c, long stride, long rows, long depth,
                    long width, bool add) {
  constexpr int P = panel<T>;
  for (long column = 0; column < width; column += 2 * lanes<T>) {
    const T *packed = b + column / P * P * depth + column % P;
    long row = 0;
    for (; row + ROWS <= rows; row += ROWS)
      tile<T, ROWS>(a + row * stride, packed, c + row * stride + column, stride, depth,
                    add);
    rest<T, ROWS - 1>(a + row * stride, packed, c + row * stride + column, stride, depth,
                      add, rows - row);
  }
}
