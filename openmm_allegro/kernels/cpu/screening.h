// SPDX-License-Identifier: MIT
// The potential of a Gaussian charge. It includes nothing, so that it can stand in a namespace;
// whoever includes it has <algorithm> and <cmath>.

// f(x) = erf(x) / x and f'(x) / x, to all digits but the last two.
class Screening {
 public:
  Screening() {
    for (int k = 0; k < INTERVALS; ++k) {
      const double x = FROM + (k + 0.5) * WIDE;
      // Taylor coefficients g of the derivative of erf, and from them a of f.
      double g = ROOT * std::exp(-x * x), before = 0.0, *a = table[k];
      a[0] = std::erf(x) / x;
      for (int n = 1; n < TERMS; ++n) {
        a[n] = (g / n - a[n - 1]) / x;
        const double next = -2.0 * (x * g + before) / n;
        before = g, g = next;
      }
    }
  }

  void operator()(double x, double *value, double *slope) const {
    if (x >= FROM) {
      // No branch for large x, which nobody could foretell; erf(6) is 1 to 2e-17.
      const double inverse = 1.0 / x, near = std::min(x, TO);
      const int k = std::min(int((near - FROM) / WIDE), INTERVALS - 1);
      const double u = near - (FROM + (k + 0.5) * WIDE), *a = table[k];
      double f = a[TERMS - 1], d = (TERMS - 1) * a[TERMS - 1];
      for (int n = TERMS - 2; n > 0; --n) f = f * u + a[n], d = d * u + n * a[n];
      *value = x < TO ? f * u + a[0] : inverse;
      *slope = (x < TO ? d : -inverse * inverse) * inverse;
    } else {
      double f = 0.0, d = 0.0, term = ROOT;
      for (int n = 0; n < 14; ++n) {  // (-1)^n x^2n / (n! (2n + 1))
        f += term / (2 * n + 1), d -= 2.0 * term / (2 * n + 3);
        term *= -x * x / (n + 1);
      }
      *value = f, *slope = d;
    }
  }

 private:
  static constexpr double ROOT = 1.1283791670955126;  // 2 / sqrt(pi)
  static constexpr double FROM = 0.5, TO = 6.0, WIDE = 0.0625;
  static constexpr int INTERVALS = 88, TERMS = 9;
  double table[INTERVALS][TERMS];
};
