R"DEVICE(
// Operations on the rows of one centre in device memory. A column holds the same number of
// all rows one after the other, so threads with consecutive rows read consecutive numbers;
// `width` and matrices are padded to multiples of 8.

// Rows of a centre: columns of `stride` numbers each; the ordered pair of elements of each
// row, or its complement, which is negative, if the pair is beyond its cutoff; the neighbour
// and its image; and where the table's cubics of the row start, -1 if it has none.
typedef struct {
  GLOBAL NET *x;
  GLOBAL int *kinds, *neighbors, *images, *starts;
  int stride, count;
} Rows;

#define AT(column, row) x[(mm_long)(column)*r.stride + (row)]
#define KIND(row) (r.kinds[row] < 0 ? ~r.kinds[row] : r.kinds[row])
// The threads share rows and columns; threads next to each other have the same column.
#define EACH(row, column, columns)                                            \
  for (int item = THREAD, padded = (r.count + 31) / 32 * 32, row, column;     \
       row = item % padded, column = item / padded, column < (columns);       \
       item += THREADS)                                                       \
    if (row < r.count)

// Images of a neighbour within the cutoff of a centre; those from `place` on are written, as
// far as there is room. Returns their number.
DEVICE_CALLED int wide_images(Rows r, int center, int neighbor,
                              GLOBAL const double *RESTRICT x,
                              GLOBAL const double *RESTRICT box, double cutoff, int place) {
  const int most_a = (int)box[9], most_b = (int)box[10], most_c = (int)box[11];
  int count = 0;
  for (int a = -most_a; a <= most_a; a++)
    for (int b = -most_b; b <= most_b; b++)
      for (int c = -most_c; c <= most_c; c++) {
        double square = 0.0;
        for (int axis = 0; axis < 3; axis++) {
          const double d = x[3 * neighbor + axis] - x[3 * center + axis] + a * box[axis] +
                           b * box[3 + axis] + c * box[6 + axis];
          square += d * d;
        }
        if (square >= cutoff * cutoff) continue;
        if (neighbor == center && a == 0 && b == 0 && c == 0) continue;
        if (place + count < r.stride) {
          r.neighbors[place + count] = neighbor;
          r.images[place + count] = (a & 255) | (b & 255) << 8 | (c & 255) << 16;
        }
        count++;
      }
  return count;
}

// Look for a centre's neighbours among all atoms, in the order of a list. Returns their
// number, which may be above r.stride: some are then missing.
DEVICE int wide_search(Rows r, int center, GLOBAL const double *RESTRICT x,
                       GLOBAL const double *RESTRICT box, GLOBAL const int *RESTRICT types,
                       GLOBAL const double *RESTRICT constants, int atoms,
                       LOCAL_ARG int *counts) {
  int total = 0;
  SYNC_THREADS  // of the centre before, all numbers were read
  for (int first = 0; first < atoms; first += WIDE_THREADS) {
    const int neighbor = first + THREAD;
    double cutoff = 0.0;
    int own = 0;
    if (neighbor < atoms) {
      cutoff = constants[CUTOFFS + types[center] * TYPES + types[neighbor]];
      own = wide_images(r, center, neighbor, x, box, cutoff, r.stride);
    }
    counts[THREAD] = own;
    SYNC_THREADS
    int place = total;
    for (int thread = 0; thread < WIDE_THREADS; thread++) {
      if (thread < THREAD) place += counts[thread];
      total += counts[thread];
    }
    if (own) wide_images(r, center, neighbor, x, box, cutoff, place);
    SYNC_THREADS
  }
  return total;
}

