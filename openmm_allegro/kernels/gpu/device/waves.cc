R"DEVICE(
// Fourier transforms of a mesh, line by line in the memory of a work-group, and the field of
// charges in their space. Waves are complex numbers [nx, ny, nz / 2 + 1]. Of all three
// vectors the arrays have one after the other: `circles`, exp(-2 pi i k / n) for k < n;
// `factors` of n [LINE_FACTORS], 0 after the last; `squares`, see inverse_square.

#define PI 3.14159265358979323846
// Lines that a work-group transforms at a time.
#define LINES(length) (LINE_ROOM / (length) < 16 ? LINE_ROOM / (length) : 16)
#define LEAST(a, b) ((a) < (b) ? (a) : (b))

// A step of Stockham's transform, which writes its results in order: `stride` is the product
// of the factors before P. Places of a line are `lines` complex numbers apart.
DEVICE void transform_step(const int P, LOCAL_ARG const double *from, LOCAL_ARG double *to,
                           int length, int lines, int stride,
                           GLOBAL const double *RESTRICT circle) {
  const int after = length / stride / P;
  SHARE(item, after * stride * lines) {
    const int l = item % lines, place = item / lines, q = place % stride, p = place / stride;
    double re[7], im[7];
    UNROLL
    for (int k = 0; k < 7; k++) {
      if (k >= P) continue;
      const int at = 2 * ((q + stride * (p + after * k)) * lines + l);
      re[k] = from[at], im[k] = from[at + 1];
    }
    UNROLL
    for (int j = 0; j < 7; j++) {
      if (j >= P) continue;
      double sum_re = re[0], sum_im = im[0];
      UNROLL
      for (int k = 1; k < 7; k++) {
        if (k >= P) continue;
        const int turn = 2 * (j * k % P * (length / P));
        const double c = circle[turn], s = circle[turn + 1];
        sum_re += c * re[k] - s * im[k], sum_im += c * im[k] + s * re[k];
      }
      const int turn = 2 * (j * p * stride), at = 2 * ((q + stride * (P * p + j)) * lines + l);
      const double c = circle[turn], s = circle[turn + 1];
      to[at] = c * sum_re - s * sum_im, to[at + 1] = c * sum_im + s * sum_re;
    }
  }
}

// The same of one factor, which the compiler knows.
#define STEP_OF(P)                                                                        \
  DEVICE_CALLED void transform_by_##P(LOCAL_ARG const double *from, LOCAL_ARG double *to, \
                                      int length, int lines, int stride,                  \
                                      GLOBAL const double *RESTRICT circle) {             \
    transform_step(P, from, to, length, lines, stride, circle);                           \
  }
STEP_OF(2)
STEP_OF(3)
STEP_OF(4)
STEP_OF(5)
STEP_OF(7)

// Transform lines in one of two rooms of LINE_ROOM complex numbers; returns in which the
// result is. There are barriers before and after.
DEVICE int transform_lines(LOCAL_ARG double *memory, int room, int length, int lines,
                           GLOBAL const double *RESTRICT circle,
                           GLOBAL const int *RESTRICT factors) {
  SYNC_THREADS
  for (int n = 0, stride = 1; n < LINE_FACTORS && factors[n] > 0; stride *= factors[n++]) {
    LOCAL_ARG const double *from = memory + room * 2 * LINE_ROOM;
    LOCAL_ARG double *to = memory + (1 - room) * 2 * LINE_ROOM;
    switch (factors[n]) {
      case 2: transform_by_2(from, to, length, lines, stride, circle); break;
      case 3: transform_by_3(from, to, length, lines, stride, circle); break;
      case 4: transform_by_4(from, to, length, lines, stride, circle); break;
      case 5: transform_by_5(from, to, length, lines, stride, circle); break;
      default: transform_by_7(from, to, length, lines, stride, circle);
    }
    SYNC_THREADS
    room = 1 - room;
  }
  return room;
}

