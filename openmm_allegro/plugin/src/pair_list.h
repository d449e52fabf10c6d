// SPDX-License-Identifier: MIT
// Ordered pairs of atoms within a reach, kept while no atom has moved far.
// L. Verlet, doi:10.1103/PhysRev.159.98.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "box.h"
#include "openmm/OpenMMException.h"
#include "team.h"

namespace Allegro {

// Pairs are sorted by centre, neighbour and image, so that sums over those within the
// cutoff do not depend on when the list was built.
class PairList {
 public:
  std::vector<int64_t> offsets;    // [centres + 1]: where the pairs of each centre start
  std::vector<int32_t> neighbors;  // [pairs]
  std::vector<int8_t> shifts;      // [pairs, 3]: image of the neighbour, in box vectors
  int64_t rebuilds = 0;

  // With `centers`, the first so many atoms are centres, and the others their neighbours.
  PairList(double cutoff, double skin, bool periodic, long centers = 0)
      : reach(cutoff + skin), skin(skin), periodic(periodic), centers(centers) {}

  // Make the list valid for finite positions [count, 3] and rows of box vectors, Å.
  void update(long count, const double *x, const double *box, Team &team) {
    if (is_valid(count, x, box)) return;
    reference.clear();  // not valid if the next line throws
    build(count, x, box, team);
    reference.assign(x, x + 3 * count);
    std::copy(box, box + 9, reference_box);
    ++rebuilds;
  }

  // Positions to which the shifts belong: x, but for atoms many boxes away, whose images
  // would not fit into the shifts.
  const double *positions(const double *x, const double *box) {
    if (removed.empty()) return x;
    near.resize(removed.size());
    for (size_t i = 0; i < near.size(); ++i) {
      const long *image = &removed[i / 3 * 3];
      const long axis = i % 3;
      near[i] =
          x[i] - (image[0] * box[axis] + image[1] * box[3 + axis] + image[2] * box[6 + axis]);
    }
    return near.data();
  }

 private:
  struct Pair {
    int32_t neighbor;
    int8_t shift[3];
    bool operator<(const Pair &other) const {
      if (neighbor != other.neighbor) return neighbor < other.neighbor;
      return std::lexicographical_compare(shift, shift + 3, other.shift, other.shift + 3);
    }
  };

  // Atoms sorted into cells of the box, or of the smallest one around them.
  struct Grid {
    double origin[3] = {};
    long bins[3], search[3];  // cells along each vector; cells to look at on each side
    std::vector<double> wrapped;  // [count, 3], inside the box
    std::vector<long> image;      // [count, 3] that was taken off
    std::vector<long> bin;        // [count]
    std::vector<long> start;      // [cells + 1]
    std::vector<int32_t> members;
  };

  static constexpr long LARGEST_SHIFT = 127, KEPT_IMAGES = 50, LARGEST_SEARCH = 25;
  static constexpr size_t MOST_NEIGHBORS = 10000;

  const double reach, skin;
  const bool periodic;
  const long centers;  // 0: all atoms are centres and neighbours
  std::vector<double> reference, near;
  double reference_box[9] = {};
  std::vector<long> removed;  // [count, 3] images, or empty

  bool is_valid(long count, const double *x, const double *box) const {
    if (skin <= 0.0 || reference.size() != size_t(3 * count)) return false;
    if (!std::equal(box, box + 9, reference_box)) return false;
    double largest = 0.0;
    for (long i = 0; i < 3 * count; i += 3) {
      const double dx = x[i] - reference[i], dy = x[i + 1] - reference[i + 1],
                   dz = x[i + 2] - reference[i + 2];
      largest = std::max(largest, dx * dx + dy * dy + dz * dz);
    }
    return largest <= 0.25 * skin * skin;
  }

