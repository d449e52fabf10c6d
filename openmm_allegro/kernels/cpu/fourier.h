// SPDX-License-Identifier: MIT
// Discrete Fourier transforms whose lengths are products of 2, 3, 5 and 7. Each lane of a
// vector is a transform of its own. Included once per instruction set, after vector.h.

typedef Vector<double>::V Lanes;
constexpr long LANES = lanes<double>;

struct Complex {
  Lanes re, im;
};

static inline Complex operator+(const Complex &a, const Complex &b) {
  return {a.re + b.re, a.im + b.im};
}
static inline Complex operator-(const Complex &a, const Complex &b) {
  return {a.re - b.re, a.im - b.im};
}

// exp(-2 pi i k / n) for k = 0 to n - 1.
struct Circle {
  std::vector<double> re, im;
  explicit Circle(long n) : re(n), im(n) {
    for (long k = 0; k < n; ++k) {
      const double angle = 2.0 * M_PI * double(k) / double(n);
      re[k] = std::cos(angle), im[k] = -std::sin(angle);
    }
  }
};

// out[j] = sum over k of a[k] exp(-2 pi i j k / P), for P = 2 and odd ones.
template <int P> struct Butterfly {
  const Circle turn{P};
  inline void operator()(const Complex *a, Complex *out) const {
    if constexpr (P == 2) {
      out[0] = a[0] + a[1], out[1] = a[0] - a[1];
    } else {
      constexpr int H = P / 2;
      Complex sums[H], differences[H];
      out[0] = a[0];
#pragma GCC unroll 4
      for (int k = 1; k <= H; ++k) {
        sums[k - 1] = a[k] + a[P - k], differences[k - 1] = a[k] - a[P - k];
        out[0] = out[0] + sums[k - 1];
      }
#pragma GCC unroll 4
      for (int j = 1; j <= H; ++j) {
        Complex even = a[0], odd = {Lanes{}, Lanes{}};
#pragma GCC unroll 4
        for (int k = 1; k <= H; ++k) {
          const double c = turn.re[j * k % P], s = turn.im[j * k % P];
          even.re += c * sums[k - 1].re, even.im += c * sums[k - 1].im;
          odd.re += s * differences[k - 1].im, odd.im += s * differences[k - 1].re;
        }
        out[j] = {even.re - odd.re, even.im + odd.im};
        out[P - j] = {even.re + odd.re, even.im - odd.im};
      }
    }
  }
};

template <> struct Butterfly<4> {
  inline void operator()(const Complex *a, Complex *out) const {
    const Complex p = a[0] + a[2], q = a[0] - a[2], r = a[1] + a[3], s = a[1] - a[3];
    out[0] = p + r, out[2] = p - r;
    out[1] = {q.re + s.im, q.im - s.re};
    out[3] = {q.re - s.im, q.im + s.re};
  }
};

// A transform of one length. Stockham's: each step writes its result in order.
class Fourier {
 public:
  explicit Fourier(long length) : length(length), circle(std::max(1L, length)) {
    long rest = length;
    for (const int factor : {4, 2, 3, 5, 7})
      for (; rest > 0 && rest % factor == 0; rest /= factor) factors.push_back(factor);
    is_possible = rest == 1;
  }

  long length;
  bool is_possible;

  // Transform x, with as much room; the result is in x, the sum not divided by anything.
  // With real and imaginary parts exchanged before and after, it is the way back.
  void run(Complex *x, Complex *room) const {
    Complex *from = x, *to = room;
    long stride = 1;
    for (const int factor : factors) {
      switch (factor) {
        case 2: step<2>(two, from, to, stride); break;
        case 3: step<3>(three, from, to, stride); break;
        case 4: step<4>(four, from, to, stride); break;
        case 5: step<5>(five, from, to, stride); break;
        default: step<7>(seven, from, to, stride);
      }
      stride *= factor;
      std::swap(from, to);
    }
    if (from != x) std::copy(from, from + length, x);
  }

 private:
  Circle circle;
  std::vector<int> factors;
  Butterfly<2> two;
  Butterfly<3> three;
  Butterfly<4> four;
  Butterfly<5> five;
  Butterfly<7> seven;

  // `stride` is the product of the factors before, and the rest has parts of `after` * P.
  template <int P>
  void step(const Butterfly<P> &butterfly, const Complex *from, Complex *to,
            long stride) const {
    const long after = length / stride / P;
    for (long p = 0; p < after; ++p)
      for (long q = 0; q < stride; ++q) {
        Complex in[P], out[P];
#pragma GCC unroll 8
        for (int k = 0; k < P; ++k) in[k] = from[q + stride * (p + after * k)];
        butterfly(in, out);
        to[q + stride * P * p] = out[0];
#pragma GCC unroll 8
        for (int j = 1; j < P; ++j) {
          const double c = circle.re[j * p * stride], s = circle.im[j * p * stride];
          to[q + stride * (P * p + j)] = {c * out[j].re - s * out[j].im,
                                          c * out[j].im + s * out[j].re};
        }
      }
  }
};

// Transforms of an even number of real numbers, by one of half the length.
class RealFourier {
 public:
  explicit RealFourier(long length)
      : half(length / 2), by_half(half), circle(std::max(1L, length)),
        is_possible(length % 2 == 0 && by_half.is_possible) {}

  const long half;

 private:
  Fourier by_half;
  Circle circle;

 public:
  const bool is_possible;

  // x [half] has the numbers 2j and 2j + 1 as its parts; the result is `out` [half + 1].
  void forward(Complex *x, Complex *out) const {
    by_half.run(x, out);
    for (long k = 0; k <= half; ++k) {
      const Complex &a = x[k % half], &b = x[(half - k) % half];
      const Complex even = {a.re + b.re, a.im - b.im}, odd = {a.im + b.im, b.re - a.re};
      const double c = k < half ? circle.re[k] : -1.0, s = k < half ? circle.im[k] : 0.0;
      out[k] = {0.5 * (even.re + c * odd.re - s * odd.im),
                0.5 * (even.im + c * odd.im + s * odd.re)};
    }
  }

  // The way back, from in [half + 1], which is overwritten, to x [half].
  void backward(Complex *in, Complex *x) const {
    for (long k = 0; k < half; ++k) {
      const Complex &a = in[k], &b = in[half - k];
      const Complex even = {a.re + b.re, a.im - b.im}, odd = {a.re - b.re, a.im + b.im};
      const double c = circle.re[k], s = -circle.im[k];
      // even + i odd exp(2 pi i k / n), its parts exchanged
      x[k] = {even.im + c * odd.re - s * odd.im, even.re - c * odd.im - s * odd.re};
    }
    by_half.run(x, in);
    for (long k = 0; k < half; ++k) std::swap(x[k].re, x[k].im);
  }
};
