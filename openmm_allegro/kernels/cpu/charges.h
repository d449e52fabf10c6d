// SPDX-License-Identifier: MIT
// The sums of long_range.h (the C interface) over charges that are not periodic, and the
// choice between them. Included once per instruction set, after field.h and screening.h.

// The sum over pairs, at each charge over all others.
static void sum_of_pairs(const allegro_charges &all, int64_t threads,
                         const allegro_field &field) {
  const long count = all.count;
  std::vector<Part> parts(count);
  const Screening screening;
  const long team = std::max(1L, std::min((long)threads, count / 16));
  share_evenly(count, team, [&](long, long begin, long end) {
    for (long i = begin; i < end; ++i) {
      double potential = 0.0, force[3] = {}, strain[6] = {};
      const double *x = all.positions + 3 * i;
      for (long j = 0; j < count; ++j) {
        if (j == i) continue;
        const double *y = all.positions + 3 * j;
        const double d[3] = {x[0] - y[0], x[1] - y[1], x[2] - y[2]};
        const double r = std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
        double value, slope;
        screening(all.alpha * r, &value, &slope);
        const double charge = all.charges[j] * all.coulomb * all.alpha;
        potential += charge * value;
        const double scale = -charge * all.charges[i] * slope * all.alpha * all.alpha;
        for (int axis = 0; axis < 3; ++axis) force[axis] += scale * d[axis];
        strain[0] -= scale * d[0] * d[0], strain[1] -= scale * d[1] * d[1];
        strain[2] -= scale * d[2] * d[2], strain[3] -= scale * d[0] * d[1];
        strain[4] -= scale * d[0] * d[2], strain[5] -= scale * d[1] * d[2];
      }
      parts[i].sum[0] = 0.5 * all.charges[i] * potential;
      for (int k = 0; k < 6; ++k) parts[i].sum[1 + k] = 0.5 * strain[k];
      if (field.potentials) field.potentials[i] = potential;
      if (field.forces) std::copy(force, force + 3, field.forces + 3 * i);
    }
  });
  write_sums(parts, 0.0, field);
}

static void write_nan(const allegro_charges &all, const allegro_field &field) {
  *field.energy = NAN;
  if (field.potentials) std::fill_n(field.potentials, all.count, NAN);
  if (field.forces) std::fill_n(field.forces, 3 * all.count, NAN);
  if (field.strain) std::fill_n(field.strain, 9, NAN);
}

static int64_t sum_charges(Mesh &mesh, const allegro_charges &all, int64_t threads,
                           const allegro_field &field) {
  if (!(all.alpha > 0.0) || !std::isfinite(all.alpha)) return ALLEGRO_REFUSED;
  int64_t points[3];
  if (is_periodic(all)) {
    const int64_t outcome = find_points(all, points);
    if (outcome != ALLEGRO_OK) return outcome;
  }
  // In a part of a box that is not a number there is no point of the mesh.
  if (!std::all_of(all.positions, all.positions + 3 * all.count,
                   [](double x) { return std::fabs(x) < 1e15; })) {
    write_nan(all, field);
  } else if (!is_periodic(all)) {
    sum_of_pairs(all, threads, field);
  } else {
    mesh.resize(points, all.order);
    MeshSum(mesh, all, threads, field).run();
  }
  return ALLEGRO_OK;
}

// Rows of numbers, a vector full of them at a time.
static bool transform_rows(int64_t rows, int64_t length, bool is_real, double *real,
                           double *imaginary) {
  const Fourier plain(length);
  const RealFourier of_real(length);
  if (length < 1 || !(is_real ? of_real.is_possible : plain.is_possible)) return false;
  Array<Complex> x(length + 1), y(length + 1);
  for (int64_t row = 0; row < rows; row += LANES) {
    const long many = std::min<long>(LANES, rows - row);
    double *re = real + row * length, *im = imaginary + row * length;
    const long inputs = is_real ? of_real.half : length;
    for (long j = 0; j < inputs; ++j) {
      x[j] = Complex{};
      for (long l = 0; l < many; ++l) {
        x[j].re[l] = is_real ? re[l * length + 2 * j] : re[l * length + j];
        x[j].im[l] = is_real ? re[l * length + 2 * j + 1] : im[l * length + j];
      }
    }
    if (is_real)
      of_real.forward(x.data(), y.data());
    else
      plain.run(x.data(), y.data());
    const Array<Complex> &out = is_real ? y : x;
    for (long j = 0; j < (is_real ? inputs + 1 : length); ++j)
      for (long l = 0; l < many; ++l) {
        re[l * length + j] = out[j].re[l];
        im[l * length + j] = out[j].im[l];
      }
  }
  return true;
}
