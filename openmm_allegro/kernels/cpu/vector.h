// SPDX-License-Identifier: MIT
// Vectors of the machine: loads, stores and sums over lanes.
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
template <typename T> constexpr int panel = ALLEGRO_PANEL / sizeof(T);

// Rounded up to whole panels.
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
