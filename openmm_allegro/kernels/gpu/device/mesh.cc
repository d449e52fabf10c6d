R"DEVICE(
// The sum over waves of charges on a mesh: smooth particle mesh Ewald, doi:10.1063/1.470117.
// Charges are spread in fixed point, so that their order does not matter.

// The points around a charge: the first along each vector, and where it is between them.
DEVICE void find_points(GLOBAL const double *RESTRICT position,
                        GLOBAL const double *RESTRICT frames, int nx, int ny, int nz,
                        int *first, double *between) {
  double frame[9], x[3];
  const int points[3] = {nx, ny, nz};
  for (int i = 0; i < 9; i++) frame[i] = frames[i];
  for (int axis = 0; axis < 3; axis++) x[axis] = position[axis];
  UNROLL
  for (int k = 0; k < 3; k++) {
    const int count = points[k];
    double along = fraction(frame, k, x);
    along = (along - floor(along)) * count;
    const int below = along >= 0.0 && along < count ? (int)along : count - 1;
    between[k] = along - below;
    first[k] = below - (SPLINE_ORDER - 1);
    while (first[k] < 0) first[k] += count;
  }
}

// Splines m[j] of the next order at u + j.
DEVICE void raise_splines(double *m, double u, const int order) {
  const double scale = 1.0 / (order - 1);
  UNROLL
  for (int j = SPLINE_ORDER - 1; j > 0; j--)
    if (j < order) m[j] = scale * ((u + j) * m[j] + (order - u - j) * m[j - 1]);
  m[0] *= scale * u;
}

// Values of a cardinal spline at the points around a place, the first point first. `u` is
// the distance to the point below, in points, from 0 to 1.
DEVICE void find_splines(double u, double *value, double *slope) {
  double m[SPLINE_ORDER + 1];
  UNROLL
  for (int j = 0; j <= SPLINE_ORDER; j++) m[j] = 0.0;
  m[0] = u, m[1] = 1.0 - u;
  UNROLL
  for (int order = 3; order < SPLINE_ORDER; order++) raise_splines(m, u, order);
  slope[SPLINE_ORDER - 1] = m[0];
  UNROLL
  for (int j = 1; j < SPLINE_ORDER; j++) slope[SPLINE_ORDER - 1 - j] = m[j] - m[j - 1];
  raise_splines(m, u, SPLINE_ORDER);
  UNROLL
  for (int j = 0; j < SPLINE_ORDER; j++) value[SPLINE_ORDER - 1 - j] = m[j];
}

// A number of an array that stays in registers.
DEVICE double chosen(const double *values, int place) {
  double value = 0.0;
  UNROLL
  for (int k = 0; k < SPLINE_ORDER; k++)
    if (k == place) value = values[k];
  return value;
}

// Charges on the mesh [nx, ny, nz], e; a thread has those of a charge on one plane.
KERNEL LAUNCH_BOUNDS(FIELD_THREADS) void spread_charges(
    GLOBAL const double *RESTRICT wrapped, GLOBAL const double *RESTRICT frames,
    GLOBAL const double *RESTRICT charges, GLOBAL mm_ulong *RESTRICT mesh, int atoms, int nx,
    int ny, int nz) {
  for (mm_long item = (mm_long)GLOBAL_ID; item < (mm_long)atoms * SPLINE_ORDER;
       item += (mm_long)GLOBAL_SIZE) {
    const int i = (int)(item / SPLINE_ORDER), a = (int)(item % SPLINE_ORDER);
    int first[3];
    double between[3], weight[SPLINE_ORDER], slope[SPLINE_ORDER];
    find_points(wrapped + 3 * i, frames, nx, ny, nz, first, between);
    find_splines(between[0], weight, slope);
    const double own = charges[i] * chosen(weight, a);
    double along_y[SPLINE_ORDER];
    find_splines(between[1], along_y, slope);
    find_splines(between[2], weight, slope);
    const mm_long plane = (mm_long)((first[0] + a) % nx) * ny;
    for (int b = 0; b < SPLINE_ORDER; b++) {
      GLOBAL mm_ulong *row = mesh + (plane + (first[1] + b) % ny) * nz;
      const double of_row = own * chosen(along_y, b);
      UNROLL
      for (int c = 0; c < SPLINE_ORDER; c++)
        ATOMIC_ADD(&row[(first[2] + c) % nz], to_fixed_point(of_row * weight[c]));
    }
  }
}

// Potential and force of a charge. Of the eight threads that it has, each looks at a plane.
KERNEL LAUNCH_BOUNDS(FIELD_THREADS) void gather_field(
    GLOBAL const double *RESTRICT wrapped, GLOBAL const double *RESTRICT frames,
    GLOBAL const double *RESTRICT charges, GLOBAL const double *RESTRICT mesh,
    GLOBAL double *RESTRICT potentials, GLOBAL double *RESTRICT energies,
    GLOBAL mm_ulong *RESTRICT forces, int atoms, int nx, int ny, int nz, double of_itself,
    int wants_forces) {
  LOCAL double parts[4 * FIELD_THREADS];
  const int together = FIELD_THREADS / 8, a = THREAD % 8;
  for (int first_atom = GROUP * together; first_atom < atoms;
       first_atom += GROUPS * together) {
    const int i = first_atom + THREAD / 8;
    SYNC_THREADS
    if (i < atoms && a < SPLINE_ORDER) {
      int first[3];
      double between[3], vx[SPLINE_ORDER], sx[SPLINE_ORDER], vy[SPLINE_ORDER];
      double sy[SPLINE_ORDER], vz[SPLINE_ORDER], sz[SPLINE_ORDER];
      find_points(wrapped + 3 * i, frames, nx, ny, nz, first, between);
      find_splines(between[0], vx, sx);
      find_splines(between[1], vy, sy);
      find_splines(between[2], vz, sz);
      const mm_long plane = (mm_long)((first[0] + a) % nx) * ny;
      double value = 0.0, along_y = 0.0, along_z = 0.0;
      for (int b = 0; b < SPLINE_ORDER; b++) {
        GLOBAL const double *row = mesh + (plane + (first[1] + b) % ny) * nz;
        double of_row = 0.0, slope_of_row = 0.0;
        UNROLL
        for (int c = 0; c < SPLINE_ORDER; c++) {
          const double at = row[(first[2] + c) % nz];
          of_row += at * vz[c], slope_of_row += at * sz[c];
        }
        value += of_row * chosen(vy, b), along_y += of_row * chosen(sy, b);
        along_z += slope_of_row * chosen(vy, b);
      }
      const double weight = chosen(vx, a);
      LOCAL_ARG double *own = parts + 4 * THREAD;
      own[0] = value * weight, own[1] = value * chosen(sx, a);
      own[2] = along_y * weight, own[3] = along_z * weight;
    }
    SYNC_THREADS
    if (i >= atoms || a > 0) continue;
    double sums[4];
    for (int n = 0; n < 4; n++) {
      sums[n] = 0.0;
      for (int b = 0; b < SPLINE_ORDER; b++) sums[n] += parts[4 * (THREAD + b) + n];
    }
    const double charge = charges[i], potential = sums[0] - of_itself * charge;
    potentials[i] = potential;
    energies[i] += 0.5 * charge * potential;
    sums[1] *= nx, sums[2] *= ny, sums[3] *= nz;
    for (int axis = 0; axis < 3 && wants_forces; axis++) {
      double gradient = 0.0;
      for (int k = 0; k < 3; k++) gradient += sums[1 + k] * frames[3 * k + axis];
      forces[axis * atoms + i] += to_fixed_point(-charge * gradient);
    }
  }
}
)DEVICE"
