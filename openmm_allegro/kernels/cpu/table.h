// SPDX-License-Identifier: MIT
// All that depends on the distance of a pair and its elements alone: evaluated in double
// precision, from a program in float too, and tabulated. Included after operations.h.

constexpr int NODES = 64;  // intervals of a table that are evaluated at a time

// The first stage of a program of precision T. Rows are values and their derivatives by x.
template <typename T> class Stage {
 public:
  explicit Stage(const Model &m) : m(m), matrices(m.stage) {
    for (long n = 0; n < m.stage; ++n)
      if (m.operation[n].code == ALLEGRO_LINEAR) convert(as<allegro_linear>(m.operation[n]), n);
  }

  void run(long kind, const double *x, long count) {
    pairs = count;
    rows.resize(2 * count * m.stride, 0.0);
    radial(m, x, 1, count, row(0) + m.basis, row(count) + m.basis, m.stride);
    for (long n = 0; n < m.stage; ++n) operation(m.operation[n], n, kind);
  }

  // [first_width] of the last run.
  const double *values(long i) { return row(i) + m.first; }
  const double *slopes(long i) { return row(pairs + i) + m.first; }

 private:
  const Model &m;
  std::vector<Array<double>> matrices;  // of each operation; empty if it has none
  Array<double> rows;                         // [values and then slopes, stride]
  long pairs = 0;

  double *row(long i) { return &rows[i * m.stride]; }

  // A panel of T is as many bytes as one of doubles, so it has more columns.
  void convert(const allegro_linear &op, long n) {
    constexpr long P = panel<T>, D = panel<double>;
    const T *from = (const T *)m.weights + op.forward;
    matrices[n].resize(op.depth * padded<T>(op.width));
    double *to = matrices[n].data();
    for (long column = 0; column < padded<T>(op.width); column += D)
      for (long k = 0; k < op.depth; ++k)
        for (long i = 0; i < D; ++i)
          *to++ = from[(column / P * op.depth + k) * P + column % P + i];
  }

  void operation(const allegro_operation &operation, long n, long kind) {
    const T *weights = (const T *)m.weights;
    switch (operation.code) {
      case ALLEGRO_LINEAR: {
        const auto &op = as<allegro_linear>(operation);
        product(row(0) + op.source, matrices[n].data(), row(0) + op.target, m.stride,
                2 * pairs, op.depth, padded<T>(op.width), op.add);
        break;
      }
      case ALLEGRO_ACTIVATION: {
        const auto &op = as<allegro_activation>(operation);
        for (long i = 0; i < pairs; ++i) {
          double *value = row(i), *slope = row(pairs + i) + op.target;
          activate<true>(op.kind, value + op.target, value + op.slope, op.width);
          for (long k = 0; k < op.width; ++k) slope[k] *= value[op.slope + k];
        }
        break;
      }
      case ALLEGRO_TYPES: {
        const auto &op = as<allegro_types>(operation);
        const T *scale = weights + op.weights + kind * op.width;
        for (long i = 0; i < 2 * pairs; ++i)
          for (long k = 0; k < op.width; ++k) row(i)[op.target + k] *= scale[k];
        break;
      }
      case ALLEGRO_SPLINE: {
        const auto &op = as<allegro_spline>(operation);
        const T *matrix = weights + op.weights + kind * op.width * m.radial;
        for (long i = 0; i < 2 * pairs; ++i) {
          double *target = row(i) + op.target;
          std::fill(target, target + op.width, 0.0);
          for (long k = 0; k < m.radial; ++k)
            for (long j = 0; j < op.width; ++j)
              target[j] += row(i)[m.basis + k] * matrix[k * op.width + j];
        }
      }
    }
  }
};

// Intervals of the tables of all ordered pairs, in blocks of one pair each. What is
// computed of a block does not depend on the thread that does it.
struct Intervals {
  const Model &m;
  long count;

  long blocks() const { return m.types * m.types * in_pair(); }
  long in_pair() const { return (count + NODES - 1) / NODES; }
  long kind(long block) const { return block / in_pair(); }
  long first(long block) const { return block % in_pair() * NODES; }
  long size(long block) const { return std::min((long)NODES, count - first(block)); }
  double step() const { return (1.0 - m.table_from) / count; }

