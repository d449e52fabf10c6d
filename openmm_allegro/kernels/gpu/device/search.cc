R"DEVICE(
// What the kernels of the pair list share: words, the box as they use it, images of a pair.
#ifndef ATOMIC_EXCHANGE
#if defined(__OPENCL_VERSION__)
#define ATOMIC_EXCHANGE(dest, value) atomic_xchg(dest, value)
#elif defined(__CUDACC__) || defined(__HIPCC__) || defined(__HIPCC_RTC__)
#define ATOMIC_EXCHANGE(dest, value) atomicExch(dest, value)
#else
#define ATOMIC_EXCHANGE(dest, value) __atomic_exchange_n(dest, value, __ATOMIC_RELAXED)
#endif
#endif
// Number of zeros below the lowest bit of a number other than 0.
#if defined(__OPENCL_VERSION__)
#define LOWEST_BIT(bits) (63 - (int)clz((bits) & (~(bits) + 1)))
#elif defined(__CUDACC__) || defined(__HIPCC__) || defined(__HIPCC_RTC__)
#define LOWEST_BIT(bits) (__ffsll((mm_long)(bits)) - 1)
#else
#define LOWEST_BIT(bits) __builtin_ctzll(bits)
#endif

// What a step finds: it has one half of `state`, and clears that of the next step.
#define TO_BUILD 0
#define BAD 1
#define STATE(state, turn, what) ((state) + 2 * (turn) + (what))

// Why a box is refused, and positions.
#define BOX_NOT_FINITE 1
#define BOX_TOO_FAR 2
#define BOX_FLAT 3
#define BOX_NARROW 4
#define BOX_CROWDED 5
#define POSITIONS_NOT_FINITE 1
#define POSITIONS_TOO_FAR 2

#define FARTHEST 1.0e8
#define MOST_BOXES 1.0e9
#define MOST_IMAGES 126.0
#define MOST_CELLS 2.0e5

// The box as the search uses it: rows that give the fractions of a position, where the box
// does not repeat Å along directions across it; the inverse of its widths, 0 where it does
// not repeat; and its cells, 1 for a search without them, 0 where it does not repeat.
#define FRAME_WIDTHS 9
#define FRAME_CELLS 12
#define FRAME 15

// Coordinates are multiples of 2^-40 Å. So whole boxes are taken off exactly, and results
// do not depend on how many were, which is decided when the list is built.
#define GRID 1099511627776.0
DEVICE double on_grid(double value) { return rint(value * GRID) * (1.0 / GRID); }

// The vector k of the box, or one across the others where it does not repeat.
DEVICE void complete_box(double *box, int periodic) {
  const int last = periodic == 3 ? 2 : periodic == 5 ? 1 : 0;
  if (periodic == 7) return;
  if (periodic == 0) {
    for (int i = 0; i < 9; ++i) box[i] = i % 4 == 0 ? 1.0 : 0.0;
    return;
  }
  if (periodic == 1 || periodic == 2 || periodic == 4) {
    const int only = periodic == 4 ? 2 : periodic - 1;
    const double *a = box + 3 * only;
    double *u = box + 3 * ((only + 1) % 3), *v = box + 3 * ((only + 2) % 3);
    int least = fabs(a[1]) < fabs(a[0]) ? 1 : 0;
    if (fabs(a[2]) < fabs(a[least])) least = 2;
    const int next = (least + 1) % 3, after = (least + 2) % 3;
    const double length = sqrt(a[next] * a[next] + a[after] * a[after]);
    const double whole = sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]);
    u[least] = 0.0, u[next] = -a[after] / length, u[after] = a[next] / length;
    for (int i = 0; i < 3; ++i) {
      const int j = (i + 1) % 3, k = (i + 2) % 3;
      v[i] = (a[j] * u[k] - a[k] * u[j]) / whole;
    }
    return;
  }
  const double *a = box + 3 * ((last + 1) % 3), *b = box + 3 * ((last + 2) % 3);
  double c[3], square = 0.0;
  for (int i = 0; i < 3; ++i) {
    const int j = (i + 1) % 3, k = (i + 2) % 3;
    c[i] = a[j] * b[k] - a[k] * b[j];
    square += c[i] * c[i];
  }
  for (int i = 0; i < 3; ++i) box[3 * last + i] = c[i] / sqrt(square);
}

