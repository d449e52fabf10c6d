// SPDX-License-Identifier: MIT
// Texts of the device, and lines that a program adds to them.

static const char *const DIALECT =
#include "../device/dialect.cc"
    ;
static const char *const PAIR =
#include "../device/pair.cc"
    ;
static const char *const PRODUCTS =
#include "../device/products.cc"
    ;
static const char *const NETWORK =
#include "../device/network.cc"
    ;
static const char *const CENTERS =
#include "../device/centers.cc"
    ;

// A text that grows. Numbers are written so that they are read back as they were.
class Text {
 public:
  std::string all;

  Text &operator<<(const std::string &text) {
    all += text;
    return *this;
  }
  Text &operator<<(int64_t number) { return *this << std::to_string(number); }
  Text &operator<<(int number) { return *this << std::to_string(number); }
  Text &operator<<(double number) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.17g", number);
    const std::string text = digits;
    const bool is_whole = text.find_first_of(".en") == std::string::npos;
    return *this << (is_whole ? text + ".0" : text);
  }

  // A line that names a number for the lines after it.
  template <typename N> void define(const std::string &name, N value) {
    *this << "#define " << name << " " << value << "\n";
  }
};