// Read the neighbours of a centre's rows, or find those within the cutoff where its list was
// too short. Returns their number, which may be above r.stride: some are then missing.
DEVICE int wide_neighbors(Rows r, int center, GLOBAL const double *RESTRICT x,
                          GLOBAL const double *RESTRICT box, GLOBAL const int *RESTRICT types,
                          GLOBAL const int *RESTRICT neighbors,
                          GLOBAL const int *RESTRICT images,
                          GLOBAL const int *RESTRICT degrees, GLOBAL const int *RESTRICT rows,
                          GLOBAL const double *RESTRICT constants, int atoms, int capacity,
                          LOCAL_ARG int *sums) {
  const int degree = degrees[center];
  if (degree < 0)
    return wide_search(r, center, x, box, types, constants, atoms, sums);
  const mm_long start = (mm_long)center * capacity;
  SHARE(row, degree < r.stride ? degree : r.stride) {
    r.neighbors[row] = neighbors[start + rows[start + row]];
    r.images[row] = images[start + rows[start + row]];
  }
  return degree;
}

// Harmonics, radial functions and their derivatives of each row, which are zero beyond the
// cutoff; 1 in `exact` if there is a row that no table has.
DEVICE_CALLED void wide_pairs(Rows r, GLOBAL const double *RESTRICT x,
                              GLOBAL const double *RESTRICT box,
                              GLOBAL const int *RESTRICT types,
                              GLOBAL const double *RESTRICT constants, int center,
                              LOCAL_ARG int *exact) {
  SHARE(row, r.count) {
    const int neighbor = r.neighbors[row];
    const int kind = types[center] * TYPES + types[neighbor];
    const Pair p = pair_between(x, box, center, neighbor, r.images[row]);
    double by_distance;
    const double place = seen_place(constants, kind, p.r, constants[CUTOFFS + kind],
                                    &by_distance);
    const int is_beyond = place >= 1.0;
    r.kinds[row] = is_beyond ? ~kind : kind;
    double y[COMPONENTS];
    harmonics(p.x, p.y, p.z, y);
    UNROLL
    for (int a = 0; a < COMPONENTS; a++)
      r.AT(HARMONIC + a, row) = is_beyond ? (NET)0 : (NET)y[a];
#if POINTS
    r.starts[row] = -1;
    if (!is_exact(place)) {
      const Interval i = table_interval(kind, place);
      r.starts[row] = i.start;
      r.AT(TABLE_PLACE, row) = i.t;
      continue;
    }
    ATOMIC_MAX(exact, 1);
#endif
    Radial f = radial_functions(place);
    for (int n = 0; n < RADIAL; n++) {
      double slope;
      const double value = next_radial(&f, n, constants, &slope);
      r.AT(BASIS + n, row) = (NET)value;
      r.AT(SLOPE + n, row) = (NET)slope;
    }
  }
}

#if POINTS
// Values and slopes of the table's columns, for rows that it has.
DEVICE_CALLED void wide_table(Rows r, GLOBAL const NET *RESTRICT weights) {
  // here threads next to each other have consecutive columns of the table
  SHARE(item, r.count * FIRST_WIDTH) {
    const int row = item / FIRST_WIDTH, column = item % FIRST_WIDTH;
    if (r.starts[row] < 0) continue;
    Interval i;
    i.start = r.starts[row];
    i.t = r.AT(TABLE_PLACE, row);
    i.scale = (NET)TABLE_SCALE;
    NET slope;
    r.AT(FIRST + column, row) = table_value(weights, i, column, &slope);
    r.AT(TABLE_SLOPE + column, row) = slope;
  }
}
#endif

// target (+)= source · matrix [depth, width]
DEVICE_CALLED void linear(Rows r, int source, int depth, int target, int width,
                          GLOBAL const NET *RESTRICT matrix, int add) {
  EACH(row, tile, width / 8) {
    NET sum[8];
    UNROLL
    for (int i = 0; i < 8; i++) sum[i] = add ? r.AT(target + 8 * tile + i, row) : (NET)0;
    for (int k = 0; k < depth; k++) {
      const NET a = r.AT(source + k, row);
      GLOBAL const NET4 *b = (GLOBAL const NET4 *)(matrix + k * width + 8 * tile);
      const NET4 b0 = b[0], b1 = b[1];
      sum[0] += a * b0.x;
      sum[1] += a * b0.y;
      sum[2] += a * b0.z;
      sum[3] += a * b0.w;
      sum[4] += a * b1.x;
      sum[5] += a * b1.y;
      sum[6] += a * b1.z;
      sum[7] += a * b1.w;
    }
    UNROLL
    for (int i = 0; i < 8; i++) r.AT(target + 8 * tile + i, row) = sum[i];
  }
}

