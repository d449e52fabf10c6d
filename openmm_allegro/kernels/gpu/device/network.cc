R"DEVICE(
// Steps of the kernel `network` on a group of whole centres. Rows [ROWS] of the group are
// its pairs, centre after centre; rows that count nothing have harmonics of 0.
// Centres are slots: `first` [SLOTS + 1] has where the rows of each start. Rows of a matrix
// in work-group memory are `ld` numbers apart, an odd multiple of 4, so that a column of
// them is spread over all banks.

// What a group's rows and centres are; each thread has the same pointers.
typedef struct {
  LOCAL_ARG int *first, *center, *slot, *kind, *neighbor, *active, *flags;
  LOCAL_ARG double *x, *y, *z, *r, *energy, *core;
  LOCAL_ARG NET *norm, *factor;
#if POINTS
  LOCAL_ARG int *exact, *table;
  LOCAL_ARG NET *t;
#endif
} Group;
// Numbers of flags: how many slots are in use; whether a row is not in the table's range.
#define USED 0
#define HAS_EXACT 1

// Centres of a group, and where their rows start.
DEVICE void place_centers(const Group *p, GLOBAL const int *RESTRICT groups,
                          GLOBAL const int *RESTRICT degrees,
                          GLOBAL const int *RESTRICT types,
                          GLOBAL const double *RESTRICT constants) {
  OWN_PART(s, SLOTS + 1) {
    int total = 0, used = 0;
    for (int i = 0; i < SLOTS; i++) {
      const int center = groups[i];
      if (center < 0) continue;
      if (i < s) total += degrees[center];
      used = i + 1;
    }
    p->first[s] = total;
    if (s < SLOTS) {
      const int center = groups[s];
      p->center[s] = center;
      p->norm[s] = center < 0 ? (NET)0 : (NET)constants[NORM + types[center]];
    } else {
      p->flags[USED] = used;
      p->flags[HAS_EXACT] = !POINTS;
    }
  }
}

// A pair of the group, its place within the cutoff, and the ordered pair of elements.
typedef struct {
  Pair pair;
  double place, seen, cutoff;  // seen: the place that the radial functions take
  int slot, neighbor, kind, is_active;
} Row;

DEVICE Row row_of(const Group *p, int row, GLOBAL const double *RESTRICT x,
                  GLOBAL const double *RESTRICT box, GLOBAL const int *RESTRICT types,
                  GLOBAL const int *RESTRICT neighbors, GLOBAL const int *RESTRICT images,
                  GLOBAL const int *RESTRICT rows, int capacity,
                  GLOBAL const double *RESTRICT constants) {
  Row result;
  int slot = 0;
  for (int s = 1; s < SLOTS; s++) slot += row >= p->first[s] && p->first[s] < p->first[SLOTS];
  result.slot = slot;
  result.kind = result.neighbor = result.is_active = 0;
  if (row < p->first[SLOTS]) {
    const int center = p->center[slot];
    const int at = center * capacity + rows[center * capacity + row - p->first[slot]];
    result.neighbor = neighbors[at];
    result.kind = types[center] * TYPES + types[result.neighbor];
    result.cutoff = constants[CUTOFFS + result.kind];
    result.pair = pair_between(x, box, center, result.neighbor, images[at]);
    result.is_active = result.pair.r < result.cutoff;
  }
  if (!result.is_active) {
    result.pair.x = result.pair.y = 0.0;
    result.pair.z = result.pair.r = result.cutoff = 1.0;
  }
  result.place = result.pair.r / result.cutoff;
  double slope;
  result.seen = seen_place(constants, result.kind, result.pair.r, result.cutoff, &slope);
  return result;
}