// Lines that lie `stride` complex numbers apart, the first `many` from `first` on, to the
// memory of the group, and back.
DEVICE void load_lines(GLOBAL const double *waves, mm_long first, mm_long stride, int length,
                       int many, LOCAL_ARG double *memory) {
  SHARE(item, length * many) {
    const mm_long at = 2 * (first + item / many * stride + item % many);
    memory[2 * item] = waves[at], memory[2 * item + 1] = waves[at + 1];
  }
}

DEVICE void store_lines(LOCAL_ARG const double *memory, GLOBAL double *waves, mm_long first,
                        mm_long stride, int length, int many) {
  SHARE(item, length * many) {
    const mm_long at = 2 * (first + item / many * stride + item % many);
    waves[at] = memory[2 * item], waves[at + 1] = memory[2 * item + 1];
  }
}

// From the charges of the mesh to waves along z.
KERNEL LAUNCH_BOUNDS(FIELD_THREADS) void waves_along_z(
    GLOBAL const mm_ulong *RESTRICT mesh, GLOBAL double *RESTRICT waves,
    GLOBAL const double *RESTRICT circles, GLOBAL const int *RESTRICT factors, int nx, int ny,
    int nz) {
  LOCAL double memory[4 * LINE_ROOM];
  const int rows = nx * ny, lines = LINES(nz), count = nz / 2 + 1;
  for (int first = GROUP * lines; first < rows; first += GROUPS * lines) {
    const int many = LEAST(lines, rows - first);
    SYNC_THREADS
    SHARE(item, nz * many) {
      const int at = 2 * (item % nz * many + item / nz);
      memory[at] = from_fixed_point(mesh[(mm_long)first * nz + item]), memory[at + 1] = 0.0;
    }
    const int room = transform_lines(memory, 0, nz, many, circles + 2 * (nx + ny),
                                     factors + 2 * LINE_FACTORS);
    SHARE(item, count * many) {
      const int at = 2 * (room * LINE_ROOM + item % count * many + item / count);
      const mm_long to = 2 * ((mm_long)first * count + item);
      waves[to] = memory[at], waves[to + 1] = memory[at + 1];
    }
  }
}

// Along y, on the way there and back.
KERNEL LAUNCH_BOUNDS(FIELD_THREADS) void waves_along_y(
    GLOBAL double *RESTRICT waves, GLOBAL const double *RESTRICT circles,
    GLOBAL const int *RESTRICT factors, int nx, int ny, int nz) {
  LOCAL double memory[4 * LINE_ROOM];
  const int lines = LINES(ny), count = nz / 2 + 1, blocks = (count + lines - 1) / lines;
  for (int block = GROUP; block < nx * blocks; block += GROUPS) {
    const int z = block % blocks * lines, many = LEAST(lines, count - z);
    const mm_long first = (mm_long)(block / blocks) * ny * count + z;
    SYNC_THREADS
    load_lines(waves, first, count, ny, many, memory);
    const int room =
        transform_lines(memory, 0, ny, many, circles + 2 * nx, factors + LINE_FACTORS);
    store_lines(memory + room * 2 * LINE_ROOM, waves, first, count, ny, many);
  }
}

// Multiply a wave by the field of one, exchange its parts, so that a transform is the way
// back, and add its part of the strain.
DEVICE void convolve(LOCAL_ARG double *wave, const double *frame, int x, int y, int z, int nx,
                     int ny, int nz, double squares, double quarter, double factor,
                     mm_ulong *sums) {
  const int h[3] = {2 * x < nx ? x : x - nx, 2 * y < ny ? y : y - ny, z};
  double k[3], square = 0.0;
  for (int i = 0; i < 3; i++) {
    k[i] = 2.0 * PI * (h[0] * frame[i] + h[1] * frame[3 + i] + h[2] * frame[6 + i]);
    square += k[i] * k[i];
  }
  const double re = wave[0], im = wave[1];
  double field = 0.0;
  if (x + y + z > 0) field = factor * squares * exp(-quarter * square) / square;
  wave[0] = im * field, wave[1] = re * field;
  if (field == 0.0) return;
  const double energy = (z == 0 ? 0.5 : 1.0) * field * (re * re + im * im);
  const double stretch = energy * (2.0 / square + 2.0 * quarter);
  for (int i = 0; i < 3; i++) sums[i] += to_fixed_point(stretch * k[i] * k[i] - energy);
  sums[3] += to_fixed_point(stretch * k[0] * k[1]);
  sums[4] += to_fixed_point(stretch * k[0] * k[2]);
  sums[5] += to_fixed_point(stretch * k[1] * k[2]);
}

