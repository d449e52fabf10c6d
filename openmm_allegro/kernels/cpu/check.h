// SPDX-License-Identifier: MIT
// Checks that three arrays are a program: no index, column or size in them leads outside.
// Included once per instruction set, after model.h.

constexpr int64_t POWERS = 8;          // of x, y and z, see pair_functions.h
constexpr double EXPONENT = 1000.0;    // of an envelope; each pair takes as many products
constexpr int64_t CORE = 64;           // terms of a pair core
constexpr int64_t MANY = 1 << 24;      // of what has no limit of its own
constexpr int64_t WORKSPACE = 1L << 31;  // numbers of the operators of a block of centres

// A fault of a program: what was expected, and what was found.
struct Refusal {
  std::string expected, found;
};

static inline void require(bool condition, const std::string &expected, int64_t found) {
  if (!condition) throw Refusal{expected, std::to_string(found)};
}

// The product of numbers that are not negative, or the largest number.
static inline int64_t times(int64_t a, int64_t b) {
  int64_t product;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

// Cutoffs [types, types] in the constants of a program.
static const double *cutoffs_of(const allegro_header &head, const double *constants) {
  const int64_t types = head.types, radial = head.radial, terms = head.terms;
  const int64_t core = head.core;
  const double *cutoffs = nullptr;
  take<allegro_scalars>(constants);
#define FIND(type, name, length, about)                      \
  if (std::string(#name) == "cutoffs") cutoffs = constants; \
  constants += (length);
  ALLEGRO_CONSTANTS(FIND)
#undef FIND
  return cutoffs;
}

struct ProgramCheck {
  const allegro_program &program;
  const int64_t integers, constants, weights;  // lengths
  allegro_header head;
  const int64_t *degree;
  const allegro_operation *operation;
  const allegro_term *term;
  std::vector<allegro_layer> layer;
  std::vector<const allegro_entry *> entry;
  std::vector<std::pair<int64_t, int64_t>> stored;  // start and size of weights

  void run() {
    check_header();
    check_lengths();
    check_constants();
    check_harmonics();
    check_layers();
    check_operations();
    check_weights();
  }

  int64_t number_size() const { return program.is_double ? sizeof(double) : sizeof(float); }
  int64_t panel_width() const { return ALLEGRO_PANEL / number_size(); }

  void check_header() {
    constexpr int64_t size = sizeof head / sizeof(int64_t);
    require(integers >= size, "a header of " + std::to_string(size) + " integers", integers);
    std::copy(program.integers, program.integers + size, reinterpret_cast<int64_t *>(&head));
    const struct {
      const char *name;
      int64_t value, low, high;
    } limits[] = {
        {"stride", head.stride, 1, 1 << 17},
        {"components", head.components, 1, LARGEST},
        {"channels", head.channels, 1, MANY},
        {"types", head.types, 1, 1 << 10},
        {"layers", head.layers, 1, MANY},
        {"radial", head.radial, 1, MANY},
        {"spline", head.spline, 0, 1},
        {"integer_roots", head.integer_roots, 0, 1},
        {"core", head.core, 0, CORE},
        {"operations", head.operations, 1, MANY},
        {"terms", head.terms, 0, MANY},
        {"widest", head.widest, head.components, MANY},
        {"stage", head.stage, 0, head.operations},
        {"first_width", head.first_width, 1, MANY},
        {"points", head.points, 0, MANY},
    };
    for (const auto &limit : limits)
      require(limit.low <= limit.value && limit.value <= limit.high,
              limit.name + (" from " + std::to_string(limit.low)) + " to " +
                  std::to_string(limit.high),
              limit.value);
    const int64_t step = ALLEGRO_CHANNELS / number_size();
    require(head.channels % step == 0,
            "a multiple of " + std::to_string(step) + " channels", head.channels);
    require(head.first_width % panel_width() == 0, "whole segments in its table",
            head.first_width);
  }

  // Arrays that end neither too early nor too late.
  void check_lengths() {
    const int64_t types = head.types, radial = head.radial, terms = head.terms;
    const int64_t components = head.components, operations = head.operations;
    const int64_t core = head.core;
    int64_t place = sizeof head / sizeof(int64_t);
#define PLACE(type, name, length, about)                                    \
  name = reinterpret_cast<const type *>(program.integers + place); \
  place += (length) * (sizeof(type) / sizeof(int64_t));
    ALLEGRO_INTEGERS(PLACE)
#undef PLACE
    const std::string all = "all of its arrays and layers";
    for (int64_t n = 0; n < head.layers; ++n) {
      constexpr int64_t size = sizeof(allegro_layer) / sizeof(int64_t);
      require(place + size <= integers, all, integers);
      layer.push_back(*reinterpret_cast<const allegro_layer *>(program.integers + place));
      place += size;
      entry.push_back(reinterpret_cast<const allegro_entry *>(program.integers + place));
      require(0 <= layer[n].entries && layer[n].entries <= MANY, "entries of its layers",
              layer[n].entries);
      place += layer[n].entries * (sizeof(allegro_entry) / sizeof(int64_t));
    }
    require(place == integers, std::to_string(place) + " integers", integers);
    int64_t numbers = sizeof(allegro_scalars) / sizeof(double);
#define COUNT(type, name, length, about) numbers += (length);
    ALLEGRO_CONSTANTS(COUNT)
#undef COUNT
    require(numbers == constants, std::to_string(numbers) + " constants", constants);
  }

  void check_constants() const {
    const double *from = program.constants;
    const auto &scalars = take<allegro_scalars>(from);
    const auto check = [](bool condition, const char *expected, double found) {
      if (!condition) throw Refusal{expected, std::to_string(found)};
    };
    const bool is_exponent = scalars.envelope_p >= 1.0 || head.spline;
    check(scalars.envelope_p > 0.0 && scalars.envelope_p <= EXPONENT && is_exponent,
          "exponents up to 1000", scalars.envelope_p);
    check(scalars.core_p >= 0.0 && scalars.core_p <= EXPONENT, "exponents up to 1000",
          scalars.core_p);
    check(scalars.table_from >= 0.0 && scalars.table_from < 1.0, "a table from 0 to 1",
          scalars.table_from);
    const double *cutoffs = cutoffs_of(head, program.constants);
    for (int64_t kind = 0; kind < head.types * head.types; ++kind)
      check(cutoffs[kind] >= 0.0 && std::isfinite(cutoffs[kind]), "finite cutoffs",
            cutoffs[kind]);
  }

  // Degrees 0, 1, 2 and so on, of 1 to 9 components, and the monomials of these.
  void check_harmonics() const {
    int64_t width = 0;
    require(degree[0] == 0, "components of degree 0 at first", degree[0]);
    for (int64_t a = 0; a < head.components; ++a) {
      ++width;
      const bool is_last = a + 1 == head.components || degree[a + 1] != degree[a];
      if (!is_last) continue;
      require(width % 2 && width <= 9, "1, 3, 5, 7 or 9 components of a degree", width);
      width = 0;
      if (a + 1 < head.components)
        require(degree[a + 1] == degree[a] + 1, "degrees 0, 1, 2 and so on", degree[a + 1]);
    }
    for (int64_t n = 0; n < head.terms; ++n) {
      const allegro_term &t = term[n];
      require(0 <= t.component && t.component < head.components,
              "monomials of its components", t.component);
      for (const int64_t power : {t.x, t.y, t.z})
        require(0 <= power && power < POWERS, "powers from 0 to 7", power);
    }
  }

  void check_layers() {
    const int64_t rows = std::max(int64_t(32), BLOCK / (head.stride * number_size()));
    int64_t dim = head.components, each = 0;
    for (int64_t n = 0; n < head.layers; ++n) {
      const allegro_layer &l = layer[n];
      const std::string name = "layer " + std::to_string(n);
      require(l.dim_in == dim && dim <= head.widest,
              std::to_string(dim) + " components into " + name, l.dim_in);
      require(1 <= l.dim_out && l.dim_out <= MANY, "components out of " + name, l.dim_out);
      for (int64_t i = 0; i < l.entries; ++i) {
        const allegro_entry &e = entry[n][i];
        const bool is_inside = 0 <= e.row && e.row < l.dim_in && 0 <= e.column &&
                               e.column < l.dim_out && 0 <= e.environment &&
                               e.environment < head.components;
        require(is_inside, "entries within " + name, i);
      }
      each += 2 * l.dim_in * l.dim_out + (n + 1) * head.widest;  // below 2^51
      const int64_t size = times(times(rows, head.channels), each);
      require(size <= WORKSPACE, "layers that fit the memory", size);
      if (l.entries) store(l.weights, l.entries * head.channels);
      dim = l.dim_out;
    }
  }

  void check_operations() {
    check_columns(head.basis, padding(head.radial));
    check_columns(head.slope, padding(head.radial));
    check_columns(head.harmonic, padding(head.components));
    check_columns(head.first, head.first_width);
    int64_t products = 0;
    for (int64_t n = 0; n < head.operations; ++n) {
      const int64_t code = operation[n].code;
      if (code == ALLEGRO_TENSOR) {
        require(n >= head.stage, "no product in its stage", n);
        const int64_t which = as<allegro_tensor>(operation[n]).layer;
        require(which == products, "a product for each layer in order", which);
        ++products;
      }
      require(code != ALLEGRO_INNER || n == 0, "inner cutoffs as the first operation", n);
      check_operation(operation[n]);
    }
    require(products == head.layers, std::to_string(head.layers) + " products", products);
  }

  // Columns that an operation reads and writes, and its weights.
  void check_operation(const allegro_operation &row) {
    const int64_t pairs = head.types * head.types;
    switch (row.code) {
      case ALLEGRO_LINEAR: {
        const auto &op = as<allegro_linear>(row);
        check_columns(op.source, padding(op.depth));
        check_columns(op.target, padding(op.width));
        store(op.forward, op.depth * padding(op.width));
        return store(op.backward, op.width * padding(op.depth));
      }
      case ALLEGRO_ACTIVATION: {
        const auto &op = as<allegro_activation>(row);
        const bool is_known =
            op.kind == ALLEGRO_SILU || op.kind == ALLEGRO_MISH || op.kind == ALLEGRO_GELU;
        require(is_known, "nonlinearities 0 to 2", op.kind);
        require(op.width % panel_width() == 0, "nonlinearities on whole segments", op.width);
        check_columns(op.target, padding(op.width));
        return check_columns(op.slope, padding(op.width));
      }
      case ALLEGRO_TYPES: {
        const auto &op = as<allegro_types>(row);
        check_columns(op.target, padding(op.width));
        return store(op.weights, pairs * op.width);
      }
      case ALLEGRO_SPLINE: {
        const auto &op = as<allegro_spline>(row);
        check_columns(op.target, padding(op.width));
        return store(op.weights, times(pairs * head.radial, op.width));
      }
      case ALLEGRO_TENSOR: {
        const auto &op = as<allegro_tensor>(row);
        const int64_t track = (degree[head.components - 1] + 1) * head.channels;
        check_columns(op.tensor, track);
        check_columns(op.environment, track);
        return check_columns(op.target, head.channels);
      }
      case ALLEGRO_ENERGY: {
        const auto &op = as<allegro_energy>(row);
        check_columns(op.source, padding(op.width));
        return store(op.weights, padding(op.width));
      }
      case ALLEGRO_CHARGE: {
        const auto &op = as<allegro_charge>(row);
        check_columns(op.source, padding(op.width));
        return store(op.weights, head.types * padding(op.width));
      }
      case ALLEGRO_INNER: return store(as<allegro_inner>(row).weights, pairs);
      default: require(false, "operations 0 to 7", row.code);
    }
  }

  void check_columns(int64_t start, int64_t width) const {
    const bool is_inside = width >= 1 && width <= head.stride && start >= 0 &&
                           start <= head.stride - width;
    if (!is_inside)
      throw Refusal{"columns up to " + std::to_string(head.stride),
                    std::to_string(width) + " from " + std::to_string(start) + " on"};
  }

  // Width with its padding to whole panels.
  int64_t padding(int64_t width) const {
    require(1 <= width && width <= head.stride,
            "widths from 1 to " + std::to_string(head.stride), width);
    return program.is_double ? padded<double>(width) : padded<float>(width);
  }

  void store(int64_t start, int64_t size) { stored.push_back({start, size}); }

  // Weights are stored one after the other, so in another precision they do not fit.
  void check_weights() {
    if (head.points)
      store(head.table,
            times(head.types * head.types * head.points, 4 * head.first_width));
    std::sort(stored.begin(), stored.end());
    int64_t end = 0;
    for (const auto &[start, size] : stored) {
      require(start == end, "weights from " + std::to_string(end) + " on", start);
      require(size <= weights - end, std::to_string(size) + " weights from there on",
              weights - end);
      end += size;
    }
    require(end == weights, std::to_string(end) + " weights", weights);
  }
};
