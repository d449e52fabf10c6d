R"DEVICE(
// Charges of the atoms of a model, and their sum over pairs where they have no images.

// The total of integers [6] (xx, yy, zz, xy, xz, yz) of all threads of a group is added to
// the strain [3, 3]. `parts` has as many for each thread.
DEVICE void add_strain(const mm_ulong *own, LOCAL_ARG mm_ulong *parts,
                       GLOBAL mm_ulong *RESTRICT strain) {
  for (int k = 0; k < 6; k++) parts[k * FIELD_THREADS + THREAD] = own[k];
  SYNC_THREADS
  SHARE(i, 9) {
    const int k = i % 4 == 0 ? i / 4 : 2 + i / 3 + i % 3;
    mm_ulong total = 0;
    for (int n = 0; n < FIELD_THREADS; n++) total += parts[k * FIELD_THREADS + n];
    ATOMIC_ADD(&strain[i], total);
  }
}

// Charges without those that the network gives, and a mesh of zeros.
KERNEL LAUNCH_BOUNDS(FIELD_THREADS) void start_charges(
    GLOBAL const double *RESTRICT starts, GLOBAL double *RESTRICT charges,
    GLOBAL mm_ulong *RESTRICT mesh, int atoms, int points) {
  for (int i = (int)GLOBAL_ID; i < atoms; i += (int)GLOBAL_SIZE) charges[i] = starts[i];
  for (int i = (int)GLOBAL_ID; i < points; i += (int)GLOBAL_SIZE) mesh[i] = 0;
}

// Add to all values what gives them a sum, which is always taken in the same order: by one
// group.
KERNEL LAUNCH_BOUNDS(LEVEL_THREADS) void level(GLOBAL double *RESTRICT values, int count,
                                               double wanted) {
  LOCAL double sums[LEVEL_THREADS];
  double own = 0.0;
  SHARE(i, count) own += values[i];
  sums[THREAD] = own;
  SYNC_THREADS
  for (int left = LEVEL_THREADS / 2; left > 0; left /= 2) {
    if (THREAD < left) sums[THREAD] += sums[THREAD + left];
    SYNC_THREADS
  }
  const double missing = (wanted - sums[0]) / count;
  SHARE(i, count) values[i] += missing;
}

// Numbers of box vectors that bring a vector to the form of Box::images of the plugin, whose
// `slants` are those of the box: of the second vector along the first, and of the third
// along the first and along what the second has across it.
DEVICE void find_nearest(const double *box, const double *frame, const double *v,
                         double *images) {
  double slants[3], across[3], squares[2] = {0.0, 0.0};
  for (int n = 0; n < 3; n++) slants[n] = 0.0;
  for (int i = 0; i < 3; i++) {
    squares[0] += box[i] * box[i];
    slants[0] += box[3 + i] * box[i], slants[1] += box[6 + i] * box[i];
  }
  slants[0] /= squares[0], slants[1] /= squares[0];
  for (int i = 0; i < 3; i++) {
    across[i] = box[3 + i] - slants[0] * box[i];
    squares[1] += across[i] * across[i], slants[2] += box[6 + i] * across[i];
  }
  slants[2] /= squares[1];
  const double b = fraction(frame, 1, v), c = fraction(frame, 2, v);
  images[2] = rint(c);
  images[1] = rint(b + slants[2] * (c - images[2]));
  images[0] = rint(fraction(frame, 0, v) + slants[0] * (b - images[1]) +
                   slants[1] * (c - images[2]));
}

// Positions of charges that have no images: as they were given, or of each atom the image
// that is nearest to the first one.
KERNEL LAUNCH_BOUNDS(FIELD_THREADS) void unwrap(
    GLOBAL const double *RESTRICT wrapped, GLOBAL const int *RESTRICT wraps,
    GLOBAL const double *RESTRICT vectors, GLOBAL const double *RESTRICT frames,
    GLOBAL double *RESTRICT places, int atoms, int wants_nearest) {
  double box[9], frame[9];
  for (int n = 0; n < 9; n++) box[n] = vectors[n], frame[n] = frames[n];
  for (int i = (int)GLOBAL_ID; i < atoms; i += (int)GLOBAL_SIZE) {
    double images[3], v[3];
    for (int axis = 0; axis < 3; axis++) v[axis] = wrapped[3 * i + axis] - wrapped[axis];
    if (wants_nearest) find_nearest(box, frame, v, images);
    for (int axis = 0; axis < 3; axis++) {
      double place = wrapped[3 * i + axis];
      for (int k = 0; k < 3; k++)
        place += (wants_nearest ? -images[k] : (double)wraps[3 * i + k]) * box[3 * k + axis];
      places[3 * i + axis] = place;
    }
  }
}

// f(x) = erf(x) / x, and f'(x) / x.
DEVICE double screening(double x, double *slope) {
  const double root = 1.1283791670955126;  // 2 / sqrt(pi)
  if (x >= 0.5) {
    const double inverse = 1.0 / x, value = erf(x) * inverse;
    *slope = (root * exp(-x * x) - value) * inverse * inverse;
    return value;
  }
  double value = 0.0, sum = 0.0, term = root;
  for (int n = 0; n < 14; n++) {  // (-1)^n x^2n / (n! (2n + 1))
    value += term / (2 * n + 1), sum -= 2.0 * term / (2 * n + 3);
    term *= -x * x / (n + 1);
  }
  *slope = sum;
  return value;
}

// The sum over pairs, at each charge over all others: potentials, energies, forces, strain.
KERNEL LAUNCH_BOUNDS(FIELD_THREADS) void sum_pairs(
    GLOBAL const double *RESTRICT places, GLOBAL const double *RESTRICT charges,
    GLOBAL double *RESTRICT potentials, GLOBAL double *RESTRICT energies,
    GLOBAL mm_ulong *RESTRICT forces, GLOBAL mm_ulong *RESTRICT strain, int atoms,
    double alpha, double coulomb, int wants_forces) {
  LOCAL mm_ulong parts[6 * FIELD_THREADS];
  mm_ulong own[6];
  for (int k = 0; k < 6; k++) own[k] = 0;
  for (int i = (int)GLOBAL_ID; i < atoms; i += (int)GLOBAL_SIZE) {
    double potential = 0.0, force[3], stress[6];
    for (int axis = 0; axis < 3; axis++) force[axis] = 0.0;
    for (int k = 0; k < 6; k++) stress[k] = 0.0;
    for (int j = 0; j < atoms; j++) {
      if (j == i) continue;
      double d[3], slope;
      for (int axis = 0; axis < 3; axis++) d[axis] = places[3 * i + axis] - places[3 * j + axis];
      const double r = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
      const double charge = charges[j] * coulomb * alpha;
      potential += charge * screening(alpha * r, &slope);
      const double scale = -charge * charges[i] * slope * alpha * alpha;
      for (int axis = 0; axis < 3; axis++) {
        force[axis] += scale * d[axis];
        stress[axis] -= scale * d[axis] * d[axis];
      }
      stress[3] -= scale * d[0] * d[1], stress[4] -= scale * d[0] * d[2];
      stress[5] -= scale * d[1] * d[2];
    }
    potentials[i] = potential;
    energies[i] += 0.5 * charges[i] * potential;
    for (int axis = 0; axis < 3 && wants_forces; axis++)
      forces[axis * atoms + i] += to_fixed_point(force[axis]);
    for (int k = 0; k < 6; k++) own[k] += to_fixed_point(0.5 * stress[k]);
  }
  if (wants_forces) add_strain(own, parts, strain);
}
)DEVICE"
