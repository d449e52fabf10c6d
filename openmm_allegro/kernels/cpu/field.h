// SPDX-License-Identifier: MIT
// Sums over Gaussian charges, on a mesh or over pairs. No sum depends on the number of
// threads. Included once per instruction set, after mesh.h.

// Energy and strain (xx, yy, zz, xy, xz, yz) of parts, which are added in order.
struct Part {
  double sum[7] = {};
};

static void write_sums(const std::vector<Part> &parts, double energy,
                       const allegro_field &field) {
  double sum[7] = {energy};
  for (const Part &part : parts)
    for (int i = 0; i < 7; ++i) sum[i] += part.sum[i];
  *field.energy = sum[0];
  if (!field.strain) return;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      field.strain[3 * i + j] = sum[i == j ? 1 + i : 3 + i + j];
}

// The sum over waves on a mesh.
class MeshSum {
 public:
  MeshSum(Mesh &mesh, const allegro_charges &all, int64_t threads, const allegro_field &field)
      : mesh(mesh), all(all), field(field), lattice(all.cell), parts(mesh.points[1]),
        team(std::max(1L, std::min((long)threads, (long)all.count / LEAST_CHARGES))) {
    wants_field = field.potentials || field.forces;
  }

  void run() {
    const long planes = mesh.points[0];
    share_evenly(planes, team, [&](long, long begin, long end) {
      std::fill(plane(begin), plane(end), 0.0);
      for_order(mesh.order, [&](auto n) { spread<n()>(begin, end); });
      Room room(mesh);
      for (long x = begin; x < end; ++x) plane_forward(x, room);
    });
    share_evenly(mesh.points[1], team, [&](long, long begin, long end) {
      Room room(mesh);
      for (long y = begin; y < end; ++y) convolve(y, room);
    });
    const double own = all.coulomb * all.alpha / std::sqrt(M_PI);
    double squares = 0.0;
    for (long i = 0; i < all.count; ++i) squares += all.charges[i] * all.charges[i];
    write_sums(parts, -own * squares, field);
    if (!wants_field) return;
    share_evenly(planes, team, [&](long, long begin, long end) {
      Room room(mesh);
      for (long x = begin; x < end; ++x) plane_backward(x, room);
    });
    share_evenly(all.count, team, [&](long, long begin, long end) {
      for_order(mesh.order, [&](auto n) {
        for (long i = begin; i < end; ++i) gather<n()>(i, 2.0 * own);
      });
    });
  }

 private:
  // A thread for fewer charges costs more than it saves.
  static constexpr long LEAST_CHARGES = 64;

  struct Room {
    Array<Complex> x, y;
    explicit Room(const Mesh &mesh) : x(mesh.room()), y(mesh.room()) {}
  };

  Mesh &mesh;
  const allegro_charges &all;
  const allegro_field &field;
  const Lattice lattice;
  std::vector<Part> parts;  // of rows along x
  const long team;
  bool wants_field;

  // The points around a charge: those along each vector, and where it is between them.
  template <int N> struct Place {
    long points[3][N];
    double between[3];
    bool is_row;  // those along z follow each other
  };

  // Not inline, so that whoever asks gets the same bits.
  template <int N> __attribute__((noinline)) Place<N> place(long i) const {
    Place<N> found;
    const double *x = all.positions + 3 * i;
    for (int k = 0; k < 3; ++k) {
      const double *row = lattice.inverse + 3 * k;
      double fraction = row[0] * x[0] + row[1] * x[1] + row[2] * x[2];
      fraction -= std::floor(fraction);
      const long count = mesh.points[k];
      const double at = fraction * count;
      const long below = std::min((long)at, count - 1);
      found.between[k] = at - below;
      long point = below - (N - 1);
      while (point < 0) point += count;
      if (k == 2) found.is_row = point + N <= count;
      for (int a = 0; a < N; ++a, ++point) {
        while (point >= count) point -= count;  // a division would take longer
        found.points[k][a] = point;
      }
    }
    return found;
  }

  double *plane(long x) const { return mesh.values.data() + x * mesh.points[1] * mesh.row; }