// Along x, from charges to potentials, and back. `factor` is 4 pi times Coulomb's constant.
KERNEL LAUNCH_BOUNDS(FIELD_THREADS) void waves_along_x(
    GLOBAL double *RESTRICT waves, GLOBAL const double *RESTRICT circles,
    GLOBAL const int *RESTRICT factors, GLOBAL const double *RESTRICT squares,
    GLOBAL const double *RESTRICT box, GLOBAL const double *RESTRICT frames,
    GLOBAL mm_ulong *RESTRICT strain, int nx, int ny, int nz, double alpha, double factor,
    int wants_forces) {
  LOCAL double memory[4 * LINE_ROOM];
  LOCAL mm_ulong parts[6 * FIELD_THREADS];
  const int count = nz / 2 + 1, lines = LINES(nx), all = ny * count;
  double frame[9], volume = 0.0;
  mm_ulong sums[6];
  for (int i = 0; i < 9; i++) frame[i] = frames[i];
  for (int k = 0; k < 6; k++) sums[k] = 0;
  for (int i = 0; i < 3; i++) {
    const int j = (i + 1) % 3, k = (i + 2) % 3;
    volume += box[i] * (box[3 + j] * box[6 + k] - box[3 + k] * box[6 + j]);
  }
  for (int first = GROUP * lines; first < all; first += GROUPS * lines) {
    const int many = LEAST(lines, all - first);
    SYNC_THREADS
    load_lines(waves, first, all, nx, many, memory);
    int room = transform_lines(memory, 0, nx, many, circles, factors);
    SHARE(item, nx * many) {
      const int x = item / many, y = (first + item % many) / count;
      const int z = (first + item % many) % count;
      convolve(memory + 2 * (room * LINE_ROOM + item), frame, x, y, z, nx, ny, nz,
               squares[x] * squares[nx + y] * squares[nx + ny + z], 0.25 / (alpha * alpha),
               factor / fabs(volume), sums);
    }
    room = transform_lines(memory, room, nx, many, circles, factors);
    store_lines(memory + room * 2 * LINE_ROOM, waves, first, all, nx, many);
  }
  if (wants_forces) add_strain(sums, parts, strain);
}

// From waves along z, whose parts are exchanged, to the potentials of the mesh. Waves beyond
// the half are those of real numbers.
KERNEL LAUNCH_BOUNDS(FIELD_THREADS) void mesh_along_z(
    GLOBAL const double *RESTRICT waves, GLOBAL double *RESTRICT mesh,
    GLOBAL const double *RESTRICT circles, GLOBAL const int *RESTRICT factors, int nx, int ny,
    int nz) {
  LOCAL double memory[4 * LINE_ROOM];
  const int rows = nx * ny, lines = LINES(nz), count = nz / 2 + 1;
  for (int first = GROUP * lines; first < rows; first += GROUPS * lines) {
    const int many = LEAST(lines, rows - first);
    SYNC_THREADS
    SHARE(item, nz * many) {
      const int k = item % nz, at = 2 * (k * many + item / nz), is_beyond = k >= count;
      const mm_long row = (mm_long)(first + item / nz) * count;
      const mm_long from = 2 * (row + (is_beyond ? nz - k : k));
      memory[at] = is_beyond ? -waves[from] : waves[from], memory[at + 1] = waves[from + 1];
    }
    const int room = transform_lines(memory, 0, nz, many, circles + 2 * (nx + ny),
                                     factors + 2 * LINE_FACTORS);
    SHARE(item, nz * many) {
      const int at = 2 * (room * LINE_ROOM + item % nz * many + item / nz);
      mesh[(mm_long)first * nz + item] = memory[at + 1];
    }
  }
}
)DEVICE"
