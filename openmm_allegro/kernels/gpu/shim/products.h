// SPDX-License-Identifier: MIT
// The product of matrices that a warp of NVIDIA's cards does together.
namespace card {
/// To the nearest of 10 bits, ties away from zero, of what is no NaN.
static inline unsigned tf32(float x) {
  return (std::bit_cast<unsigned>(x) + 0x1000u) & ~0x1fffu;
}

/// The bits that tensor cores read.
static inline float cut(unsigned x) { return std::bit_cast<float>(x & ~0x1fffu); }

// What the lanes of each warp hand in, twice: a lane may be at its next product before
// others have read those of the last.
struct Handed { float a[16][8], b[8][8]; };
CARD_OWN Handed handed[64][2];

/// mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32: d += a b, whose numbers are spread
/// over the lanes of a warp as PTX has it.
CARD_RAW static void mma(float *d, const unsigned *a, const unsigned *b) {
  const int row = lane % WARP / 4, column = lane % 4;
  Handed &mine = handed[lane / WARP][team->warp_rounds[lane] & 1];
  for (int n = 0; n < 4; ++n)
    mine.a[row + 8 * (n % 2)][column + 4 * (n / 2)] = cut(a[n]);
  for (int n = 0; n < 2; ++n)
    mine.b[column + 4 * n][row] = cut(b[n]);
  wait_warp();
  for (int n = 0; n < 4; ++n)
    for (int k = 0; k < 8; ++k)
      d[n] += mine.a[row + 8 * (n / 2)][k] * mine.b[k][2 * column + n % 2];
}
}  // namespace card
