// SPDX-License-Identifier: MIT
// What a program knows of a single pair: its numbers by name, and its spherical harmonics
// as sums of monomials. Included after arrays.h and text.h.

// Names of a program's numbers, and of places in the constants and in the weights.
static void write_numbers(const Model &m, const Places &p, Text &text) {
  text.define("NET", m.is_double ? std::string("double") : std::string("float"));
  text.define("NET_IS_DOUBLE", int(m.is_double));
  text.define("COMPONENTS", m.components);
  text.define("DEGREES", int64_t(m.degrees));
  text.define("CHANNELS", m.channels);
  text.define("TYPES", m.types);
  text.define("RADIAL", m.radial);
  text.define("SPLINE", m.spline);
  text.define("INTEGER_ROOTS", m.integer_roots);
  text.define("ENVELOPE_P", m.envelope_p);
  text.define("CHARGED", int(m.is_charged));
  text.define("CORE", m.core);
  text.define("CORE_P", m.core_p);
  text.define("POINTS", m.points);
  text.define("TABLE", p.table);
  text.define("TABLE_FROM", m.table_from);
  text.define("FIRST_WIDTH", m.first_width);
  text.define("NORM", p.norm);
  text.define("FACTORS", p.factors);
  text.define("SHIFTS", p.shifts);
  text.define("CUTOFFS", p.cutoffs);
  text.define("ROOTS", p.roots);
  text.define("CORE_STRENGTHS", p.core_strengths);
  text.define("CORE_RATES", p.core_rates);
  text.define("HAS_INNER", int64_t(m.has_inner));
  text.define("INNER", p.inner);
  text.define("INNER_WIDTH", 0.01 * ALLEGRO_INNER_WIDTH);
}

// c x^i y^j z^k
static std::string monomial(double coefficient, int64_t i, int64_t j, int64_t k) {
  Text text;
  text << coefficient;
  const char *const names[] = {"x", "y", "z"};
  const int64_t powers[] = {i, j, k};
  for (int axis = 0; axis < 3; ++axis)
    if (powers[axis]) {
      text << " * " << names[axis];
      if (powers[axis] > 1) text << powers[axis];
    }
  return text.all;
}

static std::string sum_of(const std::vector<std::string> &parts) {
  std::string sum;
  for (const std::string &part : parts) sum += (sum.empty() ? "" : " + ") + part;
  return sum.empty() ? "0.0" : sum;
}

// A function's body, after the powers of x, y and z that it has: x2 and so on.
static void write_body(const std::string &body, Text &text) {
  for (const std::string axis : {"x", "y", "z"}) {
    int64_t largest = 7;  // of any monomial
    while (largest > 1 && body.find(axis + std::to_string(largest)) == std::string::npos)
      --largest;
    for (int64_t n = 2; n <= largest; ++n)
      text << "  const double " << axis << n << " = " << axis
           << (n == 2 ? "" : std::to_string(n - 1)) << " * " << axis << ";\n";
  }
  text << body << "}\n";
}

// The functions `harmonics` and `harmonics_back` of a unit vector.
static void write_harmonics(const Model &m, Text &text) {
  std::vector<std::vector<std::string>> values(m.components), slopes[3];
  for (auto &axis : slopes) axis.resize(m.components);
  for (long n = 0; n < m.terms; ++n) {
    const allegro_term &t = m.term[n];
    const double c = m.term_value[n];
    values[t.component].push_back(monomial(c, t.x, t.y, t.z));
    if (t.x) slopes[0][t.component].push_back(monomial(c * t.x, t.x - 1, t.y, t.z));
    if (t.y) slopes[1][t.component].push_back(monomial(c * t.y, t.x, t.y - 1, t.z));
    if (t.z) slopes[2][t.component].push_back(monomial(c * t.z, t.x, t.y, t.z - 1));
  }
  text << "\n// Spherical harmonics [COMPONENTS] of the unit vector (x, y, z).\n"
          "DEVICE void harmonics(double x, double y, double z, double *value) {\n";
  Text body;
  for (long a = 0; a < m.components; ++a)
    body << "  value[" << int64_t(a) << "] = " << sum_of(values[a]) << ";\n";
  write_body(body.all, text);
  text << "\n"
          "// The derivative by the vector, not projected, from those by the harmonics.\n"
          "DEVICE void harmonics_back(double x, double y, double z, const double *d_value,\n"
          "                           double *d_x, double *d_y, double *d_z) {\n";
  Text back;
  const char *const names[] = {"d_x", "d_y", "d_z"};
  for (int axis = 0; axis < 3; ++axis) {
    std::vector<std::string> parts;
    for (long a = 0; a < m.components; ++a)
      if (!slopes[axis][a].empty())
        parts.push_back("d_value[" + std::to_string(a) + "] * (" +
                        sum_of(slopes[axis][a]) + ")");
    std::string sum;
    for (const std::string &part : parts) sum += (sum.empty() ? "" : " +\n         ") + part;
    back << "  *" << names[axis] << " = " << (sum.empty() ? "0.0" : sum) << ";\n";
  }
  write_body(back.all, text);
}
