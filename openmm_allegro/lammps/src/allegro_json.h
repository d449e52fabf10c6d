// SPDX-License-Identifier: GPL-2.0-or-later
// A strict reader of JSON, because LAMMPS has none before 2025.
#ifndef ALLEGRO_JSON_H
#define ALLEGRO_JSON_H

#include <cstdint>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace openmm_allegro {

// A value of a JSON text. What is asked of it must be there and of that kind, or a
// std::runtime_error says what was expected.
class Json {
 public:
  const Json &operator[](const std::string &key) const {
    for (const auto &member : members)
      if (member.first == key) return member.second;
    throw std::runtime_error("expected \"" + key + "\" in the header, found no such key");
  }

  const std::string &string() const { return need(STRING, "text"), text; }
  const std::vector<Json> &array() const { return need(ARRAY, "an array"), items; }

  double number() const {
    need(NUMBER, "a number");
    std::istringstream stream(text);
    stream.imbue(std::locale::classic());  // a decimal point in all languages
    double value = 0.0;
    stream >> value;
    return value;
  }

  int64_t integer() const {
    need(NUMBER, "an integer");
    if (text.find_first_of(".eE") != std::string::npos || text.size() > 18)
      throw std::runtime_error("expected an integer in the header, found " + text);
    return std::stoll(text);
  }

 private:
  friend class JsonReader;
  enum Kind { EMPTY, BOOLEAN, NUMBER, STRING, ARRAY, OBJECT };
  Kind kind = EMPTY;
  std::string text;  // of a number or a string
  std::vector<Json> items;
  std::vector<std::pair<std::string, Json>> members;

  void need(Kind wanted, const char *name) const {
    if (kind != wanted)
      throw std::runtime_error(std::string("expected ") + name +
                               " in the header, found another kind of value");
  }
};

class JsonReader {
 public:
  static Json read(const std::string &text) {
    JsonReader reader(text);
    Json value = reader.value(0);
    reader.space();
    if (reader.at != text.size()) reader.fail();
    return value;
  }

 private:
  explicit JsonReader(const std::string &given) : text(given) {}
  static constexpr int DEEPEST = 20;
  const std::string &text;
  size_t at = 0;

  [[noreturn]] void fail() const {
    throw std::runtime_error("expected a header in JSON, found an error at its byte " +
                             std::to_string(at));
  }

  char peek() const { return at < text.size() ? text[at] : '\0'; }

  void space() {
    while (peek() == ' ' || peek() == '\n' || peek() == '\t' || peek() == '\r') ++at;
  }

  void expect(char wanted) {
    if (peek() != wanted) fail();
    ++at;
  }

  bool accept(char wanted) {
    space();
    if (peek() != wanted) return false;
    ++at;
    return true;
  }

  Json value(int depth) {
    if (depth > DEEPEST) fail();
    space();
    Json result;
    switch (peek()) {
      case '{': object(result, depth); break;
      case '[': array(result, depth); break;
      case '"': result.kind = Json::STRING, result.text = string(); break;
      case 't': word("true"), result.kind = Json::BOOLEAN; break;
      case 'f': word("false"), result.kind = Json::BOOLEAN; break;
      case 'n': word("null"); break;
      default: result.kind = Json::NUMBER, result.text = number();
    }
    return result;
  }

  void object(Json &result, int depth) {
    result.kind = Json::OBJECT;
    expect('{');
    if (accept('}')) return;
    do {
      space();
      std::string key = string();
      for (const auto &member : result.members)
        if (member.first == key) fail();
      if (!accept(':')) fail();
      result.members.emplace_back(std::move(key), value(depth + 1));
    } while (accept(','));
    if (!accept('}')) fail();
  }

  void array(Json &result, int depth) {
    result.kind = Json::ARRAY;
    expect('[');
    if (accept(']')) return;
    do result.items.push_back(value(depth + 1));
    while (accept(','));
    if (!accept(']')) fail();
  }

  void word(const char *expected) {
    for (; *expected; ++expected) expect(*expected);
  }

  std::string number() {
    const size_t begin = at;
    if (peek() == '-') ++at;
    if (peek() == '0') ++at;
    else digits();
    if (peek() == '.') ++at, digits();
    if (peek() == 'e' || peek() == 'E') {
      ++at;
      if (peek() == '+' || peek() == '-') ++at;
      digits();
    }
    return text.substr(begin, at - begin);
  }

  void digits() {
    if (peek() < '0' || peek() > '9') fail();
    while (peek() >= '0' && peek() <= '9') ++at;
  }

  std::string string() {
    std::string result;
    expect('"');
    while (peek() != '"') {
      if (static_cast<unsigned char>(peek()) < ' ') fail();
      if (peek() == '\\') escape(result);
      else result += text[at++];
    }
    ++at;
    return result;
  }

  void escape(std::string &result) {
    static const std::string names = "\"\\/bfnrt", values = "\"\\/\b\f\n\r\t";
    ++at;
    const size_t which = names.find(peek());
    if (which != std::string::npos && peek()) {
      result += values[which], ++at;
      return;
    }
    expect('u');
    int code = 0;
    for (int i = 0; i < 4; ++i, ++at) {
      const std::string hex = "0123456789abcdef";
      const size_t digit = hex.find(static_cast<char>(peek() >= 'A' && peek() <= 'F'
                                                          ? peek() - 'A' + 'a' : peek()));
      if (digit == std::string::npos || !peek()) fail();
      code = 16 * code + static_cast<int>(digit);
    }
    // Only names of elements and versions are read, which are ASCII.
    result += code < 128 ? static_cast<char>(code) : '?';
  }
};

}  // namespace openmm_allegro

#endif