  // Charges on the planes from `begin` to before `end`, in the order of the charges.
  template <int N> __attribute__((noinline)) void spread(long begin, long end) {
    for (long i = 0; i < all.count; ++i) {
      const Place<N> at = place<N>(i);
      const long *along_z = at.points[2];
      if (std::none_of(at.points[0], at.points[0] + N,
                       [&](long x) { return x >= begin && x < end; }))
        continue;
      const Spline<N> sx(at.between[0]), sy(at.between[1]), sz(at.between[2]);
      for (int a = 0; a < N; ++a) {
        const long x = at.points[0][a];
        if (x < begin || x >= end) continue;
        for (int b = 0; b < N; ++b) {
          double *row = plane(x) + at.points[1][b] * mesh.row;
          const double weight = all.charges[i] * sx.value[a] * sy.value[b];
          if (at.is_row)
            for (int c = 0; c < N; ++c) row[along_z[0] + c] += weight * sz.value[c];
          else
            for (int c = 0; c < N; ++c) row[along_z[c]] += weight * sz.value[c];
        }
      }
    }
  }

  // Vectors of waves that lie next to each other, at `count` places `stride` apart.
  void take(const double *from, long stride, long count, long z, Room &room) const {
    const long many = std::min(LANES, mesh.waves - z);
    for (long j = 0; j < count; ++j, from += stride) {
      Complex &value = room.x[j];
      if (many == LANES) {
        value = {load(from), load(from + mesh.waves)};
        continue;
      }
      value = Complex{};
      for (long l = 0; l < many; ++l) {
        value.re[l] = from[l];
        value.im[l] = from[mesh.waves + l];
      }
    }
  }

  void put(double *to, long stride, long count, long z, const Room &room) const {
    const long many = std::min(LANES, mesh.waves - z);
    for (long j = 0; j < count; ++j, to += stride) {
      const Complex &value = room.x[j];
      for (long l = 0; l < many; ++l) {
        to[l] = value.re[l];
        to[mesh.waves + l] = value.im[l];
      }
    }
  }

  void transform_along_y(long x, Room &room) {
    for (long z = 0; z < mesh.waves; z += LANES) {
      take(plane(x) + z, mesh.row, mesh.points[1], z, room);
      mesh.along[1].run(room.x.data(), room.y.data());
      put(plane(x) + z, mesh.row, mesh.points[1], z, room);
    }
  }

  // Transform along z and y.
  void plane_forward(long x, Room &room) {
    const RealFourier &fourier = mesh.rows[0];
    for (long y = 0; y < mesh.points[1]; y += LANES) {
      const long many = std::min(LANES, mesh.points[1] - y);
      double *rows = plane(x) + y * mesh.row;
      for (long j = 0; j < fourier.half; ++j) {
        Complex &value = room.x[j] = Complex{};
        for (long l = 0; l < many; ++l) {
          value.re[l] = rows[l * mesh.row + 2 * j];
          value.im[l] = rows[l * mesh.row + 2 * j + 1];
        }
      }
      fourier.forward(room.x.data(), room.y.data());
      for (long k = 0; k < mesh.waves; ++k)
        for (long l = 0; l < many; ++l) {
          rows[l * mesh.row + k] = room.y[k].re[l];
          rows[l * mesh.row + mesh.waves + k] = room.y[k].im[l];
        }
    }
    transform_along_y(x, room);
  }

  // The way back; `convolve` has exchanged real and imaginary parts.
  void plane_backward(long x, Room &room) {
    transform_along_y(x, room);
    const RealFourier &fourier = mesh.rows[0];
    for (long y = 0; y < mesh.points[1]; y += LANES) {
      const long many = std::min(LANES, mesh.points[1] - y);
      double *rows = plane(x) + y * mesh.row;
      for (long k = 0; k < mesh.waves; ++k) {
        Complex &value = room.y[k] = Complex{};
        for (long l = 0; l < many; ++l) {
          value.im[l] = rows[l * mesh.row + k];
          value.re[l] = rows[l * mesh.row + mesh.waves + k];
        }
      }
      fourier.backward(room.y.data(), room.x.data());
      for (long j = 0; j < fourier.half; ++j)
        for (long l = 0; l < many; ++l) {
          rows[l * mesh.row + 2 * j] = room.x[j].re[l];
          rows[l * mesh.row + 2 * j + 1] = room.x[j].im[l];
        }
    }
  }

  // Transform a row along x, turn charge densities to potentials, and transform back.
  void convolve(long y, Room &room) {
    const long stride = mesh.points[1] * mesh.row;
    Lanes sums[7] = {};
    for (long z = 0; z < mesh.waves; z += LANES) {
      double *from = plane(0) + y * mesh.row + z;
      take(from, stride, mesh.points[0], z, room);
      mesh.along[0].run(room.x.data(), room.y.data());
      for (long x = 0; x < mesh.points[0]; ++x) multiply(x, y, z, room.x[x], sums);
      if (!wants_field) continue;
      mesh.along[0].run(room.x.data(), room.y.data());
      put(from, stride, mesh.points[0], z, room);
    }
    for (int i = 0; i < 7; ++i) parts[y].sum[i] = sum<double>(sums[i]);
  }