  void build(long count, const double *x, const double *rows, Team &team) {
    Grid grid;
    const Box box = surrounding_box(count, x, rows, grid);
    choose_bins(count, box, grid);
    fill(count, x, box, grid);
    const long many = centers ? centers : count;
    std::vector<std::vector<Pair>> found(team.size);
    std::vector<int64_t> numbers(many + 1, 0);
    team.run([&](int thread) {
      for (long i = team.begin(thread, many); i < team.end(thread, many); ++i)
        numbers[i + 1] = find(box, grid, i, found[thread]);
    });
    for (long i = 0; i < many; ++i) numbers[i + 1] += numbers[i];
    offsets.swap(numbers);
    neighbors.resize(offsets[many]);
    shifts.resize(3 * offsets[many]);
    team.run([&](int thread) {
      int64_t at = offsets[team.begin(thread, many)];
      for (const Pair &pair : found[thread]) {
        neighbors[at] = pair.neighbor;
        std::copy(pair.shift, pair.shift + 3, &shifts[3 * at++]);
      }
    });
  }

  Box surrounding_box(long count, const double *x, const double *rows, Grid &grid) const {
    if (periodic) return Box(rows);
    double high[3], vectors[9] = {};
    for (int k = 0; k < 3; ++k) {
      grid.origin[k] = high[k] = x[k];
      for (long i = 1; i < count; ++i) {
        grid.origin[k] = std::min(grid.origin[k], x[3 * i + k]);
        high[k] = std::max(high[k], x[3 * i + k]);
      }
      // a little more, so that the last atom has a cell
      vectors[4 * k] = std::max(reach, (high[k] - grid.origin[k]) * (1 + 1e-9));
    }
    return Box(vectors);
  }

  void choose_bins(long count, const Box &box, Grid &grid) const {
    for (int k = 0; k < 3; ++k)
      grid.bins[k] = std::max(1L, long(std::min(box.heights[k] / reach, 1e6)));
    // fewer cells than atoms, however far apart they are
    while (grid.bins[0] * grid.bins[1] * grid.bins[2] > std::max(64L, count))
      for (long &bins : grid.bins) bins = (bins + 1) / 2;
    for (int k = 0; k < 3; ++k) {
      const double cells = std::ceil(reach / (box.heights[k] / grid.bins[k]));
      if (periodic && cells > LARGEST_SEARCH)
        throw OpenMM::OpenMMException(
            "Allegro: expected a box at least a twenty-fifth of the cutoff wide, found " +
            std::to_string(box.heights[k] / 10.0) + " nm; is the box right?");
      grid.search[k] = long(cells);
    }
  }

  void fill(long count, const double *x, const Box &box, Grid &grid) {
    grid.wrapped.assign(x, x + 3 * count);
    grid.image.assign(3 * count, 0);
    grid.bin.resize(count);
    grid.start.assign(grid.bins[0] * grid.bins[1] * grid.bins[2] + 1, 0);
    removed.clear();
    for (long i = 0; i < count; ++i) {
      double *w = &grid.wrapped[3 * i];
      long at[3];
      const double from[3] = {x[3 * i] - grid.origin[0], x[3 * i + 1] - grid.origin[1],
                              x[3 * i + 2] - grid.origin[2]};
      for (int k = 0; k < 3; ++k) {
        const double fraction = box.fraction(k, from);
        const double whole = periodic ? std::floor(fraction) : 0.0;
        if (!(std::fabs(whole) < 1e9))
          throw OpenMM::OpenMMException(
              "Allegro: expected positions near the box, found particle " +
              std::to_string(i) + " a billion boxes away");
        for (int axis = 0; axis < 3; ++axis) w[axis] -= whole * box.vectors[3 * k + axis];
        remove_image(count, 3 * i + k, long(whole), grid);
        const long bin = long((fraction - whole) * grid.bins[k]);
        at[k] = std::min(grid.bins[k] - 1, std::max(0L, bin));
      }
      grid.bin[i] = (at[0] * grid.bins[1] + at[1]) * grid.bins[2] + at[2];
      ++grid.start[grid.bin[i] + 1];
    }
    for (size_t b = 1; b < grid.start.size(); ++b) grid.start[b] += grid.start[b - 1];
    std::vector<long> next(grid.start.begin(), grid.start.end() - 1);
    grid.members.resize(count);
    for (long i = 0; i < count; ++i) grid.members[next[grid.bin[i]]++] = int32_t(i);
  }

