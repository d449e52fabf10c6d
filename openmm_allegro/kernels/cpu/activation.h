// SPDX-License-Identifier: MIT
// The nonlinearities and their derivatives. Included after vector.h.

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

// x becomes f(x) and derivative f'(x), if that is wanted, for whole vectors.
template <bool HAS_DERIVATIVE, typename T>
static void activate(int kind, T *x, T *derivative, int count) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  for (int i = 0; i < count; i += L) {
    const V z = load(x + i);
    if (kind == ALLEGRO_SILU) {  // z s, s = 1 / (1 + exp(-z))
      const V s = T(1) / (T(1) + exponential(-z));
      store(x + i, z * s);
      if (HAS_DERIVATIVE) store(derivative + i, s * (T(1) + z * (T(1) - s)));
    } else if (kind == ALLEGRO_MISH) {  // z tanh(ln(1 + exp z)), rational in exp(-|z|)
      const V e = exponential(z < T(0) ? z : -z);
      const V a = z < T(0) ? e * (e + T(2)) : T(1) + T(2) * e;
      const V b = z < T(0) ? a + T(2) : a + T(2) * e * e;
      const V t = a / b;
      store(x + i, z * t);
      if (!HAS_DERIVATIVE) continue;
      const V s = (z < T(0) ? e : V{} + T(1)) / (T(1) + e);
      store(derivative + i, t + z * s * (T(1) - t * t));
    } else {  // ALLEGRO_GELU: z Φ(z)
      for (int j = 0; j < L; ++j) {
        const T phi = T(0.5) * (T(1) + T(erf(z[j] * 0.70710678118654752440)));
        x[i + j] = z[j] * phi;
        if (!HAS_DERIVATIVE) continue;
        const T density = T(0.39894228040143267794 * exp(-0.5 * z[j] * z[j]));
        derivative[i + j] = phi + z[j] * density;
      }
    }
  }
}