// Rows of the group: a third of the threads for each part of the work.
DEVICE void fill_rows(const Group *p, GLOBAL const double *RESTRICT x,
                      GLOBAL const double *RESTRICT box, GLOBAL const int *RESTRICT types,
                      GLOBAL const int *RESTRICT neighbors,
                      GLOBAL const int *RESTRICT images, GLOBAL const int *RESTRICT rows,
                      int capacity, GLOBAL const double *RESTRICT constants,
                      LOCAL_ARG NET *harmonic, int ldh, LOCAL_ARG NET *basis, int ldb,
                      LOCAL_ARG NET *slopes, int lds) {
  const int row = THREAD % ROWS, part = THREAD / ROWS;
  if (part > 2) return;
  const Row own = row_of(p, row, x, box, types, neighbors, images, rows, capacity, constants);
  if (part == 0) {
    double value[COMPONENTS];
    harmonics(own.pair.x, own.pair.y, own.pair.z, value);
    for (int a = COMPONENTS; a < ldh; a++) harmonic[row * ldh + a] = (NET)0;
    UNROLL
    for (int a = 0; a < COMPONENTS; a++)
      harmonic[row * ldh + a] = own.is_active ? (NET)value[a] : (NET)0;
    p->x[row] = own.pair.x, p->y[row] = own.pair.y, p->z[row] = own.pair.z;
    p->r[row] = own.pair.r;
  } else if (part == 1) {
    Radial f = radial_functions(own.seen);
    for (int n = 0; n < RADIAL; n++) {
      double slope;
      basis[row * ldb + n] = (NET)next_radial(&f, n, constants, &slope);
      slopes[row * lds + n] = (NET)slope;
    }
    for (int n = RADIAL; n < ldb; n++) basis[row * ldb + n] = (NET)0;
  } else {
    double energy = 0.0, slope = 0.0;
#if CORE
    if (own.is_active)
      energy = pair_core(constants, own.kind, own.pair.r, own.place, own.cutoff, &slope);
#endif
    p->energy[row] = energy;
    p->core[row] = slope;
    p->slot[row] = own.slot, p->kind[row] = own.kind, p->neighbor[row] = own.neighbor;
    p->active[row] = own.is_active;
    p->factor[row] = own.is_active ? (NET)constants[FACTORS + own.kind / TYPES] : (NET)0;
#if POINTS
    const int exact = own.is_active && is_exact(own.seen);
    const Interval interval = table_interval(own.kind, exact ? 1.0 : own.seen);
    p->exact[row] = exact;
    p->table[row] = interval.start;
    p->t[row] = interval.t;
    if (exact) ATOMIC_MAX(&p->flags[HAS_EXACT], 1);
#endif
  }
}

#if POINTS
// Values from the table, from its column on, for a tile's rows that are not exact.
DEVICE void look_up(const Group *p, GLOBAL const NET *RESTRICT weights, int column,
                    const int v, NET *t) {
  UNROLL
  for (int e = 0; e < 4 * v; e++) {
    const int row = tile_row(v, e);
    Interval interval;
    interval.start = p->table[row], interval.t = p->t[row], interval.scale = (NET)1;
    NET slope;
    const NET value = table_value(weights, interval, column + tile_column(v, e), &slope);
    if (!p->exact[row]) t[e] = value;
  }
}

// The derivative by x of the energy, as far as it goes through columns of the table: a part
// of a thread's row.
DEVICE NET look_up_back(const Group *p, GLOBAL const NET *RESTRICT weights, int column,
                        int width, LOCAL_ARG const NET *g, const int ld) {
  const int row = THREAD / 4;
  NET total = (NET)0;
  Interval interval;
  interval.start = p->table[row], interval.t = p->t[row];
  interval.scale = (NET)(POINTS / (1.0 - TABLE_FROM));
  for (int i = THREAD % 4; i < width; i += 4) {
    NET slope;
    table_value(weights, interval, column + i, &slope);
    total += g[row * ld + i] * slope;
  }
  return p->exact[row] ? (NET)0 : total;
}
#endif

// x and factors that the elements of a row choose.
DEVICE void scale_tile(const Group *p, GLOBAL const NET *RESTRICT w, const int width,
                       const int v, NET *t) {
  UNROLL
  for (int e = 0; e < 4 * v; e++)
    t[e] *= w[p->kind[tile_row(v, e)] * width + tile_column(v, e)];
}