// x becomes f(x), and f'(x) is kept; `kind` as in enum allegro_nonlinearity.
DEVICE_CALLED void activation(Rows r, int kind, int target, int width, int slope) {
  EACH(row, column, width) {
    NET value = r.AT(target + column, row);
    r.AT(slope + column, row) =
        kind == 0 ? silu(&value) : kind == 1 ? mish(&value) : gelu(&value);
    r.AT(target + column, row) = value;
  }
}

DEVICE_CALLED void activation_back(Rows r, int target, int width, int slope) {
  EACH(row, column, width) r.AT(target + column, row) *= r.AT(slope + column, row);
}

DEVICE_CALLED void zero(Rows r, int target, int width) {
  EACH(row, column, width) r.AT(target + column, row) = (NET)0;
}

// Numbers that the elements of the pair choose [kinds, step]; also on the way back.
DEVICE_CALLED void scale_by_types(Rows r, int target, int width, int step,
                                  GLOBAL const NET *RESTRICT factors) {
  EACH(row, column, width) r.AT(target + column, row) *= factors[KIND(row) * step + column];
}

// target = radial functions · matrix [kinds, RADIAL, step] of the pair's elements
DEVICE_CALLED void spline(Rows r, int target, int width, int step,
                          GLOBAL const NET *RESTRICT matrices) {
  EACH(row, column, width) {
    GLOBAL const NET *RESTRICT matrix = matrices + KIND(row) * RADIAL * step + column;
    NET sum = (NET)0;
    for (int k = 0; k < RADIAL; k++) sum += r.AT(BASIS + k, row) * matrix[k * step];
    r.AT(target + column, row) = sum;
  }
}

DEVICE_CALLED void spline_back(Rows r, int target, int width, int step,
                               GLOBAL const NET *RESTRICT matrices) {
  EACH(row, k, RADIAL) {
    GLOBAL const NET *RESTRICT matrix = matrices + (KIND(row) * RADIAL + k) * step;
    NET sum = r.AT(D_BASIS + k, row);
    for (int i = 0; i < width; i++) sum += r.AT(target + i, row) * matrix[i];
    r.AT(D_BASIS + k, row) = sum;
  }
}

// out[a, u] = factor · the sum over rows of y_a w_{l(a), u}, times s_u where `scalars` is a
// column, not -1. Of hundreds of rows, sums of a few in double precision round less.
#define ROWS_OF_SUM 4
DEVICE_CALLED void sum_rows(Rows r, int w, int scalars, NET factor, GLOBAL NET *out) {
  SHARE(place, COMPONENTS * CHANNELS) {
    const int a = place / CHANNELS, u = place % CHANNELS;
    const int column = w + DEGREE(a) * CHANNELS + u;
    double sum = 0.0;
    for (int first = 0; first < r.count; first += ROWS_OF_SUM) {
      const int rest = r.count - first;
      const int end = first + (rest < ROWS_OF_SUM ? rest : ROWS_OF_SUM);
      NET part = (NET)0;
      for (int row = first; row < end; row++) {
        const NET product = r.AT(HARMONIC + a, row) * r.AT(column, row);
        part += scalars < 0 ? product : product * r.AT(scalars + u, row);
      }
      sum += part;
    }
    out[place] = factor * (NET)sum;
  }
}

// Σ over the components a of degree l of y_a v_{a, u}
DEVICE NET along(Rows r, int row, GLOBAL const NET *v, int l, int u) {
  NET sum = (NET)0;
  for (int a = FIRST_OF(l); a < FIRST_OF(l + 1); a++)
    sum += r.AT(HARMONIC + a, row) * v[a * CHANNELS + u];
  return sum;
}

