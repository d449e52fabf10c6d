R"DEVICE(
// Between OpenMM's arrays, whose order of atoms changes, and those of all particles.

// Positions [particles, 3] in double, nm, the place of each particle in OpenMM's order, and
// the box vectors.
KERNEL void gather(GLOBAL const real4 *RESTRICT posq,
#ifdef USE_MIXED_PRECISION
                   GLOBAL const real4 *RESTRICT correction,
#endif
                   GLOBAL const int *RESTRICT order, GLOBAL double *RESTRICT positions,
                   GLOBAL int *RESTRICT places, GLOBAL double *RESTRICT box, double ax,
                   double ay, double az, double bx, double by, double bz, double cx,
                   double cy, double cz) {
  for (int i = GLOBAL_ID; i < PARTICLES; i += GLOBAL_SIZE) {
    const int particle = order[i];
    double x = posq[i].x, y = posq[i].y, z = posq[i].z;
#ifdef USE_MIXED_PRECISION
    x += (double)correction[i].x;
    y += (double)correction[i].y;
    z += (double)correction[i].z;
#endif
    positions[3 * particle] = x;
    positions[3 * particle + 1] = y;
    positions[3 * particle + 2] = z;
    places[particle] = i;
  }
  if (GLOBAL_ID == 0) {
    box[0] = ax, box[1] = ay, box[2] = az;
    box[3] = bx, box[4] = by, box[5] = bz;
    box[6] = cx, box[7] = cy, box[8] = cz;
  }
}

// OpenMM's sums of forces are integers, too: UNIT is that of eV/Å.
DEVICE void add_force(GLOBAL mm_ulong *RESTRICT buffers, int place,
                      GLOBAL const double *RESTRICT force, double part) {
  for (int axis = 0; axis < 3; ++axis)
    ATOMIC_ADD(&buffers[place + axis * PADDED],
               (mm_ulong)(mm_long)rint(force[axis] * part * UNIT));
}

// Add forces on atoms to those on their particles, a cap's to those on both of its ends.
KERNEL void scatter(GLOBAL const double *RESTRICT forces, GLOBAL const int *RESTRICT particles,
                    GLOBAL const int *RESTRICT places, GLOBAL const int *RESTRICT ends,
                    GLOBAL const double *RESTRICT ratios, GLOBAL mm_ulong *RESTRICT buffers) {
  for (int i = GLOBAL_ID; i < ATOMS + CAPS; i += GLOBAL_SIZE) {
    if (i < ATOMS) {
      add_force(buffers, places[particles[i]], forces + 3 * i, 1.0);
    } else {
      const int cap = i - ATOMS;
      add_force(buffers, places[ends[2 * cap]], forces + 3 * i, 1.0 - ratios[cap]);
      add_force(buffers, places[ends[2 * cap + 1]], forces + 3 * i, ratios[cap]);
    }
  }
}

// The sum of all energies, by one work-group, in an order that never changes.
KERNEL void total(GLOBAL const double *RESTRICT energies, GLOBAL double *RESTRICT sum) {
  LOCAL double parts[TOTAL_THREADS];
  double part = 0.0;
  for (int i = LOCAL_ID; i < ATOMS + CAPS; i += TOTAL_THREADS) part += energies[i];
  parts[LOCAL_ID] = part;
  SYNC_THREADS;
  for (int left = TOTAL_THREADS / 2; left > 0; left /= 2) {
    if (LOCAL_ID < left) parts[LOCAL_ID] += parts[LOCAL_ID + left];
    SYNC_THREADS;
  }
  if (LOCAL_ID == 0) sum[0] = parts[0];
}
)DEVICE"