  // Run the stage at x = a part t of each interval, and once more at the end with t = 0.
  template <typename T> void run(Stage<T> &stage, long block, double t) const {
    double x[NODES + 1];
    const long nodes = size(block) + (t == 0.0);
    for (long i = 0; i < nodes; ++i) {
      const long node = first(block) + i;
      x[i] = node == count ? 1.0 : m.table_from + (node + t) * step();
    }
    stage.run(kind(block), x, nodes);
  }

  // Cubics of a block [size, 4, first_width]: coefficients, because a slope from the values
  // at both ends would lose digits.
  template <typename T, typename C> void cubics(Stage<T> &stage, long block, C *to) const {
    run(stage, block, 0.0);
    const long width = m.first_width;
    for (long i = 0; i < size(block); ++i, to += 4 * width) {
      const double *p0 = stage.values(i), *p1 = stage.values(i + 1);
      const double *s0 = stage.slopes(i), *s1 = stage.slopes(i + 1);
      for (long k = 0; k < width; ++k) {
        const double rise = p1[k] - p0[k], slope = s0[k] * step();
        const double c = slope + s1[k] * step() - 2.0 * rise;
        to[k] = C(p0[k]), to[width + k] = C(slope);
        to[2 * width + k] = C(rise - slope - c), to[3 * width + k] = C(c);
      }
    }
  }
};

template <typename T>
static void two_body(const Model &m, long kind, long begin, long end, const double *x,
                     double *values, double *slopes) {
  Stage<T> stage(m);
  for (; begin < end; begin += NODES) {
    const long part = std::min((long)NODES, end - begin);
    stage.run(kind, x + begin, part);
    for (long i = 0; i < part; ++i) {
      const long place = (begin + i) * m.first_width;
      std::copy_n(stage.values(i), m.first_width, values + place);
      std::copy_n(stage.slopes(i), m.first_width, slopes + place);
    }
  }
}

template <typename T>
static void tabulate(const Intervals &table, long begin, long end, T *cubics) {
  Stage<T> stage(table.m);
  for (long block = begin; block < end; ++block) {
    const long interval = table.kind(block) * table.count + table.first(block);
    table.cubics(stage, block, cubics + interval * 4 * table.m.first_width);
  }
}

// Largest errors of a table within its intervals, and what they are fractions of.
class Errors {
 public:
  explicit Errors(const Intervals &table)
      : table(table), largest(PLACES * table.m.types * table.m.types) {}

  template <typename T> void find(long begin, long end) {
    Stage<T> stage(table.m);
    const long width = table.m.first_width;
    std::vector<double> cubics(4 * NODES * width);
    for (long block = begin; block < end; ++block) {
      table.cubics(stage, block, cubics.data());
      for (int place = 0; place < PLACES; ++place) {
        // where in an interval errors of slopes and of values are largest
        const double t = place == 0 ? 0.21 : place == 1 ? 0.5 : 0.79;
        Largest &own = largest[PLACES * table.kind(block) + place];
        table.run(stage, block, t);
        for (long i = 0; i < table.size(block); ++i)
          for (long k = 0; k < width; ++k) {
            const double *p = &cubics[4 * i * width + k];
            const double s = p[width], b = p[2 * width], c = p[3 * width];
            const double slope = (s + t * (2.0 * b + t * 3.0 * c)) / table.step();
            own.value.note(stage.values(i)[k], *p + t * (s + t * (b + t * c)));
            own.slope.note(stage.slopes(i)[k], slope);
          }
      }
    }
  }

  void add(const Errors &other) {
    for (size_t i = 0; i < largest.size(); ++i) {
      largest[i].value.add(other.largest[i].value);
      largest[i].slope.add(other.largest[i].slope);
    }
  }

  // The largest of all pairs and places, of values and of slopes.
  void relative(double *errors) const {
    errors[0] = errors[1] = 0.0;
    for (const Largest &one : largest) {
      errors[0] = std::max(errors[0], one.value.relative());
      errors[1] = std::max(errors[1], one.slope.relative());
    }
  }

 private:
  static constexpr int PLACES = 3;

  struct Pair {
    double exact = 0.0, error = 0.0;

    void note(double expected, double found) {
      exact = std::max(exact, std::abs(expected));
      error = std::max(error, std::abs(found - expected));
    }
    void add(const Pair &other) {
      exact = std::max(exact, other.exact), error = std::max(error, other.error);
    }
    double relative() const { return error / std::max(exact, 1e-12); }
  };

  struct Largest {
    Pair value, slope;
  };

  const Intervals &table;
  std::vector<Largest> largest;  // [types, types, PLACES]
};