// s_u = Σ_a w_{l(a), u} y_a v_{a, u}
DEVICE_CALLED void project_rows(Rows r, int w, GLOBAL const NET *v, int target) {
  EACH(row, u, CHANNELS) {
    NET sum = (NET)0;
    for (int l = 0; l < DEGREES; l++)
      sum += r.AT(w + l * CHANNELS + u, row) * along(r, row, v, l, u);
    r.AT(target + u, row) = sum;
  }
}

// Derivatives of factor · Σ_{a, u} s_u w_{l(a), u} y_a v_{a, u}, s being 1 where `scalars`
// is -1: (+)= those by w, and += those by y.
DEVICE_CALLED void project_rows_back(Rows r, int w, GLOBAL const NET *v, int scalars,
                                     NET factor, int d_w, int add) {
  EACH(row, column, DEGREES * CHANNELS) {
    const int l = column / CHANNELS, u = column % CHANNELS;
    NET part = factor * along(r, row, v, l, u);
    if (scalars >= 0) part *= r.AT(scalars + u, row);
    r.AT(d_w + column, row) = add ? r.AT(d_w + column, row) + part : part;
  }
  EACH(row, a, COMPONENTS) {
    const int column = w + DEGREE(a) * CHANNELS;
    NET sum = (NET)0;
    for (int u = 0; u < CHANNELS; u++) {
      const NET product = r.AT(column + u, row) * v[a * CHANNELS + u];
      sum += scalars < 0 ? product : product * r.AT(scalars + u, row);
    }
    r.AT(D_HARMONIC + a, row) += factor * sum;
  }
}

// Σ of a row's columns times weights
DEVICE_CALLED NET dot(Rows r, int row, int source, int width,
                      GLOBAL const NET *RESTRICT weights) {
  NET sum = (NET)0;
  for (int i = 0; i < width; i++) sum += r.AT(source + i, row) * weights[i];
  return sum;
}

// The derivatives of the energy by the numbers that `dot` reads.
DEVICE_CALLED void energy_back(Rows r, NET factor, int target, int width,
                               GLOBAL const NET *RESTRICT weights, int add) {
  EACH(row, i, width) {
    const NET part = r.kinds[row] < 0 ? (NET)0 : factor * weights[i];
    r.AT(target + i, row) = add ? r.AT(target + i, row) + part : part;
  }
}

#if CHARGED
// The derivatives of seed · charge by the numbers that `dot` reads, whose weights
// [TYPES, width] the centre's element chooses.
DEVICE_CALLED void charge_back(Rows r, NET seed, int target, int width,
                               GLOBAL const NET *RESTRICT weights, int add) {
  EACH(row, i, width) {
    const int kind = r.kinds[row];
    const NET part = kind < 0 ? (NET)0 : seed * weights[kind / TYPES * width + i];
    r.AT(target + i, row) = add ? r.AT(target + i, row) + part : part;
  }
}
#endif

// Sums over the threads of `count` numbers each, [count, WIDE_THREADS]; they are then the
// first of each. The order of a sum is always the same.
DEVICE void sum_threads(LOCAL_ARG double *sums, int count) {
  SYNC_THREADS
  for (int left = WIDE_THREADS / 2; left > 0; left /= 2) {
    SHARE(item, count * left) {
      LOCAL_ARG double *of_threads = sums + item / left * WIDE_THREADS;
      of_threads[item % left] += of_threads[item % left + left];
    }
    SYNC_THREADS
  }
}

// The energy of a row beside the network's.
DEVICE_CALLED double wide_core(Rows r, int row, GLOBAL const double *RESTRICT x,
                                    GLOBAL const double *RESTRICT box,
                                    GLOBAL const double *RESTRICT constants, int center) {
#if CORE
  const Pair p = pair_between(x, box, center, r.neighbors[row], r.images[row]);
  const double cutoff = constants[CUTOFFS + r.kinds[row]];
  double slope;
  return pair_core(constants, r.kinds[row], p.r, p.r / cutoff, cutoff, &slope);
#else
  return 0.0;
#endif
}
)DEVICE"
