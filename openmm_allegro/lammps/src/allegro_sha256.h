// SPDX-License-Identifier: GPL-2.0-or-later
// SHA-256, as FIPS 180-4 has it: doi:10.6028/NIST.FIPS.180-4.
#ifndef ALLEGRO_SHA256_H
#define ALLEGRO_SHA256_H

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

namespace openmm_allegro {

class Sha256 {
 public:
  void add(const unsigned char *data, size_t size) {
    total += size;
    if (held) {
      const size_t part = std::min(size, sizeof block - held);
      std::memcpy(block + held, data, part);
      held += part, data += part, size -= part;
      if (held < sizeof block) return;
      process(block);
    }
    for (; size >= sizeof block; data += sizeof block, size -= sizeof block) process(data);
    std::memcpy(block, data, size);
    held = size;
  }

  // Sixteen digits for each 64 bits; nothing can be added afterwards.
  std::string digits() {
    const uint64_t bits = 8 * total;
    const unsigned char one = 0x80, zero = 0;
    add(&one, 1);
    while (held != 56) add(&zero, 1);
    unsigned char length[8];
    for (int i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(bits >> (56 - 8 * i));
    add(length, 8);
    std::string text;
    char hex[9];
    for (const uint32_t word : state) {
      std::snprintf(hex, sizeof hex, "%08x", static_cast<unsigned>(word));
      text += hex;
    }
    return text;
  }

 private:
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  unsigned char block[64];
  size_t held = 0;
  uint64_t total = 0;

  static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

  void process(const unsigned char *data) {
    static const uint32_t K[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    uint32_t w[64];
    for (int i = 0; i < 16; ++i, data += 4)
      w[i] = uint32_t(data[0]) << 24 | uint32_t(data[1]) << 16 | uint32_t(data[2]) << 8 |
             uint32_t(data[3]);
    for (int i = 16; i < 64; ++i)
      w[i] = w[i - 16] + w[i - 7] +
             (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
             (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    uint32_t s[8];
    std::copy_n(state, 8, s);
    // Eight rounds at a time: instead of moving each word, the next round calls it another.
    for (int i = 0; i < 64; i += 8)
      for (int k = 0; k < 8; ++k) {
        const auto word = [&](int n) -> uint32_t & { return s[(n - k) & 7]; };
        const uint32_t a = word(0), e = word(4);
        const uint32_t first = word(7) + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                               ((e & word(5)) ^ (~e & word(6))) + K[i + k] + w[i + k];
        const uint32_t second = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
                                ((a & word(1)) ^ (a & word(2)) ^ (word(1) & word(2)));
        word(3) += first, word(7) = first + second;
      }
    for (int i = 0; i < 8; ++i) state[i] += s[i];
    held = 0;
  }
};

}  // namespace openmm_allegro

#endif
