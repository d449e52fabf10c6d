R"DEVICE(
// Positions in Å from those of the surroundings, with whole boxes taken off; whether the
// list must be built; and zeros where sums begin.

// What is wrong with a box, or 0; numbers about it go to `report`.
DEVICE int judge_box(const double *box, const double *frame, double volume, int periodic,
                     int atoms, double reach, GLOBAL double *report) {
  double largest = 0.0, images = 1.0, widest = 0.0;
  for (int i = 0; i < 9; ++i) {
    report[i] = box[i];
    if (!(periodic >> (i / 3) & 1)) continue;
    if (!(fabs(box[i]) <= 1.0e300)) return BOX_NOT_FINITE;
    largest = fmax(largest, fabs(box[i]));
  }
  if (largest > FARTHEST) return BOX_TOO_FAR;
  report[9] = volume;
  if (!(volume > 0.0)) return BOX_FLAT;
  for (int k = 0; k < 3; ++k) {
    const double width = frame[FRAME_WIDTHS + k];
    widest = fmax(widest, width);
    images *= 2.0 * floor(reach * width + 1.0) + 1.0;
  }
  report[9] = widest > 0.0 ? 1.0 / widest : 0.0;
  if (reach * widest > MOST_IMAGES || images > MOST_CELLS) return BOX_NARROW;
  const double around = 4.18879 * reach * reach * reach * atoms / volume;
  report[9] = around, report[10] = volume;
  return periodic == 7 && around > MOST_NEIGHBORS ? BOX_CROWDED : 0;
}

// The box, its frame and the beginning of a step: by one thread.
DEVICE void begin_step(double *rows, double *frame, GLOBAL double *box, GLOBAL double *frames,
                       GLOBAL const double *built, GLOBAL int *state, GLOBAL int *counters,
                       GLOBAL double *report, GLOBAL mm_ulong *strain, int atoms,
                       int periodic, int forced, int turn, double reach) {
  int changed = forced;
  for (int i = 0; i < 9; ++i) {
    box[i] = rows[i];
    if (!(rows[i] == built[i])) changed = 1;
  }
  const double volume = make_frame(rows, periodic, reach, frame);
  for (int i = 0; i < FRAME; ++i) frames[i] = frame[i];
  for (int k = 0; k < 3; ++k) {
    const double images = floor(reach * frame[FRAME_WIDTHS + k] + 1.0);
    box[9 + k] = periodic >> k & 1 ? images : 0.0;
  }
  const int problem = judge_box(rows, frame, volume, periodic, atoms, reach, report);
  if (problem) {
    counters[BAD_BOX] = problem;
    ATOMIC_MAX(STATE(state, turn, BAD), 1);
  }
  if (changed) ATOMIC_MAX(STATE(state, turn, TO_BUILD), 1);
  *STATE(state, 1 - turn, TO_BUILD) = *STATE(state, 1 - turn, BAD) = 0;
  counters[GROUPS_MADE] = counters[WIDE_MADE] = 0;
  counters[STEPS] += 1;
  for (int i = 0; i < 9; ++i) strain[i] = 0;
}

// The place of a cap on its bond, whose nearest image counts.
DEVICE void place_cap(const double *inner, const double *outer, double ratio, int periodic,
                      const double *rows, const double *frame, double *q) {
  double bond[3], images[3];
  for (int axis = 0; axis < 3; ++axis) bond[axis] = outer[axis] - inner[axis];
  for (int k = 0; k < 3; ++k)
    images[k] = periodic >> k & 1 ? rint(fraction(frame, k, bond)) : 0.0;
  for (int axis = 0; axis < 3; ++axis) {
    for (int k = 0; k < 3; ++k) bond[axis] -= images[k] * rows[3 * k + axis];
    q[axis] = inner[axis] + ratio * bond[axis];
  }
}

// Boxes to take off a position, which goes to the grid; what is wrong with it, or 0.
DEVICE int find_boxes(double *q, int periodic, const double *frame, double *away,
                      double *largest) {
  int problem = 0;
  *largest = 0.0;
  for (int axis = 0; axis < 3; ++axis) {
    if (!(fabs(q[axis]) <= 1.0e300)) problem = POSITIONS_NOT_FINITE;
    *largest = fmax(*largest, fabs(q[axis]));
    q[axis] = on_grid(q[axis]);
  }
  if (!problem && *largest > FARTHEST) problem = POSITIONS_TOO_FAR;
  for (int k = 0; k < 3; ++k) {
    away[k] = periodic >> k & 1 ? floor(fraction(frame, k, q)) : 0.0;
    if (fabs(away[k]) <= MOST_BOXES) continue;
    away[k] = 0.0;  // also where the box is none
    if (!problem) problem = POSITIONS_TOO_FAR;
  }
  return problem;
}