// Radial functions times a matrix that the elements of a row choose, into a tile.
DEVICE void multiply_chosen(const Group *p, LOCAL_ARG const NET *basis, const int ldb,
                            GLOBAL const NET *RESTRICT w, const int width, const int v,
                            NET *t) {
  UNROLL
  for (int e = 0; e < 4 * v; e++) {
    const int row = tile_row(v, e);
    GLOBAL const NET *RESTRICT column =
        w + p->kind[row] * RADIAL * width + tile_column(v, e);
    for (int k = 0; k < RADIAL; k++) t[e] += basis[row * ldb + k] * column[k * width];
  }
}

DEVICE void multiply_chosen_back(const Group *p, LOCAL_ARG const NET *g, const int ld,
                                 GLOBAL const NET *RESTRICT w, const int width,
                                 LOCAL_ARG NET *d_basis, const int ldb, int adds) {
  OWN_PART(i, ROWS * RADIAL) {
    const int row = i / RADIAL, k = i % RADIAL;
    GLOBAL const NET *RESTRICT column = w + (p->kind[row] * RADIAL + k) * width;
    NET total = adds ? d_basis[row * ldb + k] : (NET)0;
    for (int j = 0; j < width; j++) total += g[row * ld + j] * column[j];
    d_basis[row * ldb + k] = total;
  }
}

// The derivatives by x of an energy's columns, which are its weights.
DEVICE void start_back(const Group *p, GLOBAL const NET *RESTRICT w, const int v, NET *t) {
  UNROLL
  for (int e = 0; e < 4 * v; e++) t[e] += p->factor[tile_row(v, e)] * w[tile_column(v, e)];
}

// Energies of rows, over the factor of their centre's element.
DEVICE void add_energies(const Group *p, LOCAL_ARG const NET *a, const int ld,
                         const int width, GLOBAL const NET *RESTRICT w) {
  OWN_PART(row, ROWS) {
    NET total = (NET)0;
    UNROLL_4
    for (int i = 0; i < width; i++) total += a[row * ld + i] * w[i];
    p->energy[row] += (double)(p->factor[row] * total);
  }
}

DEVICE void write_energies(const Group *p, GLOBAL double *RESTRICT energies) {
  OWN_PART(s, SLOTS) {
    if (p->center[s] < 0) continue;
    double total = 0.0;
    for (int row = p->first[s]; row < p->first[s + 1]; row++) total += p->energy[row];
    energies[p->center[s]] += total;
  }
}

#if CHARGED
// Charges of rows, 0 at first, and the seed of each row's centre.
DEVICE void fill_charges(const Group *p, GLOBAL const double *RESTRICT seeds, int has_seeds,
                         LOCAL_ARG double *charge, LOCAL_ARG NET *seed) {
  OWN_PART(row, ROWS) {
    charge[row] = 0.0;
    seed[row] = has_seeds && p->active[row] ? (NET)seeds[p->center[p->slot[row]]] : (NET)0;
  }
}

// The weights [TYPES, padded] are those of the centre's element.
DEVICE void add_charges(const Group *p, LOCAL_ARG const NET *a, const int ld, const int width,
                        GLOBAL const NET *RESTRICT w, const int padded,
                        LOCAL_ARG double *charge) {
  OWN_PART(row, ROWS) {
    GLOBAL const NET *RESTRICT own = w + p->kind[row] / TYPES * padded;
    NET total = (NET)0;
    UNROLL_4
    for (int i = 0; i < width; i++) total += a[row * ld + i] * own[i];
    if (p->active[row]) charge[row] += (double)total;
  }
}

DEVICE void write_charges(const Group *p, LOCAL_ARG const double *charge,
                          GLOBAL double *RESTRICT charges) {
  OWN_PART(s, SLOTS) {
    if (p->center[s] < 0) continue;
    double total = 0.0;
    for (int row = p->first[s]; row < p->first[s + 1]; row++) total += charge[row];
    charges[p->center[s]] += total;
  }
}