  // Note an atom's image, as an image of where `positions` has it.
  void remove_image(long count, long index, long image, Grid &grid) {
    grid.image[index] = image;
    if (std::labs(image) <= KEPT_IMAGES) return;
    removed.resize(3 * count, 0);
    removed[index] = image;
    grid.image[index] = 0;
  }

  // Add the sorted pairs of a centre; the number of them.
  int64_t find(const Box &box, const Grid &grid, long i, std::vector<Pair> &pairs) const {
    const size_t before = pairs.size();
    const long *bins = grid.bins;
    const long home[3] = {grid.bin[i] / (bins[1] * bins[2]), grid.bin[i] / bins[2] % bins[1],
                          grid.bin[i] % bins[2]};
    long low[3], high[3], cell[3];
    for (int k = 0; k < 3; ++k) {
      low[k] = home[k] - grid.search[k], high[k] = home[k] + grid.search[k];
      if (!periodic) low[k] = std::max(0L, low[k]), high[k] = std::min(bins[k] - 1, high[k]);
    }
    for (cell[0] = low[0]; cell[0] <= high[0]; ++cell[0])
      for (cell[1] = low[1]; cell[1] <= high[1]; ++cell[1])
        for (cell[2] = low[2]; cell[2] <= high[2]; ++cell[2])
          find_in_cell(box, grid, i, cell, pairs, before + MOST_NEIGHBORS);
    std::sort(pairs.begin() + before, pairs.end());
    return int64_t(pairs.size() - before);
  }

  // Cells outside the box are images of those inside.
  void find_in_cell(const Box &box, const Grid &grid, long i, const long *cell,
                    std::vector<Pair> &pairs, size_t most) const {
    long turn[3], inside[3];
    for (int k = 0; k < 3; ++k) {
      const long bins = grid.bins[k];
      turn[k] = (cell[k] >= 0 ? cell[k] : cell[k] - bins + 1) / bins;
      inside[k] = cell[k] - turn[k] * bins;
    }
    double from[3];  // from the centre to the image's origin
    for (int axis = 0; axis < 3; ++axis)
      from[axis] = turn[0] * box.vectors[axis] + turn[1] * box.vectors[3 + axis] +
                   turn[2] * box.vectors[6 + axis] - grid.wrapped[3 * i + axis];
    const long bin = (inside[0] * grid.bins[1] + inside[1]) * grid.bins[2] + inside[2];
    for (long m = grid.start[bin]; m < grid.start[bin + 1]; ++m) {
      const long j = grid.members[m];
      if (j < centers) continue;
      const double *w = &grid.wrapped[3 * j];
      const double d[3] = {w[0] + from[0], w[1] + from[1], w[2] + from[2]};
      if (d[0] * d[0] + d[1] * d[1] + d[2] * d[2] >= reach * reach) continue;
      Pair pair = {int32_t(j), {0, 0, 0}};
      bool is_self = j == i;
      for (int k = 0; k < 3; ++k) {
        const long shift = turn[k] - grid.image[3 * j + k] + grid.image[3 * i + k];
        static_assert(2 * KEPT_IMAGES + LARGEST_SEARCH + 1 <= LARGEST_SHIFT);
        pair.shift[k] = int8_t(shift);
        is_self = is_self && shift == 0;
      }
      if (!is_self) pairs.push_back(pair);
      if (pairs.size() > most)  // before they fill the memory
        throw OpenMM::OpenMMException(
            "Allegro: expected at most " + std::to_string(MOST_NEIGHBORS) +
            " neighbours of an atom within " + std::to_string(reach / 10.0) +
            " nm, found more around particle " + std::to_string(i) +
            "; the box is too small, or the atoms lie on one another");
    }
  }
};

}  // namespace Allegro
