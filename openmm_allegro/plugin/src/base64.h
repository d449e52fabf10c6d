// SPDX-License-Identifier: MIT
// Arrays as text (RFC 4648), for XML.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "openmm/OpenMMException.h"

namespace Allegro {

constexpr char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

inline std::string encode(const void *data, size_t size) {
  const auto *bytes = static_cast<const unsigned char *>(data);
  std::string text;
  text.reserve((size + 2) / 3 * 4);
  for (size_t i = 0; i < size; i += 3) {
    unsigned group = bytes[i] << 16;
    if (i + 1 < size) group |= bytes[i + 1] << 8;
    if (i + 2 < size) group |= bytes[i + 2];
    text += DIGITS[group >> 18];
    text += DIGITS[group >> 12 & 63];
    text += i + 1 < size ? DIGITS[group >> 6 & 63] : '=';
    text += i + 2 < size ? DIGITS[group & 63] : '=';
  }
  return text;
}

inline std::string decode(const std::string &text, const std::string &name) {
  static const std::array<signed char, 256> values = [] {
    std::array<signed char, 256> v;
    v.fill(-1);
    for (int i = 0; i < 64; ++i) v[static_cast<unsigned char>(DIGITS[i])] = i;
    return v;
  }();
  const auto fail = [&] {
    throw OpenMM::OpenMMException("AllegroForce: expected base64 in " + name +
                                  ", found other text; the file is damaged");
  };
  if (text.size() % 4) fail();
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  unsigned group = 0;
  int bits = 0;
  size_t end = text.size();
  for (int padding = 0; padding < 2 && end && text[end - 1] == '='; ++padding) --end;
  for (size_t i = 0; i < end; ++i) {
    const int value = values[static_cast<unsigned char>(text[i])];
    if (value < 0) fail();
    group = group << 6 | value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>(group >> bits & 255);
  }
  return bytes;
}

}  // namespace Allegro
