// SPDX-License-Identifier: MIT
// Sentences about what the kernels found wrong, as the pair lists of the processor have them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "allegro_gpu.h"

namespace allegro_gpu {

constexpr int64_t MOST_NEIGHBORS = 10000;  // of an atom within the reach of the list

inline std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

// The rows of a box as Python writes them.
inline std::string rows_of(const std::vector<double> &report) {
  std::string text;
  for (int k = 0; k < 3; ++k)
    text += (k ? ", [" : "[[") + number(report[3 * k]) + ", " + number(report[3 * k + 1]) +
            ", " + number(report[3 * k + 2]) + "]";
  return text + "]";
}

inline std::string about_neighbors(double reach, const std::string &found) {
  return "Allegro: expected at most " + std::to_string(MOST_NEIGHBORS) +
         " neighbours of an atom within " + number(reach) + " Å, found " + found +
         "; the box is too small, or the atoms lie on one another";
}

inline std::string about_distance(const std::vector<double> &report, double farthest) {
  return "Allegro: expected positions and box vectors within 100000000.0 Å, found "
         "coordinates up to " + number(farthest) + " Å and box vectors " + rows_of(report) +
         " Å; the simulation has become unstable, or they are in another unit";
}

// What is wrong, from the counters and the numbers that `place` left; empty if nothing is.
inline std::string problem_in(const int32_t *counters, const std::vector<double> &report,
                              double reach, int64_t atoms) {
  // First the box: in one that is none, no position can be judged.
  switch (counters[ALLEGRO_GPU_BAD_BOX]) {
    case 0: break;
    case 1: return "Allegro: expected finite box vectors, found NaN or infinity";
    case 2: return about_distance(report, report[11]);
    case 3:
      return "Allegro: expected box vectors that span a volume, found " + rows_of(report) +
             " Å";
    case 4:
      return "Allegro: expected a box some Å wide, found a width of " + number(report[9]) +
             " Å, where neighbours within " + number(reach) +
             " Å would be more than 127 images away; the box vectors are no box, or lean far "
             "(reduce them)";
    default:
      return about_neighbors(reach, "about " + std::to_string(int64_t(report[9])) +
                                        ", with " + std::to_string(atoms) +
                                        " atoms in a volume of " + number(report[10]) + " Å³");
  }
  switch (counters[ALLEGRO_GPU_NOT_FINITE]) {
    case 0: break;
    case 1:
      return "Allegro: expected finite positions, found NaN or infinity; the simulation has "
             "become unstable or was started from bad coordinates";
    default: return about_distance(report, report[11]);
  }
  const int64_t rows = counters[ALLEGRO_GPU_TOO_MANY];
  if (!rows) return "";
  if (rows > MOST_NEIGHBORS) return about_neighbors(reach, "more");
  return "Allegro: expected the neighbours of an atom to become more step by step, found " +
         std::to_string(rows) +
         " at once, for which the card had no room; the step is lost, the next has room";
}

}  // namespace allegro_gpu