// The frame of a box, and its volume; vectors that do not repeat are replaced.
DEVICE double make_frame(double *box, int periodic, double reach, double *frame) {
  complete_box(box, periodic);
  double volume = 0.0;
  for (int k = 0; k < 3; ++k) {
    const double *u = box + 3 * ((k + 1) % 3), *v = box + 3 * ((k + 2) % 3);
    double *row = frame + 3 * k, square = 0.0;
    for (int i = 0; i < 3; ++i) {
      const int j = (i + 1) % 3, l = (i + 2) % 3;
      row[i] = u[j] * v[l] - u[l] * v[j];
      square += row[i] * row[i];
    }
    volume = box[3 * k] * row[0] + box[3 * k + 1] * row[1] + box[3 * k + 2] * row[2];
    for (int i = 0; i < 3; ++i) row[i] /= volume;
    const double inverse = sqrt(square) / fabs(volume);
    const int repeats = periodic >> k & 1;
    const double cells = floor(1.0 / (inverse * reach * 1.000001));
    frame[FRAME_WIDTHS + k] = repeats ? inverse : 0.0;
    frame[FRAME_CELLS + k] = !repeats ? 0.0 : cells < 3.0 ? 1.0 : cells;
  }
  return fabs(volume);
}

DEVICE double fraction(const double *frame, int k, const double *v) {
  return frame[3 * k] * v[0] + frame[3 * k + 1] * v[1] + frame[3 * k + 2] * v[2];
}

// The cell of a position along vector k, in a box or in one that has no end.
DEVICE int cell_along(const double *frame, int k, const double *position, double reach) {
  const double along = fraction(frame, k, position), cells = frame[FRAME_CELLS + k];
  if (cells == 0.0) return (int)floor(along / (reach * 1.000001));
  return (int)fmin(fmax(floor(along * cells), 0.0), cells - 1.0);
}

DEVICE int bucket_of(int x, int y, int z, int buckets) {
  const unsigned int mixed = (unsigned int)x * 73856093u ^ (unsigned int)y * 19349663u ^
                             (unsigned int)z * 83492791u;
  return (int)((mixed ^ mixed >> 15) % (unsigned int)buckets);
}

// A pair as one number, by which a centre's pairs are sorted: neighbour, then image.
DEVICE mm_ulong key_of(int neighbor, int a, int b, int c) {
  return (mm_ulong)neighbor << 24 | (mm_ulong)(a + 128) << 16 | (mm_ulong)(b + 128) << 8 |
         (mm_ulong)(c + 128);
}

DEVICE int image_of(mm_ulong key) {
  const int a = (int)(key >> 16 & 255) - 128, b = (int)(key >> 8 & 255) - 128;
  const int c = (int)(key & 255) - 128;
  return (a & 255) | (b & 255) << 8 | (c & 255) << 16;
}

// The vector to an image of a neighbour; its square is returned.
DEVICE double to_image(const double *d, const double *box, int a, int b, int c, double *v) {
  double square = 0.0;
  for (int i = 0; i < 3; ++i) {
    v[i] = d[i] + (a * box[i] + b * box[3 + i] + c * box[6 + i]);
    square += v[i] * v[i];
  }
  return square;
}

// Add the images of a neighbour within its reach to a centre's keys; 0 if they are too many.
DEVICE int find_images(int center, int neighbor, const double *d, const double *box,
                       const double *frame, double reach, GLOBAL mm_ulong *keys,
                       LOCAL_ARG int *number, int capacity) {
  int low[3], high[3];
  for (int k = 0; k < 3; ++k) {
    const double along = fraction(frame, k, d);
    const double room = reach * frame[FRAME_WIDTHS + k] + 1.0e-9;
    const int repeats = frame[FRAME_WIDTHS + k] > 0.0;
    low[k] = repeats ? (int)ceil(-room - along) : 0;
    high[k] = repeats ? (int)floor(room - along) : 0;
  }
  for (int a = low[0]; a <= high[0]; ++a)
    for (int b = low[1]; b <= high[1]; ++b)
      for (int c = low[2]; c <= high[2]; ++c) {
        double v[3];
        if (to_image(d, box, a, b, c, v) >= reach * reach) continue;
        if (neighbor == center && a == 0 && b == 0 && c == 0) continue;
        const int place = ATOMIC_COUNT(number, 1);
        if (place < capacity) keys[place] = key_of(neighbor, a, b, c);
        if (place > MOST_NEIGHBORS) return 0;
      }
  return 1;
}
)DEVICE"