DEVICE void start_charges_back(const Group *p, GLOBAL const NET *RESTRICT w, const int padded,
                               LOCAL_ARG const NET *seed, const int v, NET *t) {
  UNROLL
  for (int e = 0; e < 4 * v; e++) {
    const int row = tile_row(v, e);
    t[e] += seed[row] * w[p->kind[row] / TYPES * padded + tile_column(v, e)];
  }
}
#endif

// From the derivatives by a row's harmonics and radial functions to its force, in fixed
// point: on the centre in `force` [3, ROWS], on the neighbour at once. `strain` [9, ROWS].
DEVICE void fill_forces(const Group *p, LOCAL_ARG const NET *d_harmonic, const int ldh,
                        LOCAL_ARG const NET *d_basis, LOCAL_ARG const NET *slopes,
                        const int ldb, const int lds, LOCAL_ARG const NET *by_table,
                        GLOBAL const double *RESTRICT constants,
                        GLOBAL mm_ulong *RESTRICT forces, int atoms, LOCAL_ARG mm_ulong *force,
                        LOCAL_ARG mm_ulong *strain) {
  OWN_PART(row, ROWS) {
    const double x = p->x[row], y = p->y[row], z = p->z[row], r = p->r[row];
    double value[COMPONENTS], dx = 0.0, dy = 0.0, dz = 0.0, by_place = 0.0;
    UNROLL
    for (int a = 0; a < COMPONENTS; a++) value[a] = (double)d_harmonic[row * ldh + a];
    harmonics_back(x, y, z, value, &dx, &dy, &dz);
#if POINTS
    if (!p->exact[row])
      for (int i = 0; i < 4; i++) by_place += (double)by_table[4 * row + i];
    else
#endif
      for (int n = 0; n < RADIAL; n++)
        by_place += (double)d_basis[row * ldb + n] * (double)slopes[row * lds + n];
    double slope;
    seen_place(constants, p->kind[row], r, constants[CUTOFFS + p->kind[row]], &slope);
    const double along = p->core[row] + by_place * slope;
    const double radial = dx * x + dy * y + dz * z;
    const double fx = along * x + (dx - radial * x) / r;
    const double fy = along * y + (dy - radial * y) / r;
    const double fz = along * z + (dz - radial * z) / r;
    const int counts = p->active[row];
    const double f[3] = {counts ? fx : 0.0, counts ? fy : 0.0, counts ? fz : 0.0};
    const double d[3] = {r * x, r * y, r * z};
    UNROLL
    for (int axis = 0; axis < 3; axis++) {
      const mm_ulong fixed = to_fixed_point(f[axis]);
      force[axis * ROWS + row] = fixed;
      if (counts) ATOMIC_ADD(&forces[axis * atoms + p->neighbor[row]], (mm_ulong)0 - fixed);
      UNROLL
      for (int k = 0; k < 3; k++)
        strain[(3 * k + axis) * ROWS + row] = to_fixed_point(d[k] * f[axis]);
    }
  }
}

DEVICE void add_row_forces(const Group *p, LOCAL_ARG const mm_ulong *force,
                       LOCAL_ARG const mm_ulong *row_strain,
                       GLOBAL mm_ulong *RESTRICT forces, int atoms,
                       GLOBAL mm_ulong *RESTRICT strain) {
  OWN_PART(i, 3 * SLOTS) {
    const int s = i / 3, axis = i % 3;
    if (p->center[s] < 0) continue;
    mm_ulong total = 0;
    for (int row = p->first[s]; row < p->first[s + 1]; row++)
      total += force[axis * ROWS + row];
    ATOMIC_ADD(&forces[axis * atoms + p->center[s]], total);
  }
  for (int i = NETWORK_THREADS - 1 - THREAD; i < 9; i += NETWORK_THREADS) {
    mm_ulong total = 0;
    for (int row = 0; row < ROWS; row++) total += row_strain[i * ROWS + row];
    ATOMIC_ADD(&strain[i], total);
  }
}
)DEVICE"
