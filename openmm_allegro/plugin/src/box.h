// SPDX-License-Identifier: MIT
// Box vectors, and positions as fractions of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "openmm/OpenMMException.h"

namespace Allegro {

struct Box {
  double vectors[9];  // one in a row
  double inverse[9];  // fraction k of x is row k · x
  double heights[3];  // between opposite faces
  double slants[3];   // of the second vector along the first, and of the third along the
                      // first and along what the second has across the first

  explicit Box(const double *rows) {
    std::copy(rows, rows + 9, vectors);
    for (int k = 0; k < 3; ++k)
      for (int i = 0; i < 3; ++i) inverse[3 * k + i] = cross(k, i);
    const double volume =
        vectors[0] * inverse[0] + vectors[1] * inverse[1] + vectors[2] * inverse[2];
    if (!(std::fabs(volume) > 0.0) || !std::isfinite(volume))
      throw OpenMM::OpenMMException(
          "Allegro: expected box vectors with a volume, found " + std::to_string(volume) +
          " Å³");
    for (int k = 0; k < 3; ++k) {
      double *row = inverse + 3 * k;
      const double area = std::hypot(row[0], row[1], row[2]);
      heights[k] = std::fabs(volume) / area;
      for (int i = 0; i < 3; ++i) row[i] /= volume;
    }
    const double *a = vectors, *b = vectors + 3, *c = vectors + 6;
    slants[0] = dot(b, a) / dot(a, a), slants[1] = dot(c, a) / dot(a, a);
    double across[3];
    for (int i = 0; i < 3; ++i) across[i] = b[i] - slants[0] * a[i];
    slants[2] = dot(c, across) / dot(across, across);
  }

  // Numbers of box vectors to subtract from x so that it becomes short. Of a box in OpenMM's
  // form whatever is shorter than half of its smallest diagonal element comes out so.
  void images(const double *x, double *numbers) const {
    const double f[3] = {fraction(0, x), fraction(1, x), fraction(2, x)};
    numbers[2] = std::nearbyint(f[2]);
    const double left = f[2] - numbers[2];
    numbers[1] = std::nearbyint(f[1] + slants[2] * left);
    numbers[0] = std::nearbyint(f[0] + slants[0] * (f[1] - numbers[1]) + slants[1] * left);
  }

  double volume() const {
    return std::fabs(vectors[0] * cross(0, 0) + vectors[1] * cross(0, 1) +
                     vectors[2] * cross(0, 2));
  }

  double fraction(int k, const double *x) const {
    return inverse[3 * k] * x[0] + inverse[3 * k + 1] * x[1] + inverse[3 * k + 2] * x[2];
  }

 private:
  static double dot(const double *u, const double *v) {
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
  }

  // Component i of the product of the two vectors that follow vector k.
  double cross(int k, int i) const {
    const double *u = vectors + 3 * ((k + 1) % 3), *v = vectors + 3 * ((k + 2) % 3);
    return u[(i + 1) % 3] * v[(i + 2) % 3] - u[(i + 2) % 3] * v[(i + 1) % 3];
  }
};

}  // namespace Allegro