  // Multiply waves by the field of one, exchange the parts, and add energy and strain.
  void multiply(long x, long y, long z, Complex &value, Lanes *sums) const {
    const double squares = mesh.inverse_squares[0][x] * mesh.inverse_squares[1][y];
    const long many = std::min(LANES, mesh.waves - z);
    Lanes hz = {}, scale = {}, twice = {};
    for (long l = 0; l < many; ++l) {
      hz[l] = mesh.number[2][z + l];
      scale[l] = squares * mesh.inverse_squares[2][z + l];
      twice[l] = z + l == 0 ? 0.5 : 1.0;  // of each wave and its opposite one
    }
    Lanes k[3], square = {};
    for (int i = 0; i < 3; ++i) {
      k[i] = 2.0 * M_PI *
             (mesh.number[0][x] * lattice.inverse[i] +
              mesh.number[1][y] * lattice.inverse[3 + i] + hz * lattice.inverse[6 + i]);
      square += k[i] * k[i];
    }
    if (x + y + z == 0) square[0] = 1.0, scale[0] = 0.0;  // the mean
    const double quarter = 0.25 / (all.alpha * all.alpha);
    const Lanes exponent = -quarter * square;
    Lanes field_of_one;
    for (long l = 0; l < LANES; ++l) field_of_one[l] = l < many ? std::exp(exponent[l]) : 0;
    field_of_one *= scale * (4.0 * M_PI * all.coulomb / lattice.volume);
    for (long l = many; l < LANES; ++l) square[l] = 1.0;
    field_of_one /= square;
    const Lanes energy =
        twice * field_of_one * (value.re * value.re + value.im * value.im);
    value = {value.im * field_of_one, value.re * field_of_one};
    const Lanes stretch = energy * (2.0 / square + 2.0 * quarter);
    sums[0] += energy;
    for (int i = 0; i < 3; ++i) sums[1 + i] += stretch * k[i] * k[i] - energy;
    sums[4] += stretch * k[0] * k[1], sums[5] += stretch * k[0] * k[2];
    sums[6] += stretch * k[1] * k[2];
  }

  // Potential and force of a charge.
  template <int N> __attribute__((noinline)) void gather(long i, double own) const {
    const Place<N> at = place<N>(i);
    const Spline<N> sx(at.between[0]), sy(at.between[1]), sz(at.between[2]);
    const long *points = mesh.points;
    // Sums over x and y for each z, of values and of slopes along x and y: z is last, so that
    // the sums over it are side by side in a vector.
    double value[N] = {}, along_x[N] = {}, along_y[N] = {};
    for (int a = 0; a < N; ++a) {
      const double *here = plane(at.points[0][a]);
      double of_plane[N] = {}, slope_of_plane[N] = {}, copy[N];
      for (int b = 0; b < N; ++b) {
        const double *row = here + at.points[1][b] * mesh.row, *near = row + at.points[2][0];
        if (!at.is_row) {
          for (int c = 0; c < N; ++c) copy[c] = row[at.points[2][c]];
          near = copy;
        }
        for (int c = 0; c < N; ++c) {
          of_plane[c] += near[c] * sy.value[b];
          slope_of_plane[c] += near[c] * sy.slope[b];
        }
      }
      for (int c = 0; c < N; ++c) {
        value[c] += of_plane[c] * sx.value[a], along_x[c] += of_plane[c] * sx.slope[a];
        along_y[c] += slope_of_plane[c] * sx.value[a];
      }
    }
    double potential = 0.0, slope[3] = {};
    for (int c = 0; c < N; ++c) {
      potential += value[c] * sz.value[c], slope[0] += along_x[c] * sz.value[c];
      slope[1] += along_y[c] * sz.value[c], slope[2] += value[c] * sz.slope[c];
    }
    const double charge = all.charges[i];
    if (field.potentials) field.potentials[i] = potential - own * charge;
    if (!field.forces) return;
    for (int axis = 0; axis < 3; ++axis) {
      double gradient = 0.0;
      for (int k = 0; k < 3; ++k)
        gradient += slope[k] * points[k] * lattice.inverse[3 * k + axis];
      field.forces[3 * i + axis] = -charge * gradient;
    }
  }
};
