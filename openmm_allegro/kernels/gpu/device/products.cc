R"DEVICE(
// Products of rows in work-group memory with matrices in device memory. A thread has a tile
// of each product: of 16 v columns, v being 4, 2 or 1, it has 4 v numbers. Which these are
// depends on v alone, so what a thread keeps of a tile fits its other tiles.
#define NETWORK_THREADS (4 * ROWS)
// The threads of the kernel `network` share the indices from 0 to before `count`.
#define OWN_PART(index, count) for (int index = THREAD; index < (count); index += NETWORK_THREADS)
#if defined(__CUDACC__) || defined(__HIPCC__) || defined(__HIPCC_RTC__)
#define UNROLL_4 _Pragma("unroll 4")
#define UNROLL_2 _Pragma("unroll 2")
// A number that the compiler does not know, so that it keeps nothing that depends on it over
// the loop around it: addresses of all weights would fill the registers.
#define HIDE(x) asm volatile("" : "+r"(x))
#else
#define UNROLL_4
#define UNROLL_2
#define HIDE(x)
#endif

#if NET_IS_DOUBLE
typedef struct ALIGNED(16) {
  NET x, y;
} NET2;
#else
typedef struct ALIGNED(8) {
  NET x, y;
} NET2;
#endif

#if TF32X3
// By tensor cores. A warp has 16 rows and 8 columns of d += a b in fragments of
// mma.sync.m16n8k8, which holds numbers of 10 bits. A number is the sum of two such parts,
// and three products of parts leave out the smallest alone.
#ifndef MMA
#define AS_FLOAT(x) __uint_as_float(x)
#define AS_BITS(x) __float_as_uint(x)
// To the nearest, away from zero in the middle.
#define TF32(x) ((AS_BITS(x) + 0x1000u) & 0xffffe000u)
DEVICE void multiply_fragments(float *d, const unsigned *a, const unsigned *b) {
  // volatile, so that it stays where all lanes of a warp meet
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#define MMA(d, a, b) multiply_fragments(d, a, b)
#endif

#define OWN_LANE (THREAD % 32)
#define OWN_WARP (THREAD / 32)
// Warps beside each other, and fragments one below the other, of tiles of 64 or 32 columns.
#define WARP_COLUMNS (ROWS == 16 ? 2 : 4)
#define WARP_HEIGHT(v) (ROWS == 16 || (v) == 1 ? 1 : 2)
#define WARP_WIDTH(v) ((v) == 1 ? 1 : 2 * (v) / WARP_COLUMNS)
#define FIRST_ROW(v) \
  ((v) == 1 ? 16 * (OWN_WARP / 2) : 16 * WARP_HEIGHT(v) * (OWN_WARP / WARP_COLUMNS))
#define FIRST_FRAGMENT(v) ((v) == 1 ? OWN_WARP % 2 : OWN_WARP % WARP_COLUMNS)

DEVICE int tile_row(const int v, const int e) {
  return FIRST_ROW(v) + 16 * (e / (4 * WARP_WIDTH(v))) + OWN_LANE / 4 + 8 * (e % 4 / 2);
}

DEVICE int tile_column(const int v, const int e) {
  const int fragment = FIRST_FRAGMENT(v) + WARP_COLUMNS * (e / 4 % WARP_WIDTH(v));
  return 8 * fragment + 2 * (OWN_LANE % 4) + e % 2;
}

// Tensor cores cut off the last 13 bits. The rest of a number has one of them at most: it is
// rounded by what it grows by, which leaves NaN as it is. TF32 makes 0 of NVIDIA's NaN.
DEVICE void split(float x, unsigned *high, unsigned *low) {
  *high = TF32(x);
  const float rest = x - AS_FLOAT(*high);
  *low = AS_BITS(fmaf(rest, 1.0f / 2048.0f, rest));
}

// The next 8 rows of b for a tile, two numbers of each fragment.
DEVICE void load_fragments(GLOBAL const NET *RESTRICT w, const int v, NET2 *b) {
  UNROLL
  for (int j = 0; j < 4; j++)
    if (j < WARP_WIDTH(v))
      b[j] =
          *(GLOBAL const NET2 *)(w + 64 * (FIRST_FRAGMENT(v) + WARP_COLUMNS * j) + 2 * OWN_LANE);
}

// Products with a low part are added up in `rest`: each sum is rounded, and the large one is
// rounded least often so.
DEVICE void add_fragments(const unsigned *high, const unsigned *low, const NET2 *b,
                          const int v, NET *t, NET *rest) {
  UNROLL
  for (int j = 0; j < 4; j++) {
    if (j >= WARP_WIDTH(v)) continue;
    unsigned b_high[2], b_low[2];
    split(b[j].x, b_high, b_low);
    split(b[j].y, b_high + 1, b_low + 1);
    UNROLL
    for (int i = 0; i < 2; i++)
      if (i < WARP_HEIGHT(v)) MMA(rest + 4 * (i * WARP_WIDTH(v) + j), low + 4 * i, b_high);
    UNROLL
    for (int i = 0; i < 2; i++)
      if (i < WARP_HEIGHT(v)) MMA(rest + 4 * (i * WARP_WIDTH(v) + j), high + 4 * i, b_low);
    UNROLL
    for (int i = 0; i < 2; i++)
      if (i < WARP_HEIGHT(v)) MMA(t + 4 * (i * WARP_WIDTH(v) + j), high + 4 * i, b_high);
  }
}

// Add a · w to the tile t, and a · w1 to t1 if v1 is not 0. A matrix is stored as its
// fragments [depth / 8, 2 v, lanes, 2].
DEVICE void multiply(LOCAL_ARG const NET *RESTRICT a, const int lda, const int depth,
                     GLOBAL const NET *RESTRICT w, const int v, NET *t,
                     GLOBAL const NET *RESTRICT w1, const int v1, NET *t1) {
  NET2 b[4], b1[4], next[4], next1[4];
  NET rest[16], rest1[16];
  UNROLL
  for (int e = 0; e < 16; e++) rest[e] = rest1[e] = (NET)0;
  LOCAL_ARG const NET *from = a + (FIRST_ROW(v) + OWN_LANE / 4) * lda + OWN_LANE % 4;
  load_fragments(w, v, next);
  if (v1) load_fragments(w1, v1, next1);
  UNROLL_2
  for (int k = 0; k < depth; k += 8) {
    unsigned high[8], low[8];
    UNROLL
    for (int j = 0; j < 4; j++) {
      if (j < WARP_WIDTH(v)) b[j] = next[j];
      if (v1 && j < WARP_WIDTH(v1)) b1[j] = next1[j];
    }
    // the last time of what follows the matrix, for nothing
    load_fragments(w + 16 * v * (k + 8), v, next);
    if (v1) load_fragments(w1 + 16 * v1 * (k + 8), v1, next1);
    UNROLL
    for (int i = 0; i < 4 * WARP_HEIGHT(v); i++)
      split(from[(16 * (i / 4) + 8 * (i % 2)) * lda + k + 4 * (i / 2 % 2)], high + i, low + i);
    add_fragments(high, low, b, v, t, rest);
    if (v1) add_fragments(high, low, b1, v1, t1, rest1);
  }
  UNROLL
  for (int e = 0; e < 16; e++) {
    if (e < 4 * v) t[e] += rest[e];
    if (e < 4 * v1) t1[e] += rest1[e];
  }
}

#else
// By fused multiplication and addition: 4 rows of v columns.
// A warp is 4 rows high and 8 tiles wide. Lanes next to each other share rows or columns,
// so that their loads are one.
#define TILE_COLUMN                                                        \
  (8 * (THREAD / 32 % 2) + (THREAD / 8 % 2) * 4 + (THREAD / 4 % 2) * 2 + THREAD % 2)
#define TILE_ROW (4 * (THREAD / 64) + (THREAD / 16 % 2) * 2 + THREAD / 2 % 2)

DEVICE int tile_row(const int v, const int e) { return TILE_ROW + ROWS / 4 * (e / v); }

DEVICE int tile_column(const int v, const int e) { return v * TILE_COLUMN + e % v; }

// A thread's columns of 4 rows of a matrix.
// The loops have as many turns for each v: the compiler would take one of a single turn, and
// what it was asked for it, for a part of the loop around it.
DEVICE void load_columns(GLOBAL const NET *RESTRICT w, const int v, NET *b) {
  w += v * TILE_COLUMN;
  UNROLL
  for (int k = 0; k < 4; k++) {
    if (v == 4) {
      const NET4 x = *(GLOBAL const NET4 *)(w + 64 * k);
      b[4 * k] = x.x, b[4 * k + 1] = x.y, b[4 * k + 2] = x.z, b[4 * k + 3] = x.w;
    } else if (v == 2) {
      const NET2 x = *(GLOBAL const NET2 *)(w + 32 * k);
      b[4 * k] = x.x, b[4 * k + 1] = x.y;
    } else {
      b[4 * k] = w[16 * k];
    }
  }
}

// Each product is added at once: sums of products first would be more instructions.
DEVICE void add_products(NET4 x, const NET *b, const int v, NET *t) {
  UNROLL
  for (int j = 0; j < 4; j++)
    if (j < v) t[j] = fma(x.x, b[j], t[j]);
  UNROLL
  for (int j = 0; j < 4; j++)
    if (j < v) t[j] = fma(x.y, b[4 + j], t[j]);
  UNROLL
  for (int j = 0; j < 4; j++)
    if (j < v) t[j] = fma(x.z, b[8 + j], t[j]);
  UNROLL
  for (int j = 0; j < 4; j++)
    if (j < v) t[j] = fma(x.w, b[12 + j], t[j]);
}

// Add a · w to the tile t, and a · w1 to t1 if v1 is not 0. A matrix is stored row by row,
// [depth, 16 v].
DEVICE void multiply(LOCAL_ARG const NET *RESTRICT a, const int lda, const int depth,
                     GLOBAL const NET *RESTRICT w, const int v, NET *t,
                     GLOBAL const NET *RESTRICT w1, const int v1, NET *t1) {
  NET b[16], b1[16], next[16], next1[16];
  LOCAL_ARG const NET *from = a + TILE_ROW * lda;
  load_columns(w, v, next);
  if (v1) load_columns(w1, v1, next1);
  UNROLL_2
  for (int k = 0; k < depth; k += 4) {
    UNROLL
    for (int i = 0; i < 16; i++) {
      if (i % 4 < v) b[i] = next[i];
      if (i % 4 < v1) b1[i] = next1[i];
    }
    // the last time of what follows the matrix, for nothing
    load_columns(w + 16 * v * (k + 4), v, next);
    if (v1) load_columns(w1 + 16 * v1 * (k + 4), v1, next1);
    UNROLL
    for (int i = 0; i < 4; i++) {
      const NET4 x = *(LOCAL_ARG const NET4 *)(from + i * (ROWS / 4) * lda + k);
      add_products(x, b, v, t + i * v);
      if (v1) add_products(x, b1, v1, t1 + i * v1);
    }
  }
}
#endif

DEVICE void clear_tile(const int count, NET *t) {
  UNROLL
  for (int e = 0; e < count; e++) t[e] = (NET)0;
}

DEVICE void store_tile(const NET *t, const int v, LOCAL_ARG NET *a, const int lda) {
#if !TF32X3
  if (v == 4) {
    UNROLL
    for (int i = 0; i < 4; i++) {
      NET4 x;
      x.x = t[4 * i], x.y = t[4 * i + 1], x.z = t[4 * i + 2], x.w = t[4 * i + 3];
      *(LOCAL_ARG NET4 *)(a + tile_row(4, 4 * i) * lda + tile_column(4, 0)) = x;
    }
    return;
  }
#endif
  if (v == 1) {
    UNROLL
    for (int e = 0; e < 4; e++) a[tile_row(v, e) * lda + tile_column(v, e)] = t[e];
    return;
  }
  UNROLL
  for (int e = 0; e < 4 * v; e += 2) {
    NET2 x;
    x.x = t[e], x.y = t[e + 1];
    *(LOCAL_ARG NET2 *)(a + tile_row(v, e) * lda + tile_column(v, e)) = x;
  }
}

DEVICE void add_stored(NET *t, const int v, LOCAL_ARG const NET *a, const int lda) {
  UNROLL
  for (int e = 0; e < 4 * v; e++) t[e] += a[tile_row(v, e) * lda + tile_column(v, e)];
}
)DEVICE"