#ifdef OPENMM
// Positions are those of OpenMM's atoms in its order, in nm.
#ifdef CORRECTED
#define COORDINATE(p, axis)                            \
  (10.0 * ((double)((axis) == 0   ? posq[p].x          \
                    : (axis) == 1 ? posq[p].y          \
                                  : posq[p].z) +       \
           (double)((axis) == 0   ? correction[p].x    \
                    : (axis) == 1 ? correction[p].y    \
                                  : correction[p].z)))
#else
#define COORDINATE(p, axis) \
  (10.0 * (double)((axis) == 0 ? posq[p].x : (axis) == 1 ? posq[p].y : posq[p].z))
#endif
#else
// Arrays of float or double.
#define NUMBER(array, place) \
  (is_double ? ((GLOBAL const double *)(array))[place] : (double)(array)[place])
#define COORDINATE(p, axis) (to_angstrom * NUMBER(positions, 3 * (p) + (axis)))
#endif

KERNEL LAUNCH_BOUNDS(PLACE_THREADS) void place(
#ifdef OPENMM
    GLOBAL const real4 *RESTRICT posq,
#ifdef CORRECTED
    GLOBAL const real4 *RESTRICT correction,
#endif
    double ax, double ay, double az, double bx, double by, double bz, double cx, double cy,
    double cz,
#else
    GLOBAL const float *RESTRICT positions, GLOBAL const float *RESTRICT vectors,
    int is_double, double to_angstrom,
#endif
    GLOBAL const int *RESTRICT particles, GLOBAL const int *RESTRICT ends,
    GLOBAL const double *RESTRICT ratios, GLOBAL const double *RESTRICT shifts,
    GLOBAL double *RESTRICT x, GLOBAL double *RESTRICT wrapped,
    GLOBAL const double *RESTRICT reference, GLOBAL const int *RESTRICT wraps,
    GLOBAL int *RESTRICT new_wraps, GLOBAL double *RESTRICT box,
    GLOBAL double *RESTRICT frames, GLOBAL const double *RESTRICT built,
    GLOBAL int *RESTRICT heads, GLOBAL int *RESTRICT state, GLOBAL int *RESTRICT counters,
    GLOBAL double *RESTRICT report, GLOBAL double *RESTRICT energies,
    GLOBAL mm_ulong *RESTRICT forces, GLOBAL mm_ulong *RESTRICT strain, int atoms, int caps,
    int periodic, int forced, int turn, int buckets, double reach, double skin) {
#ifdef OPENMM
  double rows[9] = {ax, ay, az, bx, by, bz, cx, cy, cz};
  for (int i = 0; i < 9; ++i) rows[i] *= 10.0;
#else
  double rows[9];
  for (int i = 0; i < 9; ++i) rows[i] = periodic ? to_angstrom * NUMBER(vectors, i) : 0.0;
#endif
  double frame[FRAME];
  for (int i = 0; i < 9; ++i) rows[i] = periodic >> (i / 3) & 1 ? on_grid(rows[i]) : 0.0;
  if ((int)GLOBAL_ID == 0)
    begin_step(rows, frame, box, frames, built, state, counters, report, strain, atoms,
               periodic, forced, turn, reach);
  else
    make_frame(rows, periodic, reach, frame);
  for (int b = (int)GLOBAL_ID; b < buckets; b += (int)GLOBAL_SIZE) heads[b] = -1;
  for (int i = (int)GLOBAL_ID; i < atoms; i += (int)GLOBAL_SIZE) {
    double q[3], away[3], largest, moved = 0.0;
    const int cap = i - (atoms - caps);
    if (cap < 0) {
      const int p = particles[i];
      for (int axis = 0; axis < 3; ++axis) q[axis] = COORDINATE(p, axis);
    } else {
      const int inner = ends[2 * cap], outer = ends[2 * cap + 1];
      double from[3], to[3];
      for (int axis = 0; axis < 3; ++axis)
        from[axis] = COORDINATE(inner, axis), to[axis] = COORDINATE(outer, axis);
      place_cap(from, to, ratios[cap], periodic, rows, frame, q);
    }
    const int problem = find_boxes(q, periodic, frame, away, &largest);
    if (problem) {
      if (ATOMIC_MAX(counters + NOT_FINITE, problem) == 0) report[11] = largest;
      ATOMIC_MAX(STATE(state, turn, BAD), 1);
    }
    for (int axis = 0; axis < 3; ++axis) {
      double before = 0.0, now = 0.0;
      for (int k = 0; k < 3; ++k)
        if (periodic >> k & 1) {
          before += wraps[3 * i + k] * rows[3 * k + axis];
          now += away[k] * rows[3 * k + axis];
        }
      const int n = 3 * i + axis;
      const double step = q[axis] - before - reference[n];
      x[n] = q[axis] - before, wrapped[n] = q[axis] - now;
      moved += step * step;
      new_wraps[n] = (int)away[axis];
      forces[axis * atoms + i] = 0;
    }
    if (!(moved <= 0.25 * skin * skin)) ATOMIC_MAX(STATE(state, turn, TO_BUILD), 1);
    energies[i] = shifts[i];
  }
}
)DEVICE"
