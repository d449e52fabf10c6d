R"DEVICE(
// From the derivatives by a centre's rows to forces.

// The derivative of a row's energy by the distance, where the direction stays.
DEVICE double wide_slope(Rows r, int row, double distance,
                         GLOBAL const double *RESTRICT constants) {
  const int kind = r.kinds[row];
  const double cutoff = constants[CUTOFFS + kind];
  double slope = 0.0, by_distance;
#if CORE
  pair_core(constants, kind, distance, distance / cutoff, cutoff, &slope);
#endif
  seen_place(constants, kind, distance, cutoff, &by_distance);
  double by_place = 0.0;
#if POINTS
  if (r.starts[row] >= 0) {
    for (int i = 0; i < FIRST_WIDTH; i++)
      by_place += (double)r.AT(D_FIRST + i, row) * (double)r.AT(TABLE_SLOPE + i, row);
    return slope + by_place * by_distance;
  }
#endif
  for (int n = 0; n < RADIAL; n++)
    by_place += (double)r.AT(D_BASIS + n, row) * (double)r.AT(SLOPE + n, row);
  return slope + by_place * by_distance;
}

// Forces on the neighbours; those on the centre and the strain of each thread's rows go to
// `sums` [12, WIDE_THREADS].
DEVICE_CALLED void wide_forces(Rows r, GLOBAL const double *RESTRICT x,
                               GLOBAL const double *RESTRICT box,
                               GLOBAL const double *RESTRICT constants, int center, int atoms,
                               GLOBAL mm_ulong *forces, LOCAL_ARG double *sums) {
  double total[12];
  for (int i = 0; i < 12; i++) total[i] = 0.0;
  SHARE(row, r.count) {
    if (r.kinds[row] < 0) continue;
    const int neighbor = r.neighbors[row];
    const Pair p = pair_between(x, box, center, neighbor, r.images[row]);
    double dy[COMPONENTS], d[3];
    UNROLL
    for (int a = 0; a < COMPONENTS; a++) dy[a] = (double)r.AT(D_HARMONIC + a, row);
    harmonics_back(p.x, p.y, p.z, dy, d, d + 1, d + 2);
    const double part = d[0] * p.x + d[1] * p.y + d[2] * p.z;
    const double slope = wide_slope(r, row, p.r, constants);
    const double u[3] = {p.x, p.y, p.z};
    for (int axis = 0; axis < 3; axis++) {
      const double f = slope * u[axis] + (d[axis] - part * u[axis]) / p.r;
      ATOMIC_ADD(&forces[axis * atoms + neighbor], to_fixed_point(-f));
      total[axis] += f;
      for (int k = 0; k < 3; k++) total[3 + 3 * k + axis] += p.r * u[k] * f;
    }
  }
  for (int i = 0; i < 12; i++) sums[i * WIDE_THREADS + THREAD] = total[i];
}

// Add the sums over the threads to the centre's force and to the strain.
DEVICE void add_forces(int center, int atoms, GLOBAL mm_ulong *forces, GLOBAL mm_ulong *strain,
                       LOCAL_ARG const double *sums) {
  SHARE(i, 12) {
    const mm_ulong sum = to_fixed_point(sums[i * WIDE_THREADS]);
    if (i < 3)
      ATOMIC_ADD(&forces[i * atoms + center], sum);
    else
      ATOMIC_ADD(&strain[i - 3], sum);
  }
}
)DEVICE"
