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

// Which lane of a, or of b after those of a, is first in the sum of two that becomes lane i.
// The first levels of a sum over lanes stay within 16 bytes, where shuffles are cheap;
// the later ones add whole 16 bytes.
template <typename T> static constexpr int first_lane(int i, bool is_within) {
  constexpr int L = lanes<T>, Q = 16 / sizeof(T);
  if (!is_within) return i / Q * 2 * Q + i % Q;
  const int half = i % Q / (Q / 2), place = i % (Q / 2);
  return half * L + i / Q * Q + 2 * place;
}

// Sums of two lanes each of a, then of b.
template <typename T, bool IS_WITHIN, int... I>
static inline typename Vector<T>::V halve(typename Vector<T>::V a, typename Vector<T>::V b,
                                          std::integer_sequence<int, I...>) {
  constexpr int next = IS_WITHIN ? 1 : 16 / sizeof(T);
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, first_lane<T>(I, IS_WITHIN)...) +
         __builtin_shufflevector(a, b, (first_lane<T>(I, IS_WITHIN) + next)...);
#else
  typedef typename Vector<T>::I Index;
  return __builtin_shuffle(a, b, Index{first_lane<T>(I, IS_WITHIN)...}) +
         __builtin_shuffle(a, b, Index{(first_lane<T>(I, IS_WITHIN) + next)...});
#endif
}

// The sums of the lanes of the first N of v, up to a vector full of them, one in each lane;
// v is overwritten. The N are sums of `width` of the first lanes.
template <typename T, int N, int WIDE = 1>
static inline typename Vector<T>::V sums(typename Vector<T>::V *v) {
  static_assert(N <= lanes<T>);
  if constexpr (WIDE == lanes<T>) {
    return v[0];
  } else {
    constexpr bool is_within = WIDE * sizeof(T) < 16;
    constexpr std::make_integer_sequence<int, lanes<T>> all;
#pragma GCC unroll 16
    for (int i = 0; i < N / 2; ++i) v[i] = halve<T, is_within>(v[2 * i], v[2 * i + 1], all);
    if constexpr (N % 2)
      v[N / 2] = halve<T, is_within>(v[N - 1], typename Vector<T>::V{}, all);
    return sums<T, (N + 1) / 2, 2 * WIDE>(v);
  }
}

template <typename T> static inline T sum(typename Vector<T>::V v) {
  return sums<T, 1>(&v)[0];
}

// out[i] += sum of the lanes of v[i], for whole vectors of out; v is overwritten.
template <typename T, int N> static inline void add_sums(typename Vector<T>::V *v, T *out) {
  constexpr int L = lanes<T>, M = N < L ? N : L;
  store(out, load(out) + sums<T, M>(v));
  if constexpr (N > L) add_sums<T, N - L>(v + L, out + L);
}
