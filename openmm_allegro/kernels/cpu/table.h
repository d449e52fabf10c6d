// SPDX-License-Identifier: MIT
// All that depends on the distance of a pair and its elements alone: evaluated in double
// precision, from a program in float too, and tabulated. Included after operations.h.

constexpr int BLOCK = 64;  // intervals of a table that are evaluated at a time

// The first stage of a program of precision T. Rows are values and their derivatives by x.
template <typename T> class Stage {
 public:
  explicit Stage(const Model &m) : m(m), matrices(m.stage) {
    for (long n = 0; n < m.stage; ++n)
      if (m.operation[n].code == ALLEGRO_LINEAR) convert(as<allegro_linear>(m.operation[n]), n);
  }

  void run(int kind, const double *x, int count) {
    pairs = count;
    rows.resize(2L * count * m.stride, 0.0);
    for (int i = 0; i < count; ++i)
      radial(m, x[i], row(i) + m.basis, row(count + i) + m.basis);
    for (long n = 0; n < m.stage; ++n) operation(m.operation[n], n, kind);
  }

  // [first_width] of the last run.
  const double *values(int i) { return row(i) + m.first; }
  const double *slopes(int i) { return row(pairs + i) + m.first; }

 private:
  const Model &m;
  std::vector<std::vector<double>> matrices;  // of each operation; empty if it has none
  std::vector<double> rows;                   // [values and then slopes, stride]
  int pairs = 0;

  double *row(int i) { return &rows[i * m.stride]; }

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

  void operation(const allegro_operation &operation, long n, int kind) {
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
        for (int i = 0; i < pairs; ++i) {
          double *value = row(i), *slope = row(pairs + i) + op.target;
          activate(op.kind, value + op.target, value + op.slope, op.width);
          for (long k = 0; k < op.width; ++k) slope[k] *= value[op.slope + k];
        }
        break;
      }
      case ALLEGRO_TYPES: {
        const auto &op = as<allegro_types>(operation);
        const T *scale = weights + op.weights + kind * op.width;
        for (int i = 0; i < 2 * pairs; ++i)
          for (long k = 0; k < op.width; ++k) row(i)[op.target + k] *= scale[k];
        break;
      }
      case ALLEGRO_SPLINE: {
        const auto &op = as<allegro_spline>(operation);
        const T *matrix = weights + op.weights + kind * op.width * m.radial;
        for (int i = 0; i < 2 * pairs; ++i) {
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
  long in_pair() const { return (count + BLOCK - 1) / BLOCK; }
  int kind(long block) const { return block / in_pair(); }
  long first(long block) const { return block % in_pair() * BLOCK; }
  int size(long block) const { return std::min((long)BLOCK, count - first(block)); }
  double step() const { return (1.0 - m.table_from) / count; }

  // Run the stage at x = a part t of each interval, and once more at the end with t = 0.
  template <typename T> void run(Stage<T> &stage, long block, double t) const {
    double x[BLOCK + 1];
    const int nodes = size(block) + (t == 0.0);
    for (int i = 0; i < nodes; ++i) {
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
    for (int i = 0; i < size(block); ++i, to += 4 * width) {
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
static void two_body(const Model &m, int kind, long count, const double *x, double *values,
                     double *slopes) {
  Stage<T> stage(m);
  for (long begin = 0; begin < count; begin += BLOCK) {
    const int part = std::min((long)BLOCK, count - begin);
    stage.run(kind, x + begin, part);
    for (int i = 0; i < part; ++i) {
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

// Largest numbers of a table and of its errors, of values and of slopes.
struct Largest {
  double exact[2] = {}, error[2] = {};

  void note(int i, double expected, double found) {
    exact[i] = std::max(exact[i], std::abs(expected));
    error[i] = std::max(error[i], std::abs(found - expected));
  }
  void note(const Largest &other) {
    for (int i = 0; i < 2; ++i) {
      exact[i] = std::max(exact[i], other.exact[i]);
      error[i] = std::max(error[i], other.error[i]);
    }
  }
};

// Where in an interval errors of slopes and of values are largest.
constexpr double WORST[] = {0.21, 0.5, 0.79};

// Adds to the largest numbers of each ordered pair and place [types, types, 3].
template <typename T>
static void find_errors(const Intervals &table, long begin, long end, Largest *largest) {
  Stage<T> stage(table.m);
  const long width = table.m.first_width;
  std::vector<double> cubics(4 * BLOCK * width);
  for (long block = begin; block < end; ++block) {
    table.cubics(stage, block, cubics.data());
    for (int place = 0; place < 3; ++place) {
      const double t = WORST[place];
      Largest &own = largest[3 * table.kind(block) + place];
      table.run(stage, block, t);
      for (int i = 0; i < table.size(block); ++i)
        for (long k = 0; k < width; ++k) {
          const double *p = &cubics[4 * i * width + k];
          const double s = p[width], b = p[2 * width], c = p[3 * width];
          own.note(0, stage.values(i)[k], *p + t * (s + t * (b + t * c)));
          own.note(1, stage.slopes(i)[k], (s + t * (2.0 * b + t * 3.0 * c)) / table.step());
        }
    }
  }
}
