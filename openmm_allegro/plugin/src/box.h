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
  }

  double fraction(int k, const double *x) const {
    return inverse[3 * k] * x[0] + inverse[3 * k + 1] * x[1] + inverse[3 * k + 2] * x[2];
  }

 private:
  // Component i of the product of the two vectors that follow vector k.
  double cross(int k, int i) const {
    const double *u = vectors + 3 * ((k + 1) % 3), *v = vectors + 3 * ((k + 2) % 3);
    return u[(i + 1) % 3] * v[(i + 2) % 3] - u[(i + 2) % 3] * v[(i + 1) % 3];
  }
};

}  // namespace Allegro
